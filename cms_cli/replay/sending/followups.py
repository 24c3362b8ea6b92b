"""Holds back a customer's follow-ups while it is unknown if the deferred set-up arrived.

Without a set-up, the service answers 404 to a follow-up, which is final: the lead would be lost. So the follow-up
stays pending until the set-up is known to have arrived.
"""

from __future__ import annotations

import json

from cms_cli.replay.journal import ledger, row_table, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import PendingRow, RowStatus
from cms_cli.replay.journal.runs import Run


class FollowUps:
    """Decides which follow-ups of a run have to wait.

    Attributes:
        held: The name of the run that sent the unknown set-up, by customer (:func:`ledger.order_key`), for each
            customer whose follow-ups were left pending.
    """

    def __init__(self, journal: Journal, run: Run) -> None:
        """Find the unknown set-ups of the account's runs."""
        self.held: dict[int, str] = {}
        self._run = run.name
        self._unknown: dict[int, str] = {}  # by customer: the run that has sent the set-up
        if run.kind != "lead":
            return
        for each in runs.all_runs(journal):
            if each.scope != run.scope or each.kind != "lead" or not each.latest:
                continue
            set_ups = {key: body for key, body in row_table.unknown_leads(journal, each) if _is_set_up(body)}
            arrived = ledger.known_leads(journal.db, run.scope, list(set_ups))
            for key, body in set_ups.items():
                if not arrived.get(key):
                    self._unknown[ledger.order_key(json.loads(body)["customerExternalId"])] = each.name

    @property
    def reason(self) -> str:
        """The reason for leaving rows pending, for people; there must be such rows."""
        whose = "of 1 customer wait" if len(self.held) == 1 else f"of {len(self.held):,} customers wait"
        run = min(self.held.values())
        return (
            f"rows {whose} for a deferred set-up whose outcome is unknown; "
            f"send it again with: cms runs resume {run} --retry-unknown"
        )

    def learn(self, row: PendingRow, status: RowStatus) -> None:
        """Record the outcome of a row."""
        if status is RowStatus.UNKNOWN and _is_set_up(row.body):
            self._unknown[row.customer] = self._run
        elif row.customer in self._unknown and _is_set_up(row.body):
            del self._unknown[row.customer]

    def holds(self, row: PendingRow) -> bool:
        """Return True if a row has to stay pending, and record that in :attr:`held`."""
        if row.customer not in self._unknown or "clickId" in json.loads(row.body):
            return False
        self.held[row.customer] = self._unknown[row.customer]
        return True


def _is_set_up(body: str) -> bool:
    return bool(json.loads(body).get("mode") == "deferred")
