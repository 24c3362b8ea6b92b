"""Foresees the outcomes of a staged run's remaining rows, by the same code that sending uses."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field

from cms_cli.replay.journal import row_reports, row_table
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import AMOUNT_CHANGED, PendingRow, RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.rowfiles import Settled
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.turn import Turns


@dataclass
class Remaining:
    """The outcomes that the rows of a run will have before anything is sent.

    Attributes:
        counts: The number of rows by outcome; ``pending`` are those that need a request.
        reopened: The statuses whose rows are to be sent again.
        sums: The sum of the pending rows in minor units, by currency.
        free: The number of pending rows with amount 0.
        changed: The number of rows whose invoice was accepted before with another amount, and the first of them for
            a message.
        unsettled: The number of rows that are pending in the journal, with those to be sent again. Some of them
            need no request, such as a sale that another run has sent meanwhile.
        planned: The status, code and error of rows for which these differ from the journal, by row number.
    """

    counts: dict[str, int]
    reopened: tuple[RowStatus, ...]
    sums: dict[str, int]
    free: int
    changed: tuple[int, str]
    unsettled: int = 0
    planned: dict[int, tuple[RowStatus, str | None, str | None]] = field(default_factory=dict)

    def settled(self, rows: Settled) -> Settled:
        """Return a reader of the rows with their planned outcomes.

        Args:
            rows: Reads the rows with their recorded outcomes.
        """

        def planned(statuses: Iterable[RowStatus]) -> Generator[SettledRow, None, None]:
            values = {status.value for status in statuses}
            with closing(rows(RowStatus)) as found:
                for row in found:
                    status, code, error = self.planned.get(row.row, (RowStatus(row.status), row.code, row.error))
                    if status.value in values:
                        yield row._replace(status=status.value, code=code, error=error)

        return planned

    def move(self, row: PendingRow, after: RowStatus, code: str, error: str) -> None:
        """Change the planned outcome of a row that was counted as pending."""
        self.counts[RowStatus.PENDING.value] -= 1
        self.counts[after.value] += 1
        self.planned[row.row] = (after, code, error)
        if row.currency:
            self.sums[row.currency] -= row.amount or 0
            self.free -= not row.amount
        if code == AMOUNT_CHANGED:
            rows, first = self.changed
            self.changed = rows + 1, first or f"line {row.line}: {error}"


def remaining(journal: Journal, run: Run, how: Delivery, *, dry: bool) -> Remaining:
    """Return the outcomes of a run's rows as the first turns of sending would decide them.

    Args:
        journal: The journal.
        run: The run.
        how: The options for sending.
        dry: Whether this is a dry run: then rows that a killed process left without an answer are not recorded yet.
    """
    flags = ((how.retry_unknown, RowStatus.UNKNOWN), (how.retry_refused, RowStatus.REFUSED))
    reopened = tuple(status for flag, status in flags if flag)
    to_send = (RowStatus.PENDING, *reopened)
    now = Clock(journal.ahead).now()
    found = Remaining(
        row_reports.counts(journal, run),
        reopened,
        *row_reports.sums_of(journal, run, to_send),
        changed=row_reports.changed_amounts(journal, run),
    )
    for status in reopened:
        found.counts[RowStatus.PENDING.value] += found.counts[status.value]
        found.counts[status.value] = 0
        if dry:
            again = row_reports.settled(journal, run, [status], texts=False)
            found.planned.update((row.row, (RowStatus.PENDING, None, None)) for row in again)
    left = row_table.interrupted(journal, run, now) if dry and not how.retry_unknown else []
    for row in left:
        found.move(row, RowStatus.UNKNOWN, *row_table.without_answer(run))
    found.unsettled = found.counts[RowStatus.PENDING.value]
    turns = Turns(journal, run, None, resend_unknown=how.retry_unknown, repeats=run.repeats_said(how.repeats))
    gone = {row.row for row in left}
    for page in row_table.keys_by_row(journal, run, to_send):
        concerned = [row for row in turns.concerned(page, now) if row not in gone]
        # A row to be sent again counts as never sent.
        rows = [row._replace(sent_at=None) for row in row_table.numbered(journal, run, concerned)]
        for each in turns.foresee(rows, now):
            found.move(*each)
    return found
