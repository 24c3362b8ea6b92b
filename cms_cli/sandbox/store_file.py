"""Creates, checks, opens and empties the store's file.

It is a SQLite file in WAL mode, with ``-wal`` and ``-shm`` beside it while it is open. Several processes may use it
at the same time: a server, a command with ``--sandbox``, a reader.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from cms_cli.sandbox.errors import StoreError

APPLICATION_ID = 0x434D5353  # "CMSS" in the file's header, by which another program's database is recognised
VERSION = 2
BUSY_SECONDS = 10.0

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
    """Open the store for writing. If it is missing, create it with mode 0600, and its folders with 0700.

    Raises:
        StoreError: The file is not a sandbox's store of this version, or cannot be created or opened.
    """
    with reporting("open", path), ExitStack() as on_error:
        _create_private(path)
        _refuse_stranger(path)
        connection = _connect(path)
        on_error.callback(connection.close)
        with transaction(connection):
            if not _tables(connection):
                _create_tables(connection)
        _check_version(connection, path)
        _use_wal(connection)
        # In WAL mode, NORMAL syncs at checkpoints and not at commits. A power cut may lose the last events, which
        # is acceptable for a stand-in; a crash or `kill -9` loses none, and the file is never damaged.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        on_error.pop_all()
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a store for reading, even while another process writes to it; a missing one counts as empty.

    Raises:
        StoreError: The file is not a sandbox's store of this version, or cannot be read.
    """
    with reporting("read", path), ExitStack() as on_error:
        if not path.exists() or path.stat().st_size == 0:
            empty = sqlite3.connect(":memory:", isolation_level=None)
            _create_tables(empty)
            return empty
        _refuse_stranger(path)
        mode = "mode=ro" if _can_be_shared(path) else "mode=ro&immutable=1"
        uri = f"{path.resolve().as_uri()}?{mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        on_error.callback(connection.close)
        _check_version(connection, path)
        on_error.pop_all()
        return connection


def reset(path: Path) -> int:
    """Delete everything in a store. A server that has it open continues with the empty store.

    Args:
        path: The store's file; it may be missing.

    Returns:
        The number of deleted events; 0 for a damaged store, which is removed.

    Raises:
        StoreError: The file is not a sandbox's store, and is left unchanged; or it cannot be written.
    """
    if not path.exists():
        return 0
    try:
        with reporting("reset", path):
            _refuse_stranger(path)
            with closing(_connect(path)) as connection:
                return _empty(connection)
    except StoreError as problem:
        if not problem.cleared_by_reset:
            raise
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return 0


@contextmanager
def reporting(action: str, path: Path) -> Iterator[None]:
    """Turn errors of the file system and of SQLite into a :class:`StoreError`."""
    try:
        yield
    except (OSError, sqlite3.Error) as problem:
        damaged = isinstance(problem, sqlite3.DatabaseError) and not isinstance(problem, sqlite3.OperationalError)
        message = f"cannot {action} the sandbox's store {path}: {problem}"
        raise StoreError(message, cleared_by_reset=damaged) from problem


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction, which excludes other writers and is committed without an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path) -> sqlite3.Connection:
    # The threads of a server use one connection, under a lock.
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _can_be_shared(path: Path) -> bool:
    """Return True if SQLite can create the files beside the store that a shared reader needs, or cannot do without.

    It cannot create them on a read-only disk or in another user's folder. Unless the log has content, the file is
    then complete by itself and can be read as immutable.
    """
    log = path.with_name(f"{path.name}-wal")
    return os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size > 0)


def _create_private(path: Path) -> None:
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    # SQLite gives -wal and -shm the mode of this file. An existing file is not opened here; see _application_id().
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _refuse_stranger(path: Path) -> None:
    if path.stat().st_size and _application_id(path) != APPLICATION_ID:
        raise StoreError(f"{path} is not a sandbox's store; it is left as it is")


def _application_id(path: Path) -> int:
    """Return the application id in the header of a file; 0 if it is not a database.

    It is read through SQLite: opening and closing the file directly would drop the locks that connections of this
    process hold on it, and another process that closes the store would remove the log of a running server. It is
    read as immutable, so that no files appear beside another program's database.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return int(connection.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.DatabaseError:
        # The file is too damaged for SQLite, so there is nothing to protect by locks.
        with path.open("rb") as file:
            header = file.read(72)
        return int.from_bytes(header[68:], "big") if header.startswith(b"SQLite format 3\x00") else 0


def _create_tables(connection: sqlite3.Connection) -> None:
    # The file is not in WAL mode yet, so these are written to its header at once.
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")
    for statement in _TABLES.split(";"):
        connection.execute(statement)


def _use_wal(connection: sqlite3.Connection) -> None:
    # For this statement, SQLite does not always use its busy timeout if two processes run it at the same time.
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
    connection.execute("PRAGMA secure_delete=ON")  # customers' personal data must not stay in free pages
    with transaction(connection):
        tables = _tables(connection)
        events = connection.execute("SELECT count(*) FROM events").fetchone() if "events" in tables else (0,)
        for table in tables:
            quoted = table.replace('"', '""')
            connection.execute(f'DROP TABLE "{quoted}"')
        _create_tables(connection)
    # Empty the log as well, unless another process is reading it.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(events[0])
