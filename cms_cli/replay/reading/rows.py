"""Reads delimited files: ``bytes -> SourceRow | RowProblem | SkippedRow``.

These are the rules. Each error says where it is and what to do about it.

* For the encoding see :mod:`~cms_cli.replay.reading.encoding`, for delimiter and header
  :mod:`~cms_cli.replay.reading.dialect`.
* A cell that begins with ``"`` ends with the next quote that is not doubled. Inside it, line breaks and delimiters
  are text. In other cells, quotes are text (``5" pipe``). A row with text after a closing quote (``"a"b``) is a
  problem; if it is not clear where the row ends, the whole file is refused.
* Blank lines, rows of empty cells, and empty cells beyond the header are ignored. Any other row must have as many
  cells as the header. A row that repeats the header, as in files that ``cat`` has joined, is skipped.
* A row with a NUL is a problem.
* A cell may have up to 4 million characters. One that is longer has a quote that is never closed, and would contain
  the rest of the file.

Memory depends only on the longest row. Each iteration reads the file once from its beginning.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import BinaryIO, Protocol, Union

from cms_cli.replay.model import ADDED, InputError, RowProblem, SkippedRow, SourceRow
from cms_cli.replay.reading.dialect import Head, delimiter_named, read_head
from cms_cli.replay.reading.encoding import Encoding, find_encoding
from cms_cli.replay.reading.lines import NUL_STAND_IN, Lines
from cms_cli.replay.reading.quotes import ends_unquoted, find_stray_quote

LONGEST_CELL = 1 << 22
"""The most characters of a cell. csv has one limit for the whole process (128 KiB by default), which is raised."""

_MOST_FOOTERS = 50
_BOM = "\ufeff"

TableRow = Union[SourceRow, RowProblem, SkippedRow]


class Table(Protocol):
    """A header and its rows, read from a file in any format.

    Each iteration starts at the first row. Only one iteration over a file may be in progress at a time.
    """

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns; "" for a column without a name."""

    @property
    def encoding(self) -> str:
        """The name of the encoding in :mod:`codecs`."""

    @property
    def delimiter(self) -> str:
        """The delimiter of the cells; "" for a format without one."""

    @property
    def footers(self) -> list[tuple[int, str]]:
        """The number and text of each line that the last iteration left out as a footer."""

    def __iter__(self) -> Iterator[TableRow]:
        """Yield the rows in file order.

        Raises:
            InputError: The rest of the file cannot be read.
        """


def open_table(
    stream: BinaryIO,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_line: int = 0,
    footer_lines: int = 0,
) -> Table:
    """Open a delimited file, and read its header.

    Args:
        stream: The file, seekable; no other code may move it while the table is iterated over.
        encoding: The encoding that the user gave, or None for that of the byte order mark, else UTF-8.
        delimiter: The delimiter that the user gave, or None to detect it.
        header_line: The line of the header, from 1; 0 for the first line that is not blank.
        footer_lines: The number of lines at the end that are not rows; blank lines do not count.

    Raises:
        InputError: The file cannot be read as a table, or an option has a bad value.
    """
    if csv.field_size_limit() < LONGEST_CELL:
        csv.field_size_limit(LONGEST_CELL)
    separator = delimiter_named(delimiter) if delimiter is not None else None
    found = find_encoding(stream, encoding)
    if header_line or footer_lines:
        # A failures file has neither lines before its header nor footers, even if its input had them.
        with suppress(InputError):
            head = read_head(Lines(stream, found), separator)
            if set(ADDED) <= set(head.header):
                return _DelimitedTable(stream, found, head)
    return _DelimitedTable(stream, found, read_head(Lines(stream, found), separator, header_line), footer_lines)


class _DelimitedTable:
    def __init__(self, stream: BinaryIO, encoding: Encoding, head: Head, footer_lines: int = 0) -> None:
        self._stream = stream
        self._encoding = encoding
        self._head = head
        self._footer_lines = footer_lines
        self.header = head.header
        self.encoding = encoding.name
        self.delimiter = head.delimiter
        self.footers: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[TableRow]:
        return self._without_footers() if self._footer_lines else self._with_hints()

    def _without_footers(self) -> Iterator[TableRow]:
        held: deque[TableRow] = deque()
        for row in self._rows():
            held.append(row)
            if len(held) > self._footer_lines:
                yield held.popleft()
        self.footers = []
        for row in held:
            if len(row.cells) == len(self.header):
                yield _no_footer(row, self._footer_lines)
            else:
                self.footers.append((row.line, self.delimiter.join(row.cells)))

    def _with_hints(self) -> Iterator[TableRow]:
        """Yield all rows, with a hint at --footer-lines for short lines at the end."""
        held: list[RowProblem] = []
        for row in self._rows():
            if type(row) is RowProblem and row.problems[0].code == "too_few_cells":
                held.append(row)
                continue
            if held:
                yield from held
                held.clear()
            yield row
        for row in held:
            yield row if len(held) > _MOST_FOOTERS else _perhaps_footer(row, len(held))

    def _rows(self) -> Iterator[TableRow]:
        head = self._head
        width, first = len(head.header), head.header[0]
        new = tuple.__new__  # half the time of calling the named tuple
        row = 0
        above = end = head.lines  # end is the last line of the row before
        lines = Lines(self._stream, self._encoding)
        rest = iter(lines)
        reader = csv.reader(rest, delimiter=head.delimiter, skipinitialspace=head.skip_spaces, strict=True)
        for _ in islice(rest, head.lines):  # skip the header, so that reader.line_num counts from the first row
            pass
        while True:
            try:
                for cells in reader:
                    line = end + 1
                    end = above + reader.line_num
                    if len(cells) == width and not lines.nul_seen:
                        begin = cells[0].strip()
                        if begin and begin != first and begin[0] != _BOM:
                            row += 1
                            yield new(SourceRow, (row, line, cells))
                            continue
                    found = self._unusual(row + 1, line, cells, lines)
                    if found is not None:
                        row += 1
                        yield found
                return
            except csv.Error as error:
                line = end + 1
                end = above + reader.line_num
                row += 1
                yield self._failed(error, row, line, end, lines)

    def _failed(self, error: csv.Error, row: int, line: int, end: int, lines: Lines) -> RowProblem:
        """Return the problem of a row that csv cannot read.

        Args:
            error: The exception of the csv module.
            row: The row's number.
            line: The number of its first line.
            end: The number of the line that was read last.
            lines: The lines, whose last one is that line.

        Raises:
            InputError: It is not clear where the row ends.
        """
        head, text = self._head, lines.last()
        if "field limit" in str(error):
            raise _too_long(line) from None
        if line != end or not ends_unquoted(text, head.delimiter, skip_spaces=head.skip_spaces):
            raise self._open_quote(line) from None
        if lines.nul_seen:
            text = text.replace(NUL_STAND_IN, "\0")
        return _badly_quoted(row, line, text.split(head.delimiter))

    def _unusual(self, row: int, line: int, cells: list[str], lines: Lines) -> TableRow | None:
        """Return a row that needs a closer look, as its cells are not as expected; None to ignore it."""
        width = len(self._head.header)
        if not any(map(str.strip, cells)):
            return None
        if lines.nul_seen and any(NUL_STAND_IN in cell for cell in cells):
            return RowProblem.of(
                row,
                line,
                [cell.replace(NUL_STAND_IN, "\0") for cell in cells],
                None,
                "nul",
                "holds a NUL character",
                "the file is damaged there, or is not what it seems: export it again, or take the character out",
            )
        if len(cells) > width and not any(map(str.strip, cells[width:])):
            cells = cells[:width]
        if self._is_header(cells):
            return SkippedRow(row, line, cells, "header_again", "repeats the header")
        if len(cells) == width:
            return SourceRow(row, line, cells)
        few = len(cells) < width
        return RowProblem.of(
            row,
            line,
            cells,
            None,
            "too_few_cells" if few else "too_many_cells",
            f"has {len(cells)} {'cell' if len(cells) == 1 else 'cells'} where the header has {width}",
            "add the missing cells, empty ones if need be; a value that holds a line break has to be quoted"
            if few
            else "a value that holds the delimiter has to be quoted"
            + (", and the quote has to follow the delimiter without a space" if _quoted_late(cells) else "")
            + ("; if every row has one more, the header lacks a name" if len(cells) == width + 1 else ""),
        )

    def _is_header(self, cells: list[str]) -> bool:
        """Return True if a row repeats the header; a byte order mark may precede it."""
        if cells[0].startswith(_BOM):
            # csv has read a quote after the mark as text.
            text = self.delimiter.join(cells)[1:]
            cells = next(csv.reader([text], delimiter=self.delimiter, skipinitialspace=self._head.skip_spaces))
        names = [cell.strip() for cell in cells]
        return tuple(names[: len(self.header)]) == self.header and not any(names[len(self.header) :])

    def _open_quote(self, line: int) -> InputError:
        """Return the error for a row that begins on a line and whose end is not clear."""
        head = self._head
        lines = islice(Lines(self._stream, self._encoding), line - 1, None)
        stray = find_stray_quote(lines, line, head.delimiter, skip_spaces=head.skip_spaces)
        hint = "take the quote out; or double it, if it is part of a quoted cell"
        if not stray.end:
            return InputError(f"line {stray.line}: the quote that opens here is never closed", hint)
        return InputError(
            f"line {stray.line}: a quote opens here and closes on line {stray.end} in the middle of a cell, so it "
            "cannot be known where this row ends",
            hint,
        )


def _too_long(line: int) -> InputError:
    """Return the error for a cell that is too long."""
    return InputError(
        f"line {line}: a cell of the row that begins here has more than {LONGEST_CELL:,} characters: is a "
        "quote never closed?",
        "take the quote out; or double it, if it is part of a quoted cell",
    )


def _perhaps_footer(row: RowProblem, count: int) -> RowProblem:
    [problem] = row.problems
    lines = "line is no row" if count == 1 else f"{count} lines are no rows"
    hint = f"if the last {lines}, say --footer-lines {count}; else {problem.hint}"
    return row._replace(problems=(problem._replace(hint=hint),))


def _no_footer(row: TableRow, count: int) -> RowProblem:
    where = "the last line" if count == 1 else f"one of the last {count} lines"
    fewer = "leave out --footer-lines" if count == 1 else f"say a smaller number than --footer-lines {count}"
    return RowProblem.of(
        row.row,
        row.line,
        row.cells,
        None,
        "no_footer",
        f"is {where}, and has as many cells as the header",
        f"if it is a row, {fewer}; else leave it out with --where",
    )


def _quoted_late(cells: list[str]) -> bool:
    return any(cell.startswith(" ") and cell.lstrip(" ").startswith('"') for cell in cells)


def _badly_quoted(row: int, line: int, cells: list[str]) -> RowProblem:
    return RowProblem.of(
        row,
        line,
        cells,
        None,
        "bad_quotes",
        "has text after a closing quote",
        "double the quotes inside a quoted cell, as CSV has it",
    )
