"""Which rows may leave now: not what another run has sent meanwhile, and no more than the limits allow."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cms_cli.replay.journal import doubt, ledger, rowbook
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rowbook import PendingRow, RowStatus
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.sending.pacing import SharedWindow

WAITED_FOR = 40.0
"""Seconds that another run's request for the same lead is waited for; after them that run is taken for dead."""

_LOOK_AGAIN = 600.0
"""Seconds after which other runs' sales are looked through again: some may have become too old meanwhile."""

_ELSEWHERE = "another run has sent it without an answer; it may have arrived"


class Known(NamedTuple):
    """A row that is not to be sent, and why.

    Attributes:
        row: The row.
        status: Its outcome, or None where that is still to be seen: another run is sending the same lead just now.
        code: A constant for programs.
        error: The reason in words.
    """

    row: PendingRow
    status: RowStatus | None
    code: str
    error: str


class Clearance:
    """Decides whether a row that is due may be sent now. Every method is part of a transaction.

    Attributes:
        opens: Before this time no further request may leave, in the clock's seconds, unless an answer comes first.
    """

    def __init__(
        self, journal: Journal, run: Run, window: SharedWindow | None, *, unknown_again: bool = False
    ) -> None:
        self._journal = journal
        self._unknown_again = unknown_again  # whether what other runs left unknown is sent all the same
        self._in_doubt: set[bytes] = set()  # sales; looked up when it is needed
        self._looked = float("-inf")
        self._run = run
        self._window = window
        self.opens = 0.0

    def known(self, rows: Iterable[PendingRow], now: float) -> list[Known]:
        """Give those rows that another run has sent since they were staged, or is sending, or that are too old."""
        rows = list(rows)
        keys = [row.key for row in rows if row.key is not None]
        found = []
        if self._run.kind == "lead":
            return list(self._known_leads(rows, keys, now)) if keys else []
        sales = ledger.known_sales(self._journal, self._run.scope, keys) if keys else {}
        if not self._unknown_again and now - self._looked >= _LOOK_AGAIN:
            self._looked, self._in_doubt = now, doubt.sales_too_long_ago(self._journal, self._run, now)
        for row in rows:
            before = sales.get(row.key) if row.key is not None else None
            if before is not None:
                found.append(
                    Known(row, *rowbook.compared(rowbook.invoice_in(row.body), before, (row.amount, row.currency)))
                )
            elif row.key in self._in_doubt or rowbook.is_too_long_ago(row, now):
                found.append(Known(row, RowStatus.UNKNOWN, *rowbook.TOO_LONG_AGO))
        return found

    def _known_leads(self, rows: Iterable[PendingRow], keys: list[bytes], now: float) -> Iterator[Known]:
        """Nothing at the service dedupes leads: what another run has begun to send is its alone."""
        leads = ledger.known_leads(self._journal, self._run.scope, keys)
        under_way = doubt.leads_under_way(self._journal, self._run, keys)
        for row in rows:
            if row.key is None:
                continue
            if leads.get(row.key):
                yield Known(row, *rowbook.IN_LEDGER)
            elif row.key in under_way and abs(now - under_way[row.key]) < WAITED_FOR:
                yield Known(row, None, "", "")
            elif row.key in leads or (row.key in under_way and not self._unknown_again):
                yield Known(row, RowStatus.UNKNOWN, "unknown_elsewhere", _ELSEWHERE)

    def take(self, db: sqlite3.Connection, now: float, wanted: int) -> list[int | None]:
        """Clear up to ``wanted`` requests; gives the slot of each, None where none are kept."""
        self.opens = 0.0
        if self._window is None:
            return [None] * wanted
        opening = self._window.look(db, wanted, now)
        self.opens = opening.look_at
        return [*self._window.take(db, opening.free, now)]

    def landed(self, db: sqlite3.Connection, slot: int | None, now: float) -> None:
        """Free the slot of a request that was answered, one window from now."""
        if slot is not None and self._window is not None:
            self._window.answered(db, [slot], now)
