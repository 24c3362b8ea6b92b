"""A file's bytes to rows of text: ``bytes -> SourceRow | RowProblem``.

What is read, and what is refused (each refusal says where, and what to do):

* Encoding: see :mod:`~cms_cli.replay.reading.encoding`; delimiter and header:
  see :mod:`~cms_cli.replay.reading.dialect`.
* Quotes: a cell that begins with ``"`` ends with the next single one; inside it a quote is doubled, and line breaks
  and delimiters are text. Elsewhere a quote is text (``5" pipe``). Text after a closing quote (``"a"b``) makes the
  row a problem; where even the row's end is in doubt, so are the rows after it, and the file is refused.
* Blank lines, rows of empty cells and empty cells beyond the header's are ignored. Any other row has to have as
  many cells as the header.
* A NUL makes its row a problem.

Memory depends on the longest row only, a cell may be of any length, and each iteration reads the file once, from
its beginning.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import BinaryIO, Protocol

from cms_cli.replay.model import Block, InputError, RowProblem, SourceRow
from cms_cli.replay.reading.dialect import Head, delimiter_named, read_head
from cms_cli.replay.reading.encoding import Encoding, find_encoding
from cms_cli.replay.reading.lines import NUL_STAND_IN, Lines, QuoteNeverClosesError
from cms_cli.replay.reading.quotes import ends_unquoted, find_stray_quote

# csv's own limit for a cell is 128 KiB. It is one number for the whole process, and can only be set there; raising
# it breaks nothing that worked. (A C long: 32 bits on Windows.)
_ANY_LENGTH = 2**31 - 1


class Table(Protocol):
    """Rows under a header, whatever they are read from.

    Each iteration begins again at the first row; two at a time over one file do not work.
    """

    @property
    def header(self) -> tuple[str, ...]:
        """The columns' names, each but once; empty for a column without one."""

    @property
    def encoding(self) -> str:
        """The encoding, as :mod:`codecs` calls it."""

    @property
    def delimiter(self) -> str:
        """What separates cells; empty for a format that needs none."""

    def __iter__(self) -> Iterator[SourceRow | RowProblem]:
        """The rows in the order of the file.

        Raises:
            InputError: For what makes the rest of the file unreadable.
        """

    def blocks(self, size: int) -> Iterator[Block | list[SourceRow | RowProblem]]:
        """The same rows, up to ``size`` at a time; as a block where all of them are as most rows are.

        Raises:
            InputError: For what makes the rest of the file unreadable.
        """


def open_table(stream: BinaryIO, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Read the header of a delimited file.

    Args:
        stream: The file, seekable. While the table is iterated over, ``stream.tell()`` says how far it has come,
            and nobody else may move it.
        encoding: The user's word, or None for what a byte order mark says, or UTF-8.
        delimiter: The user's word, or None to find it out.

    Raises:
        InputError: For a file that cannot be read as a table, and options that mean nothing.
    """
    if csv.field_size_limit() < _ANY_LENGTH:
        csv.field_size_limit(_ANY_LENGTH)
    wanted = delimiter_named(delimiter) if delimiter is not None else None
    found = find_encoding(stream, encoding)
    return _DelimitedTable(stream, found, read_head(Lines(stream, found), wanted))


class _DelimitedTable:
    def __init__(self, stream: BinaryIO, encoding: Encoding, head: Head) -> None:
        self._stream = stream
        self._encoding = encoding
        self._head = head

    @property
    def header(self) -> tuple[str, ...]:
        return self._head.header

    @property
    def encoding(self) -> str:
        return self._encoding.name

    @property
    def delimiter(self) -> str:
        return self._head.delimiter

    def __iter__(self) -> Iterator[SourceRow | RowProblem]:
        head = self._head
        width = len(head.header)
        new = tuple.__new__  # A named tuple's own way takes twice as long.
        row = 0
        above = end = head.lines  # The line that the last row ended on.
        lines = Lines(self._stream, self._encoding, head.delimiter, lambda: above + reader.line_num > end)
        rest = iter(lines)
        reader = csv.reader(rest, delimiter=head.delimiter, skipinitialspace=head.skip_spaces, strict=True)
        for _ in islice(rest, head.lines):  # Not read by it, and so not counted.
            pass
        while True:
            try:
                for cells in reader:
                    line = end + 1
                    end = above + reader.line_num
                    if len(cells) == width and cells[0].strip() and not lines.nul_seen:
                        row += 1
                        yield new(SourceRow, (row, line, cells))
                        continue
                    found = self._unusual(row + 1, line, cells, lines)
                    if found is not None:
                        row += 1
                        yield found
                return
            except (csv.Error, QuoteNeverClosesError) as error:
                line = end + 1
                end = above + reader.line_num
                row += 1
                yield self._failed(error, row, line, end, lines)

    def blocks(self, size: int) -> Iterator[Block | list[SourceRow | RowProblem]]:
        head, width = self._head, len(self._head.header)
        row, end = 0, head.lines
        some: list[list[str]] = []  # It grows while the reader reads, and tells how far that is.
        before = 0

        def in_row() -> bool:
            # Where there are as many lines as rows, each row is on one.
            taken = reader.line_num - before
            return taken > len(some) and taken > sum(map(_height, some))

        lines = Lines(self._stream, self._encoding, head.delimiter, in_row)
        rest = iter(lines)
        reader = csv.reader(rest, delimiter=head.delimiter, skipinitialspace=head.skip_spaces, strict=True)
        for _ in islice(rest, head.lines):  # Not read by it, and so not counted.
            pass
        while True:
            some = []
            before = reader.line_num
            failed: Exception | None = None
            try:
                some.extend(islice(reader, size))
            except (csv.Error, QuoteNeverClosesError) as error:
                failed = error
            if failed is None and not some:
                return
            if (
                failed is None
                and reader.line_num - before == len(some)
                and set(map(len, some)) == {width}
                and all(map(str.strip, map(itemgetter(0), some)))
                and not lines.nul_seen
            ):
                yield Block(row + 1, end + 1, some)
                row += len(some)
                end += len(some)
                continue
            found: list[SourceRow | RowProblem] = []
            for cells in some:
                item = self._unusual(row + 1, end + 1, cells, lines)
                end += _height(cells)
                if item is not None:
                    row += 1
                    found.append(item)
            if failed is not None:
                try:
                    found.append(self._failed(failed, row + 1, end + 1, head.lines + reader.line_num, lines))
                except InputError:
                    yield found
                    raise
                row, end = row + 1, head.lines + reader.line_num
            yield found

    def _failed(self, error: Exception, row: int, line: int, end: int, lines: Lines) -> RowProblem:
        """The problem of a row that csv cannot read; it raises where not even the row's end is sure.

        Args:
            error: What csv raised, or the lines.
            row: The row's number.
            line: The line it starts on.
            end: The line that was read last.
            lines: Knows that line's text.
        """
        head, text = self._head, lines.last()
        if isinstance(error, QuoteNeverClosesError) or line != end:
            raise self._open_quote(line) from None
        if not ends_unquoted(text, head.delimiter, skip_spaces=head.skip_spaces):
            raise self._open_quote(line) from None
        if lines.nul_seen:
            text = text.replace(NUL_STAND_IN, "\0")
        return _badly_quoted(row, line, text.split(head.delimiter))

    def _unusual(self, row: int, line: int, cells: list[str], lines: Lines) -> SourceRow | RowProblem | None:
        """A row that is not simply as long as the header; None for one to ignore."""
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
            else "a value that holds the delimiter has to be quoted",
        )

    def _open_quote(self, line: int) -> InputError:
        """The error for a row, beginning on this line, whose end cannot be known."""
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


def _height(cells: list[str]) -> int:
    """How many lines a row takes."""
    return 1 + sum(cell.count("\n") + cell.count("\r") - cell.count("\r\n") for cell in cells)


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
