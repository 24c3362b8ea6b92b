"""Temporary files that only this user can read, and that disappear when the process ends, in whatever way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from cms_cli.replay.model import MachineError


def private_database() -> sqlite3.Connection:
    """Create a temporary database without a name. SQLite keeps it in memory until it exceeds a cache of 2 MB."""
    db = sqlite3.connect("", isolation_level=None)
    db.execute("PRAGMA journal_mode = OFF")  # it is never read again after a failure
    db.execute("BEGIN")
    return db


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Turn the errors of writing a temporary file, such as a full disk, into a MachineError.

    Args:
        what: The content of the file, for the message.

    Raises:
        MachineError: A temporary file cannot be created or written.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise MachineError(
            f"a temporary file for {what}: {getattr(error, 'strerror', None) or error}",
            "Make room for it, or set TMPDIR to a folder that has some.",
        ) from error
