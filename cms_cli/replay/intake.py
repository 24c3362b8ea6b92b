"""An input, opened: its table, where its fields come from, and its rows as mapping plans them."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import cached_property
from itertools import islice

from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.mapping.amounts import amount_format
from cms_cli.replay.mapping.blueprint import Blueprint, settle
from cms_cli.replay.mapping.bulk import Bulk
from cms_cli.replay.mapping.mapper import Mapper, mapped_columns
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import ADDED, STATUS, Dialect, MappedColumn, PlannedRow, RowProblem, SkippedRow, SourceRow
from cms_cli.replay.reading import jsonl
from cms_cli.replay.reading.rows import Table, open_table
from cms_cli.replay.reading.source import Source
from cms_cli.replay.request import Request
from cms_cli.replay.staging.stager import may_have_arrived

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_BATCH = 256  # rows mapped at a time: what they take fits into a processor's cache


class Intake:
    """An input whose rows can be planned. Where its fields come from is looked for when it is asked for.

    Attributes:
        source: Its bytes.
        now: The time that ``now`` stands for, in UTC.
        resend_unknown: Whether rows that a failures file marks as unknown are planned like others.
    """

    def __init__(self, request: Request, source: Source) -> None:
        self.source = source
        self.now = datetime.now(timezone.utc)
        self.resend_unknown = request.delivery.retry_unknown
        self._request = request
        self.table = _opener(source, request.shape)
        self._first = self.table()

    @property
    def header(self) -> tuple[str, ...]:
        """The column names."""
        return self._first.header

    @property
    def dialect(self) -> Dialect:
        """How it is written."""
        stream = self.source.rewound()
        marked = stream.read(4).startswith(_MARKS)
        json_lines = self._request.shape.format == "jsonl"
        return Dialect(self._first.delimiter or ",", self._first.encoding, marked, json_lines)

    @cached_property
    def blueprint(self) -> Blueprint:
        """Where every field comes from.

        Raises:
            InputError: The header, or a flag, cannot be used.
        """
        return settle(self._request.kind, self.header, self._request.shape)

    @cached_property
    def _mapper(self) -> Mapper:
        return Mapper(self.blueprint, self.now, amount_format(self.blueprint, self._first))

    @property
    def fed_back(self) -> bool:
        """Whether it is a failures file."""
        return set(ADDED) <= set(self.header)

    def planned(self) -> Iterator[PlannedRow]:
        """Yield what becomes of every row, in file order.

        Raises:
            InputError: The input cannot be read to its end.
        """
        left_out = self.blueprint.selection.begin()
        bulk = Bulk(self._mapper, bodies=True)
        status_at = self.header.index(STATUS) if self.fed_back and not self.resend_unknown else None

        def set_aside(row: SourceRow | RowProblem) -> SkippedRow | RowProblem | None:
            if isinstance(row, RowProblem):
                return row
            if status_at is not None and row.cells[status_at].strip() == RowStatus.UNKNOWN.value:
                return may_have_arrived(row.row, row.line, row.cells, STATUS)
            return left_out(row)

        for block in self.table().blocks(_BATCH):
            rows = block if isinstance(block, list) else block.rows()
            aside = [set_aside(row) for row in rows]
            mapped = [row for row, found in zip(rows, aside) if found is None]
            events = iter(bulk.plan(*zip(*mapped)).each() if mapped else ())
            yield from (next(events) if found is None else found for found in aside)

    def first_cells(self, count: int) -> list[list[str]]:
        """Return the cells of the first rows."""
        return [row.cells for row in islice(self.table(), count)]

    def columns(self, samples: Sequence[Sequence[str]]) -> tuple[MappedColumn, ...]:
        """Return every field with what it is read from, and values among some rows."""
        return mapped_columns(self.blueprint, samples)


def _opener(source: Source, shape: Shape) -> Callable[[], Table]:
    """Return what opens an input at its beginning."""
    encoding = shape.encoding or None
    if shape.format == "jsonl":
        keys: list[tuple[str, ...]] = []  # as many passes as there are, the keys are looked for in the first

        def open_json() -> Table:
            table = jsonl.open_lines(source.rewound(), encoding=encoding, header=keys[0] if keys else None)
            keys[:] = [table.header]
            return table

        return open_json
    return lambda: open_table(source.rewound(), encoding=encoding, delimiter=shape.delimiter or None)
