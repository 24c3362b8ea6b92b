"""Shows the state (folder or database) and what the commands of `cms state` did, as text or JSON."""

from __future__ import annotations

import shlex

from cms_cli.replay.journal.moved import FILE_NAME
from cms_cli.replay.journal.state_import import Imported
from cms_cli.replay.journal.state_report import StateReport
from cms_cli.terminal.console import Console
from cms_cli.terminal.table import pairs


def initialised(console: Console, form: str, where: str, new: bool) -> None:
    """Report that the state is initialised."""
    if form != "table":
        console.document({"where": where, "initialised": True, "new": new}, form)
    else:
        console.note(f"{'initialised' if new else 'already initialised'}: {where}")


def upgraded(console: Console, form: str, where: str, before: int, now: int) -> None:
    """Report the format of the shared state before and after."""
    if form != "table":
        console.document({"where": where, "format_before": before, "format": now}, form)
    elif before == now:
        console.note(f"{where} has format {now} already")
    else:
        console.note(f"{where} was moved from format {before} to {now}")


def status(console: Console, form: str, found: StateReport) -> None:
    """Show the place of the state and the number of its runs and events."""
    if form != "table":
        console.document(found._asdict(), form)
        return
    lines = [
        ("state", found.where),
        ("initialised", "yes" if found.initialised else "no: cms state init"),
        ("runs", f"{found.runs:,}, of which {found.unfinished:,} unfinished"),
        ("ledger", f"{found.sales:,} sales, {found.leads:,} leads"),
    ]
    pairs(console, lines)


def imported(console: Console, form: str, folder: str, where: str, found: Imported) -> None:
    """Report what was imported, and which other accounts are in the folder."""
    if form != "table":
        others = [{"host": host, "account": account} for host, account in found.others]
        console.document({"folder": folder, "where": where, **found._asdict(), "others": others}, form)
        return
    ledger = f"{found.sales:,} sales and {found.leads:,} leads of the ledger, {found.runs:,} runs"
    if found.again:
        console.note(f"imported before into {found.before}: there is nothing new to import")
        console.note(
            f"To import it once more, as into a database that was restored, remove {folder}/{FILE_NAME} first"
        )
    elif found.sales or found.leads or found.runs:
        console.note(f"imported into {where}: {ledger}")
    else:
        console.note(f"{folder} knows nothing of this account: there is nothing to import")
    if found.before is not None and not found.again:
        console.warn(f"{folder} was imported before into {found.before}: what was sent since is known only there")
    for name in found.unfinished:
        console.note(f"{name} is not finished: {console.next_command(f'runs resume {name}')}")
    for host, account in found.others:
        console.note(
            f"not imported: what {folder} knows of the account {account} at {host}; to import it, add "
            f"--from {shlex.quote(account)}"
        )
