"""The table of row texts, apart from the rows, since personal data is deleted before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.row_texts import RowText

if TYPE_CHECKING:
    from cms_cli.replay.journal.postgres_database import PostgresDatabase

_COLUMNS = "texts, place, body, cells"
_BUFFERED = 2000  # texts written together
_READ = 200  # texts read together


class SharedTextsWriter:
    """Writes the row texts of a run.

    Attributes:
        size: The number of texts.
    """

    def __init__(self, database: PostgresDatabase, name: str) -> None:
        self._database = database
        self._name = name
        self._buffer: list[tuple[str, int, bytes, bytes]] = []
        self._waiting = False
        self.size = 0

    def add(self, text: RowText) -> int:
        """Append a row and return its offset, in rows."""
        self._buffer.append((self._name, self.size, _bytes(text.body), _bytes(text.cells)))
        self.size += 1
        if len(self._buffer) >= _BUFFERED and not self._waiting:
            self.flush()
        return self.size - 1

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Buffer the texts that are added while the block writes their rows by COPY, then write them."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False
        self.flush()

    def flush(self) -> None:
        """Write the buffered texts."""
        rows, self._buffer = self._buffer, []
        if rows:
            self._database.copy("row_texts", _COLUMNS, rows)


class SharedTextsReader:
    """Reads the row texts of a run, several with each query."""

    def __init__(self, db: Database, name: str) -> None:
        self._db = db
        self._name = name
        self._read: dict[int, RowText] = {}

    def read(self, offset: int) -> RowText:
        """Return the text at an offset."""
        found = self._read.get(offset)
        if found is None:
            rows = self._db.execute(
                "SELECT place, body, cells FROM row_texts WHERE texts = ? AND place >= ? ORDER BY place LIMIT ?",
                (self._name, offset, _READ),
            ).fetchall()
            self._read = {at: RowText(_text(body), _text(cells)) for at, body, cells in rows}
            found = self._read[offset]
        return found


def delete(db: Database, run: str, keep: str = "") -> None:
    """Delete the row texts of a run, except those under the name ``keep``."""
    # "/" is the next byte after ".", so the range contains all names that begin with "RUN.".
    db.execute("DELETE FROM row_texts WHERE texts >= ? AND texts < ? AND texts <> ?", (f"{run}.", f"{run}/", keep))


def delete_strays(db: Database) -> None:
    """Delete the row texts of runs that no longer exist."""
    db.execute("DELETE FROM row_texts WHERE split_part(texts, '.', 1) NOT IN (SELECT name FROM runs)")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # TEXT cannot hold NUL and lone surrogates


def _text(data: bytes) -> str:
    return bytes(data).decode("utf-8", "surrogatepass")
