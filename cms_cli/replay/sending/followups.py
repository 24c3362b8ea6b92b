"""Keeps the follow-ups of a customer back while it is unknown whether the customer's deferred set-up arrived.

The service answers 404 to a follow-up that nothing was set up for, and 404 is final: the lead would be lost. Left
pending, it goes out once the set-up is known to be there.
"""

from __future__ import annotations

import json

from cms_cli.replay.journal import row_table
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.ledger import order_key
from cms_cli.replay.journal.rows import PendingRow, RowStatus
from cms_cli.replay.journal.runs import Run


class FollowUps:
    """The follow-ups of a run that have to wait.

    Attributes:
        held: Customers whose follow-ups were found, and left pending.
    """

    def __init__(self, journal: Journal, run: Run) -> None:
        """Look for set-ups that earlier invocations left unknown."""
        self.held: set[int] = set()
        self._unknown: set[int] = set()  # customers whose set-up is
        if run.kind == "lead":
            for row in row_table.settled(journal, run, [RowStatus.UNKNOWN]):
                if row.body and _is_set_up(row.body):
                    self._unknown.add(order_key(json.loads(row.body)["customerExternalId"]))

    @property
    def reason(self) -> str:
        """Why rows are left, in words."""
        whose = "of 1 customer wait" if len(self.held) == 1 else f"of {len(self.held):,} customers wait"
        return f"rows {whose} for a deferred set-up whose outcome is unknown; --retry-unknown sends that once more"

    def learn(self, row: PendingRow, status: RowStatus) -> None:
        """Record the outcome of a row."""
        if (status is RowStatus.UNKNOWN) != (row.customer in self._unknown) and _is_set_up(row.body):
            self._unknown ^= {row.customer}

    def holds(self, row: PendingRow) -> bool:
        """Whether a row is left pending."""
        if row.customer not in self._unknown or "clickId" in json.loads(row.body):
            return False
        self.held.add(row.customer)
        return True


def _is_set_up(body: str) -> bool:
    return bool(json.loads(body).get("mode") == "deferred")
