"""Counts the runs and events in a state, for `cms state status`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cms_cli.replay.journal import ledger, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.runs import RunState
from cms_cli.replay.journal.state_mark import is_initialised


class StateReport(NamedTuple):
    """The numbers of runs, sales and leads in a state.

    Attributes:
        where: The folder or the name of the database, for people.
        initialised: Whether ``cms state init`` was run for it.
        runs: The number of runs.
        unfinished: The number of runs with rows left to send.
        sales: The number of invoices in the ledger.
        leads: The number of leads in the ledger.
    """

    where: str
    initialised: bool
    runs: int = 0
    unfinished: int = 0
    sales: int = 0
    leads: int = 0


def of_folder(folder: Path) -> StateReport:
    """Return the report on a state folder, without writing to it.

    Raises:
        JournalError: The folder's journal cannot be used.
    """
    journal = Journal.open_to_read(folder)
    if journal is None:
        return StateReport(str(folder), False)
    with journal:
        return of_journal(journal, str(folder), is_initialised(folder))


def of_database(folder: Path, url: str) -> StateReport:
    """Return the report on a database, without writing to it.

    Args:
        folder: The state folder, which is not used.
        url: The URL of the database.

    Raises:
        JournalError: The database cannot be used.
    """
    from cms_cli.replay.journal import postgres_setup

    where = postgres_setup.name_of(url)
    if not postgres_setup.is_made(url):
        return StateReport(where, False)
    with Journal.open(folder, url) as journal:
        return of_journal(journal, where, True)


def of_journal(journal: Journal, where: str, initialised: bool) -> StateReport:
    """Return the report on an open journal."""
    with journal.reading():
        found = list(runs.all_runs(journal))
        sales, leads = ledger.sizes(journal.db)
    unfinished = sum(run.state is RunState.UNFINISHED for run in found)
    return StateReport(where, initialised, len(found), unfinished, sales, leads)
