"""A typical lead, a typical sale and a token for the tests of the SDK."""

from __future__ import annotations

from typing import Any

from cms_python import CMSClient

TOKEN = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXBheWxvYWQ.Qm9ndXNTaWduYXR1cmU"

LEAD = {"event_name": "signup_started", "customer_external_id": "user_42", "click_id": "id_123"}
SALE = {
    "click_id": "id_123",
    "event_name": "purchase_completed",
    "customer_external_id": "user_42",
    "invoice_id": "inv_987",
    "amount": 4999,
    "currency": "USD",
}


def track(client: CMSClient, kind: str, **changed: Any) -> dict[str, Any]:
    """Track the typical lead or sale with some values changed."""
    if kind == "lead":
        return client.track_lead(**{**LEAD, **changed})
    return client.track_sale(**{**SALE, **changed})
