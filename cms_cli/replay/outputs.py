"""``--failures`` and ``--results``: rows with their outcomes, written during the run.

A kill can cut a write only where the file goes on to its next page. So whole lines are written: those within a page
together, one that crosses into the next by itself. Should one be cut all the same, the same command writes the file
anew. The original columns stay untouched, so that a failures file can be corrected and fed back as it is.
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

# Writing these rows would make them valid without their cause being fixed: a missing cell becomes an empty one.
_CORRECTED_BY_WRITING = ("too_few_cells", "bad_quotes")
_TO_CORRECT = "(the row {}: correct it and remove this cell)"
_PAGE = 4096  # bytes; the smallest piece in which a system takes a write
_PLAIN = Dialect()
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Layout:
    """The layout of written rows: the input's own columns and dialect.

    So the very flags that read the input read the file of its failures.
    """

    def __init__(self, header: Sequence[str], dialect: Dialect = _PLAIN, *, to_feed_back: bool = False) -> None:
        """Prepare a layout from the input's header and dialect.

        Args:
            header: The column names.
            dialect: The dialect of the lines.
            to_feed_back: Whether rows must not be taken for corrected when the file is fed back: one that was left
                out because it may have arrived is marked as unknown, and one that could not be read has a cell too
                many.
        """
        self.dialect = dialect
        self._header = header
        self._to_feed_back = to_feed_back
        self._kept = [(place, name) for place, name in enumerate(header) if name not in ADDED]

    def of_file(self, path: Path, *, to_feed_back: bool) -> Layout:
        """Return the layout of an output file.

        Args:
            path: ``.jsonl`` or ``.ndjson`` gives JSON Lines.
            to_feed_back: Whether it is a failures file: one of JSON Lines is JSON Lines whatever its ending.
        """
        json_lines = path.suffix.lower() in (".jsonl", ".ndjson") or (to_feed_back and self.dialect.json_lines)
        own = self.dialect.json_lines is json_lines
        dialect = self.dialect if own else Dialect(json_lines=json_lines)
        return Layout(self._header, dialect, to_feed_back=to_feed_back)

    def heading(self) -> str:
        """Return the text before the first row: the input's byte order mark and the column names."""
        mark = "\ufeff" if self.dialect.marked else ""
        return mark if self.dialect.json_lines else mark + self._csv([*(name for _, name in self._kept), *ADDED])

    def line(self, row: SettledRow) -> str:
        """Return a row as a line."""
        cells: list[str] = json.loads(row.cells) if row.cells else []
        kept = [cells[place] if place < len(cells) else "" for place, _ in self._kept]
        # The surplus cells of a ragged row are written after its columns, so that nothing is lost.
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
        # With this line end, a cell with either character of it is quoted; with a plain "\n" older Pythons leave a
        # lone "\r" bare, which ends a line where it is read again.
        csv.writer(text, delimiter=self.dialect.delimiter, lineterminator="\r\n").writerow(cells)
        return text.getvalue()[:-2] + "\n"


class RowFile:
    """A CSV or JSON Lines file of rows, while it is written."""

    def __init__(self, path: Path, layout: Layout, flag: str) -> None:
        """Create the file, or empty it.

        Args:
            path: The file.
            layout: The layout of the rows.
            flag: The flag that named it, for messages.

        Raises:
            InputError: It cannot be written.
        """
        self._path = path
        self._layout = layout
        self._name = f"{flag} {path}"
        self._size = 0  # bytes of whole lines
        # Only error messages can have characters that the encoding lacks: the cells were decoded from it.
        self._encoder = codecs.getincrementalencoder(layout.dialect.encoding)("backslashreplace")
        try:
            # Rows name people and what they paid.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            hint = "Name a file that can be written."
            raise InputError(f"{self._name}: {error.strerror or error}", hint) from error
        self._file = open(descriptor, "wb", buffering=0)  # noqa: PTH123, SIM115 - an open descriptor
        self._write(self._encoder.encode(layout.heading()))

    def add(self, rows: Iterable[SettledRow]) -> None:
        """Write rows whose outcome is committed.

        Raises:
            MachineError: The disk is full, or failing, or the file was removed.
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
        """Check that the file is still there: rows written to a removed file are lost.

        Raises:
            MachineError: It was removed or replaced.
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
            with suppress(OSError):  # a pipe cannot be cut
                self._file.truncate(self._size)
            raise MachineError(
                f"{self._name}: {error.strerror or error}",
                "Make room; the same command then resumes the run and writes the file again.",
            ) from error
        self._size += size


def with_cells(
    rows: Iterable[SettledRow], table: Iterable[SourceRow | RowProblem | SkippedRow]
) -> Generator[SettledRow, None, None]:
    """Yield rows with the cells that a finished run has dropped, from the input.

    Args:
        rows: In file order.
        table: The input, from its beginning.
    """
    items = iter(table)
    for row in rows:
        item = next((item for item in items if item.row == row.row), None)
        yield row if row.cells or item is None else row._replace(cells=json.dumps(item.cells))


def check_outputs(outputs: Iterable[tuple[str, Path | None]], is_input: Callable[[Path], bool]) -> None:
    """Check that the output files can be written, and that none is the input or another output.

    Args:
        outputs: Pairs of a flag and the file it names, or None.
        is_input: Whether an existing file is the input.

    Raises:
        InputError: One cannot, or is.
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
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise InputError(f"{flag} {path} cannot be written", "Name a file that can be written.")


def is_source(source: Source) -> Callable[[Path], bool]:
    """Return True if a file is an open input, however either of them was named."""

    def is_input(path: Path) -> bool:
        return source.file is not None and os.path.samestat(source.file, path.stat())

    return is_input


def is_input_of(name: str, sha256: str) -> Callable[[Path], bool]:
    """Return True if a file is the input of a run, which may have been moved, or have come from stdin.

    Args:
        name: The input's absolute path, or what it was called.
        sha256: Of the input's bytes.
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
    """Return text that a spreadsheet does not run, whatever the service or a file put into a column of ours."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
