"""Imports the data that a state folder has of an account into a shared database.

It is copied in one transaction that can be repeated: data that the database already has is kept. So an interrupted
import, or that of a second machine that has sent the same files, adds only what is missing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from cms_cli.replay.journal import (
    in_doubt,
    ledger,
    lifecycle,
    locks,
    look_alikes,
    moved,
    row_moves,
    row_table,
    runs,
    slots,
)
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.moved import Move
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.journal.sqlite_file import LOCKS


class Imported(NamedTuple):
    """The result of an import.

    Attributes:
        sales: The number of invoices in the folder's ledger.
        leads: The number of leads in the folder's ledger.
        runs: The number of runs that were imported, now or before.
        unfinished: The names that the unfinished ones of these runs have in the database.
        others: Host and key of the folder's other accounts, which were not imported.
        before: The database of an earlier complete import of the account, for messages, or None.
        again: Whether that was the same database and account, so that nothing was left to import.
    """

    sales: int = 0
    leads: int = 0
    runs: int = 0
    unfinished: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    before: str | None = None
    again: bool = False


def import_state(folder: Path, journal: Journal, *, host: str, local: str, account: str, where: str) -> Imported:
    """Import an account.

    Args:
        folder: The state folder.
        journal: The shared journal.
        host: The host.
        local: The account's key in the folder.
        account: The account's key in the database.
        where: The name of the database, for messages.

    Raises:
        RunBusyError: A replay of the account, or another import, is at work on this machine.
        JournalError: The folder's journal or the database cannot be used; nothing was imported.
    """
    # Only one import at a time, since the marks of all accounts are in one file.
    with Journal.open(folder) as own, own.reading(), locks.hold(folder / LOCKS, "import"):
        scope, to = runs.scope_of(own, host, local), runs.scope_of(journal, host, account)
        move = Move(host, local, journal.identity() or "", account, where, False)
        before = moved.find(folder, host, local)
        # Since a complete import the folder has been closed, so everything was copied; the database may be newer.
        again = before is not None and before.complete and before.is_to(move.state, move.to)
        if again:
            copies = [(run, runs.find_copy(journal.db, run, to)) for run in _runs_of(own, scope)]
            found = [(run, copy[1]) for run, copy in copies if copy is not None]
        else:
            _close(folder, move, before, own, scope)
            found = _copy(own, scope, journal, to)
            moved.mark(folder, move._replace(complete=True))
        for run, _ in found:
            if run.state is RunState.UNFINISHED:  # it is resumed from the database
                lifecycle.delete(own, run)
        return Imported(
            *ledger.sizes(own.db, scope),
            runs=len(found),
            unfinished=tuple(name for run, name in found if run.state is RunState.UNFINISHED),
            others=tuple(each for each in moved.known(own) if each != (host, local)),
            before=None if before is None or not before.complete else before.place,
            again=again,
        )


def _close(folder: Path, move: Move, before: Move | None, own: Journal, scope: int) -> None:
    """Close the folder for the account, so that no replay of it is running and none can begin.

    If that fails, the folder is opened again. If a later step fails, it stays closed until an import is complete.
    """
    moved.mark(folder, move)
    try:
        _settle(own, scope)
    except Exception:
        moved.unmark(folder, move)
        if before is not None:
            moved.mark(folder, before)
        raise


def _settle(own: Journal, scope: int) -> None:
    """Check that no run is in progress, and settle the rows that a killed process left without an answer.

    It is enough to hold each run for a moment: whoever holds or stages a run after that finds the folder closed.
    """
    for listed in list(runs.all_runs(own)):
        if listed.scope == scope:
            with own.hold(listed.key):
                run = runs.by_name(own, listed.name)  # again, since its last holder may have changed it
                if run is not None and run.state is RunState.UNFINISHED:
                    row_table.recover(own, run, time.time())


def _runs_of(own: Journal, scope: int) -> list[Run]:
    """Return the completely staged runs of an account, the oldest first."""
    found = [run for run in runs.all_runs(own) if run.scope == scope and run.state is not RunState.STAGING]
    return found[::-1]


def _copy(own: Journal, scope: int, journal: Journal, to: int) -> list[tuple[Run, str]]:
    """Copy all data of an account, and return its runs with their names in the database."""
    with journal.hold(RunKey(to, "import", "", "")), own.snapshot(), journal.transaction() as db:
        numbers: dict[int, int] = {}
        named: list[tuple[Run, str]] = []
        # Times by this machine's clock are converted to the server's.
        now = time.time()
        ahead = Clock(journal.ahead).now() - now
        for run in _runs_of(own, scope):
            numbers[run.id], name = _copy_run(own, run, journal, db, to, ahead)
            named.append((run, name))
        ledger.copy(own.db, scope, db, to)
        look_alikes.copy(own.db, scope, db, to, numbers)
        in_doubt.copy(own.db, scope, db, to, ahead)
        slots.copy(own.db, scope, db, to, now, ahead)
    return named


def _copy_run(own: Journal, run: Run, journal: Journal, db: Database, to: int, ahead: float) -> tuple[int, str]:
    there = runs.find_copy(db, run, to)
    if there is not None:
        # The run was imported before. What the folder has sent since is in its ledger, or got no answer.
        if run.kind == "sale" and run.latest:
            sent = [*row_table.unknown(own.db, run), *row_table.unanswered(own.db, run)]
            in_doubt.keep(db, to, [(key, sent_at + ahead) for key, sent_at in sent])
        return there
    number, name, texts_name = runs.copy(db, run, to)
    with journal.writing(texts_name) as texts:
        row_moves.copy(own, run, journal, db, number, texts, ahead)
    runs.set_size(db, number, texts.size)
    return number, name
