"""The journal of one machine: one SQLite file in the state folder that outlives every crash.

It holds the staged rows of every run with what became of them, the ledger of what the service has accepted, and
the requests that still count against the rate limit. One file, so that an outcome and its entry in the ledger are
one transaction. What the rows say is in files of their own (:mod:`cms_cli.replay.journal.row_texts`).

``synchronous`` is FULL for leads, whose intent must survive a power cut because nothing dedupes them, and NORMAL
for sales, which are sent again and deduped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cms_cli.replay.journal import high_water, locks, sqlite_file
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.row_texts import ENDING, DamagedRowTextsError, RowTextsReader, RowTextsWriter
from cms_cli.replay.journal.schema import SCHEMA_VERSION
from cms_cli.replay.journal.sqlite_file import FILE_NAME, LOCKS, JournalError, explained, private_folder

if TYPE_CHECKING:
    from cms_cli.replay.journal.runs import Run

_MOST_OPEN = 16  # files of row texts; the system counts open files, and a folder may have thousands of runs
_TIDY_SECONDS = 2.0  # for a moment in which nobody reads, to empty the log in


class SqliteJournal(Journal):
    """An open journal in a state folder. Use from one thread.

    Attributes:
        folder: The folder it lies in.
        db: For reading outside a transaction; to write, use :meth:`transaction`.
    """

    def __init__(self, folder: Path, db: sqlite3.Connection) -> None:
        self.folder = folder
        self.db: Database = db
        self._connection = db
        self._path = folder / FILE_NAME
        self._texts: dict[str, RowTextsReader] = {}
        self._file = sqlite_file.identity_of(self._path)
        self._held: locks.HeldLock | None = None
        self._synced = False

    @classmethod
    def open_folder(cls, folder: Path) -> SqliteJournal:
        """Open the journal of a state folder, and make both where they are missing.

        Raises:
            JournalError: The folder cannot be written, or the file is damaged, of a newer version, or not ours.
        """
        path = folder / FILE_NAME
        with explained(path):
            private_folder(folder)
            sqlite_file.refuse_lost(path)
            sqlite_file.private_file(path)
            db = sqlite_file.connect(path, read_only=False)
            try:
                sqlite_file.prepare(db, path)
                sqlite_file.verify(db, path)
            except BaseException:
                db.close()
                raise
        return cls(folder, db)

    @classmethod
    def open_folder_to_read(cls, folder: Path) -> SqliteJournal | None:
        """Open the journal without writing a byte, or return None if there is none.

        Raises:
            JournalError: The file is damaged, of a newer version, or not ours.
        """
        path = folder / FILE_NAME
        with explained(path):
            if not path.exists():
                sqlite_file.refuse_lost(path)
                return None
            db = sqlite_file.connect(path, read_only=True)
            try:
                version = sqlite_file.version_of(db, path)
                if version == 0:
                    sqlite_file.refuse_lost(path)
                    db.close()
                    return None
                if version < SCHEMA_VERSION:
                    # Only a command that writes may upgrade it; there is none that must not.
                    db.close()
                    return cls.open_folder(folder)
                sqlite_file.verify(db, path)
            except BaseException:
                db.close()
                raise
        return cls(folder, db)

    def close(self) -> None:
        """Close the files; what was committed stays."""
        self._close_texts()
        self._connection.close()

    def _close_texts(self) -> None:
        for reader in self._texts.values():
            reader.close()
        self._texts.clear()

    def row_texts(self, run: Run) -> RowTextsReader:
        """Return the reader of a run's row texts, which is opened once.

        Raises:
            JournalError: The file is missing or damaged.
        """
        reader = self._texts.get(run.texts)
        if reader is None:
            if len(self._texts) >= _MOST_OPEN:
                self._close_texts()
            path = self.folder / run.texts
            with explained(path):
                reader = self._texts[run.texts] = RowTextsReader(path, run.texts_size)
        return reader

    @contextmanager
    def writing(self, name: str) -> Iterator[RowTextsWriter]:
        """Open a file for row texts; it is durable when the block ends, and removed if the block fails.

        Raises:
            JournalError: The disk is full, or failing.
        """
        path = self.folder / name
        with explained(path):
            writer = RowTextsWriter(path)
        try:
            yield writer
            with explained(path):
                writer.close()
        except BaseException:
            writer.drop()
            with suppress(OSError):
                path.unlink()
            raise

    def forget_row_texts(self, run: str, *, keep: str = "") -> None:
        """Remove the row texts of a run, in all files but one.

        Nothing is an error: what cannot be removed now is removed with the next run.

        Args:
            run: The run's name.
            keep: The name of a file that stays.
        """
        for path in self.folder.glob(f"{run}.*"):
            if path.name != keep and path.name.endswith(ENDING):
                reader = self._texts.pop(path.name, None)
                if reader is not None:
                    reader.close()
                with suppress(OSError):
                    path.unlink()

    def forget_strays(self) -> None:
        """Remove what a crash has left of runs that no longer exist."""
        # The files first: a run is there before its file is.
        found = {path.name.split(".")[0] for path in self.folder.glob(f"*{ENDING}")}
        with self.reading():
            known = {name for (name,) in self.db.execute("SELECT name FROM runs")}
        for name in found - known:
            self.forget_row_texts(name)

    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Choose whether a commit waits for the disk (leads) or for the system only (sales)."""
        self.db.execute(f"PRAGMA synchronous = {'FULL' if against_power_cuts else 'NORMAL'}")
        self._synced = against_power_cuts

    @contextmanager
    def hold(
        self, scope: int, kind: str, sha256: str, shape: str, *, waiting: Callable[[float], None] = lambda _: None
    ) -> Iterator[None]:
        """Hold a run, which need not have begun, for this process; no transaction outlives a lost hold.

        Nothing dedupes leads, so a file of leads is held whatever the flags that shape them: two processes with
        different flags would not see in time what the other has sent.

        Raises:
            RunBusyError: Another process holds it.
            JournalError: The folder of locks cannot be written.
        """
        del waiting  # the system frees the lock of a process that is dead
        identity = f"{scope} {kind} {sha256} {shape if kind == 'sale' else ''}"
        with locks.hold(self.folder / LOCKS, identity) as held:
            self._held = held
            try:
                yield
            finally:
                self._held = None

    def insert_many(self, db: Database, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows. Part of a transaction.

        Args:
            db: The database.
            table: The table.
            columns: Their names, with commas between.
            rows: The values, in the order of the columns.
        """
        marks = ", ".join("?" * (columns.count(",") + 1))
        db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)

    def compact(self) -> None:
        """Release the space of deleted rows, and empty the log that may still hold them.

        Raises:
            JournalError: There is no room to do it, or another process is at work, so that traces may be left.
        """
        path = self._path
        with explained(path):
            self.db.execute("VACUUM")
        if not self._empty_log():
            raise JournalError(
                f"{path}: another cms has it open, so what was removed may still be found in its log",
                "Run cms runs prune once more when the other one has ended.",
            )

    def _empty_log(self) -> bool:
        """Fold the log beside the file into it, so that no deleted data is left there.

        Returns:
            False where another process reads just now: its end, or the next call, will do it.
        """
        with explained(self._path):
            self.db.execute(f"PRAGMA busy_timeout = {_TIDY_SECONDS * 1000:.0f}")
            try:
                busy = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                busy = 1
            finally:
                self.db.execute(f"PRAGMA busy_timeout = {sqlite_file.BUSY_SECONDS * 1000:.0f}")
        return not busy

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make several reads consistent with each other while another process may write."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            if self._connection.in_transaction:  # an error may have ended it
                self.db.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Wrap reads, so that their errors become JournalError.

        Raises:
            JournalError: The file turns out to be damaged, or cannot be read.
        """
        path = self._path
        try:
            with sqlite_file.sqlite_explained(path):
                yield
        except DamagedRowTextsError as error:
            raise sqlite_file.damaged(error) from error

    @contextmanager
    def transaction(self, *, held: bool = True) -> Iterator[Database]:
        """Run statements as one transaction: all of them are on disk afterwards or, on an error, none.

        Args:
            held: Whether the run must still be held. An answer is a fact, whoever holds the run by now.

        Raises:
            JournalError: The disk is full or failing, another process holds the journal for too long, or the run is
                not held any more.
        """
        with explained(self._path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                self._check_files(held=held)
                yield self.db
                turns = high_water.count_turn(self.db) if self._synced else None
                self.db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already, or may prevent its rollback: then
                # closing the file does that.
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self.db.execute("ROLLBACK")
                raise
            if turns is not None:
                high_water.note(self.folder, turns)

    def _check_files(self, *, held: bool) -> None:
        """Check that the journal and the lock are still the files that were opened.

        Raises:
            JournalError: One of them was removed or replaced.
        """
        if sqlite_file.identity_of(self._path) != self._file:
            # Data written to an unlinked file is lost when the process ends, and sent events would be sent again.
            raise JournalError(
                f"{self._path} was removed or replaced while it was in use",
                "Put it back if you can: it records what was sent. Nothing more was sent without it.",
            )
        if held and self._held is not None:
            self._held.check()
