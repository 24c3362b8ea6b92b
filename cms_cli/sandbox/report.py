"""Reports the leads, sales and revenue of each click, attributed as on the service's dashboard.

Attribution is by last click: an event counts for the click that it resolved to when it was recorded, which for a
follow-up is the click that the customer's last deferred set-up stored. SQLite computes all sums, so that memory
does not grow with the store. Amounts are exact in any size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from cms_cli.sandbox.store_file import open_reader, reporting
from cms_cli.sandbox.store_reader import MATCHES, EventFilter, PathLike, iso_time

HALF = 1_000_000
"""Amounts are summed in two parts, millions and the rest, since a thousand of the largest amounts would overflow
SQLite's 64-bit integers."""

ORDERS: Mapping[str, str] = {
    "sales": "sales DESC, leads DESC, click_id",
    "leads": "leads DESC, sales DESC, click_id",
    "revenue": "earned DESC, sales DESC, leads DESC, click_id",
    "last": "last DESC, click_id",
    "click": "click_id",
}
"""The orders of clicks. ``revenue`` is the revenue in one currency, ``last`` the time of the last event."""

# The texts of queries consist of constants; values are always bound.
_CLICKS = f"""
WITH parts AS (
    SELECT click_id, currency, sum(kind = 'lead') AS leads, sum(kind = 'sale') AS sales,
        sum(amount / {HALF}) AS high, sum(amount % {HALF}) AS low,
        min(happened_at) AS first, max(happened_at) AS last
    FROM events WHERE {MATCHES} GROUP BY click_id, currency
), ranked AS (
    SELECT click_id, sum(leads) AS leads, sum(sales) AS sales, min(first) AS first, max(last) AS last,
        total(CASE WHEN currency = :currency THEN high * {HALF}.0 + low ELSE 0 END) AS earned
    FROM parts GROUP BY click_id ORDER BY {{order}} LIMIT :limit
)
SELECT ranked.click_id AS click_id, ranked.leads AS leads, ranked.sales AS sales, ranked.first AS first,
    ranked.last AS last, earned, parts.currency, parts.sales, parts.high, parts.low
FROM ranked JOIN parts ON parts.click_id = ranked.click_id ORDER BY {{order}}, parts.currency
"""  # noqa: S608
_TOTALS = f"""
SELECT currency, count(DISTINCT click_id), sum(kind = 'lead'), sum(kind = 'sale'),
    sum(amount / {HALF}), sum(amount % {HALF})
FROM events WHERE {MATCHES} GROUP BY currency ORDER BY currency
"""  # noqa: S608


@dataclass(frozen=True)
class Revenue:
    """The sales in one currency.

    Attributes:
        currency: The ISO 4217 code, as it was sent.
        clicks: The number of clicks with such sales.
        sales: The number of sales.
        amount: The sum in minor units.
    """

    currency: str
    clicks: int
    sales: int
    amount: int


@dataclass(frozen=True)
class ClickReport:
    """The leads, sales and revenue of one click.

    Attributes:
        click_id: The click.
        leads, sales: The numbers of events that are attributed to it.
        revenue: The revenue in each currency, sorted by code; empty without a sale.
        first_at, last_at: The times of its first and last event in Unix seconds; the event's own timestamp counts,
            if it has one.
    """

    click_id: str
    leads: int
    sales: int
    revenue: tuple[Revenue, ...]
    first_at: float
    last_at: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "clickId": self.click_id,
            "leads": self.leads,
            "sales": self.sales,
            "revenue": [_of_a_click(each) for each in self.revenue],
            "firstEventAt": iso_time(self.first_at),
            "lastEventAt": iso_time(self.last_at),
        }


@dataclass(frozen=True)
class Total:
    """The leads, sales and revenue of all clicks together.

    Attributes:
        clicks: The number of clicks with an event.
        leads, sales: The numbers of events.
        revenue: The revenue in each currency, sorted by code.
    """

    clicks: int
    leads: int
    sales: int
    revenue: tuple[Revenue, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the total for JSON."""
        return {
            "clicks": self.clicks,
            "leads": self.leads,
            "sales": self.sales,
            "revenue": [{**_of_a_click(each), "clicks": each.clicks} for each in self.revenue],
        }


class Report:
    """A report on a store as it was at one moment; see :func:`open_report`.

    Attributes:
        connection: The connection, for further queries about the same moment.
        event_filter: The filter of the events that count.
    """

    def __init__(self, connection: sqlite3.Connection, event_filter: EventFilter) -> None:
        self.connection = connection
        self.event_filter = event_filter

    def total(self) -> Total:
        """Return the totals of all clicks."""
        rows = self.connection.execute(_TOTALS, self.event_filter.bindings()).fetchall()
        query = f"SELECT count(DISTINCT click_id) FROM events WHERE {MATCHES}"  # noqa: S608 - a constant
        (clicks,) = self.connection.execute(query, self.event_filter.bindings()).fetchone()
        return Total(
            clicks=clicks,
            leads=sum(row[2] for row in rows),
            sales=sum(row[3] for row in rows),
            revenue=tuple(
                Revenue(currency, count, sales, whole(high, low))
                for currency, count, _, sales, high, low in rows
                if currency is not None
            ),
        )

    def clicks(self, limit: int | None = None, order: str = "sales", currency: str = "") -> Iterator[ClickReport]:
        """Yield the clicks; the report has to stay open meanwhile.

        Args:
            limit: The most clicks to return, or ``None`` for all.
            order: A key of :data:`ORDERS`.
            currency: The currency for ``order="revenue"``.
        """
        bindings = {**self.event_filter.bindings(), "limit": -1 if limit is None else limit, "currency": currency}
        rows = self.connection.execute(_CLICKS.format(order=ORDERS[order]), bindings)
        for (click_id, leads, sales, first, last, _), parts in groupby(rows, key=lambda row: row[:6]):
            revenue = tuple(Revenue(part[6], 1, part[7], whole(*part[8:])) for part in parts if part[6] is not None)
            yield ClickReport(click_id, leads, sales, revenue, first, last)


@contextmanager
def open_report(path: PathLike, event_filter: EventFilter | None = None) -> Iterator[Report]:
    """Open a report of a store as it is now.

    Args:
        path: The store's file; a missing one counts as empty.
        event_filter: The filter of the events that count; ``None`` for all events.

    Raises:
        StoreError: The file is not a sandbox's store, or cannot be read.
    """
    path = Path(path)
    with closing(open_reader(path)) as connection, reporting("read", path):
        connection.execute("BEGIN")  # all queries of the report see the store at the same moment
        yield Report(connection, event_filter or EventFilter())


def whole(high: float | None, low: float | None) -> int:
    """Return an amount from the two parts that SQLite has summed."""
    return int(high or 0) * HALF + int(low or 0)


def _of_a_click(revenue: Revenue) -> dict[str, Any]:
    return {"currency": revenue.currency, "sales": revenue.sales, "amount": revenue.amount}
