"""The row texts of a run, which contain personal data: one file for each run, beside the journal.

They are not in the journal itself, where deleted data would leave traces: SQLite moves rows between pages and does
not overwrite their old places. A file can be removed as a whole. It is written once, while rows are staged; the
journal has the offset of each row and the length of the file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

ENDING = ".rows"
"""The ending of the files' names."""


class DamagedRowTextsError(Exception):
    """The file is missing or damaged. The message describes the damage, for people."""


class RowText(NamedTuple):
    """The text of one row.

    Attributes:
        body: The JSON of its request, or "" if it has none.
        cells: Its cells, as a JSON array.
    """

    body: str
    cells: str


class RowTextsWriter:
    """Writes a new file of row texts.

    Attributes:
        size: The number of bytes.
    """

    def __init__(self, path: Path) -> None:
        """Create the file, or empty it, so that only its owner can read it.

        Raises:
            OSError: The file cannot be created.
        """
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self.size = 0

    def add(self, text: RowText) -> int:
        """Append a row and return its offset in bytes.

        Raises:
            OSError: The disk is full or fails.
        """
        offset = self.size
        data = f"{text.body}\n{text.cells}\n".encode("utf-8", "surrogatepass")
        data += b"%08x\n" % crc32(data)
        self._file.write(data)
        self.size += len(data)
        return offset

    def close(self) -> None:
        """Sync the file to disk and close it.

        Raises:
            OSError: The disk is full or fails.
        """
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def drop(self) -> None:
        """Close the file without need for its content."""
        with suppress(OSError):  # the rest of the content may not fit on the disk
            self._file.close()


class RowTextsReader:
    """Reads a file of row texts."""

    def __init__(self, path: Path, size: int) -> None:
        """Open the file.

        Args:
            path: The file.
            size: The number of bytes that it must have.

        Raises:
            OSError: The file cannot be opened.
            DamagedRowTextsError: The file is missing or has another size.
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

    def read(self, offset: int) -> RowText:
        """Return the row at an offset.

        Raises:
            OSError: The disk fails.
            DamagedRowTextsError: There is no intact row at this offset.
        """
        file = self._file
        file.seek(offset)
        body, cells, check = file.readline(), file.readline(), file.readline()
        if check != b"%08x\n" % crc32(body + cells):
            raise DamagedRowTextsError(f"{self._name} is damaged at byte {offset:,}")
        return RowText(body[:-1].decode("utf-8", "surrogatepass"), cells[:-1].decode("utf-8", "surrogatepass"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
