"""The files of ``--failures`` and ``--results``: rows with their outcomes, written during the run.

If the process is killed, a write may be cut off, but only at a page boundary of the file. So lines within a page
are written together, and a line that crosses a boundary in a write of its own. If that one is cut off, the next
invocation writes the whole file again. The input's columns are kept unchanged, so that a failures file can be
corrected and fed back.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import stat
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from cms_cli.replay.journal.rows import OUTCOME_UNKNOWN, RowStatus, SettledRow
from cms_cli.replay.model import (
    ADDED,
    ERROR,
    LINE,
    STATUS,
    SURPLUS,
    Dialect,
    InputError,
    MachineError,
    RowProblem,
    SkippedRow,
    SourceRow,
)
from cms_cli.replay.reading.source import Source, sha256_of

# Rows with these problems would be valid when they are read again, although nothing was corrected: a missing cell
# would be written as an empty one.
_CORRECTED_BY_WRITING = ("too_few_cells", "bad_quotes")
_TO_CORRECT = "(the row {}: correct it and remove this cell)"
_PAGE = 4096  # bytes; the smallest piece in which an operating system writes
_PLAIN = Dialect()
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Layout:
    """Formats rows in the columns and dialect of the input, so that the same flags read a failures file."""

    def __init__(self, header: Sequence[str], dialect: Dialect = _PLAIN, *, to_feed_back: bool = False) -> None:
        """Prepare a layout from the input's header and dialect.

        Args:
            header: The column names.
            dialect: The dialect of the lines.
            to_feed_back: Whether to mark rows that would otherwise be sent when the file is fed back uncorrected:
                a row that may have arrived gets the status unknown, and one that could not be read an extra cell.
        """
        self.dialect = dialect
        self._header = header
        self._to_feed_back = to_feed_back
        self._kept = [(index, name) for index, name in enumerate(header) if name not in ADDED]

    def of_file(self, path: Path, *, to_feed_back: bool) -> Layout:
        """Return the layout for an output file.

        Args:
            path: The file. The endings ``.jsonl`` and ``.ndjson`` select JSON Lines.
            to_feed_back: Whether it is a failures file, which is JSON Lines if the input is, whatever its ending.
        """
        json_lines = path.suffix.lower() in (".jsonl", ".ndjson") or (to_feed_back and self.dialect.json_lines)
        own = self.dialect.json_lines is json_lines
        dialect = self.dialect if own else Dialect(json_lines=json_lines)
        return Layout(self._header, dialect, to_feed_back=to_feed_back)

    def heading(self) -> str:
        """Return the text before the first row: the byte order mark, if the input has one, and the CSV header."""
        mark = "\ufeff" if self.dialect.marked else ""
        return mark if self.dialect.json_lines else mark + self._csv([*(name for _, name in self._kept), *ADDED])

    def line(self, row: SettledRow) -> str:
        """Return a row as a line, with its line break."""
        cells: list[str] = json.loads(row.cells) if row.cells else []
        kept = [cells[index] if index < len(cells) else "" for index, _ in self._kept]
        # Cells beyond the header are written after the added columns.
        surplus, status = cells[len(self._header) :], row.status
        if self._to_feed_back and row.code in _CORRECTED_BY_WRITING and not surplus:
            surplus = [_TO_CORRECT.format(row.error)]
        if self._to_feed_back and row.code == OUTCOME_UNKNOWN:
            status = RowStatus.UNKNOWN.value
        if not self.dialect.json_lines:
            return self._csv([*kept, str(row.line), status, _harmless(row.error or ""), *surplus])
        record: dict[str, object] = {name: cell for (_, name), cell in zip(self._kept, kept)}
        record.update({LINE: row.line, STATUS: status, ERROR: row.error})
        if surplus:
            record[SURPLUS] = surplus
        unicode = codecs.lookup(self.dialect.encoding).name.startswith("utf")
        return json.dumps(record, ensure_ascii=not unicode) + "\n"

    def _csv(self, cells: Sequence[str]) -> str:
        text = io.StringIO()
        # csv quotes cells that contain a character of the line terminator. With "\n" alone, older Pythons would not
        # quote a lone "\r", which ends a line when the file is read.
        csv.writer(text, delimiter=self.dialect.delimiter, lineterminator="\r\n").writerow(cells)
        return text.getvalue()[:-2] + "\n"


class RowFile:
    """Writes a CSV or JSON Lines file of rows."""

    def __init__(self, path: Path, layout: Layout, flag: str) -> None:
        """Create the file, or empty it.

        Args:
            path: The file.
            layout: The layout of the rows.
            flag: The flag that named it, for messages.

        Raises:
            InputError: The file cannot be written.
        """
        self._path = path
        self._layout = layout
        self._name = f"{flag} {path}"
        self._size = 0  # bytes of whole lines
        # Only error messages can have characters that the encoding lacks, since the cells were decoded from it.
        self._encoder = codecs.getincrementalencoder(layout.dialect.encoding)("backslashreplace")
        try:
            # Readable by the owner only, since rows contain personal data.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            hint = "Name a file that can be written."
            raise InputError(f"{self._name}: {error.strerror or error}", hint) from error
        self._file = open(descriptor, "wb", buffering=0)  # noqa: PTH123, SIM115 - an open descriptor
        self._write(self._encoder.encode(layout.heading()))

    def add(self, rows: Iterable[SettledRow]) -> None:
        """Write rows whose outcome is committed.

        Raises:
            MachineError: The disk is full or fails, or the file was removed.
        """
        self.check()
        piece = b""
        for row in rows:
            line = self._encoder.encode(self._layout.line(row))
            start = self._size + len(piece)
            if start // _PAGE == (start + len(line) - 1) // _PAGE:
                piece += line
                continue
            self._write(piece)
            self._write(line)
            piece = b""
        self._write(piece)

    def check(self) -> None:
        """Check that the path still leads to this file; rows written to a removed file would be lost.

        Raises:
            MachineError: The file was removed or replaced.
        """
        mine = os.fstat(self._file.fileno())
        if not stat.S_ISREG(mine.st_mode):
            return
        try:
            there = os.path.samestat(mine, self._path.stat())
        except OSError:
            there = False
        if not there:
            raise MachineError(
                f"{self._name} was removed or replaced while it was written",
                "The same command resumes the run and writes the file again.",
            )

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
            with suppress(OSError):  # a pipe cannot be truncated
                self._file.truncate(self._size)
            raise MachineError(
                f"{self._name}: {error.strerror or error}",
                "Make room; the same command then resumes the run and writes the file again.",
            ) from error
        self._size += size


def with_cells(
    rows: Iterable[SettledRow], table: Iterable[SourceRow | RowProblem | SkippedRow]
) -> Generator[SettledRow, None, None]:
    """Yield the rows of a run with their cells, which a finished run has dropped, taken from the input.

    Args:
        rows: The rows of the run, in file order.
        table: The rows of the input, from its beginning.
    """
    items = iter(table)
    for row in rows:
        item = next((item for item in items if item.row == row.row), None)
        yield row if row.cells or item is None else row._replace(cells=json.dumps(item.cells))


def check_outputs(outputs: Iterable[tuple[str, Path | None]], is_input: Callable[[Path], bool]) -> None:
    """Check that the output files can be written, and that none is the input or another output.

    Args:
        outputs: Pairs of a flag and the file it names, or None.
        is_input: Returns True for an existing file that is the input.

    Raises:
        InputError: A file cannot be written, or is the input or another output.
    """
    seen: list[tuple[str, Path]] = []
    for flag, path in outputs:
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"{flag} {path} is a folder", "Name a file.")
        if not path.parent.is_dir():
            raise InputError(f"{flag} {path}: there is no folder {path.parent}", "Make it, or name another file.")
        if path.exists() and is_input(path):
            raise InputError(f"{flag} {path} is the input", "Name another file.")
        for other_flag, other in seen:
            if _is_same(path, other):
                raise InputError(f"{flag} {path} is {other_flag}", "Name another file.")
        seen.append((flag, path))
        place = path if path.exists() else path.parent
        if not os.access(place, os.W_OK):
            why = f"you have no permission to write to {'it' if place is path else place}"
            raise InputError(f"{flag} {path} cannot be written: {why}", "Name a file that can be written.")


def is_source(source: Source) -> Callable[[Path], bool]:
    """Return a function that tells if a path leads to an open input, even by another name."""

    def is_input(path: Path) -> bool:
        return source.file is not None and os.path.samestat(source.file, path.stat())

    return is_input


def is_input_of(name: str, sha256: str) -> Callable[[Path], bool]:
    """Return a function that tells if a path leads to the input of a run.

    If the input was moved or came from stdin, a file with the same content counts as the input.

    Args:
        name: The input's absolute path, or another name for it.
        sha256: The SHA-256 of the input's bytes, in hexadecimal.
    """
    known = Path(name)
    found = known.is_absolute() and known.is_file() and _sha256(known) == sha256

    def is_input(path: Path) -> bool:
        return path.samefile(known) if found else path.is_file() and _sha256(path) == sha256

    return is_input


def _is_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return sha256_of(file)
    except OSError:
        return ""


def _harmless(text: str) -> str:
    """Return text that no spreadsheet evaluates as a formula; it may come from the service or from a file."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
