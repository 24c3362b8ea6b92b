"""The mark of an initialised state folder, without which a lost folder would be taken for a new one."""

from __future__ import annotations

import os
from pathlib import Path

from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.sqlite_file import FILE_NAME, JournalError, explained

MARK = "initialised"
"""The name of the file that marks a folder as initialised."""


def initialise(folder: Path) -> bool:
    """Create the journal of a state folder if there is none, and mark the folder.

    Returns:
        True if it was not marked before.

    Raises:
        JournalError: The folder cannot be written, or its journal cannot be used.
    """
    Journal.open(folder).close()
    path = folder / MARK
    with explained(path):
        try:
            mark = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        os.fsync(mark)
        os.close(mark)
    return True


def is_initialised(folder: Path) -> bool:
    """Return True if a folder is marked and still has a journal."""
    return (folder / MARK).exists() and (folder / FILE_NAME).exists()


def require(folder: Path) -> None:
    """Check that a state folder was initialised.

    Raises:
        JournalError: The folder was not initialised, or its journal is gone.
    """
    if is_initialised(folder):
        return
    if (folder / MARK).exists():
        raise JournalError(
            f"{folder} was initialised, and its journal is gone: what was sent is not known here",
            "Restore the folder from a backup. If nothing was sent from it, run: cms state init",
        )
    raise JournalError(
        f"{folder} was never initialised, which CMS_STATE_REQUIRED demands: it may replace one that was lost",
        "Restore it. If it is meant to be new, run once: cms state init",
    )
