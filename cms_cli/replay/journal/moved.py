"""The file in a state folder that lists the accounts whose state was imported into a shared database.

From then on the folder is not used to send for them, since it does not record what other machines send. An account
is marked before anything is copied, so that no replay uses the folder meanwhile, and marked as complete once
everything is in the database, so that no replay uses a partial copy.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cms_cli.access.account import is_token_alone, owner_in
from cms_cli.replay.journal import in_doubt, ledger, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.sqlite_file import JournalError, explained, private_folder
from cms_cli.replay.model import InputError

FILE_NAME = "moved.json"
"""The file beside the journal."""


class Move(NamedTuple):
    """The mark of one account.

    Attributes:
        host: The host.
        account: The account's key in the folder.
        state: The id of the shared state (:meth:`Journal.identity`).
        to: The account's key in the database.
        where: The name of the database, for messages.
        complete: Whether everything was copied.
    """

    host: str
    account: str
    state: str
    to: str
    where: str
    complete: bool

    def is_to(self, state: str, account: str) -> bool:
        """Return True if the account was moved to this database and this account in it."""
        return (self.state, self.to) == (state, account)

    @property
    def place(self) -> str:
        """The name of the database and the account in it, for messages."""
        name = owner_in(self.to)
        return f"{self.where} (account {name})" if name else self.where


def find(folder: Path, host: str, account: str) -> Move | None:
    """Return the mark of an account, or None.

    Raises:
        JournalError: The file cannot be read.
    """
    return next((move for move in _read(folder) if (move.host, move.account) == (host, account)), None)


def mark(folder: Path, move: Move) -> None:
    """Write the mark of an account, replacing an earlier one.

    Raises:
        JournalError: The file cannot be written.
    """
    _write(folder, [*_others(folder, move), move])


def unmark(folder: Path, move: Move) -> None:
    """Remove the mark of an account of which nothing was copied.

    Raises:
        JournalError: The file cannot be written.
    """
    _write(folder, _others(folder, move))


def check(folder: Path, state: str | None, host: str, local: str, account: str) -> None:
    """Check that the state that a replay uses includes what this machine has sent for the account.

    Args:
        folder: The state folder.
        state: The id of the shared state; None to use the folder.
        host: The host.
        local: The account's key in the folder.
        account: The account's key in the database.

    Raises:
        InputError: The state does not include it, since the folder was imported elsewhere or has to be imported
            first.
        JournalError: The folder's journal or its marks cannot be read.
    """
    move = find(folder, host, local)
    if state is None:
        if move is not None:
            raise InputError(
                f"{folder} is no longer used for this account: cms state import moved it to {move.where}",
                "Set CMS_STATE_URL. The folder does not know what other machines have sent since.",
            )
    elif move is None or not move.is_to(state, account):
        _check_unmoved(folder, move, host, local)
    elif not move.complete:
        raise InputError(f"the import of {folder} was interrupted", "Finish it: cms state import")


def _check_unmoved(folder: Path, move: Move | None, host: str, local: str) -> None:
    """Check that a folder has no data of an account that is not marked as moved to the database in use.

    Raises:
        InputError: It has such data, or data of another token that may be of the same account.
    """
    found = _known(folder)
    if (host, local) in found:
        if move is not None:
            raise InputError(
                f"{folder} was moved to {move.place}, which is not where this replay would look",
                "Name that one with CMS_STATE_URL and CMS_ACCOUNT."
                " To import what the folder knows anyway: cms state import",
            )
        raise InputError(
            f"{folder} knows what this machine has sent for this account, and the shared state does not",
            "Take it over, once: cms state import",
        )
    others = [key for at, key in found if at == host and is_token_alone(key) and find(folder, at, key) is None]
    if move is None and others and is_token_alone(local):
        raise InputError(
            f"{folder} knows what this machine has sent with another token, which may be of the same account",
            "Run cms state import once. It names what other tokens have sent, and --from KEY takes that over.",
        )


def known(journal: Journal) -> list[tuple[str, str]]:
    """Return the host and account key of every account of which a state folder's journal has data."""
    with_runs = {run.scope for run in runs.all_runs(journal)}
    return [
        (host, account)
        for scope, host, account in runs.scopes(journal)
        if scope in with_runs or any((*ledger.sizes(journal.db, scope), in_doubt.size(journal.db, scope)))
    ]


def _known(folder: Path) -> list[tuple[str, str]]:
    journal = Journal.open_to_read(folder)
    if journal is None:
        return []
    with journal, journal.reading():
        return known(journal)


def _others(folder: Path, move: Move) -> list[Move]:
    return [each for each in _read(folder) if (each.host, each.account) != (move.host, move.account)]


def _read(folder: Path) -> list[Move]:
    path = folder / FILE_NAME
    with explained(path):
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return []
    try:
        return [Move(**each) for each in json.loads(data)]
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"{path} is damaged: it says which accounts were moved to a database",
            "Remove it, and run cms state import once more: what is there already is not imported twice.",
        ) from error


def _write(folder: Path, moves: list[Move]) -> None:
    path = folder / FILE_NAME
    new = path.with_name(f"{FILE_NAME}.{os.getpid()}")
    with explained(path):
        private_folder(folder)
        try:
            with os.fdopen(
                os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as file:
                json.dump([move._asdict() for move in moves], file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            _sync_folder(folder)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise


def _sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that the mark survives a power cut. Windows has no such call."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
