"""What a replay is about to do, for somebody to look at before it does. Pure data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cms_cli.replay.model import PlannedEvent, RowProblem
from cms_cli.replay.problems import ProblemGroup, ProblemGroups
from cms_cli.replay.report import MOST_PROBLEMS, Problem
from cms_cli.replay.rowbook import RowStatus

_SAMPLES = 3


@dataclass(frozen=True)
class MappedColumn:
    """A field, the columns it is read from, and a few of its values."""

    field: str
    column: str
    samples: tuple[str, ...]


@dataclass
class Tally:
    """Counts rows as they are planned, and corrects itself when one turns out to repeat another.

    Attributes:
        counts: Rows by outcome; what can be sent is ``pending``.
        reasons: Skipped and duplicate rows by reason.
        sums: By currency, the minor units of the rows that can be sent.
        free: How many of those cost nothing.
        first: The earliest time, wire form; "" where there is none.
        last: The latest.
        future: How many of those lie ahead of now.
        events: The first rows as they would be sent: the request's JSON.
        problems: The first problems, in the order in which they were found.
        groups: All problems, grouped.
    """

    now: str
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    free: int = 0
    first: str = ""
    last: str = ""
    future: int = 0
    events: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    groups: ProblemGroups = field(default_factory=ProblemGroups)

    def can_be_sent(self, event: PlannedEvent) -> None:
        """Count a row that can be sent."""
        self.counts[RowStatus.PENDING.value] += 1
        if event.currency:
            self.sums[event.currency] += event.amount
            self.free += event.amount == 0
        if event.timestamp:
            self.first = min(self.first or event.timestamp, event.timestamp)
            self.last = max(self.last, event.timestamp)
            self.future += event.timestamp > self.now
        if len(self.events) < _SAMPLES:
            self.events.append(event.body)

    def take_back(self, amount: int, currency: str) -> None:
        """Take back a row that was counted as one that can be sent, and turned out not to be."""
        self.counts[RowStatus.PENDING.value] -= 1
        if currency:
            self.sums[currency] -= amount
            self.free -= amount == 0

    def wrong(self, problems: list[RowProblem]) -> None:
        """Count a row that is invalid."""
        self.counts[RowStatus.INVALID.value] += 1
        for problem in problems:
            self.groups.add(problem)
            if len(self.problems) < MOST_PROBLEMS:
                self.problems.append(
                    Problem(problem.row, problem.line, problem.column, problem.code, problem.message)
                )

    def left_out(self, status: RowStatus, reason: str) -> None:
        """Count a row that is skipped, or a duplicate."""
        self.counts[status.value] += 1
        self.reasons[reason] += 1


@dataclass(frozen=True)
class Preview:
    """What somebody needs to see to trust a replay.

    Attributes:
        file: The input, as it was named.
        run: The run's name; None in a dry run.
        going_on: Whether an earlier invocation of the run has sent some of it.
        counts: Rows by outcome; what would be sent is ``pending``.
        reasons: Skipped and duplicate rows by reason.
        sums: By currency, minor units of what would be sent.
        free: How many of those rows cost nothing.
        first: The earliest time among them, wire form, or "".
        last: The latest.
        seconds: How long sending takes at least at this rate.
        columns: Where every field comes from, with sample values.
        events: The first rows as they would be sent.
        problems: What is wrong, grouped.
        warnings: What a careful person would want to know.
        blocked: Whether invalid rows keep everything from being sent.
    """

    file: str
    run: str | None
    going_on: bool
    counts: dict[str, int]
    reasons: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    free: int = 0
    first: str = ""
    last: str = ""
    seconds: float = 0.0
    columns: tuple[MappedColumn, ...] = ()
    events: tuple[str, ...] = ()
    problems: tuple[ProblemGroup, ...] = ()
    warnings: tuple[str, ...] = ()
    blocked: bool = False
