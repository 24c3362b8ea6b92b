"""Track a sale.

    export CMS_BEARER_TOKEN="your_jwt_token"
    python examples/sale_example.py

CMS_HOST names another host, such as that of `cms sandbox serve`.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone

from cms_python import DEFAULT_HOST, CMSClient


def main() -> int:
    host = os.environ.get("CMS_HOST", DEFAULT_HOST)
    with CMSClient(host=host) as client:
        response = client.track_sale(
            click_id="id_123",
            event_name="purchase_completed",
            customer_external_id="user_42",
            invoice_id="inv_987",  # the service keeps one sale per invoice
            amount=4999,  # in cents: 49.99 USD
            currency="USD",
            customer_email="jane@example.com",
            timestamp=datetime.now(timezone.utc),
        )

    if response.get("success"):
        print("Success:", response["message"], response["data"])
        return 0
    if response["status_code"] == 409:
        print("This invoice has been tracked before:", response["error"])
        return 0
    print("Error:", response)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
