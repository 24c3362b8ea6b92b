"""The journal: one SQLite file in the state folder that outlives every crash.

It holds the staged rows of every run with what became of them, the ledger of what the service has accepted, and
the requests that still count against the rate limit. One file, so that an outcome and its entry in the ledger are
one transaction. What the rows say is in files of their own (:mod:`cms_cli.replay.journal.contents`).

``synchronous`` is FULL for leads, whose intent must survive a power cut because nothing dedupes them, and NORMAL
for sales, which are sent again and deduped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cms_cli.replay.journal import journalfile
from cms_cli.replay.journal.contents import ENDING, ContentsReader, ContentsWriter, DamagedContentsError
from cms_cli.replay.journal.journalfile import (
    FILE_NAME,
    LOCKS,
    SCHEMA_VERSION,
    JournalError,
    explained,
    private_folder,
)

__all__ = ["FILE_NAME", "LOCKS", "SCHEMA_VERSION", "Journal", "JournalError", "private_folder"]

_TIDY_SECONDS = 2.0  # for a moment in which nobody reads, to empty the log in


class Journal:
    """An open journal. Use from one thread.

    Attributes:
        folder: The folder it lies in.
        db: The connection, in autocommit mode: write inside :meth:`transaction`.
    """

    def __init__(self, folder: Path, db: sqlite3.Connection) -> None:
        self.folder = folder
        self.db = db
        self._path = folder / FILE_NAME
        self._contents: dict[str, ContentsReader] = {}
        self._file = _identity(self._path)

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Open the journal of a state folder, and make both where they are missing.

        Raises:
            JournalError: The folder cannot be written, or the file is damaged, of a newer version, or not ours.
        """
        path = folder / FILE_NAME
        with explained(path):
            private_folder(folder)
            if not journalfile.private_file(path):
                journalfile.refuse_emptied(path)
            db = journalfile.connect(path, read_only=False)
            try:
                journalfile.prepare(db, path)
            except BaseException:
                db.close()
                raise
        return cls(folder, db)

    @classmethod
    def open_to_read(cls, folder: Path) -> Journal | None:
        """Open the journal without writing a byte, or give None where there is none yet.

        Raises:
            JournalError: The file is damaged, of a newer version, or not ours.
        """
        path = folder / FILE_NAME
        if not path.exists():
            return None
        with explained(path):
            db = journalfile.connect(path, read_only=True)
            try:
                if journalfile.version_of(db, path) == 0:
                    db.close()
                    return None
            except BaseException:
                db.close()
                raise
        return cls(folder, db)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; what was committed stays."""
        for reader in self._contents.values():
            reader.close()
        self._contents.clear()
        self.db.close()

    def contents(self, name: str, size: int) -> ContentsReader:
        """Give what the rows of a run say; opened once.

        Args:
            name: The file's name.
            size: How many bytes it must have.

        Raises:
            JournalError: The file is missing or damaged.
        """
        reader = self._contents.get(name)
        if reader is None:
            with explained(self.folder / name):
                reader = self._contents[name] = ContentsReader(self.folder / name, size)
        return reader

    @contextmanager
    def writing(self, name: str) -> Iterator[ContentsWriter]:
        """Make a file for what rows say; it is on disk for good when the block ends, and gone if it fails.

        Raises:
            JournalError: The disk is full, or failing.
        """
        path = self.folder / name
        with explained(path):
            writer = ContentsWriter(path)
        try:
            yield writer
            with explained(path):
                writer.close()
        except BaseException:
            writer.drop()
            with suppress(OSError):
                path.unlink()
            raise

    def forget_contents(self, run: str, *, keep: str = "") -> None:
        """Remove what the rows of a run say, in whichever files that is.

        Nothing is an error: what cannot be removed now is removed with the next run.

        Args:
            run: The run's name.
            keep: The name of a file that stays.
        """
        for path in self.folder.glob(f"{run}.*"):
            if path.name != keep and path.name.endswith(ENDING):
                reader = self._contents.pop(path.name, None)
                if reader is not None:
                    reader.close()
                with suppress(OSError):
                    path.unlink()

    def forget_strays(self) -> None:
        """Remove what a crash left of runs that are not there any more."""
        # The files first: a run is there before its file is.
        found = {path.name.split(".")[0] for path in self.folder.glob(f"*{ENDING}")}
        with self.reading():
            known = {name for (name,) in self.db.execute("SELECT name FROM runs")}
        for name in found - known:
            self.forget_contents(name)

    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Choose whether a commit waits for the disk (leads) or for the system only (sales)."""
        self.db.execute(f"PRAGMA synchronous = {'FULL' if against_power_cuts else 'NORMAL'}")

    def compact(self) -> None:
        """Give back the room that deleted rows took, and empty the log that may still hold them.

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
        """Fold the log beside the file into it, so that nothing deleted is left there.

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
                self.db.execute(f"PRAGMA busy_timeout = {journalfile.BUSY_SECONDS * 1000:.0f}")
        return not busy

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Surround what reads several things that have to belong together, while another process may write."""
        self.db.execute("BEGIN")
        try:
            yield
        finally:
            if self.db.in_transaction:  # an error may have ended it
                self.db.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Surround what only reads.

        Raises:
            JournalError: The file turns out to be damaged, or cannot be read.
        """
        path = self._path
        try:
            with journalfile.sqlite_explained(path):
                yield
        except DamagedContentsError as error:
            raise journalfile.damaged(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run statements as one: all of them are on disk afterwards, or, on an error, none.

        Raises:
            JournalError: The disk is full or failing, or another process holds the journal for too long.
        """
        path = self._path
        with explained(path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                if _identity(path) != self._file:
                    # What is written to a file without a name is gone with us, and what was sent is sent again.
                    raise JournalError(
                        f"{path} was removed or replaced while it was in use",
                        "Put it back if you can: it knows what was sent. Nothing more was sent without it.",
                    )
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                # A disk that is full may have ended the transaction already, or may not even let it be undone: then
                # closing the file does that.
                with suppress(sqlite3.Error):
                    if self.db.in_transaction:
                        self.db.execute("ROLLBACK")
                raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
