"""``--failures`` and ``--results``: rows with what became of them, written as it goes.

A kill can cut a write only where the file goes on to its next page. So whole lines are written: those within a page
together, one that crosses into the next by itself. Should one be cut all the same, the same command writes the file
anew. The original columns stay untouched, so that a failures file can be mended and fed back as it is.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from cms_cli.replay.journal.rowbook import OUTCOME_UNKNOWN, RowStatus, SettledRow
from cms_cli.replay.model import (
    ADDED,
    ERROR,
    LINE,
    STATUS,
    SURPLUS,
    InputError,
    MachineError,
    RowProblem,
    SourceRow,
)
from cms_cli.replay.reading.dialect import delimiter_named

# Rows that could not be read would be good ones for being written here, with an empty cell where one is missing.
_MENDED_BY_WRITING = ("too_few_cells", "bad_quotes")
_TO_MEND = "(the row {}: mend it and take this cell out)"
_PAGE = 4096  # bytes; the smallest piece in which a system takes a write
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Layout:
    """How rows are written: in the input's own columns, and as CSV in the dialect that its flags name.

    So the very flags that read the input read the file of its failures.
    """

    def __init__(
        self, header: Sequence[str], *, delimiter: str = "", encoding: str = "", to_feed_back: bool = False
    ) -> None:
        """Take the input's column names, and what its flags say, "" for nothing.

        Args:
            header: The column names.
            delimiter: As the flag says it.
            encoding: As the flag says it.
            to_feed_back: Whether rows that were left out because they may have arrived are marked as unknown, and
                those that could not be read have a cell too many, so that they are not taken for mended when the
                file is fed back.
        """
        self._to_feed_back = to_feed_back
        self._width = len(header)
        self._kept = [(place, name) for place, name in enumerate(header) if name not in ADDED]
        self._delimiter = delimiter_named(delimiter) if delimiter else ","
        self.encoding = encoding or "utf-8"

    def heading(self) -> str:
        """Give the line of column names."""
        return self._csv([*(name for _, name in self._kept), *ADDED])

    def csv(self, row: SettledRow) -> str:
        """Give a row as a line of CSV."""
        cells, kept = self._cells(row)
        # What a ragged row has too much stays behind it, so that nothing of it is lost.
        surplus = self._surplus(row, cells)
        return self._csv([*kept, str(row.line), self._status(row), _harmless(row.error or ""), *surplus])

    def json(self, row: SettledRow) -> str:
        """Give a row as a line of JSON."""
        cells, kept = self._cells(row)
        record: dict[str, object] = {name: cell for (_, name), cell in zip(self._kept, kept)}
        record.update({LINE: row.line, STATUS: self._status(row), ERROR: row.error})
        surplus = self._surplus(row, cells)
        if surplus:
            record[SURPLUS] = surplus
        return json.dumps(record, ensure_ascii=False) + "\n"

    def _surplus(self, row: SettledRow, cells: list[str]) -> list[str]:
        surplus = cells[self._width :]
        unmended = self._to_feed_back and row.code in _MENDED_BY_WRITING and not surplus
        return [_TO_MEND.format(row.error)] if unmended else surplus

    def _status(self, row: SettledRow) -> str:
        in_doubt = self._to_feed_back and row.code == OUTCOME_UNKNOWN
        return RowStatus.UNKNOWN.value if in_doubt else row.status

    def _cells(self, row: SettledRow) -> tuple[list[str], list[str]]:
        cells: list[str] = json.loads(row.cells) if row.cells else []
        return cells, [cells[place] if place < len(cells) else "" for place, _ in self._kept]

    def _csv(self, cells: Sequence[str]) -> str:
        text = io.StringIO()
        # With this line end, a cell with either character of it is quoted; with a plain "\n" older Pythons leave a
        # lone "\r" bare, which ends a line where it is read again.
        csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n").writerow(cells)
        return text.getvalue()[:-2] + "\n"


class RowFile:
    """A CSV or JSON Lines file of rows, by its ending, in the making."""

    def __init__(self, path: Path, layout: Layout, flag: str) -> None:
        """Make the file anew.

        Args:
            path: ``.jsonl`` or ``.ndjson`` gives JSON Lines, anything else CSV.
            layout: How rows are written.
            flag: Which flag named it, for messages.

        Raises:
            InputError: It cannot be written.
        """
        self._layout = layout
        self._name = f"{flag} {path}"
        self._size = 0  # bytes of whole lines
        self._json = path.suffix.lower() in (".jsonl", ".ndjson")
        encoding = "utf-8" if self._json else layout.encoding
        # What the encoding lacks can only stand in an error message: the cells came out of it.
        self._encoder = codecs.getincrementalencoder(encoding)("backslashreplace")
        try:
            # Rows name people and what they paid.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            hint = "Name a file that can be written."
            raise InputError(f"{self._name}: {error.strerror or error}", hint) from error
        self._file = open(descriptor, "wb", buffering=0)  # noqa: PTH123, SIM115 - an open descriptor
        if not self._json:
            self._write(self._encoder.encode(layout.heading()))

    def add(self, rows: Iterable[SettledRow]) -> None:
        """Write rows whose outcome is on disk.

        Raises:
            MachineError: The disk is full, or failing.
        """
        written = self._layout.json if self._json else self._layout.csv
        piece = b""
        for line in map(self._encoder.encode, map(written, rows)):
            start = self._size + len(piece)
            if start // _PAGE == (start + len(line) - 1) // _PAGE:
                piece += line
                continue
            self._write(piece)
            self._write(line)
            piece = b""
        self._write(piece)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, lines: bytes) -> None:
        view = memoryview(lines)
        size = len(view)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            with suppress(OSError):  # a pipe cannot be cut
                self._file.truncate(self._size)
            raise MachineError(
                f"{self._name}: {error.strerror or error}",
                "Make room; the same command then goes on, and writes the file anew.",
            ) from error
        self._size += size


def with_cells(rows: Iterable[SettledRow], table: Iterable[SourceRow | RowProblem]) -> Iterator[SettledRow]:
    """Give rows their cells back, which a finished run has forgotten, from the input.

    Args:
        rows: In file order.
        table: The input, from its beginning.
    """
    items = iter(table)
    for row in rows:
        item = next((item for item in items if item.row == row.row), None)
        yield row if row.cells or item is None else row._replace(cells=json.dumps(item.cells))


def check_outputs(input_path: Path | None, outputs: Iterable[tuple[str, Path | None]]) -> None:
    """Make sure that the output files can be written, and that none is the input or another output.

    Raises:
        InputError: One cannot, or is.
    """
    seen: dict[Path, str] = {}
    if input_path is not None:
        seen[input_path.resolve()] = "the input"
    for flag, path in outputs:
        if path is None:
            continue
        same = seen.get(path.resolve())
        if same or (input_path is not None and path.exists() and path.samefile(input_path)):
            raise InputError(f"{flag} {path} is {same or 'the input'}", "Name another file.")
        seen[path.resolve()] = flag
        if path.is_dir():
            raise InputError(f"{flag} {path} is a folder", "Name a file.")
        if not path.parent.is_dir():
            raise InputError(f"{flag} {path}: there is no folder {path.parent}", "Make it, or name another file.")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise InputError(f"{flag} {path} cannot be written", "Name a file that can be written.")


def _harmless(text: str) -> str:
    """Keep a spreadsheet from running what the service or a file put into a column of ours."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
