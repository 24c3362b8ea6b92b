"""From an input's bytes to a stager that is ready to run, and from what it found to a preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cms_cli.replay.journal import rowbook
from cms_cli.replay.journal.contents import ContentsWriter
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rowbook import RowStatus, StagedRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.mapping import presets
from cms_cli.replay.mapping.amounts import amount_format
from cms_cli.replay.mapping.blueprint import settle
from cms_cli.replay.mapping.mapper import Mapper
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.reading import jsonl
from cms_cli.replay.reading.rows import Table, open_table
from cms_cli.replay.reading.source import Source
from cms_cli.replay.sending.pacing import ideal_seconds
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.staging.stager import Ledger, Stager
from cms_cli.replay.values.zones import names_other_zone
from cms_python import EventKind

if TYPE_CHECKING:
    from cms_cli.replay.run import Request


class Nowhere:
    """Where the rows of a dry run go."""

    wants_rows = False

    def write(self, rows: list[StagedRow]) -> None:
        """Take rows."""

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Take corrections."""


class IntoJournal:
    """Where the rows of a real run go. Batches are transactions, so that others are not kept out for long."""

    wants_rows = True

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
    blueprint = settle(request.kind, first.header, shape)
    mapper = Mapper(blueprint, now, amount_format(blueprint, first))
    staged = Stager(
        request.kind,
        table,
        mapper,
        known,
        sink,
        now,
        sha256=source.sha256,
        unknown_again=request.delivery.retry_unknown,
        progress=progress,
    )
    return staged, first.header


def opener(source: Source, shape: Shape) -> Callable[[], Table]:
    """Give what opens an input at its beginning."""
    encoding = shape.encoding or None
    if shape.format == "jsonl":
        keys: list[tuple[str, ...]] = []  # as many passes as there are, the keys are looked for in the first

        def open_json() -> Table:
            table = jsonl.open_lines(source.rewound(), encoding=encoding, header=keys[0] if keys else None)
            keys[:] = [table.header]
            return table

        return open_json
    return lambda: open_table(source.rewound(), encoding=encoding, delimiter=shape.delimiter or None)


def preview(request: Request, file: str, run: str | None, staged: Stager) -> Preview:
    """Put together what is about to happen."""
    tally = staged.tally
    counts = {status.value: tally.counts[status.value] for status in RowStatus}
    seconds = _seconds(request, counts[RowStatus.PENDING.value])
    warnings = _warnings(request, seconds)
    if counts[RowStatus.PENDING.value]:
        warnings += _about_times(staged)
    known = None if request.shape.rules or request.kind is not EventKind.SALE else presets.suggested(staged.header)
    if known is not None:
        warnings.append(
            f"this looks like an export of {known.title}, which --preset {known.name} knows how to read"
        )
    return Preview(
        file=file,
        run=run,
        going_on=False,
        counts=counts,
        reasons=dict(tally.reasons),
        sums={currency: tally.sums[currency] for currency in sorted(+tally.currencies)},
        free=tally.free,
        refunds=dict(sorted((+tally.refunds).items())),
        refunded=tally.refunded,
        first=tally.first,
        last=tally.last,
        limit=request.delivery.limit,
        seconds=seconds,
        columns=staged.columns,
        events=staged.events,
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
        limit=request.delivery.limit,
        seconds=seconds,
        warnings=tuple(_warnings(request, seconds)),
    )


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


def _about_times(staged: Stager) -> list[str]:
    tally, blueprint = staged.tally, staged.blueprint
    found = []
    if not blueprint.timestamp_mapped:
        found.append(
            "no column gives the time of an event: the service will date all of them now; "
            "say where it is with --map timestamp=COLUMN"
        )
    elif tally.undated:
        found.append(f"{_rows(tally.undated)} without a time: the service will date them now")
    if blueprint.rules.local_times and not blueprint.shape.timezone:
        found.append(
            "the times of this export are the shop's own and do not say their zone; they are read as UTC: "
            "if that is not the shop's, say --timezone"
        )
    elif not blueprint.shape.timezone:
        named = [each.column for each in blueprint.sources.get("timestamp", ()) if names_other_zone(each.column)]
        if named:
            found.append(
                f'the header "{named[0]}" seems to name a zone, which is not gone by: times that do not say theirs '
                "are read as UTC; say --timezone"
            )
    if tally.future:
        found.append(f"{_rows(tally.future)} dated in the future: is --timezone right?")
    return found


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"
