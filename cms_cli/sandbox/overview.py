"""Builds the JSON object for the page: totals, clicks, the timeline, the latest events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cms_cli.sandbox.errors import OptionError
from cms_cli.sandbox.report import ORDERS, ClickReport, Report, Revenue, Total, open_report
from cms_cli.sandbox.store_reader import EVENT_COLUMNS, MATCHES, EventFilter, event_of, iso_time
from cms_cli.sandbox.timeline import CLOCKS, read_timeline

_MOST_CLICKS = 50
_MOST_EVENTS = 100
_OWN_LINES = 8
_EMPTY = "empty"

_DEFAULTS = {
    "kind": "",
    "click": "",
    "text": "",
    "order": "sales",  # the order of the clicks
    "currency": "",  # the currency of the timeline; "" for the one with the most sales
    "clock": "happened",  # the time by which events are placed on the timeline
    "steps": "40",  # the most steps of the timeline
    "tag": "",  # the tag of the overview that the page shows
}
_CHOICES = {"kind": ("lead", "sale"), "order": tuple(ORDERS), "clock": tuple(CLOCKS)}


def read_query(query: str) -> dict[str, str]:
    """Parse the page's query, and fill in the defaults.

    Raises:
        OptionError: A parameter is unknown or has a bad value.
    """
    # Invalid UTF-8 becomes a replacement character, since SQLite cannot store a lone surrogate.
    parameters = {name: values[-1] for name, values in parse_qs(query, max_num_fields=20).items()}
    for name, value in parameters.items():
        if name not in _DEFAULTS:
            raise OptionError(f"there is no parameter {name!r}")
        if value not in _CHOICES.get(name, (value,)):
            raise OptionError(f"{name} is one of {', '.join(_CHOICES[name])}")
        if name == "steps" and not (re.fullmatch("[0-9]{1,3}", value) and 2 <= int(value) <= 200):
            raise OptionError("steps is a number from 2 to 200")
    return {**_DEFAULTS, **parameters}


def read_overview(path: Path, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the overview, or only its ``tag`` if nothing has changed since the overview that the page shows.

    Args:
        path: The store's file.
        query: The parameters, as :func:`read_query` returns them.

    Raises:
        StoreError: The store cannot be read.
    """
    event_filter = EventFilter(kind=query["kind"] or None, click_id=query["click"] or None, text=query["text"])
    with open_report(path, event_filter) as report:
        tag = _tag(report)
        if tag == query["tag"]:
            return {"tag": tag}
        total = report.total()
        currency = query["currency"] or _main_currency(total)
        clicks = list(report.clicks(_MOST_CLICKS, query["order"], currency))
        lines = _own_lines(clicks, currency)
        timeline = read_timeline(report, lines, currency, query["clock"], int(query["steps"]))
        return {
            "tag": tag,
            "any": tag != _EMPTY,
            "total": _exact(total.to_dict()),
            "clicks": [_exact(click.to_dict()) for click in clicks],
            "currency": currency,
            "timeline": timeline.to_dict(),
            "events": _latest(report),
        }


def _tag(report: Report) -> str:
    """Return a text that changes with every event, and if the store is reset."""
    row = report.connection.execute("SELECT id, received_at FROM events ORDER BY id DESC LIMIT 1").fetchone()
    return _EMPTY if row is None else f"{row[0]}-{row[1]}"


def _latest(report: Report) -> list[dict[str, Any]]:
    """Return the latest events, the last one first."""
    # The text of the query consists of constants; values are bound.
    query = f"SELECT {EVENT_COLUMNS}, happened_at FROM events WHERE {MATCHES} ORDER BY id DESC LIMIT {_MOST_EVENTS}"  # noqa: S608
    rows = report.connection.execute(query, report.event_filter.bindings())
    return [{**event_of(row[:-1]).to_dict(), "happenedAt": iso_time(row[-1])} for row in rows]


def _main_currency(total: Total) -> str:
    def sales(revenue: Revenue) -> int:
        return revenue.sales

    return max(total.revenue, key=sales).currency if total.revenue else ""


def _own_lines(clicks: Sequence[ClickReport], currency: str) -> list[str]:
    """Return the clicks with a line of their own: alternately the next of the table, and the next by revenue."""

    def earned(click: ClickReport) -> int:
        return sum(each.amount for each in click.revenue if each.currency == currency)

    ranked = sorted(clicks, key=earned, reverse=True)
    turns = (click for pair in zip(clicks, ranked) for click in pair)
    return list(dict.fromkeys(click.click_id for click in turns))[:_OWN_LINES]


def _exact(value: dict[str, Any]) -> dict[str, Any]:
    """Return the object with amounts as text, since JavaScript's numbers are not exact beyond 2**53."""
    return {**value, "revenue": [{**each, "amount": str(each["amount"])} for each in value["revenue"]]}
