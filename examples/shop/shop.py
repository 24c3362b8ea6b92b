"""A tiny shop that tracks with cms_python: visitors come by a link, sign up, confirm, and buy.

Its tests, in test_shop.py, use the fixture that comes with cms-python-client. They run with: python -m pytest
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
    """What a customer bought.

    Attributes:
        number: The invoice's; the service keeps one sale per invoice.
        customer: The customer's id, the same on all their events.
        item: What was bought.
        tracked: Whether the sale is counted.
    """

    number: str
    customer: str
    item: str
    tracked: bool = False


@dataclass
class Shop:
    """The application.

    Attributes:
        tracking: Where leads and sales are told.
        clicks: The click that brought each customer, from the URL parameter cms_rf.
        orders: All orders, by number.
    """

    tracking: CMSClient
    clicks: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)

    def sign_up(self, customer: str, click: str) -> None:
        """Remember who brought a customer; later leads need no click."""
        self.clicks[customer] = click
        self._check(self.tracking.track_lead("signed_up", customer, click_id=click, mode="deferred"))

    def confirm(self, customer: str) -> None:
        """Note that a customer's address is right."""
        self._check(self.tracking.track_lead("confirmed", customer))

    def buy(self, customer: str, item: str) -> Order:
        """Sell; a customer without a click came by themselves, and nobody is credited."""
        order = Order(f"order-{len(self.orders) + 1}", customer, item)
        self.orders[order.number] = order
        if customer in self.clicks:
            self.track(order)
        return order

    def track(self, order: Order) -> None:
        """Tell of a sale; once more does no harm, since the invoice counts once."""
        click = self.clicks[order.customer]
        order.tracked = self._check(
            self.tracking.track_sale(click, "bought", order.customer, order.number, PRICES[order.item], "EUR")
        )

    def _check(self, response: TrackResult) -> bool:
        # A sale that cannot be tracked is no reason not to sell.
        if not response["success"] and response["status_code"] != 409:
            log.warning("not tracked: %s (%s)", response["error"], response["status_code"])
            return False
        return True


def open_shop() -> Shop:
    """The shop as it runs in production."""
    host = os.environ.get("CMS_HOST", DEFAULT_HOST)
    return Shop(CMSClient(host=host))
