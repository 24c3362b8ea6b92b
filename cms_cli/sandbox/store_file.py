"""The store's file: where it is made, how it is recognised, what tables it has, and how it is emptied.

One SQLite file in WAL mode, with ``-wal`` and ``-shm`` beside it while somebody has it open. Several processes may
use it at once: a server, a command with ``--sandbox``, a reader.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from cms_cli.sandbox.errors import StoreError

APPLICATION_ID = 0x434D5353  # "CMSS"; in the file's header, so that a stranger's database is never written to
VERSION = 2
BUSY_SECONDS = 10.0
_MAGIC = b"SQLite format 3\x00"
_HEADER = 72

_TABLES = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    received_at REAL NOT NULL,
    kind TEXT NOT NULL,
    click_id TEXT NOT NULL,
    click_source TEXT NOT NULL,
    customer TEXT NOT NULL,
    invoice_id TEXT,
    user TEXT NOT NULL,
    happened_at REAL NOT NULL,
    amount INTEGER,
    currency TEXT,
    words TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE associations (customer TEXT PRIMARY KEY, click_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE invoices (invoice_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    received_at REAL NOT NULL,
    at_ns INTEGER NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    user TEXT,
    token TEXT,
    counted INTEGER NOT NULL,
    subject TEXT,
    status INTEGER,
    fault TEXT,
    event_id INTEGER
);
"""


def open_store(path: Path) -> sqlite3.Connection:
    """Open the store for writing, and make it where it is missing: mode 0600, new folders 0700.

    Raises:
        StoreError: The file is not a sandbox's store of this version, or cannot be made or opened.
    """
    try:
        _make_private(path)
        _refuse_stranger(path)
        connection = _connect(path)
    except (OSError, sqlite3.Error) as problem:
        raise unusable("open", path, problem) from problem
    try:
        _prepare(connection, path)
    except BaseException as problem:
        connection.close()
        if isinstance(problem, sqlite3.Error):
            raise unusable("use", path, problem) from problem
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an existing store for reading, beside whoever writes to it.

    Raises:
        StoreError: The file is not a sandbox's store of this version, or cannot be read.
    """
    try:
        _refuse_stranger(path)
        manner = "mode=ro" if _can_be_shared(path) else "mode=ro&immutable=1"
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?{manner}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
    except (OSError, sqlite3.Error) as problem:
        raise unusable("read", path, problem) from problem
    try:
        _check_version(connection, path)
    except BaseException as problem:
        connection.close()
        if isinstance(problem, sqlite3.Error):
            raise unusable("read", path, problem) from problem
        raise
    return connection


def reset(path: Path) -> int:
    """Forget everything that a store holds; a server that has it open goes on with the empty one.

    Args:
        path: The store's file. Missing is fine: there is nothing to forget.

    Returns:
        How many events were forgotten (0 for a damaged store, which is removed).

    Raises:
        StoreError: The file is not a sandbox's store (it is left as it is), or cannot be written.
    """
    if not path.exists():
        return 0
    try:
        _refuse_stranger(path)
        with closing(_connect(path)) as connection:
            return _empty(connection)
    except sqlite3.DatabaseError as problem:
        if isinstance(problem, sqlite3.OperationalError):
            raise unusable("reset", path, problem) from problem
        _remove_files(path)  # damaged, and ours by its header
        return 0
    except OSError as problem:
        raise unusable("reset", path, problem) from problem


def unusable(do: str, path: Path, problem: Exception) -> StoreError:
    """The error of a store with which something cannot be done; a reset clears damage, and no full disk."""
    damaged = isinstance(problem, sqlite3.DatabaseError) and not isinstance(problem, sqlite3.OperationalError)
    return StoreError(f"cannot {do} the sandbox's store {path}: {problem}", cleared_by_reset=damaged)


def _connect(path: Path) -> sqlite3.Connection:
    # One connection, used under one lock by the threads of a server.
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _can_be_shared(path: Path) -> bool:
    """Whether SQLite finds or can make the file by which it shares the store.

    It cannot on a read-only disk or in somebody else's folder. Where nothing is in the log either, everything is in
    the file, which can be read as it is.
    """
    log = path.with_name(f"{path.name}-wal")
    return os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size > 0)


def _make_private(path: Path) -> None:
    missing = []
    folder = path.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    # SQLite gives its -wal and -shm files the mode of this one. One that is there is not opened: see _owner().
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _refuse_stranger(path: Path) -> None:
    if path.stat().st_size and _owner(path) != APPLICATION_ID:
        raise StoreError(f"{path} is not a sandbox's store; it is left as it is")


def _owner(path: Path) -> int:
    """The application's number in the header of a file; 0 where it is no database.

    SQLite looks, since to open and close the file here would drop the locks that this process's connections hold on
    it: the next process to close the store would think itself the last, and remove the log that a server is still
    writing to, with all events in it. To take the file for immutable keeps SQLite from making files beside a
    stranger's.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return int(connection.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.DatabaseError:
        # Too damaged for SQLite to read: there is nothing left in it that a lock could save.
        with path.open("rb") as file:
            header = file.read(_HEADER)
        return int.from_bytes(header[68:72], "big") if header.startswith(_MAGIC) else 0


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _tables(connection):
            _create(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    _check_version(connection, path)
    _use_wal(connection)
    # In WAL mode NORMAL syncs at checkpoints, not at commits: a power cut may take the last answers' events along,
    # which a stand-in can bear, but neither a crash nor `kill -9` loses one, and the file is never damaged.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint=4000")


def _create(connection: sqlite3.Connection) -> None:
    # These two go into the file's header at once, since the file is not in WAL mode yet.
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")
    for statement in _TABLES.split(";"):
        connection.execute(statement)


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not always wait for its busy timeout here when two processes start at once.
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION and _tables(connection):
        raise StoreError(f"{path} was made by another version of the sandbox", cleared_by_reset=True)


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return [str(name) for (name,) in rows]


def _empty(connection: sqlite3.Connection) -> int:
    connection.execute("PRAGMA secure_delete=ON")  # customers' names and addresses are not to stay in free pages
    connection.execute("BEGIN IMMEDIATE")
    try:
        tables = _tables(connection)
        forgotten = 0
        if "events" in tables:
            forgotten = int(connection.execute("SELECT count(*) FROM events").fetchone()[0])
        for table in tables:
            quoted = table.replace('"', '""')
            connection.execute(f'DROP TABLE "{quoted}"')
        _create(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    # What the log beside the file holds goes too, unless somebody is reading it just now.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return forgotten


def _remove_files(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
