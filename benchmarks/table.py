"""Results of benchmarks as rows of a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from measure import Cost, median, ratio


class Row(NamedTuple):
    """One result.

    Attributes:
        what: The task.
        ours: The cost of it.
        against: The program it is compared with, and that one's cost.
        ratio: Our cost divided by the other.
        besides: Other measurements.
    """

    what: str
    ours: str
    against: str = ""
    ratio: str = ""
    besides: str = ""


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | `cms` | compared with | ratio | |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def milliseconds(costs: Sequence[Cost]) -> str:
    """Return the median time."""
    return f"{median(costs).wall * 1000:.0f} ms"


def times(ours: Sequence[Cost], theirs: Sequence[Cost]) -> str:
    """Return the median over the pairs of ours divided by theirs."""
    return f"{ratio(ours, theirs):.2f}x"
