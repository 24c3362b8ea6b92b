"""An opened input: its table, the columns of its fields, and the events that its rows are mapped to."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from functools import cached_property
from itertools import islice
from pathlib import Path

from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.mapping import saved
from cms_cli.replay.mapping.amounts import amount_format
from cms_cli.replay.mapping.blueprint import Blueprint, fitting, settle
from cms_cli.replay.mapping.mapper import Mapper, mapped_columns
from cms_cli.replay.mapping.notices import Notices
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import ADDED, STATUS, Dialect, InputError, MappedColumn, PlannedRow, SourceRow
from cms_cli.replay.reading import jsonl
from cms_cli.replay.reading.header_search import likely_header_line
from cms_cli.replay.reading.rows import Table, TableRow, open_table
from cms_cli.replay.reading.source import Source
from cms_cli.replay.request import Request
from cms_cli.replay.staging.stager import may_have_arrived

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


class Intake:
    """An opened input, whose rows can be mapped. The columns of its fields are determined on first use.

    Attributes:
        source: Its bytes.
        now: The time to use for the value ``now``, in UTC.
        resend_unknown: Whether to map rows that a failures file marks as unknown, instead of reporting a problem.
        table: Opens the table at its beginning; may be called several times.
    """

    def __init__(self, request: Request, source: Source) -> None:
        self.source = source
        self.now = datetime.now(timezone.utc)
        self.resend_unknown = request.delivery.retry_unknown
        self._request = request
        self.table = _opener(source, request.shape)
        with source.named():
            try:
                self._first = self.table()
            except InputError as error:
                raise self._with_header_line(error) from None
        self._reading = self._first

    @property
    def header(self) -> tuple[str, ...]:
        """The column names."""
        return self._first.header

    @property
    def dialect(self) -> Dialect:
        """The delimiter, encoding and format of the input."""
        stream = self.source.rewound()
        marked = stream.read(4).startswith(_MARKS)
        json_lines = self._request.shape.format == "jsonl"
        return Dialect(self._first.delimiter or ",", self._first.encoding, marked, json_lines)

    @cached_property
    def blueprint(self) -> Blueprint:
        """The columns or the constant of every field, and the rules for its rows.

        Raises:
            InputError: The header or a flag cannot be used.
        """
        try:
            return settle(self._request.kind, self.header, self._request.shape)
        except InputError as error:
            raise self._with_header_line(error) from None

    def _with_header_line(self, error: InputError) -> InputError:
        """Return the error about a header, with the --header-line to say if a later line looks more like one."""
        kind, shape = self._request.kind, self._request.shape
        if shape.format == "jsonl" or shape.header_line:
            return error

        def count(header: Sequence[str]) -> int:
            return fitting(kind, header, shape)

        try:
            stream = self.source.rewound()
            line = likely_header_line(stream, shape.encoding or None, shape.delimiter or None, count)
        except InputError:
            return error
        if line is None:
            return error
        return InputError(f"{error.message}; the header seems to be on line {line}: say --header-line {line}")

    @cached_property
    def _mapper(self) -> Mapper:
        return Mapper(self.blueprint, self.now, amount_format(self.blueprint, self._first))

    @property
    def empty(self) -> dict[str, dict[str, int]]:
        """By column of ids, the number of cells with each word for nothing, in the rows mapped so far."""
        return {column: dict(words) for column, words in self._mapper.empty.items()}

    @property
    def notices(self) -> Notices:
        """The notices about the rows mapped so far."""
        return self._mapper.notices

    @property
    def footers(self) -> list[tuple[int, str]]:
        """The number and text of each line that --footer-lines left out."""
        return self._reading.footers

    @property
    def fed_back(self) -> bool:
        """True if the input is a failures file, going by its columns."""
        return set(ADDED) <= set(self.header)

    def planned(self) -> Iterator[PlannedRow]:
        """Map the rows, in file order.

        Yields:
            For each row the event, problem or skipped row that it is mapped to.

        Raises:
            InputError: The input cannot be read to its end.
        """
        left_out = self.blueprint.selection.begin()
        event_of = self._mapper.event_of
        status_at = self.header.index(STATUS) if self.fed_back and not self.resend_unknown else None
        for row in self._rows():
            if not isinstance(row, SourceRow):
                yield row
            elif status_at is not None and row.cells[status_at].strip() == RowStatus.UNKNOWN.value:
                yield may_have_arrived(row.row, row.line, row.cells, STATUS)
            else:
                yield left_out(row) or event_of(row)

    def _rows(self) -> Iterator[TableRow]:
        with self.source.named():
            self._reading = self.table()
            yield from self._reading

    def save_mapping(self, path: Path) -> None:
        """Write a mapping file with everything that was given or detected.

        Raises:
            InputError: The file cannot be written.
        """
        amounts = self._mapper.amount_format
        decimal = amounts.decimal if amounts is not None else ""
        first = self._first
        saved.write(path, self.blueprint, decimal=decimal, encoding=first.encoding, delimiter=first.delimiter)

    def first_cells(self, count: int) -> list[list[str]]:
        """Return the cells of the first rows."""
        return [row.cells for row in islice(self.table(), count)]

    def columns(self, samples: Sequence[Sequence[str]]) -> tuple[MappedColumn, ...]:
        """Return every field with its columns and with sample values from the given cells of rows."""
        return mapped_columns(self.blueprint, samples)


def _opener(source: Source, shape: Shape) -> Callable[[], Table]:
    """Return a function that opens an input at its beginning."""
    encoding = shape.encoding or None
    if shape.format == "jsonl":
        keys: list[tuple[str, ...]] = []  # the keys, which only the first pass has to collect

        def open_json() -> Table:
            table = jsonl.open_lines(source.rewound(), encoding=encoding, header=keys[0] if keys else None)
            keys[:] = [table.header]
            return table

        return open_json
    return lambda: open_table(
        source.rewound(),
        encoding=encoding,
        delimiter=shape.delimiter or None,
        header_line=shape.header_line,
        footer_lines=shape.footer_lines,
    )
