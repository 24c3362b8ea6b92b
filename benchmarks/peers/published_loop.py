"""A bare loop over a CSV file with the published client's API; its wrapper fails on most answers."""

import csv
import sys
from pathlib import Path

from cms_python.api.tracking_api import TrackingApi
from cms_python.api_client import ApiClient
from cms_python.configuration import Configuration
from cms_python.models.sale_payload import SalePayload

api = TrackingApi(ApiClient(Configuration(access_token="benchmark-token", host=sys.argv[1])))
with Path(sys.argv[2]).open(newline="", encoding="utf-8") as file:
    for row in csv.DictReader(file):
        api.track_sale(SalePayload(**{**row, "amount": int(row["amount"])}))
