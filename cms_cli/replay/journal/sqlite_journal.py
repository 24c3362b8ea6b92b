"""The journal of one machine: a SQLite file in the state folder.

It has the rows of every run with their outcomes, the ledger, and the slots of the rate window. It is one file, so
that an outcome and its ledger entry can be written in one transaction. The texts of the rows are in files of their
own (:mod:`cms_cli.replay.journal.row_texts`).

``synchronous`` is FULL for leads, whose intent has to survive a power cut because nothing dedupes them, and NORMAL
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
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.schema import SCHEMA_VERSION
from cms_cli.replay.journal.sqlite_file import FILE_NAME, LOCKS, JournalError, explained, private_folder

if TYPE_CHECKING:
    from cms_cli.replay.journal.runs import Run

_MOST_OPEN = 16  # files of row texts; open files are limited, and a folder may have thousands of runs
_TIDY_SECONDS = 2.0  # to wait for a moment without readers, in which the log can be emptied


class SqliteJournal(Journal):
    """An open journal in a state folder, to be used from one thread.

    Attributes:
        folder: The state folder.
        db: The connection for reads outside a transaction; to write, use :meth:`transaction`.
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
        """Open the journal of a state folder; both are created if they are missing.

        Raises:
            JournalError: The folder cannot be written, or the file is damaged, from a newer version, or not a
                journal of cms.
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
        """Open the journal read-only, or return None if there is none; one of an older version is upgraded.

        Raises:
            JournalError: The file is damaged, from a newer version, or not a journal of cms.
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
                    # An upgrade needs a connection that writes.
                    db.close()
                    return cls.open_folder(folder)
                sqlite_file.verify(db, path)
            except BaseException:
                db.close()
                raise
        return cls(folder, db)

    def close(self) -> None:
        """Close the journal and its files."""
        self._close_texts()
        self._connection.close()

    def _close_texts(self) -> None:
        for reader in self._texts.values():
            reader.close()
        self._texts.clear()

    def row_texts(self, run: Run) -> RowTextsReader:
        """Return the reader of a run's row texts, which stays open.

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
        """Write row texts to a new file: it is durable once the block ends, and removed if the block fails.

        Raises:
            JournalError: The disk is full or fails.
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
        """Remove the files with row texts of a run, except one.

        A file that cannot be removed is no error; :meth:`forget_strays` tries it again.

        Args:
            run: The run's name.
            keep: The name of a file to keep.
        """
        for path in self.folder.glob(f"{run}.*"):
            if path.name != keep and path.name.endswith(ENDING):
                reader = self._texts.pop(path.name, None)
                if reader is not None:
                    reader.close()
                with suppress(OSError):
                    path.unlink()

    def forget_strays(self) -> None:
        """Remove the files that a crash left of runs that no longer exist."""
        # List the files before the runs, since a run is created before its file.
        found = {path.name.split(".")[0] for path in self.folder.glob(f"*{ENDING}")}
        with self.reading():
            known = {name for (name,) in self.db.execute("SELECT name FROM runs")}
        for name in found - known:
            self.forget_row_texts(name)

    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Choose whether commits wait for the disk (for leads) or only for the operating system (for sales)."""
        self.db.execute(f"PRAGMA synchronous = {'FULL' if against_power_cuts else 'NORMAL'}")
        self._synced = against_power_cuts

    @contextmanager
    def hold(self, key: RunKey, *, waiting: Callable[[float], None] = lambda _: None) -> Iterator[None]:
        """Hold a run for this process, even before it exists, by a lock file.

        While it is held, :meth:`transaction` checks that the lock file was not removed.

        Raises:
            RunBusyError: Another process holds the run.
            JournalError: The folder of lock files cannot be written.
        """
        del waiting  # the system frees the locks of dead processes at once
        with locks.hold(self.folder / LOCKS, key.lock) as held:
            self._held = held
            try:
                yield
            finally:
                self._held = None

    def insert_rows(self, db: Database, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows of runs. Part of a transaction.

        Args:
            db: The database.
            columns: The names of the columns, separated by commas.
            rows: The values, in the order of the columns.
        """
        marks = ", ".join("?" * (columns.count(",") + 1))
        db.executemany(f"INSERT INTO rows ({columns}) VALUES ({marks})", rows)

    def compact(self) -> None:
        """Release the space of deleted rows, and empty the log, which may still contain them.

        Raises:
            JournalError: The disk has no room for it, or another process reads the journal, so that deleted content
                may still be on disk.
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
        """Move the log's content into the file and truncate the log, so that it contains no deleted data.

        Returns:
            False if another process is reading; then the log is emptied when that process ends or by the next call.
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
            JournalError: The file is damaged or cannot be read.
        """
        path = self._path
        try:
            with sqlite_file.sqlite_explained(path):
                yield
        except DamagedRowTextsError as error:
            raise sqlite_file.damaged(error) from error

    @contextmanager
    def transaction(self, *, held: bool = True) -> Iterator[Database]:
        """Run the block's statements as one transaction; on an error, none of them takes effect.

        Args:
            held: Whether the run must still be held. To record an answer it need not be.

        Raises:
            JournalError: The disk is full or fails, another process locks the journal for too long, or the run must
                be held and is not any more.
        """
        with explained(self._path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                self._check_files(held=held)
                yield self.db
                turns = high_water.count_turn(self.db) if self._synced else None
                self.db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already, or may prevent its rollback; then closing the
                # file rolls it back.
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
            # What is written to a removed file is lost when the process ends, and events would be sent again.
            raise JournalError(
                f"{self._path} was removed or replaced while it was in use",
                "Put it back if you can: it records what was sent. Nothing more was sent without it.",
            )
        if held and self._held is not None:
            self._held.check()
