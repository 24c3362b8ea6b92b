"""The SQLite file of the journal: creates, opens, upgrades and checks it, and refuses one that is damaged.

It is in WAL mode, so that ``cms runs show`` can read it while a replay writes.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from cms_cli.replay.journal import high_water
from cms_cli.replay.journal.row_texts import DamagedRowTextsError
from cms_cli.replay.journal.schema import SCHEMA, SCHEMA_VERSION, UPGRADES
from cms_cli.replay.model import MachineError

FILE_NAME = "journal.sqlite3"
"""The journal's file in the state folder."""

FILES = (*(f"{FILE_NAME}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")), high_water.FILE_NAME)
"""The names of all files of a journal, except those of row texts."""

LOCKS = "locks"
"""The folder beside the journal with the lock files of runs."""

_APPLICATION_ID = 0x434D5301  # "CMS" and 1: distinguishes our file from other SQLite databases
BUSY_SECONDS = 30.0  # to wait for another replay's transaction; the longest writes a batch of staged rows
_CHECKED_WHOLE = 32 * 1024 * 1024  # bytes; a larger file is not checked completely when it is opened

_DAMAGED = (
    "Restore the folder from a backup, or move it away and start anew: what was accepted is then no longer known "
    "here, and only the service's own check for invoices keeps sales from being counted twice."
)


class JournalError(MachineError):
    """The journal cannot be used."""


def private_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter, or make an existing empty one such a folder."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        if not any(folder.iterdir()):
            # This fails for another user's folder, whose owner decides who may read it.
            with suppress(OSError):
                folder.chmod(0o700)


def private_file(path: Path) -> None:
    """Create a file that only its owner can read, or make an existing file one; -wal and -shm get the same mode."""
    try:
        found = path.stat()
    except FileNotFoundError:
        with suppress(FileExistsError):  # another process was quicker
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return
    # Do not open the file to inspect it: closing it would drop the locks that SQLite holds in this process.
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path} is not a file", "Move it away, or name another folder with --state-dir.")
    if os.name == "posix" and found.st_mode & 0o077:
        with suppress(OSError):
            path.chmod(0o600)


def refuse_lost(path: Path) -> None:
    """Refuse a journal that is missing or empty although it was used; a new one would send everything again.

    Raises:
        JournalError: The journal was used before.
    """
    if path.exists() and path.stat().st_size:
        return
    turns = high_water.noted(path.parent)
    if turns:
        raise damaged(f"{path} is missing or empty, although {turns:,} turns of sending were written to it")
    give_up = time.monotonic() + 0.5  # another process may just have created it
    while path.exists() and not path.stat().st_size and any((path.parent / LOCKS).glob("*")):
        if time.monotonic() > give_up:
            raise damaged(f"{path} is damaged: it is empty, although runs were made here")
        time.sleep(0.02)


def has_journal(folder: Path) -> bool:
    """Return True if a state folder has a journal, or has lost one."""
    return any((folder / name).exists() for name in (FILE_NAME, high_water.FILE_NAME))


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open a connection to an existing file.

    Raises:
        sqlite3.Error: The file cannot be opened.
    """
    # A file name may contain characters that are special in a URI; as_uri() escapes them.
    uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "?mode=rw")
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    if not read_only:
        return db
    try:
        db.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            db.close()
            raise
        # A process that was killed while it created the file left a transaction that only a writer can roll back.
        with closing(connect(path, read_only=False)) as writer:
            writer.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set up a connection for writing, and create or upgrade the tables.

    Raises:
        JournalError: The file is from a newer version, or not a journal of cms.
        sqlite3.Error: The file cannot be read or written.
    """
    version_of(db, path)  # refuses another program's file before anything is changed
    _use_wal(db)
    db.execute("PRAGMA synchronous = NORMAL")
    # Overwrite deleted rows, since they may contain personal data.
    db.execute("PRAGMA secure_delete = ON")
    if version_of(db, path) < SCHEMA_VERSION:
        db.execute("BEGIN IMMEDIATE")
        try:
            version = version_of(db, path)  # again, since another process may have done it meanwhile
            statements = "" if version == SCHEMA_VERSION else SCHEMA
            if 0 < version < SCHEMA_VERSION:
                statements = "".join(UPGRADES[step] for step in range(version, SCHEMA_VERSION))
            for statement in statements.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise


def verify(db: sqlite3.Connection, path: Path) -> None:
    """Check that the file is neither damaged nor behind the count of turns.

    Raises:
        JournalError: The file is damaged or has lost transactions.
        sqlite3.Error: The file cannot be read.
    """
    if path.stat().st_size <= _CHECKED_WHOLE:
        damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise damaged(f"{path} is damaged: {damage}")
    if high_water.is_behind(db, path.parent):
        raise damaged(f"{path} is damaged: it lacks the end of what was written to it")


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which identify it, or None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _use_wal(db: sqlite3.Connection) -> None:
    # For this statement, SQLite does not use its busy timeout if two processes run it at the same time.
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of the file's tables; 0 if there are none yet.

    Raises:
        JournalError: The file is from a newer version, or not a journal of cms.
        sqlite3.Error: The file cannot be read.
    """
    # Read everything in one transaction, since another process may be creating the tables. A savepoint begins a
    # transaction, or becomes part of the current one.
    db.execute("SAVEPOINT look")
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        application = int(db.execute("PRAGMA application_id").fetchone()[0])
        tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    finally:
        db.execute("RELEASE look")
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


def damaged(what: object) -> JournalError:
    """Return the error for a damaged file; ``what`` begins with its path."""
    return JournalError(str(what), _DAMAGED)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into errors with a message and a hint."""
    try:
        with sqlite_explained(path):
            yield
    except DamagedRowTextsError as error:
        raise damaged(error) from error
    except OSError as error:
        raise JournalError(
            f"{error.filename or path}: {error.strerror or error}",
            "Check that the folder can be written and the disk has room, or name another with --state-dir.",
        ) from error


@contextmanager
def sqlite_explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into errors with a message and a hint."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text or "disk I/O" in text or "too big" in text:
            hint = "Make room on the disk; the same command then resumes where this one stopped."
        elif "locked" in text or "busy" in text:
            hint = "Another cms is using it; try again when that one has ended."
        else:
            hint = "Check that the folder exists and can be written, or name another with --state-dir."
        raise JournalError(f"{path}: {text}", hint) from error
    except sqlite3.DatabaseError as error:
        raise damaged(f"{path} is damaged: {error}") from error
