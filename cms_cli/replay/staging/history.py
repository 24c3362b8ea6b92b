"""Looks up events that earlier runs of an account have sent, for staging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cms_cli.replay.journal import in_doubt, ledger, look_alikes, row_table, runs
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import WAITED_FOR
from cms_python import EventKind

Known = Mapping[bytes, "tuple[int | None, str | None] | bool"]
"""Events that were sent, by key: amount and currency of a sale, or True for a lead that arrived.

False means that the event may have arrived; it is sent again only with ``--retry-unknown``.
"""


class History:
    """A lookup of sent events by their keys, and of leads without a time by their fields."""

    def __init__(self, journal: Journal, scope: int, kind: EventKind) -> None:
        self._journal = journal
        self._scope = scope
        self._kind = kind
        self._too_old: frozenset[bytes] | None = None

    def known(self, keys: Sequence[bytes]) -> Known:
        """Return the events that are in the ledger, or that other runs have sent without an answer, by key."""
        if not keys:
            return {}
        db, scope, now = self._journal.db, self._scope, Clock(self._journal.ahead).now()
        every_run = runs.any_run(scope, self._kind.value)
        with self._journal.reading():
            if self._kind is EventKind.SALE:
                if self._too_old is None:
                    found = row_table.too_long_ago_elsewhere(db, every_run, now)
                    self._too_old = frozenset(found | in_doubt.too_long_ago(db, scope, now))
                return {
                    **dict.fromkeys(self._too_old.intersection(keys), False),
                    **ledger.known_sales(db, scope, keys),
                }
            left_at = row_table.ask_in_flight_elsewhere(db, every_run, keys)()
            given_up = [key for key, at in left_at.items() if abs(now - at) >= WAITED_FOR]
            return {**dict.fromkeys(given_up, False), **ledger.known_leads(db, scope, keys)}

    def refused(self, keys: Sequence[bytes]) -> set[bytes]:
        """Return the keys of the leads that the service has refused."""
        with self._journal.reading():
            return ledger.refused_leads(self._journal.db, self._scope, keys)

    def looks_sent(self, looks: Sequence[bytes]) -> set[bytes]:
        """Return the looks of leads that were sent or may have been."""
        with self._journal.reading():
            return look_alikes.sent(self._journal.db, self._scope, looks)

    def files(self) -> set[bytes]:
        """Return the digest of the last row of each file whose leads were sent."""
        with self._journal.reading():
            return look_alikes.files(self._journal.db, self._scope)
