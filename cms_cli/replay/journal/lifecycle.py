"""Changes to a run as a whole, in all tables at once: sending begins, or the run is removed."""

from __future__ import annotations

from collections.abc import Iterable

from cms_cli.replay.journal import in_doubt, ledger, look_alikes, row_table, runs
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.runs import Run, RunBusyError, RunState


def begin_sending(
    journal: Journal, run: Run, now: float, *, fresh: bool, unknown_again: bool = False, end: bytes | None = None
) -> None:
    """Make a run the one that the same command continues, and allow its rows to be sent.

    Args:
        journal: The journal.
        run: The run; staged to its end.
        now: The time, seconds since the epoch.
        fresh: Whether the ledger is to forget what it has of the run's rows, should this be its beginning.
        unknown_again: Whether what may have arrived is to be sent all the same.
        end: The place at the end of its file, where it has just been staged and has leads; else None.
    """
    with journal.transaction() as db:
        if run.state is RunState.STAGING:
            runs.make_latest(db, run)
            if fresh:
                keys = row_table.keys_of(db, run)
                ledger.forget(db, run.scope, run.kind, keys)
                if run.kind == "sale":
                    in_doubt.forget(db, run.scope, keys)
        if unknown_again:
            keys = row_table.keys_of(db, run, pending_only=True)
            if run.kind == "sale":
                in_doubt.forget(db, run.scope, keys)
            else:
                ledger.forget_unknown_leads(db, run.scope, keys)
        if end is not None:
            look_alikes.add_file(db, run.scope, end)
        runs.unfinished(db, run, now)


def delete(journal: Journal, run: Run) -> None:
    """Remove a run with its rows; its ledger entries stay, and its unanswered events are kept."""
    with journal.transaction() as db:
        if run.kind == "lead" or run.latest:  # not a run of sales that --fresh has replaced: those were sent again
            _keep_in_doubt(db, run)
        row_table.delete(db, run)
        runs.delete(db, run)
    journal.forget_row_texts(run.name)


def _keep_in_doubt(db: Database, run: Run) -> None:
    unanswered = row_table.unanswered(db, run)
    if run.kind == "lead":  # one that is unknown is in the ledger already
        for key, _ in unanswered:
            ledger.add_lead(db, run.scope, key, arrived=False)
        for look, row in row_table.unsent_looks(db, run):
            look_alikes.remove(db, run.scope, look, run.id, row)
    else:
        in_doubt.keep(db, run.scope, [*row_table.unknown(db, run), *unanswered])


def prune(journal: Journal, names: Iterable[str] | None, *, ledger_too: bool, scope: int | None = None) -> int:
    """Remove runs, and every trace of them in the journal.

    Args:
        journal: The journal.
        names: Those to remove, whatever their state; None for all that are finished, and for what is left of
            those that never began.
        ledger_too: Whether to forget what was accepted as well.
        scope: The number of the only host and account whose runs and ledger are meant; None for all.

    Returns:
        The number of runs that were removed.

    Raises:
        RunBusyError: Another process is at work on one of those named.
        JournalError: It cannot be written, or traces may be left because another process reads it.
    """
    wanted = None if not names else set(names)
    gone = 0
    for run in list(runs.all_runs(journal)):
        if run.name not in wanted if wanted is not None else scope not in (None, run.scope):
            continue
        try:
            with journal.hold(run.scope, run.kind, run.sha256, run.shape):
                held = runs.by_name(journal, run.name)
                if held is not None and (wanted is not None or held.state is not RunState.UNFINISHED):
                    delete(journal, held)
                    gone += 1
        except RunBusyError:
            if wanted is not None:
                raise
    if ledger_too:
        with journal.transaction() as db:
            for each in [scope] if scope is not None else runs.all_scopes(journal):
                ledger.clear(db, each)
                look_alikes.clear(db, each)
                in_doubt.clear(db, each)
    journal.forget_strays()
    journal.compact()
    return gone
