"""Temporary files that vanish with the process, however it ends, and that nobody else can read."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cms_cli.replay.model import MachineError


def temporary(folder: Path | None = None) -> IO[bytes]:
    """Create a file without a name.

    Args:
        folder: Where it goes; None for the system's own place.

    Raises:
        OSError: It cannot be created.
    """
    return tempfile.TemporaryFile(prefix="cms-", dir=folder)


def private_database() -> sqlite3.Connection:
    """Create a database without a name. SQLite moves it to a temporary file once it outgrows a cache of 2 MB."""
    db = sqlite3.connect("", isolation_level=None)
    db.execute("PRAGMA journal_mode = OFF")  # the file is not read again after a failure
    db.execute("BEGIN")
    return db


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Report a full disk as a failure of this machine and not of the input.

    Args:
        what: What is written, for the message.

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
