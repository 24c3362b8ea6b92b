"""The preview of a replay, shown before anything is sent. Pure data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.model import MappedColumn, Problem
from cms_cli.replay.problems import MOST_PROBLEMS, ProblemGroup, ProblemGroups
from cms_cli.replay.values.ids import WholeFloats

_PENDING = RowStatus.PENDING.value  # looking up the value of a member takes as long as counting a row


@dataclass
class Tally:
    """Counts rows as they are planned, and corrects the counts when one turns out to repeat another.

    Attributes:
        counts: Rows by outcome; what can be sent is ``pending``.
        reasons: Skipped and duplicate rows by reason.
        sums: By currency, the minor units of the rows that can be sent.
        currencies: By currency, how many of those there are.
        free: The number of those with amount 0.
        days: By day in UTC, how many of them have a time on it.
        future: The number of those in the future.
        undated: The number of those without a time.
        refunds: By currency, the minor units of those rows that were paid back since.
        refunded: The number of refunded rows.
        changed_rows: The number of duplicates with another amount than the ledger has.
        first_changed: The line of the first of them, and what is wrong with it.
        whole_floats: The ids that all end in ``.0``, among rows that can be sent.
        problems: The first problems, in the order in which they were found.
        groups: All problems, grouped.
    """

    now: str
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)
    currencies: Counter[str] = field(default_factory=Counter)
    free: int = 0
    days: Counter[str] = field(default_factory=Counter)
    future: int = 0
    undated: int = 0
    refunds: Counter[str] = field(default_factory=Counter)
    refunded: int = 0
    changed_rows: int = 0
    first_changed: str = ""
    whole_floats: WholeFloats = field(default_factory=WholeFloats)
    problems: list[Problem] = field(default_factory=list)
    groups: ProblemGroups = field(default_factory=ProblemGroups)

    def add(self, amount: int, currency: str, time: str, refunded: int, *, sign: int = 1) -> None:
        """Count a row that can be sent.

        Args:
            amount: In minor units.
            currency: Its currency; "" for a lead.
            time: Its time, wire form; "" for a row without one.
            refunded: The refunded amount, in minor units.
            sign: -1 to take the row back.
        """
        self.counts[_PENDING] += sign
        if time:
            self.days[time[:10]] += sign
            if time > self.now:
                self.future += sign
        else:
            self.undated += sign
        if currency:
            self.sums[currency] += sign * amount
            self.currencies[currency] += sign
            if not amount:
                self.free += sign
        if refunded:
            self.refunded += sign
            self.refunds[currency] += sign * refunded

    def take_back(self, amount: int, currency: str, time: str, refunded: int) -> None:
        """Take back a row that was counted as one that can be sent."""
        self.add(amount, currency, time, refunded, sign=-1)

    @property
    def first(self) -> str:
        """The earliest day, or ""."""
        return min(+self.days, default="")

    @property
    def last(self) -> str:
        """The latest day, or ""."""
        return max(+self.days, default="")

    def wrong(self, problems: Iterable[Problem]) -> None:
        """Count an invalid row."""
        self.counts[RowStatus.INVALID.value] += 1
        for problem in problems:
            self.groups.add(problem)
            self.report(problem)

    def report(self, problem: Problem) -> None:
        """Add a problem to those that the report lists, if there is room."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def changed(self, line: int, error: str) -> None:
        """Count a row whose invoice the ledger has with another amount."""
        self.changed_rows += 1
        self.first_changed = self.first_changed or f"line {line}: {error}"

    def left_out(self, status: RowStatus, reason: str) -> None:
        """Count a skipped row or a duplicate."""
        self.counts[status.value] += 1
        self.reasons[reason] += 1


@dataclass(frozen=True)
class Preview:
    """The facts that a user checks before sending.

    Attributes:
        file: The input, as it was named.
        run: The run's name; None in a dry run.
        going_on: Whether an earlier invocation of the run has sent some of it.
        counts: Rows by outcome; what would be sent is ``pending``.
        reasons: Skipped and duplicate rows by reason.
        empty: By column of ids, how many cells had each of a database's words for nothing; they count as empty.
        sums: By currency, minor units of what would be sent.
        free: The number of those rows with amount 0.
        refunds: By currency, minor units of them that were paid back since; they are sent all the same.
        refunded: The number of refunded rows.
        first: The earliest day among them, in UTC, or "".
        last: The latest.
        limit: How many rows this invocation sends at most, or None.
        seconds: How long sending takes at least at this rate.
        columns: Where every field comes from, with sample values.
        events: The first rows as they would be sent.
        problems: What is wrong, grouped.
        warnings: The warnings about input, token and earlier runs.
        blocked: Whether invalid rows keep everything from being sent.
    """

    file: str
    run: str | None
    going_on: bool
    counts: dict[str, int]
    reasons: dict[str, int] = field(default_factory=dict)
    empty: dict[str, dict[str, int]] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    free: int = 0
    refunds: dict[str, int] = field(default_factory=dict)
    refunded: int = 0
    first: str = ""
    last: str = ""
    limit: int | None = None
    seconds: float = 0.0
    columns: tuple[MappedColumn, ...] = ()
    events: tuple[str, ...] = ()
    problems: tuple[ProblemGroup, ...] = ()
    warnings: tuple[str, ...] = ()
    blocked: bool = False

    @property
    def pending(self) -> int:
        """The rows that would be sent."""
        return self.counts[RowStatus.PENDING.value]
