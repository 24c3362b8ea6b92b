"""The state for people and for programs."""

from __future__ import annotations

from cms_cli.replay.journal.state_report import StateReport
from cms_cli.terminal.console import Console
from cms_cli.terminal.table import pairs


def status(console: Console, form: str, found: StateReport) -> None:
    """Show where the state is, and how much is in it."""
    if form != "table":
        console.document(found._asdict(), form)
        return
    lines = [
        ("state", found.where),
        ("initialised", "yes" if found.initialised else "no"),
        ("runs", f"{found.runs:,}, of which {found.unfinished:,} unfinished"),
        ("ledger", f"{found.sales:,} sales, {found.leads:,} leads"),
    ]
    pairs(console, lines)
