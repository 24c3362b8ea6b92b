"""Track CutMeShort leads and sales.

    from cms_python import CMSClient

    with CMSClient() as client:  # the token is in CMS_BEARER_TOKEN
        response = client.track_lead(
            click_id="id_123", event_name="signup_started", customer_external_id="user_42"
        )

``track_lead`` and ``track_sale`` return dicts. Network failures, errors of the service and invalid values are
returned too, not raised. For typed results, build a :class:`LeadEvent` or :class:`SaleEvent` and pass it to
:meth:`CMSClient.send`. For retries of your own, use :meth:`CMSClient.attempt`, :func:`may_resend` and
:func:`backoff`.
"""

from cms_python._answer import Answer
from cms_python._retry import backoff, may_resend
from cms_python._version import __version__
from cms_python.client import DEFAULT_HOST, CMSClient
from cms_python.events import EventKind, InvalidEventError, LeadEvent, SaleEvent, WireEvent, encode_wire
from cms_python.fields import LEAD_FIELDS, LEAD_REQUIRED, SALE_FIELDS, SALE_REQUIRED, Field
from cms_python.outcome import DOCUMENTED_HOSTS, Outcome, Status, TrackResult

__all__ = [
    "DEFAULT_HOST",
    "DOCUMENTED_HOSTS",
    "LEAD_FIELDS",
    "LEAD_REQUIRED",
    "SALE_FIELDS",
    "SALE_REQUIRED",
    "Answer",
    "CMSClient",
    "EventKind",
    "Field",
    "InvalidEventError",
    "LeadEvent",
    "Outcome",
    "SaleEvent",
    "Status",
    "TrackResult",
    "WireEvent",
    "__version__",
    "backoff",
    "encode_wire",
    "may_resend",
]
