"""Every row of an input: mapped, checked, compared with the others and with the ledger, counted, written.

One pass in constant memory. Which rows repeat or contradict others is known only at its end, and set right then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cms_cli.replay import ledger, rowbook
from cms_cli.replay.duplicates import Finding, Repeats
from cms_cli.replay.exports import ADDED, STATUS
from cms_cli.replay.journal import Journal
from cms_cli.replay.mapping import Mapper, Planned
from cms_cli.replay.model import PlannedEvent, RowProblem, SkippedRow, SourceRow
from cms_cli.replay.preview import MappedColumn, Tally
from cms_cli.replay.rowbook import RowStatus, StagedRow
from cms_cli.replay.rows import Table
from cms_python import EventKind

_BATCH = 2000  # rows written, and looked up in the ledger, at a time
_LOOKED_AT = 200  # rows in which sample values are looked for


class Sink(Protocol):
    """Where staged rows go: the journal, or nowhere in a dry run."""

    def write(self, rows: list[StagedRow]) -> None:
        """Take rows, in file order."""

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Set right rows that were written as pending: number, status, code and error."""


@dataclass(frozen=True)
class Ledger:
    """What is known of the account from before; ``journal`` is None where nothing is, or nothing shall be."""

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
        self.tally = Tally(now.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        self.columns: tuple[MappedColumn, ...] = ()
        self.timestamp_mapped = mapper.timestamp_mapped

    def run(self) -> None:
        """Read, check and write every row.

        Raises:
            InputError: The input cannot be read to its end.
            JournalError: The journal cannot be written.
        """
        table = self._table()
        samples = _Samples(self._mapper)
        with Repeats() as repeats:
            batch: list[tuple[SourceRow | RowProblem, Planned]] = []
            for item, planned in self._planned(table):
                samples.look(item)
                batch.append((item, planned))
                if len(batch) >= _BATCH:
                    self._progress(item.row)
                    self._write(batch, repeats)
                    batch = []
            self._write(batch, repeats)
            self.columns = samples.columns()
            self._amend(repeats.findings())

    def _planned(self, table: Table) -> Iterator[tuple[SourceRow | RowProblem, Planned]]:
        fed_back = set(ADDED) <= set(table.header)
        status_at = table.header.index(STATUS) if fed_back else -1
        for item in table:
            if isinstance(item, RowProblem):
                yield item, [item]
            elif fed_back and item.cells[status_at].strip() == RowStatus.UNKNOWN.value and not self._unknown_again:
                yield item, [_may_have_arrived(item, STATUS)]
            else:
                yield item, self._mapper.map(item)

    def _write(self, batch: list[tuple[SourceRow | RowProblem, Planned]], repeats: Repeats) -> None:
        keys = [self._key(planned) if isinstance(planned, PlannedEvent) else None for _, planned in batch]
        known = self._known.look_up(self._kind, [key for key in keys if key is not None])
        rows = []
        for (item, planned), key in zip(batch, keys):
            if not isinstance(planned, PlannedEvent) or key is None or key not in known:
                rows.append(self._counted(item, planned, key, repeats))
                continue
            rows.append(self._known_before(item, planned, key, known[key], repeats))
        self._sink.write(rows)

    def _known_before(
        self,
        item: SourceRow | RowProblem,
        planned: PlannedEvent,
        key: bytes,
        before: tuple[int, str] | bool,
        repeats: Repeats,
    ) -> StagedRow:
        """Stage a row whose event an earlier run has sent."""
        if before is False:
            if self._unknown_again:
                return self._counted(item, planned, key, repeats)
            return self._counted(item, [_may_have_arrived(planned, None)], None, repeats)
        status, code, error = rowbook.IN_LEDGER
        if isinstance(before, tuple):
            status, code, error = rowbook.compared(planned.invoice_id, before, (planned.amount, planned.currency))
        if status is RowStatus.INVALID:
            hint = "the service does not change a sale; leave the row out"
            problem = RowProblem(planned.row, planned.line, planned.cells, None, code, error, hint)
            return self._counted(item, [problem], None, repeats)
        self.tally.left_out(status, error)
        return _staged(planned, key, status, code, error)

    def _counted(
        self, item: SourceRow | RowProblem, planned: Planned, key: bytes | None, repeats: Repeats
    ) -> StagedRow:
        if isinstance(planned, PlannedEvent):
            self.tally.can_be_sent(planned)
            if self._kind is EventKind.SALE:
                content = f"{planned.amount} {planned.currency} {planned.customer}\n{planned.click_id}"
                repeats.add(planned.row, planned.line, planned.invoice_id, content)
            else:
                # Without a time of its own, two leads that only look alike to the service may be two events.
                text = planned.body if planned.timestamp else _as_json(planned.cells)
                repeats.add(planned.row, planned.line, text, "")
            return _staged(planned, key, RowStatus.PENDING, None, None)
        if isinstance(planned, SkippedRow):
            self.tally.left_out(RowStatus.SKIPPED, planned.message)
            return _unsent(item, RowStatus.SKIPPED, planned.code, planned.message)
        self.tally.wrong(planned)
        message = "; ".join(problem.message for problem in planned)
        return _unsent(item, RowStatus.INVALID, planned[0].code, message, planned[0].column)

    def _key(self, event: PlannedEvent) -> bytes | None:
        if self._kind is EventKind.SALE:
            return ledger.key_of(event.invoice_id)
        return ledger.key_of(event.body) if event.timestamp else None

    def _amend(self, findings: Iterable[Finding]) -> None:
        """Set right the rows that repeat or contradict others; reads the input again up to the last one."""
        waiting = iter(findings)
        finding = next(waiting, None)
        if finding is None:
            return
        amended: list[tuple[int, RowStatus, str, str]] = []
        for item, planned in self._planned(self._table()):
            if item.row != finding.row:
                continue
            assert isinstance(planned, PlannedEvent)
            self.tally.take_back(planned.amount, planned.currency)
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
        self.tally.wrong([RowProblem(event.row, event.line, event.cells, None, code, message, hint)])
        return event.row, RowStatus.INVALID, code, message


class _Samples:
    """Keeps a few values of every mapped column, from the first rows."""

    def __init__(self, mapper: Mapper) -> None:
        self._sources = mapper.sources
        self._values: dict[str, list[str]] = {name: [] for name in mapper.sources}
        self._left = _LOOKED_AT

    def look(self, item: SourceRow | RowProblem) -> None:
        if not self._left or isinstance(item, RowProblem):
            return
        self._left -= 1
        for name, sources in self._sources.items():
            values = self._values[name]
            if len(values) < 3:
                value = next((text for source in sources if (text := source.read(item.cells))), "")
                if value and value not in values:
                    values.append(value)

    def columns(self) -> tuple[MappedColumn, ...]:
        return tuple(
            MappedColumn(
                name,
                " | ".join(f"{source.column}[{source.key}]" if source.key else source.column for source in sources),
                tuple(self._values[name]),
            )
            for name, sources in self._sources.items()
        )


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
    return RowProblem(
        row.row,
        row.line,
        row.cells,
        column,
        "outcome_unknown",
        "it may have arrived already",
        "look it up at the service; to send it again all the same, pass --retry-unknown",
    )
