"""The destinations of staged rows: the journal, or, in a dry run, the output files or nothing."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from cms_cli.replay.journal import row_table
from cms_cli.replay.journal.journal import Journal, TextsWriter
from cms_cli.replay.journal.rows import RowStatus, SettledRow, StagedRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.tempfiles import private_database, room_for

_WHAT = "the rows of the output files"
_KEPT = "row, line, status, body, code, error, cells, fault"


class Nowhere:
    """Discards the rows of a dry run."""

    wants_rows = False

    def write(self, rows: list[StagedRow]) -> None:
        """Do nothing."""

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Do nothing."""


class IntoJournal:
    """Writes rows to the journal. Each batch is a transaction, so that other processes do not wait for long."""

    wants_rows = True

    def __init__(self, journal: Journal, run: Run, texts: TextsWriter) -> None:
        self._journal = journal
        self._run = run
        self._texts = texts

    def write(self, rows: list[StagedRow]) -> None:
        """Write staged rows."""
        with self._journal.transaction() as db:
            row_table.stage(self._journal, db, self._run, rows, self._texts)

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Update staged rows."""
        with self._journal.transaction() as db:
            row_table.amend(db, self._run, rows)


class Spool:
    """Keeps the rows of a dry run in a temporary database, for its output files."""

    wants_rows = True

    def __init__(self) -> None:
        with room_for(_WHAT):
            self._db = private_database()
            self._db.execute(f"CREATE TABLE rows ({_KEPT}, PRIMARY KEY (row))")

    def write(self, rows: list[StagedRow]) -> None:
        """Keep staged rows."""
        with room_for(_WHAT):
            self._db.executemany(
                "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (row.row, row.line, row.status, row.body, row.code, row.error, row.cells, row.column)
                    for row in rows
                ),
            )

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Update staged rows."""
        with room_for(_WHAT):
            self._db.executemany(
                "UPDATE rows SET status = ?, code = ?, error = ? WHERE row = ?",
                ((status.value, code, error, row) for row, status, code, error in rows),
            )

    def settled(self, statuses: Iterable[RowStatus]) -> Generator[SettledRow, None, None]:
        """Yield the rows of some statuses, in file order."""
        wanted = [status.value for status in statuses]
        found = self._db.execute(
            f"SELECT {_KEPT} FROM rows WHERE status IN ({', '.join('?' * len(wanted))}) ORDER BY row", wanted
        )
        for row, line, status, body, code, error, cells, fault in found:
            yield SettledRow(row, line, status, body, None, 0, code, error, cells, fault)

    def close(self) -> None:
        """Remove the temporary database."""
        self._db.close()
