"""From an input's bytes to a stager that is ready to run, and from what it found to a preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cms_cli.replay import columns, rowbook
from cms_cli.replay.contents import ContentsWriter
from cms_cli.replay.journal import Journal
from cms_cli.replay.mapping import Mapper, amount_unit
from cms_cli.replay.model import InputError, RowProblem
from cms_cli.replay.money import AmountColumn, AmountFormat, MoneyProblem
from cms_cli.replay.options import Shape
from cms_cli.replay.pacing import ideal_seconds
from cms_cli.replay.preview import Preview
from cms_cli.replay.rowbook import RowStatus, StagedRow
from cms_cli.replay.rows import Table, open_table
from cms_cli.replay.runs import Run
from cms_cli.replay.source import Source
from cms_cli.replay.staging import Ledger, Stager
from cms_python import EventKind

if TYPE_CHECKING:
    from cms_cli.replay.run import Request


class Nowhere:
    """Where the rows of a dry run go."""

    def write(self, rows: list[StagedRow]) -> None:
        """Take rows."""

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Take corrections."""


class IntoJournal:
    """Where the rows of a real run go. Batches are transactions, so that others are not kept out for long."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.run: Run | None = None
        self.contents: ContentsWriter | None = None

    def write(self, rows: list[StagedRow]) -> None:
        """Write rows."""
        assert self.run is not None
        assert self.contents is not None
        with self._journal.transaction() as db:
            rowbook.stage(db, self.run, rows, self.contents)

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Set rows right."""
        assert self.run is not None
        with self._journal.transaction() as db:
            rowbook.amend(db, self.run, rows)


def stager(
    request: Request, source: Source, known: Ledger, sink: Nowhere | IntoJournal, progress: Callable[[int], None]
) -> tuple[Stager, tuple[str, ...]]:
    """Make ready to stage an input; gives the column names too.

    Raises:
        InputError: The header, or a flag, cannot be used.
    """
    shape = request.shape
    table = opener(source, shape)
    first = table()
    now = datetime.now(timezone.utc)
    mapper = Mapper(request.kind, first.header, shape, now, _amount_format(request.kind, first, shape))
    staged = Stager(
        request.kind,
        table,
        mapper,
        known,
        sink,
        now,
        unknown_again=request.delivery.retry_unknown,
        progress=progress,
    )
    return staged, first.header


def opener(source: Source, shape: Shape) -> Callable[[], Table]:
    """Give what opens an input at its beginning."""
    return lambda: open_table(source.rewound(), encoding=shape.encoding or None, delimiter=shape.delimiter or None)


def preview(request: Request, file: str, run: str | None, staged: Stager) -> Preview:
    """Put together what is about to happen."""
    tally = staged.tally
    counts = {status.value: tally.counts[status.value] for status in RowStatus}
    seconds = _seconds(request, counts[RowStatus.PENDING.value])
    warnings = _warnings(request, seconds)
    if not staged.timestamp_mapped and counts[RowStatus.PENDING.value]:
        warnings.append(
            "no column gives the time of an event: the service will date all of them now; "
            "say where it is with --map timestamp=COLUMN"
        )
    if tally.future:
        warnings.append(f"{_rows(tally.future)} dated in the future: is --timezone right?")
    return Preview(
        file=file,
        run=run,
        going_on=False,
        counts=counts,
        reasons=dict(tally.reasons),
        sums=dict(sorted(tally.sums.items())),
        free=tally.free,
        first=tally.first,
        last=tally.last,
        seconds=seconds,
        columns=staged.columns,
        events=tuple(tally.events),
        problems=tuple(tally.groups.groups()),
        warnings=tuple(warnings),
        blocked=bool(counts[RowStatus.INVALID.value]) and not request.delivery.skip_invalid,
    )


def preview_of_run(journal: Journal, run: Run, request: Request, again: Sequence[RowStatus]) -> Preview:
    """Put together what is left of a run that was staged before, with those rows that are to be sent again."""
    counts = rowbook.counts(journal, run)
    for status in again:
        counts[RowStatus.PENDING.value] += counts[status.value]
        counts[status.value] = 0
    sums, free = rowbook.sums_of(journal, run, [RowStatus.PENDING, *again])
    seconds = _seconds(request, counts[RowStatus.PENDING.value])
    return Preview(
        file=run.file,
        run=run.name,
        going_on=True,
        counts=counts,
        sums=sums,
        free=free,
        seconds=seconds,
        warnings=tuple(_warnings(request, seconds)),
    )


def _amount_format(kind: EventKind, table: Table, shape: Shape) -> AmountFormat | None:
    """Look through the column of amounts, where it holds major units, and find how they are written.

    Raises:
        InputError: That cannot be known.
    """
    if kind is not EventKind.SALE:
        return None
    sources = columns.find_sources(kind, table.header, shape.mapping)
    amounts = sources.get("amount", ())
    if not amounts or amount_unit(sources, shape) != "major":
        return None
    column = AmountColumn()
    for item in table:
        if not isinstance(item, RowProblem):
            text = next((text for source in amounts if (text := source.read(item.cells))), "")
            if text:
                column.observe(text, item.line)
    found = column.decide(shape.decimal or None)
    if isinstance(found, MoneyProblem):
        raise InputError(f"{_named(amounts)} {found.message}", found.hint)
    return found


def _named(sources: Sequence[columns.Source]) -> str:
    return " | ".join(source.column for source in sources)


def _seconds(request: Request, rows: int) -> float:
    limit = request.delivery.limit
    return ideal_seconds(rows if limit is None else min(rows, limit), request.delivery.rate)


def _warnings(request: Request, seconds: float) -> list[str]:
    if request.token_expires is None:
        return []
    left = request.token_expires - datetime.now(timezone.utc).timestamp()
    if left > seconds:
        return []
    when = datetime.fromtimestamp(request.token_expires, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return [f"the token expires at {when}, before this would end; go on with a new one when it stops"]


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"
