"""Makes the tables of shared state, which nothing else does, and moves older ones on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cms_cli.replay.journal.postgres_database import PostgresDatabase
from cms_cli.replay.journal.postgres_server import Server
from cms_cli.replay.journal.postgres_sql import FORMAT, UPGRADES, check_format, schema
from cms_cli.replay.journal.sqlite_file import JournalError


def script() -> str:
    """Return the SQL that makes the tables, for whoever runs the database."""
    return "BEGIN;\n\n" + "".join(f"{statement};\n\n" for statement in schema()) + "COMMIT;\n"


def create(url: str) -> bool:
    """Make the tables, all or none.

    Returns:
        Whether there were none.

    Raises:
        JournalError: They cannot be made, or those that are there are of another format.
    """
    with _transaction(url) as database:
        there, encoding = database.execute(
            "SELECT to_regclass('cms.state') IS NOT NULL, current_setting('server_encoding')"
        ).fetchone()
        if there:
            check_format(database)
            return False
        if encoding != "UTF8":
            raise JournalError(
                f"the encoding of the database is {encoding}, which cannot hold every text",
                "Make one with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
            )
        for statement in schema():
            database.execute(statement)
    return True


def upgrade(url: str) -> tuple[int, int]:
    """Move the tables on to this version's format.

    Returns:
        The format that they had, and the one that they have.

    Raises:
        JournalError: There are none, they are of a newer format, or they cannot be changed.
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
    database = PostgresDatabase(Server(url))
    try:
        database.execute("BEGIN")
        # Two machines may begin at once.
        database.execute("SELECT pg_advisory_xact_lock(hashtext('cms state'))")
        yield database
        database.execute("COMMIT")
    finally:
        database.close()  # which undoes what was not committed
