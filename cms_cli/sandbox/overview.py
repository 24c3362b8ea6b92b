"""Builds what the page shows, as one JSON object: totals, clicks, the timeline, the latest events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
_KINDS = ("lead", "sale")
_KEYS = ("kind", "click", "text", "order", "currency", "clock", "steps", "tag")


@dataclass(frozen=True)
class OverviewQuery:
    """What the page asks for.

    Attributes:
        wanted: Selects the events.
        order: What clicks are sorted by.
        currency: The one of the timeline; empty for the one with the most sales.
        clock: By which time events are placed on the timeline.
        steps: The largest number of steps of the timeline.
        tag: That of the overview which the page shows; empty for none.
    """

    wanted: EventFilter = field(default_factory=EventFilter)
    order: str = "sales"
    currency: str = ""
    clock: str = "happened"
    steps: int = 40
    tag: str = ""

    @classmethod
    def of(cls, query: str) -> OverviewQuery:
        """Read a query string.

        Raises:
            OptionError: A parameter or its value is unknown.
        """
        # Invalid UTF-8 becomes a replacement character: SQLite could not store half of a surrogate pair.
        given = {name: values[-1] for name, values in parse_qs(query, max_num_fields=20).items()}
        for name in given:
            if name not in _KEYS:
                raise OptionError(f"there is no parameter {name!r}")
        wanted = EventFilter(
            kind=_one_of(_KINDS, given, "kind", None), click_id=given.get("click"), text=given.get("text", "")
        )
        return cls(
            wanted,
            str(_one_of(ORDERS, given, "order", cls.order)),
            given.get("currency", ""),
            str(_one_of(CLOCKS, given, "clock", cls.clock)),
            _steps(given.get("steps", str(cls.steps))),
            given.get("tag", ""),
        )


def read_overview(path: Path, query: OverviewQuery) -> dict[str, Any]:
    """Read what the page shows, or only its ``tag`` if nothing has changed since the overview with this tag.

    Raises:
        StoreError: The store cannot be read.
    """
    with open_report(path, query.wanted) as report:
        tag = _tag(report)
        if tag == query.tag:
            return {"tag": tag}
        total = report.total()
        currency = query.currency or _main_currency(total)
        clicks = list(report.clicks(_MOST_CLICKS, query.order, currency))
        return {
            "tag": tag,
            "any": tag != _EMPTY,
            "total": _exact(total.to_dict()),
            "clicks": [_exact(click.to_dict()) for click in clicks],
            "currency": currency,
            "timeline": read_timeline(
                report, _own_lines(clicks, currency), currency, query.clock, query.steps
            ).to_dict(),
            "events": _latest(report),
        }


def _tag(report: Report) -> str:
    """Return a text that changes with every event, and when a store is reset and filled again."""
    if report.connection is None:
        return _EMPTY
    row = report.connection.execute("SELECT id, received_at FROM events ORDER BY id DESC LIMIT 1").fetchone()
    return _EMPTY if row is None else f"{row[0]}-{row[1]}"


def _latest(report: Report) -> list[dict[str, Any]]:
    """Return the latest events, the last one first."""
    if report.connection is None:
        return []
    # Constants make the text of the query; values are bound.
    query = f"SELECT {EVENT_COLUMNS}, happened_at FROM events WHERE {MATCHES} ORDER BY id DESC LIMIT {_MOST_EVENTS}"  # noqa: S608
    rows = report.connection.execute(query, report.wanted.bindings())
    return [{**event_of(row[:-1]).to_dict(), "happenedAt": iso_time(row[-1])} for row in rows]


def _main_currency(total: Total) -> str:
    def sales(revenue: Revenue) -> int:
        return revenue.sales

    return max(total.revenue, key=sales).currency if total.revenue else ""


def _own_lines(clicks: Sequence[ClickReport], currency: str) -> list[str]:
    """Return the clicks with a line of their own: in turn the next of the table, and the next by revenue."""

    def earned(click: ClickReport) -> int:
        return sum(each.amount for each in click.revenue if each.currency == currency)

    ranked = sorted(clicks, key=earned, reverse=True)
    turns = (click for pair in zip(clicks, ranked) for click in pair)
    return list(dict.fromkeys(click.click_id for click in turns))[:_OWN_LINES]


def _exact(value: dict[str, Any]) -> dict[str, Any]:
    """Return the same with amounts as text: JavaScript's numbers are not exact beyond 2**53."""
    return {**value, "revenue": [{**each, "amount": str(each["amount"])} for each in value["revenue"]]}


def _one_of(allowed: Any, given: Mapping[str, str], name: str, default: str | None) -> str | None:
    value = given.get(name, default)
    if value != default and value not in allowed:
        raise OptionError(f"{name} is one of {', '.join(allowed)}")
    return value


def _steps(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 2 <= int(text) <= 200):
        raise OptionError("steps is a number from 2 to 200")
    return int(text)
