"""The row texts of runs, in a table of their own: personal data is deleted before the rows are."""

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
    """A writer of the row texts of a run.

    Attributes:
        size: Their number.
    """

    def __init__(self, database: PostgresDatabase, name: str) -> None:
        self._database = database
        self._name = name
        self._buffer: list[tuple[str, int, bytes, bytes]] = []
        self._waiting = False
        self.size = 0

    def add(self, text: RowText) -> int:
        """Append a row; returns its place."""
        self._buffer.append((self._name, self.size, _bytes(text.body), _bytes(text.cells)))
        self.size += 1
        if len(self._buffer) >= _BUFFERED and not self._waiting:
            self.flush()
        return self.size - 1

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Keep texts back while their rows are written, and write them afterwards."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False
        self.flush()

    def flush(self) -> None:
        """Write the texts that were kept back."""
        rows, self._buffer = self._buffer, []
        if rows:
            self._database.copy("row_texts", _COLUMNS, rows)


class SharedTextsReader:
    """A reader of the row texts of a run that fetches a few hundred at a time."""

    def __init__(self, db: Database, name: str) -> None:
        self._db = db
        self._name = name
        self._read: dict[int, RowText] = {}

    def read(self, place: int) -> RowText:
        """Return the text at a place."""
        found = self._read.get(place)
        if found is None:
            rows = self._db.execute(
                "SELECT place, body, cells FROM row_texts WHERE texts = ? AND place >= ? ORDER BY place LIMIT ?",
                (self._name, place, _READ),
            ).fetchall()
            self._read = {at: RowText(_text(body), _text(cells)) for at, body, cells in rows}
            found = self._read[place]
        return found


def delete(db: Database, run: str, keep: str = "") -> None:
    """Delete the row texts of a run, under all names but one."""
    # "/" follows "." in the order of the bytes.
    db.execute("DELETE FROM row_texts WHERE texts >= ? AND texts < ? AND texts <> ?", (f"{run}.", f"{run}/", keep))


def delete_strays(db: Database) -> None:
    """Delete the row texts of runs that no longer exist."""
    db.execute("DELETE FROM row_texts WHERE split_part(texts, '.', 1) NOT IN (SELECT name FROM runs)")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # of a text, PostgreSQL would refuse NUL and half a character


def _text(data: bytes) -> str:
    return bytes(data).decode("utf-8", "surrogatepass")
