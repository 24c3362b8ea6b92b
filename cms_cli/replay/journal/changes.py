"""Rows of a run whose invoice was accepted before with another amount."""

from __future__ import annotations

from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rowbook import AMOUNT_CHANGED
from cms_cli.replay.journal.runs import Run


def changed_amounts(journal: Journal, run: Run) -> tuple[int, str]:
    """Count the rows whose invoice was accepted before with another amount, and describe the first."""
    found = journal.db.execute(
        "SELECT line, error FROM rows INDEXED BY rows_by_status"
        " WHERE run = ? AND status = 'duplicate' AND code = ? ORDER BY row",
        (run.id, AMOUNT_CHANGED),
    )
    first = found.fetchone()
    return (1 + sum(1 for _ in found), f"line {first[0]}: {first[1]}") if first else (0, "")
