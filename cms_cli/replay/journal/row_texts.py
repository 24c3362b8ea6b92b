"""The row texts of a run, names and addresses included: one file a run, beside the journal.

Not in the journal itself, because what is deleted there leaves traces: SQLite moves rows between pages as they
change, and does not clean what it moved them from. A file of a run's own is gone as a whole. It is written once,
while rows are staged; the journal stores the place at which each row begins, and the length of the file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

ENDING = ".rows"
"""The ending of the names of such files."""


class DamagedRowTextsError(Exception):
    """The file is not what was written. The message says how, for people."""


class RowText(NamedTuple):
    """The text of one row.

    Attributes:
        body: The JSON of its request, or "" if there is none.
        cells: Its cells, as a JSON array.
    """

    body: str
    cells: str


class RowTextsWriter:
    """A writer of a new file of row texts."""

    def __init__(self, path: Path) -> None:
        """Open it, for its owner alone.

        Raises:
            OSError: It cannot be made.
        """
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self.size = 0

    def add(self, text: RowText) -> int:
        """Append a row and return its place.

        Raises:
            OSError: The disk is full, or failing.
        """
        place = self.size
        data = f"{text.body}\n{text.cells}\n".encode("utf-8", "surrogatepass")
        data += b"%08x\n" % crc32(data)
        self._file.write(data)
        self.size += len(data)
        return place

    def close(self) -> None:
        """Flush everything to disk, so that it survives a power cut.

        Raises:
            OSError: The disk is full, or failing.
        """
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def drop(self) -> None:
        """Close it when nothing in it is needed."""
        with suppress(OSError):  # what is still to be written may not fit
            self._file.close()


class RowTextsReader:
    """Reads such a file."""

    def __init__(self, path: Path, size: int) -> None:
        """Open it.

        Args:
            path: The file.
            size: The number of bytes that it must have.

        Raises:
            OSError: It cannot be opened.
            DamagedRowTextsError: It is missing, shorter, or longer.
        """
        self._name = path
        try:
            self._file: BinaryIO = path.open("rb")
        except FileNotFoundError:
            raise DamagedRowTextsError(f"{path} is missing: it holds what the rows of a run say") from None
        found = os.fstat(self._file.fileno()).st_size
        if found != size:
            self._file.close()
            raise DamagedRowTextsError(f"{path} is damaged: it has {found:,} bytes instead of {size:,}")

    def read(self, place: int) -> RowText:
        """Return the row at a place.

        Raises:
            OSError: The disk is failing.
            DamagedRowTextsError: There is no row there any more.
        """
        file = self._file
        file.seek(place)
        body, cells, check = file.readline(), file.readline(), file.readline()
        if check != b"%08x\n" % crc32(body + cells):
            raise DamagedRowTextsError(f"{self._name} is damaged at byte {place:,}")
        return RowText(body[:-1].decode("utf-8", "surrogatepass"), cells[:-1].decode("utf-8", "surrogatepass"))

    def close(self) -> None:
        """Close it."""
        self._file.close()
