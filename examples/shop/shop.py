"""A tiny shop that tracks with cms_python: visitors arrive by a link, sign up, confirm and buy.

Its tests in test_shop.py use the fixture of cms-python-client. Run them with: python -m pytest
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field

from cms_python import DEFAULT_HOST, CMSClient, TrackResult

PRICES = {"book": 1999, "poster": 850}  # in cents
log = logging.getLogger("shop")


@dataclass
class Order:
    """A purchase.

    Attributes:
        number: The invoice number; the service keeps one sale per invoice.
        customer: The customer's id, the same on all their events.
        item: A key of PRICES.
        tracked: Whether the service has recorded the sale.
    """

    number: str
    customer: str
    item: str
    tracked: bool = False


@dataclass
class Shop:
    """The application.

    Attributes:
        tracking: The client that leads and sales are sent with.
        clicks: The click that brought each customer, from the URL parameter cms_rf.
        orders: All orders, by number.
    """

    tracking: CMSClient
    clicks: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)

    def sign_up(self, customer: str, click: str) -> None:
        """Store which click brought a customer; later leads need no click."""
        self.clicks[customer] = click
        self._check(self.tracking.track_lead("signed_up", customer, click_id=click, mode="deferred"))

    def confirm(self, customer: str) -> None:
        """Record that a customer has confirmed their address."""
        self._check(self.tracking.track_lead("confirmed", customer))

    def buy(self, customer: str, item: str) -> Order:
        """Sell an item, and track the sale if a click brought the customer."""
        order = Order(f"order-{len(self.orders) + 1}", customer, item)
        self.orders[order.number] = order
        if customer in self.clicks:
            self.track(order)
        return order

    def track(self, order: Order) -> None:
        """Track a sale; sending it again is harmless, since an invoice counts once."""
        click = self.clicks[order.customer]
        order.tracked = self._check(
            self.tracking.track_sale(click, "bought", order.customer, order.number, PRICES[order.item], "EUR")
        )

    def _check(self, response: TrackResult) -> bool:
        # A failure to track must not stop the sale.
        if not response["success"] and response["status_code"] != 409:
            log.warning("not tracked: %s (%s)", response["error"], response["status_code"])
            return False
        return True


def open_shop() -> Shop:
    """Return the shop as it runs in production."""
    host = os.environ.get("CMS_HOST", DEFAULT_HOST)
    return Shop(CMSClient(host=host))
