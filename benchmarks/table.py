"""One row a finding, and all of them as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from measure import Cost, median, ratio


class Row(NamedTuple):
    """A finding.

    Attributes:
        what: What was done.
        ours: What it took.
        against: What it is compared with, and what that took.
        ratio: Ours divided by that.
        besides: What else was measured.
    """

    what: str
    ours: str
    against: str = ""
    ratio: str = ""
    besides: str = ""


def markdown(rows: Iterable[Row]) -> str:
    """Write the table."""
    lines = ["| what | `cms` | compared with | ratio | |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def milliseconds(costs: Sequence[Cost]) -> str:
    """Return the median time."""
    return f"{median(costs).wall * 1000:.0f} ms"


def times(ours: Sequence[Cost], theirs: Sequence[Cost]) -> str:
    """Return the median over the pairs of ours divided by theirs."""
    return f"{ratio(ours, theirs):.2f}x"
