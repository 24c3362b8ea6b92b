"""Changes of a whole run in all tables: beginning to send, and removing runs."""

from __future__ import annotations

from collections.abc import Collection

from cms_cli.replay.journal import in_doubt, ledger, look_alikes, row_table, runs
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.locks import RunBusyError
from cms_cli.replay.journal.runs import Run, RunState


def begin_sending(
    journal: Journal, run: Run, now: float, *, fresh: bool, unknown_again: bool = False, end: bytes | None = None
) -> None:
    """Mark a run as the one that the same command resumes, and as sending.

    Args:
        journal: The journal.
        run: The run, which is completely staged.
        now: The time in seconds since the epoch.
        fresh: Whether the ledger forgets the run's events, if the run has not begun to send before (``--fresh``).
        unknown_again: Whether events that may have arrived are sent again (``--retry-unknown``).
        end: For a new run of leads, the digest of the last row of its file (see :mod:`staging.digests`); else None.
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
    """Remove a run with its rows. Its ledger entries stay, and its unanswered events are recorded."""
    with journal.transaction() as db:
        if run.kind == "lead" or run.latest:  # sales of a run that --fresh replaced were sent again since
            _keep_in_doubt(db, run)
        row_table.delete(db, run)
        runs.delete(db, run)
    journal.forget_row_texts(run.name)


def _keep_in_doubt(db: Database, run: Run) -> None:
    unanswered = row_table.unanswered(db, run)
    if run.kind == "lead":  # unknown leads are in the ledger already
        for key, _ in unanswered:
            ledger.add_lead(db, run.scope, key, arrived=False)
        for look, row in row_table.unsent_looks(db, run):
            look_alikes.remove(db, run.scope, look, run.id, row)
    else:
        in_doubt.keep(db, run.scope, [*row_table.unknown(db, run), *unanswered])


def prune(journal: Journal, names: Collection[str] | None, *, ledger_too: bool, scope: int | None = None) -> int:
    """Remove runs with all their data.

    Args:
        journal: The journal.
        names: The names of the runs to remove, in any state; None for all that are finished or never began to send.
        ledger_too: Whether to clear the ledger as well.
        scope: The journal's id of a host and account, to remove nothing of others; None for all.

    Returns:
        The number of removed runs.

    Raises:
        RunBusyError: Another process is at work on a named run, or on any whose ledger is to be cleared.
        JournalError: The journal cannot be written, or deleted content may still be on disk because another process
            reads the journal.
    """
    gone = 0
    for run in list(runs.all_runs(journal)):
        ours = scope in (None, run.scope)
        chosen = run.name in names if names else ours
        if not chosen and not (ledger_too and ours):
            continue
        try:
            with journal.hold(run.key):
                held = runs.by_name(journal, run.name)
                if chosen and held is not None and (names or held.state is not RunState.UNFINISHED):
                    delete(journal, held)
                    gone += 1
        except RunBusyError:
            if names or ledger_too:  # what it has sent would be sent again
                raise
    if ledger_too:
        with journal.transaction() as db:
            for each in [scope] if scope is not None else [each for each, _, _ in runs.scopes(journal)]:
                ledger.clear(db, each)
                look_alikes.clear(db, each)
                in_doubt.clear(db, each)
    journal.forget_strays()
    journal.compact()
    return gone
