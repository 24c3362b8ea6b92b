"""A count of committed transactions ("turns") beside the journal, which shows if the journal has lost some.

If its ``-wal`` file is damaged or missing, SQLite silently returns to an older state, and what was sent since would
be sent again. So each commit that is synced to disk adds 1 to a count in the journal, and the count is also written
to a small file before any request is sent. Commits that are not synced are not counted, since losing them in a
power cut is no damage.
"""

from __future__ import annotations

from pathlib import Path

from cms_cli.replay.journal.database import Database

FILE_NAME = "journal.turns"
"""The file beside the journal."""


def count_turn(db: Database) -> int:
    """Count a turn as part of its transaction, and return the new count."""
    db.execute("UPDATE turns SET committed = committed + 1")
    return int(db.execute("SELECT committed FROM turns").fetchone()[0])


def note(folder: Path, turns: int) -> None:
    """Write the number of committed turns to the file beside the journal.

    The file is not synced. After a power cut it may have an older number, which is harmless.

    Raises:
        OSError: The file cannot be written.
    """
    path = folder / FILE_NAME
    text = f"{turns:020d}\n"
    try:
        with path.open("r+", encoding="ascii") as file:
            file.write(text)
    except FileNotFoundError:
        path.touch(mode=0o600)
        path.write_text(text, encoding="ascii")


def noted(folder: Path) -> int:
    """Return the number of turns in the file beside the journal; 0 if there is no file.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        text = (folder / FILE_NAME).read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return int(text) if text.isdecimal() else 0


def is_behind(db: Database, folder: Path) -> bool:
    """Return True if the journal lacks turns that were committed."""
    before = noted(folder)  # read this first: between the two reads, another process may commit and note a turn
    return int(db.execute("SELECT committed FROM turns").fetchone()[0]) < before
