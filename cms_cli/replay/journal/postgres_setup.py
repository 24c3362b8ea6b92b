"""Creates and upgrades the tables of shared state, which no other code does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cms_cli.replay.journal.postgres_database import PostgresDatabase
from cms_cli.replay.journal.postgres_server import Server
from cms_cli.replay.journal.postgres_sql import FORMAT, UPGRADES, check_format, schema
from cms_cli.replay.journal.sqlite_file import JournalError

_THERE = "SELECT to_regclass('cms.state') IS NOT NULL"
_RIGHTS = "It takes a role that owns the schema cms, or may make it; cms state init --print shows the SQL."

_GRANTS = """
-- Whoever sends needs no more than this; put the role in the place of "sender".
-- GRANT USAGE ON SCHEMA cms TO sender;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cms TO sender;
"""


def name_of(url: str) -> str:
    """Return a database's name for messages: host and database, without a password.

    Raises:
        JournalError: The driver is missing, or the URL cannot be parsed.
    """
    return Server(url).name


def script() -> str:
    """Return the SQL that creates the tables, for a database administrator."""
    return "BEGIN;\n\n" + "".join(f"{statement};\n\n" for statement in schema()) + "COMMIT;\n" + _GRANTS


def is_made(url: str) -> bool:
    """Return True if a database has the tables.

    Raises:
        JournalError: The database cannot be reached or refuses the connection.
    """
    database = PostgresDatabase(Server(url))
    try:
        (there,) = database.execute(_THERE).fetchone()
    finally:
        database.close()
    return bool(there)


def create(url: str) -> bool:
    """Create the tables in one transaction, unless they exist.

    Returns:
        True if they were created.

    Raises:
        JournalError: The tables cannot be created, or exist in another format.
    """
    with _transaction(url) as database:
        (there,) = database.execute(_THERE).fetchone()
        if there:
            check_format(database)
            return False
        (encoding,) = database.execute("SELECT current_setting('server_encoding')").fetchone()
        if encoding != "UTF8":
            raise JournalError(
                f"the encoding of the database is {encoding}, which cannot hold every text",
                "Make one with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
            )
        for statement in schema():
            database.execute(statement)
    return True


def upgrade(url: str) -> tuple[int, int]:
    """Upgrade the tables to this version's format.

    Returns:
        The formats before and after.

    Raises:
        JournalError: There are no tables, they have a newer format, or they cannot be changed.
    """
    with _transaction(url) as database:
        (before,) = database.execute("SELECT format FROM state FOR UPDATE").fetchone()
        for number in range(before, FORMAT):
            for statement in UPGRADES[number]:
                database.execute(statement)
        if before < FORMAT:
            database.execute("UPDATE state SET format = ?", (FORMAT,))
        check_format(database)
    return int(before), FORMAT


@contextmanager
def _transaction(url: str) -> Iterator[PostgresDatabase]:
    database = PostgresDatabase(Server(url, rights=_RIGHTS))
    try:
        database.execute("BEGIN")
        # Two machines may do this at the same time.
        database.execute("SELECT pg_advisory_xact_lock(hashtext('cms state'))")
        yield database
        database.execute("COMMIT")
    finally:
        database.close()  # this rolls back what was not committed
