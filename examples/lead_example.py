"""Track leads: the standard flow and the deferred flow.

    export CMS_BEARER_TOKEN="your_jwt_token"
    python examples/lead_example.py

CMS_HOST names another host, such as that of `cms sandbox serve`.
"""

from __future__ import annotations

import os

from cms_python import DEFAULT_HOST, CMSClient, TrackResult


def show(step: str, response: TrackResult) -> bool:
    """Print the outcome of an event and return whether it succeeded; the calls do not raise."""
    if response.get("success"):
        print(f"{step}: {response['message']}", response["data"])
        return True
    print(f"{step}: failed ({response['status_code']}, {response['type']}): {response['error']}")
    if "details" in response:
        print(response["details"])
    return False


def main() -> int:
    host = os.environ.get("CMS_HOST", DEFAULT_HOST)
    with CMSClient(host=host) as client:
        # The standard flow: the click is known from the URL parameter cms_rf.
        standard = client.track_lead(
            click_id="id_123",
            event_name="signup_started",
            customer_external_id="user_42",
            customer_name="Jane Doe",
            customer_email="jane@example.com",
        )

        # The deferred flow: the first event connects the click to the customer ...
        first = client.track_lead(
            click_id="id_456",
            event_name="lead_captured",
            customer_external_id="user_43",
            mode="deferred",
        )
        # ... and later events name only the customer. Sending click_id again would be an error.
        later = client.track_lead(event_name="kyc_completed", customer_external_id="user_43")

    shown = [
        show("standard flow", standard),
        show("deferred flow, first event", first),
        show("deferred flow, later event", later),
    ]
    return 0 if all(shown) else 1


if __name__ == "__main__":
    raise SystemExit(main())
