"""The journal: one SQLite file in the state folder that outlives every crash.

It holds the staged rows of every run with what became of them, the ledger of what the service has accepted, and
the requests that still count against the rate limit. One file, so that an outcome and its entry in the ledger are
one transaction.

WAL mode, so that ``cms runs show`` reads while a replay writes. ``synchronous`` is FULL for leads, whose intent
must survive a power cut because nothing dedupes them, and NORMAL for sales, which are sent again and deduped.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_NAME = "journal.sqlite3"
"""The journal's file in the state folder."""

SCHEMA_VERSION = 1
"""Raised when the schema changes; a journal of a newer version is refused."""

_APPLICATION_ID = 0x434D5301  # "CMS", 1: tells our file from any other SQLite database
_BUSY_SECONDS = 30.0  # for another replay's transaction to end; the longest is a batch of staged rows
_CHECKED_WHOLE = 32 * 1024 * 1024  # bytes up to which the file is read through when it is opened

_SCHEMA = """
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    account TEXT NOT NULL,
    UNIQUE (host, account)
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    scope INTEGER NOT NULL REFERENCES scopes (id),
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    shape TEXT NOT NULL,
    file TEXT NOT NULL,
    header TEXT NOT NULL,
    state TEXT NOT NULL,
    latest INTEGER NOT NULL DEFAULT 1,
    created REAL NOT NULL,
    touched REAL NOT NULL,
    exit_code INTEGER
);
CREATE INDEX runs_by_file ON runs (sha256);
CREATE TABLE rows (
    run INTEGER NOT NULL,
    row INTEGER NOT NULL,
    line INTEGER NOT NULL,
    status TEXT NOT NULL,
    customer INTEGER,
    key BLOB,
    invoice_id TEXT,
    amount INTEGER,
    currency TEXT,
    body TEXT,
    cells TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    sent_at REAL,
    status_code INTEGER,
    code TEXT,
    error TEXT,
    PRIMARY KEY (run, row)
) WITHOUT ROWID;
CREATE INDEX rows_pending ON rows (run, row) WHERE status = 'pending';
CREATE INDEX rows_pending_by_customer ON rows (run, customer, row) WHERE status = 'pending';
CREATE TABLE accepted_sales (
    scope INTEGER NOT NULL,
    invoice BLOB NOT NULL,
    amount INTEGER NOT NULL,
    currency TEXT NOT NULL,
    PRIMARY KEY (scope, invoice)
) WITHOUT ROWID;
CREATE TABLE accepted_leads (
    scope INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    PRIMARY KEY (scope, fingerprint)
) WITHOUT ROWID;
CREATE TABLE slots (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    ends REAL NOT NULL
);
CREATE INDEX slots_by_end ON slots (scope, ends);
"""


class JournalError(Exception):
    """The journal cannot be used: a failure of this machine (exit code 3).

    Attributes:
        message: What is wrong, one line.
        hint: What to do about it, one line.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Journal:
    """An open journal. Use from one thread.

    Attributes:
        folder: The folder it lies in.
        db: The connection, in autocommit mode: write inside :meth:`transaction`.
    """

    def __init__(self, folder: Path, db: sqlite3.Connection) -> None:
        self.folder = folder
        self.db = db

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Open the journal of a state folder, and make both where they are missing.

        Raises:
            JournalError: The folder cannot be written, or the file is damaged, of a newer version, or not ours.
        """
        path = folder / FILE_NAME
        with _explained(path):
            private_folder(folder)
            # SQLite would make the file readable by everybody; its -wal and -shm take after it.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            db = _connect(path, read_only=False)
            try:
                _prepare(db, path)
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
        with _explained(path):
            db = _connect(path, read_only=True)
            try:
                if _version(db, path) == 0:
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
        """Close the file; what was committed stays."""
        self.db.close()

    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Choose whether a commit waits for the disk (leads) or for the system only (sales)."""
        self.db.execute(f"PRAGMA synchronous = {'FULL' if against_power_cuts else 'NORMAL'}")

    def compact(self) -> None:
        """Give back the room that deleted rows took, and empty the log that may still hold them.

        Raises:
            JournalError: There is no room to do it, or another process is at work.
        """
        with _explained(self.folder / FILE_NAME):
            self.db.execute("VACUUM")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run statements as one: all of them are on disk afterwards, or, on an error, none.

        Raises:
            JournalError: The disk is full or failing, or another process holds the journal for too long.
        """
        with _explained(self.folder / FILE_NAME):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter; one that exists is made so where it is ours alone to use."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    # A file name can hold what a URI gives a meaning to: as_uri() escapes it.
    uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "?mode=rw")
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size <= _CHECKED_WHOLE:
        damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise _damaged(path, str(damage))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    # What is deleted is people's names and addresses: overwrite it.
    db.execute("PRAGMA secure_delete = ON")
    if _version(db, path) == 0:
        db.execute("BEGIN IMMEDIATE")
        try:
            if _version(db, path) == 0:  # nobody else was quicker
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if version == 0 and application == 0 and tables == 0:
        return 0
    if application != _APPLICATION_ID:
        raise JournalError(f"{path} is not a journal of cms", "Name another folder with --state-dir.")
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{path} was written by a newer version of cms (format {version}; this one knows {SCHEMA_VERSION})",
            "Upgrade cms-python-client, or name another folder with --state-dir.",
        )
    return version


def _damaged(path: Path, what: str) -> JournalError:
    return JournalError(
        f"{path} is damaged: {what}",
        "Restore it from a backup, or move it away and start anew: what was accepted is then no longer known here, "
        "and only the service's own check for invoices keeps sales from being counted twice.",
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say into what a person can act on."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            hint = "Make room on the disk; the same command then goes on where this one stopped."
        elif "locked" in text or "busy" in text:
            hint = "Another cms holds it for long; try again when that one has ended."
        else:
            hint = "Check that the folder exists and can be written, or name another with --state-dir."
        raise JournalError(f"{path}: {text}", hint) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise JournalError(
            f"{error.filename or path}: {error.strerror or error}",
            "Check that the folder can be written and the disk has room, or name another with --state-dir.",
        ) from error
