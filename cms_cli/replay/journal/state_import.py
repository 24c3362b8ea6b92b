"""Copies a state folder's data of an account into the database that machines share.

All of it in one transaction, and repeatable: what is there already stays, so that an import that was interrupted,
or a second machine that has sent the same files, adds only what is missing.
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
from cms_cli.replay.journal.journal import LOCKS, Journal
from cms_cli.replay.journal.moved import Move
from cms_cli.replay.journal.runs import Run, RunState


class Imported(NamedTuple):
    """The result of an import.

    Attributes:
        sales: Invoices that the folder's ledger had.
        leads: Leads that it had.
        runs: Runs that it had.
        unfinished: The names of those that still have rows to send, as the database knows them.
        others: Host and account key of what else is in the folder, and was left there.
        before: The database of an earlier import of the account, for people; None if there was none.
        again: Whether that was here, so that there was nothing left to do.
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
        local: The key of the account in the folder.
        account: Its key in the database.
        where: The database, for people.

    Raises:
        RunBusyError: A replay of the account is at work on this machine, or another import.
        JournalError: The folder's journal or the database cannot be used; then nothing was imported.
    """
    # The marks of all accounts are in one file: one import at a time.
    with Journal.open(folder) as own, own.reading(), locks.hold(folder / LOCKS, "import"):
        scope, to = runs.scope_of(own, host, local), runs.scope_of(journal, host, account)
        move = Move(host, local, journal.identity() or "", account, where, False)
        before = moved.find(folder, host, local)
        # The folder was closed since then: what it has was copied, and the database may have moved on from it.
        again = before is not None and before.complete and before.is_to(move.state, move.to)
        if again:
            copies = [(run, runs.find_copy(journal.db, run, to)) for run in _runs_of(own, scope)]
            found = [(run, copy[1]) for run, copy in copies if copy is not None]
        else:
            _close(folder, move, before, own, scope)
            found = _copy(own, scope, journal, to)
            moved.mark(folder, move._replace(complete=True))
        for run, _ in found:
            if run.state is RunState.UNFINISHED:  # it is gone on with from the database
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
    """Close the folder for the account: no replay begins, and none is running.

    Whatever goes wrong once something may have been copied, it stays closed until an import gets to its end.
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
    """Check that no run is in progress, and settle the rows that a crash has interrupted.

    To have held a run for a moment is enough: whoever holds it next finds the folder closed, and so does whoever
    stages one that is not there yet.
    """
    for listed in list(runs.all_runs(own)):
        if listed.scope == scope:
            with own.hold(scope, listed.kind, listed.sha256, listed.shape):
                run = runs.by_name(own, listed.name)  # as whoever held it last has left it
                if run is not None and run.state is RunState.UNFINISHED:
                    row_table.recover(own, run, time.time())


def _runs_of(own: Journal, scope: int) -> list[Run]:
    """Return the runs of an account, the oldest first, except those that were never staged completely."""
    found = [run for run in runs.all_runs(own) if run.scope == scope and run.state is not RunState.STAGING]
    return found[::-1]


def _copy(own: Journal, scope: int, journal: Journal, to: int) -> list[tuple[Run, str]]:
    """Copy everything of an account, and return its runs with their names in the database."""
    with journal.hold(to, "import", "", ""), own.snapshot(), journal.transaction() as db:
        numbers: dict[int, int] = {}
        named: list[tuple[Run, str]] = []
        # What was noted by this machine's clock is moved to the server's.
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
        # It was imported before. What was sent here since is in the ledger, or has no answer.
        if run.kind == "sale" and run.latest:
            sent = [*row_table.unknown(own.db, run), *row_table.unanswered(own.db, run)]
            in_doubt.keep(db, to, [(key, sent_at + ahead) for key, sent_at in sent])
        return there
    number, name, texts_name = runs.copy(db, run, to)
    with journal.writing(texts_name) as texts:
        row_moves.copy(own, run, journal, db, number, texts, ahead)
    runs.set_size(db, number, texts.size)
    return number, name
