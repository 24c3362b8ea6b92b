"""A count of committed turns outside the journal: a journal that is behind it has lost some.

SQLite takes a damaged or missing ``-wal`` file for the end of the log, and goes back to an older state without a
word. What was sent since would be sent again. So each commit that is synced to disk counts a turn in the journal,
and before a request leaves the count is written to a small file beside it. Commits that are not synced move
neither: a power cut may take them back, and that is no damage.
"""

from __future__ import annotations

from pathlib import Path

from cms_cli.replay.journal.database import Database

FILE_NAME = "journal.turns"
"""The file beside the journal."""


def count_turn(db: Database) -> int:
    """Count a turn, as part of its transaction; returns how many there have been."""
    db.execute("UPDATE turns SET committed = committed + 1")
    return int(db.execute("SELECT committed FROM turns").fetchone()[0])


def note(folder: Path, turns: int) -> None:
    """Note outside the journal how many turns were committed.

    Written in place and not synced: after a power cut an older number is there, which is harmless.

    Raises:
        OSError: It cannot be written.
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
    """Return the number of turns that was noted; 0 if none was.

    Raises:
        OSError: It cannot be read.
    """
    try:
        text = (folder / FILE_NAME).read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return int(text) if text.isdecimal() else 0


def is_behind(db: Database, folder: Path) -> bool:
    """Return True if the journal lacks turns that were committed."""
    before = noted(folder)  # read first: another process may commit and note a turn between the two
    return int(db.execute("SELECT committed FROM turns").fetchone()[0]) < before
