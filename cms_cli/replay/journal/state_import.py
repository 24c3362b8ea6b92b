"""Takes over what a state folder knows of an account into the database that machines share.

All of it in one transaction, and repeatable: what is there already stays, so that an import that was interrupted,
or a second machine that has sent the same files, adds only what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from cms_cli.replay.journal import (
    in_doubt,
    ledger,
    lifecycle,
    look_alikes,
    moved,
    row_moves,
    row_table,
    runs,
    slots,
)
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
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
    """

    sales: int = 0
    leads: int = 0
    runs: int = 0
    unfinished: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()


def import_state(folder: Path, journal: Journal, *, host: str, local: str, account: str, where: str) -> Imported:
    """Take over an account.

    Args:
        folder: The state folder.
        journal: The shared journal.
        host: The host.
        local: The key of the account in the folder.
        account: Its key in the database.
        where: The database, for people.

    Raises:
        RunBusyError: A replay of the account is at work on this machine.
        JournalError: The folder's journal or the database cannot be used; then nothing was imported.
    """
    if Journal.open_to_read(folder) is None:
        return Imported()
    with Journal.open(folder) as own:
        others = tuple(pair for pair in runs.scopes(own) if pair != (host, local))
        scope = runs.find_scope(own, host, local)
        if scope is None:
            return Imported(others=others)
        move = Move(host, local, journal.identity() or "", where, False)
        with ExitStack() as stack:
            stack.enter_context(own.reading())
            found = stack.enter_context(_closed(folder, move, own, scope))
            names = _copy(own, scope, journal, runs.scope_of(journal, host, account), found)
            moved.mark(folder, move._replace(complete=True))
            sales, leads = ledger.sizes(own.db, scope)
            unfinished = [run for run in found if run.state is RunState.UNFINISHED]
            for run in unfinished:  # they are gone on with from the database
                lifecycle.delete(own, run)
    return Imported(sales, leads, len(found), tuple(names[run.id] for run in unfinished), others)


@contextmanager
def _closed(folder: Path, move: Move, own: Journal, scope: int) -> Iterator[list[Run]]:
    """Close the folder for the account: no replay begins, and none is at work. Yields its runs.

    Whatever goes wrong once something may have been copied, it stays closed until an import gets to its end.
    """
    before = moved.find(folder, move.host, move.account)
    moved.mark(folder, move)
    with ExitStack() as stack:
        try:
            found = stack.enter_context(_held(own, scope))
        except Exception:
            moved.unmark(folder, move)
            if before is not None:
                moved.mark(folder, before)
            raise
        yield found


@contextmanager
def _held(own: Journal, scope: int) -> Iterator[list[Run]]:
    """Hold every run of an account, so that none is at work; what a crash has interrupted gets its outcome."""
    found = [run for run in runs.all_runs(own) if run.scope == scope]
    with ExitStack() as stack:
        for held in {(run.kind, run.sha256, run.shape if run.kind == "sale" else "") for run in found}:
            stack.enter_context(own.hold(scope, *held))
        # Those that were never staged to their end have sent nothing.
        staged = [run for run in found if run.state is not RunState.STAGING]
        for run in staged:
            if run.state is RunState.UNFINISHED:
                row_table.recover(own, run, time.time())
        yield staged


def _copy(own: Journal, scope: int, journal: Journal, to: int, found: list[Run]) -> dict[int, str]:
    """Copy everything of an account; returns the names of its runs in the database, by their number here."""
    with journal.hold(to, "import", "", ""), journal.transaction() as db:
        numbers: dict[int, int] = {}
        names: dict[int, str] = {}
        now = time.time()
        ahead = journal.time(now) - now  # of the server's clock: what was noted by ours is moved to its time
        for run in found:
            numbers[run.id], names[run.id] = _copy_run(own, run, journal, db, to, ahead)
        ledger.copy(own.db, scope, db, to)
        look_alikes.copy(own.db, scope, db, to, numbers)
        in_doubt.copy(own.db, scope, db, to, ahead)
        slots.copy(own.db, scope, db, to, now, ahead)
    return names


def _copy_run(own: Journal, run: Run, journal: Journal, db: Database, to: int, ahead: float) -> tuple[int, str]:
    there = runs.find_copy(db, run, to)
    if there is not None:
        # It was imported before. What was sent here since is in the ledger, or has no answer.
        unanswered = row_table.unanswered(own.db, run) if run.kind == "sale" else ()
        in_doubt.keep(db, to, [(key, sent_at + ahead) for key, sent_at in unanswered])
        return there
    number, name, texts_name = runs.copy(db, run, to)
    with journal.writing(texts_name) as texts:
        row_moves.copy(own, run, journal, db, number, texts, ahead)
    runs.set_size(db, number, texts.size)
    return number, name
