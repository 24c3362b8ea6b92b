"""The preview of a replay, which is shown before anything is sent, and the counts that it is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.model import MappedColumn, Problem
from cms_cli.replay.problems import MOST_PROBLEMS, ProblemGroup, ProblemGroups
from cms_cli.replay.values.ids import WholeFloats

_PENDING = RowStatus.PENDING.value  # looking up an enum member's value takes as long as counting a row


@dataclass
class Tally:
    """Counts rows as they are staged, and corrects the counts for rows that turn out to repeat others.

    Attributes:
        now: The time in wire form, to find times in the future.
        counts: The number of rows by outcome; rows to send are ``pending``.
        reasons: The number of skipped and duplicate rows by reason.
        sums: The sum of the rows to send in minor units, by currency.
        currencies: The number of rows to send, by currency.
        free: The number of rows to send with amount 0.
        days: The number of rows to send, by day in UTC.
        future: The number of rows to send with a time in the future.
        undated: The number of rows to send without a time.
        refunds: The refunded part of ``sums`` in minor units, by currency.
        refunded: The number of rows to send that were refunded in part.
        changed_rows: The number of duplicates with another amount than in the ledger.
        first_changed: The first of these duplicates, for a message.
        whole_floats: The fields of ids that all end in ``.0``, in rows to send.
        problems: The first problems, in the order in which they were found.
        groups: All problems in groups.
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
        """Count a row to send.

        Args:
            amount: Its amount in minor units; 0 for a lead.
            currency: Its currency; "" for a lead.
            time: Its time in wire form; "" for a row without one.
            refunded: The refunded amount in minor units.
            sign: 1, or -1 to subtract the row again.
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
        """Subtract a row that was counted as one to send."""
        self.add(amount, currency, time, refunded, sign=-1)

    @property
    def first(self) -> str:
        """The earliest day of a row to send, or ""."""
        return min(+self.days, default="")

    @property
    def last(self) -> str:
        """The latest day of a row to send, or ""."""
        return max(+self.days, default="")

    def wrong(self, problems: Iterable[Problem]) -> None:
        """Count an invalid row with its problems."""
        self.counts[RowStatus.INVALID.value] += 1
        for problem in problems:
            self.groups.add(problem)
            self.report(problem)

    def report(self, problem: Problem) -> None:
        """Add a problem to those that the report lists, up to ``MOST_PROBLEMS``."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    def changed(self, line: int, error: str) -> None:
        """Count a row whose invoice is in the ledger with another amount."""
        self.changed_rows += 1
        self.first_changed = self.first_changed or f"line {line}: {error}"

    def left_out(self, status: RowStatus, reason: str) -> None:
        """Count a skipped row or a duplicate."""
        self.counts[status.value] += 1
        self.reasons[reason] += 1


@dataclass(frozen=True)
class Preview:
    """The facts for a user to check before anything is sent.

    Attributes:
        file: The input's path as it was given, or another name for it.
        run: The run's name; None in a dry run of an input without a run.
        resumes: Whether this resumes a run that was staged before.
        counts: The number of rows by outcome; rows to send are ``pending``.
        reasons: The number of skipped and duplicate rows by reason.
        empty: The number of cells of each column of ids that were a word for nothing, by that word.
        sums: The sum of the rows to send in minor units, by currency.
        free: The number of rows to send with amount 0.
        refunds: The refunded part of ``sums`` in minor units, by currency; the full amounts are sent.
        refunded: The number of rows to send that were refunded in part.
        first: The earliest day of a row to send in UTC, or "".
        last: The latest day, or "".
        limit: The most rows that this invocation sends, or None.
        seconds: The least seconds that sending takes at the rate limit.
        columns: The columns of every field, with sample values.
        events: The first events as they would be sent, as JSON.
        problems: The problems of rows, in groups.
        warnings: The warnings about input, token and earlier runs.
        blocked: Whether nothing is sent because rows are invalid.
    """

    file: str
    run: str | None
    resumes: bool
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
        """The number of rows to send."""
        return self.counts[RowStatus.PENDING.value]
