"""One lead with the published client, as its documentation shows it."""

import os
import sys

from cms_python.api.tracking_api import TrackingApi
from cms_python.api_client import ApiClient
from cms_python.configuration import Configuration
from cms_python.models.lead_payload import LeadPayload

configuration = Configuration(
    access_token="benchmark-token", host=sys.argv[1], ssl_ca_cert=os.environ.get("SSL_CERT_FILE")
)
TrackingApi(ApiClient(configuration)).track_lead(
    LeadPayload(click_id="c", event_name="a", customer_external_id="b")
)
