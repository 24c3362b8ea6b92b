"""Every row of an input: mapped, checked, compared with the others and with the ledger, counted, written.

One pass in constant memory. Which rows repeat or contradict others is known only at its end, and set right then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from cms_cli.replay.journal import ledger, rowbook
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rowbook import RowStatus, StagedRow
from cms_cli.replay.mapping.bulk import Bulk, Mapped
from cms_cli.replay.mapping.mapper import Mapper, Planned, mapped_columns
from cms_cli.replay.mapping.selection import Selection
from cms_cli.replay.model import (
    ADDED,
    SAMPLES,
    STATUS,
    Block,
    MappedColumn,
    PlannedEvent,
    Problem,
    RowProblem,
    SkippedRow,
    SourceRow,
)
from cms_cli.replay.reading.rows import Table
from cms_cli.replay.staging.duplicates import Finding, Repeats
from cms_cli.replay.staging.preview import Tally
from cms_cli.replay.values.times import to_wire
from cms_python import EventKind

_BATCH = 256  # rows mapped, looked up in the ledger and set right at a time: what they take fits into a cache
_WRITTEN = 2000  # rows written at a time
_SAMPLED = 256  # rows that sample values are taken from
_SHOWN = 64  # rows that may be shown as events; more than are shown, since some turn out to repeat others


class Sink(Protocol):
    """Where staged rows go: the journal, or nowhere in a dry run."""

    wants_rows: bool
    """Whether rows are to be written at all."""

    def write(self, rows: list[StagedRow]) -> None:
        """Take rows, in file order."""

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Set right rows that were written as pending: number, status, code and error."""


@dataclass(frozen=True)
class Ledger:
    """What earlier runs have sent; ``journal`` is None where there were none, or where they are to be ignored."""

    journal: Journal | None
    scope: int

    def look_up(self, kind: EventKind, keys: Sequence[bytes]) -> Mapping[bytes, tuple[int, str] | bool]:
        """Give what is known, by key: a sale's amount and currency; whether a lead surely arrived."""
        if self.journal is None or not keys:
            return {}
        with self.journal.reading():
            if kind is EventKind.SALE:
                return ledger.known_sales(self.journal, self.scope, keys)
            return ledger.known_leads(self.journal, self.scope, keys)


class Stager:
    """Stages one input."""

    def __init__(
        self,
        kind: EventKind,
        table: Callable[[], Table],
        mapper: Mapper,
        known: Ledger,
        sink: Sink,
        now: datetime,
        *,
        sha256: str,
        unknown_again: bool,
        progress: Callable[[int], None],
    ) -> None:
        """Get ready.

        Args:
            kind: Lead or sale.
            table: Opens the input at its beginning.
            mapper: Turns rows into events.
            known: What the service has accepted before.
            sink: Where the rows go.
            now: The time, in UTC.
            sha256: Of the input's bytes.
            unknown_again: Whether rows that a failures file marks as unknown may be sent.
            progress: Told the number of rows read, now and then.
        """
        self._kind = kind
        self._table = table
        self._mapper = mapper
        self._known = known
        self._sink = sink
        self._progress = progress
        self._unknown_again = unknown_again
        self._sha256 = sha256
        self._now = to_wire(now)
        self._rows: list[StagedRow] = []  # still to be written
        self._shown: dict[int, tuple[int, int, list[str], str]] = {}  # by row: row, line, cells and body
        self.tally = Tally(now.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        self.columns: tuple[MappedColumn, ...] = ()
        self.events: tuple[str, ...] = ()
        self.blueprint = mapper.blueprint
        self.header = mapper.blueprint.header

    def run(self) -> None:
        """Read, check and write every row.

        Raises:
            InputError: The input cannot be read to its end.
            JournalError: The journal cannot be written.
        """
        table = self._table()
        look = _Look(self._mapper.blueprint.selection, table, self._unknown_again)
        bulk = Bulk(self._mapper, bodies=self._sink.wants_rows or self._kind is EventKind.LEAD)
        first: list[Sequence[str]] = []
        with Repeats() as repeats:
            for block in table.blocks(_BATCH):
                mapped = look.mapped(block, bulk)
                if mapped is None or mapped.aside or self._sink.wants_rows or self._known.journal is not None:
                    batch = block.rows() if isinstance(block, Block) else block
                    planned = look.plan(batch, bulk) if mapped is None else mapped.each()
                    if len(first) < _SAMPLED:
                        first += [each.cells for each in planned if isinstance(each, PlannedEvent)]
                    self._write(batch, planned, repeats)
                else:
                    if len(first) < _SAMPLED:
                        first += mapped.cells
                    self._count(mapped, repeats)
                self._progress(look.rows)
            self._flush()
            self.columns = mapped_columns(self._mapper.blueprint, first or look.first)
            self._amend(repeats.findings())
            self.events = tuple(self._body(*event) for event in islice(self._shown.values(), SAMPLES))

    def _write(self, batch: Sequence[SourceRow | RowProblem], planned: Sequence[Planned], repeats: Repeats) -> None:
        keys = [self._key(each) if isinstance(each, PlannedEvent) else None for each in planned]
        known = self._known.look_up(self._kind, [key for key in keys if key is not None])
        fresh: list[PlannedEvent] = []
        rows: list[StagedRow] = []
        for item, each, key in zip(batch, planned, keys):
            if isinstance(each, PlannedEvent) and (key is None or key not in known or self._sent_again(known[key])):
                fresh.append(each)
                if self._sink.wants_rows:
                    rows.append(_staged(each, key, RowStatus.PENDING, None, None))
            elif isinstance(each, PlannedEvent):
                assert key is not None
                rows.append(self._known_before(item, each, key, known[key]))
            else:
                rows.append(self._set_aside(item, each))
        if fresh:
            columns: tuple[Any, ...] = tuple(zip(*fresh))
            self._count(Mapped._make((*columns[:10], {})), repeats, columns[10])
        if self._sink.wants_rows:
            self._rows += rows
            if len(self._rows) >= _WRITTEN:
                self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._sink.write(self._rows)
            self._rows = []

    def _count(self, mapped: Mapped, repeats: Repeats, refunds: Sequence[int] = ()) -> None:
        """Take note of what can be sent."""
        self.tally.can_be_sent(mapped.amounts, mapped.currencies, mapped.times, refunds)
        if len(self._shown) < _SHOWN:
            self._shown.update((event[0], event) for event in zip(*mapped[:4]))
        if self._kind is EventKind.SALE:
            amounts = list(map(str, mapped.amounts))
            same = (amounts, mapped.currencies, mapped.customers, mapped.clicks)
            repeats.add_all(mapped.rows, mapped.lines, mapped.invoices, *same)
            return
        # Without a time of its own, two leads that only look alike to the service may be two events.
        keys = [
            body if time else _as_json(cells)
            for body, time, cells in zip(mapped.bodies, mapped.times, mapped.cells)
        ]
        repeats.add_all(mapped.rows, mapped.lines, keys)

    def _body(self, row: int, line: int, cells: list[str], body: str) -> str:
        """Give an event's body, also where bodies were not asked for."""
        if body:
            return body
        event = self._mapper.event_of(SourceRow(row, line, cells))
        assert isinstance(event, PlannedEvent)
        return event.body

    def _sent_again(self, before: tuple[int, str] | bool) -> bool:
        return before is False and self._unknown_again

    def _known_before(
        self,
        item: SourceRow | RowProblem,
        planned: PlannedEvent,
        key: bytes,
        before: tuple[int, str] | bool,
    ) -> StagedRow:
        """Stage a row whose event an earlier run has sent."""
        if before is False:
            return self._set_aside(item, _may_have_arrived(planned, None))
        status, code, error = rowbook.IN_LEDGER
        if isinstance(before, tuple):
            status, code, error = rowbook.compared(planned.invoice_id, before, (planned.amount, planned.currency))
        if status is RowStatus.INVALID:
            hint = "the service does not change a sale; leave the row out"
            problem = RowProblem.of(planned.row, planned.line, planned.cells, None, code, error, hint)
            return self._set_aside(item, problem)
        self.tally.left_out(status, error)
        return _staged(planned, key, status, code, error)

    def _set_aside(self, item: SourceRow | RowProblem, planned: SkippedRow | RowProblem) -> StagedRow:
        """Stage a row that is not sent."""
        if isinstance(planned, SkippedRow):
            self.tally.left_out(RowStatus.SKIPPED, planned.message)
            return _unsent(item, RowStatus.SKIPPED, planned.code, planned.message)
        self.tally.wrong(planned.problems)
        message = "; ".join(problem.message for problem in planned.problems)
        first = planned.problems[0]
        return _unsent(item, RowStatus.INVALID, first.code, message, first.column)

    def _key(self, event: PlannedEvent) -> bytes:
        if self._kind is EventKind.SALE:
            return ledger.key_of(event.invoice_id)
        if event.timestamp and event.timestamp != self._now:
            return ledger.key_of(event.body)
        # Two that look alike may be two events, so one without a time of its own is known by its place in the file:
        # when the run itself has been removed, the same file does not send it again. ("now" is another time then.)
        body = event.body.replace(self._now, "now") if event.timestamp else event.body
        return ledger.key_of(f"{self._sha256} {event.row} {body}")

    def _amend(self, findings: Iterable[Finding]) -> None:
        """Set right the rows that repeat or contradict others; reads the input again up to the last one."""
        waiting = iter(findings)
        finding = next(waiting, None)
        if finding is None:
            return
        amended: list[tuple[int, RowStatus, str, str]] = []
        for item in self._table():
            if item.row != finding.row:
                continue
            assert isinstance(item, SourceRow)
            planned = self._mapper.event_of(item)
            assert isinstance(planned, PlannedEvent)
            self.tally.take_back(planned)
            self._shown.pop(planned.row, None)
            amended.append(self._verdict(planned, finding))
            if len(amended) >= _BATCH:
                self._sink.amend(amended)
                amended = []
            finding = next(waiting, None)
            if finding is None:
                break
        self._sink.amend(amended)

    def _verdict(self, event: PlannedEvent, finding: Finding) -> tuple[int, RowStatus, str, str]:
        if not finding.conflict:
            error = f"repeats line {finding.other_line}"
            self.tally.left_out(RowStatus.DUPLICATE, "repeats an earlier row")
            return event.row, RowStatus.DUPLICATE, "repeated", error
        message = (
            f"invoice {event.invoice_id} is on line {finding.other_line} too, with another amount, currency, "
            "customer or click"
        )
        code = "invoice_conflict"
        hint = "the service keeps one sale an invoice: leave the right row"
        self.tally.wrong([Problem(code, message, hint, None, event.row, event.line)])
        return event.row, RowStatus.INVALID, code, message


class _Look:
    """One pass over a table: which rows go on to be mapped, and what becomes of the others.

    Attributes:
        rows: How many have been read.
        first: The cells of the first few that could be read.
    """

    rows = 0

    def __init__(self, selection: Selection, table: Table, unknown_again: bool) -> None:
        self.first: list[Sequence[str]] = []
        self._left_out = selection.begin()
        fed_back = set(ADDED) <= set(table.header) and not unknown_again
        self._status_at = table.header.index(STATUS) if fed_back else -1
        self._takes_all = selection.takes_all and not fed_back

    def mapped(self, block: Block | list[SourceRow | RowProblem], bulk: Bulk) -> Mapped | None:
        """Map a block of which every row goes on; None where that is not so."""
        if not isinstance(block, Block):
            self.rows = block[-1].row if block else self.rows
            self.first = self.first or [item.cells for item in block if isinstance(item, SourceRow)]
            return None
        self.first = self.first or [*block.cells]
        self.rows = block.row + len(block.cells) - 1
        if not self._takes_all:
            return None
        many = len(block.cells)
        return bulk.plan(range(block.row, block.row + many), range(block.line, block.line + many), block.cells)

    def plan(self, batch: Sequence[SourceRow | RowProblem], bulk: Bulk) -> list[Planned]:
        """Give what becomes of each row, where not all of them go on."""
        found = list(map(self._set_aside, batch))
        going_on = [item for item, aside in zip(batch, found) if aside is None]
        mapped = iter(bulk.plan(*zip(*going_on)).each() if going_on else ())
        return [next(mapped) if aside is None else aside for aside in found]

    def _set_aside(self, item: SourceRow | RowProblem) -> SkippedRow | RowProblem | None:
        if isinstance(item, RowProblem):
            return item
        if self._status_at >= 0 and item.cells[self._status_at].strip() == RowStatus.UNKNOWN.value:
            return _may_have_arrived(item, STATUS)
        return self._left_out(item)


def _staged(
    event: PlannedEvent, key: bytes | None, status: RowStatus, code: str | None, error: str | None
) -> StagedRow:
    return StagedRow(
        event.row,
        event.line,
        status.value,
        ledger.order_key(event.customer),
        key,
        event.amount,
        event.currency,
        event.body,
        _as_json(event.cells),
        code,
        error,
        None,
    )


def _unsent(
    item: SourceRow | RowProblem, status: RowStatus, code: str, error: str, column: str | None = None
) -> StagedRow:
    cells = _as_json(item.cells)
    nothing = (None,) * 5  # customer, key, amount, currency, body
    return StagedRow(item.row, item.line, status.value, *nothing, cells, code, error, column)


def _as_json(cells: Sequence[str]) -> str:
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":"))


def _may_have_arrived(row: SourceRow | PlannedEvent, column: str | None) -> RowProblem:
    return RowProblem.of(
        row.row,
        row.line,
        row.cells,
        column,
        rowbook.OUTCOME_UNKNOWN,
        "it may have arrived already",
        "look it up at the service; to send it again all the same, pass --retry-unknown",
    )
