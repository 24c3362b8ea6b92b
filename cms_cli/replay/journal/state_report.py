"""The size of a state."""

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
        where: Its folder or database, for people.
        initialised: Whether ``cms state init`` has made it.
        runs: The number of runs.
        unfinished: The number of runs with rows left to send.
        sales: Invoices in the ledger.
        leads: Leads in the ledger.
    """

    where: str
    initialised: bool
    runs: int = 0
    unfinished: int = 0
    sales: int = 0
    leads: int = 0


def of_folder(folder: Path) -> StateReport:
    """Count what the journal of a state folder holds; writes nothing.

    Raises:
        JournalError: It cannot be used.
    """
    journal = Journal.open_to_read(folder)
    if journal is None:
        return StateReport(str(folder), False)
    with journal:
        return of_journal(journal, str(folder), is_initialised(folder))


def of_database(folder: Path, url: str) -> StateReport:
    """Count what a database holds; writes nothing.

    Args:
        folder: The state folder, which stays empty.
        url: The database.

    Raises:
        JournalError: It cannot be used.
    """
    from cms_cli.replay.journal import postgres_setup

    where = postgres_setup.name_of(url)
    if not postgres_setup.is_made(url):
        return StateReport(where, False)
    with Journal.open(folder, url) as journal:
        return of_journal(journal, where, True)


def of_journal(journal: Journal, where: str, initialised: bool) -> StateReport:
    """Count what a journal holds."""
    with journal.reading():
        found = list(runs.all_runs(journal))
        sales, leads = ledger.sizes(journal.db)
    unfinished = sum(run.state is RunState.UNFINISHED for run in found)
    return StateReport(where, initialised, len(found), unfinished, sales, leads)
