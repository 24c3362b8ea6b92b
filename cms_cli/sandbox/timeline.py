"""Counts leads and revenue of clicks over time, in a limited number of equal steps, for a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cms_cli.sandbox.report import HALF, Report, whole
from cms_cli.sandbox.store_reader import MATCHES

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_YEAR = 365 * _DAY
# Lengths that are easy to read. Weeks begin on Thursday, as Unix time does, which the chart does not show.
_STEPS = (
    *(1, 2, 5, 10, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY, 91 * _DAY, _YEAR),
)

CLOCKS = {"happened": "happened_at", "arrived": "received_at"}
"""The times by which events can be placed: their own timestamp (if they have one), or the time of arrival."""


@dataclass(frozen=True)
class Line:
    """The numbers of one click, for each step.

    Attributes:
        click_id: The click; ``None`` for all clicks without a line of their own.
        leads: The number of leads in each step.
        amounts: The revenue in each step, in minor units of the timeline's currency.
    """

    click_id: str | None
    leads: list[int]
    amounts: list[int]


@dataclass(frozen=True)
class Timeline:
    """Equal steps of time, with the numbers of clicks in each of them.

    Attributes:
        first: The beginning of the first step in Unix seconds, a multiple of ``step``.
        step: The length of a step in seconds.
        count: The number of steps; 0 if there are no events.
        lines: The requested clicks in their order, then all others together; without clicks that have no events.
    """

    first: int = 0
    step: int = 1
    count: int = 0
    lines: tuple[Line, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the timeline for the page, with amounts as text, since JavaScript's numbers are exact to 2**53."""
        lines = [
            {"clickId": line.click_id, "leads": line.leads, "amounts": [str(amount) for amount in line.amounts]}
            for line in self.lines
        ]
        return {"first": self.first, "step": self.step, "count": self.count, "lines": lines}


def read_timeline(report: Report, clicks: Sequence[str], currency: str, clock: str, most: int) -> Timeline:
    """Return the timeline of a report's events.

    Args:
        report: The report.
        clicks: The clicks that get a line of their own.
        currency: The currency of the revenue.
        clock: A key of :data:`CLOCKS`.
        most: The most steps, at least 2.
    """
    at, bindings = CLOCKS[clock], report.event_filter.bindings()
    # The texts of queries consist of constants; values are always bound.
    range_query = f"SELECT min({at}), max({at}) FROM events WHERE {MATCHES}"  # noqa: S608
    earliest, latest = report.connection.execute(range_query, bindings).fetchone()
    if earliest is None:
        return Timeline()
    first, step, count = steps(earliest, latest, most)
    own = {f"click{number}": click for number, click in enumerate(clicks)}
    query = f"""
        SELECT CASE WHEN click_id IN ({", ".join(f":{name}" for name in own)}) THEN click_id END,
            CAST(({at} - :first) / :step AS INTEGER), sum(kind = 'lead'),
            sum(CASE WHEN currency = :currency THEN amount / {HALF} END),
            sum(CASE WHEN currency = :currency THEN amount % {HALF} END)
        FROM events WHERE {MATCHES} GROUP BY 1, 2
    """  # noqa: S608
    lines = {click: Line(click, [0] * count, [0] * count) for click in (*clicks, None)}
    seen = set()
    for click, number, leads, high, low in report.connection.execute(
        query, {**bindings, **own, "first": first, "step": step, "currency": currency}
    ):
        seen.add(click)
        lines[click].leads[min(number, count - 1)] += leads
        lines[click].amounts[min(number, count - 1)] += whole(high, low)
    return Timeline(first, step, count, tuple(line for click, line in lines.items() if click in seen))


def steps(earliest: float, latest: float, most: int) -> tuple[int, int, int]:
    """Return beginning, length and number of the steps that cover two times, with the shortest length that fits.

    Steps begin at multiples of their length, so that they do not move while events arrive.

    Args:
        earliest: The first time in Unix seconds.
        latest: The last time in Unix seconds.
        most: The most steps, at least 2.
    """
    years = math.ceil((latest - earliest) / _YEAR / (most - 1)) or 1
    for step in (*_STEPS, years * _YEAR, (years + 1) * _YEAR):
        first = math.floor(earliest / step) * step
        count = math.floor((latest - first) / step) + 1
        if count <= most:
            break
    return first, step, count
