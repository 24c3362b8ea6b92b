"""The events that earlier runs of an account have sent, for staging to look up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cms_cli.replay.journal import ledger, look_alikes
from cms_cli.replay.journal.journal import Journal
from cms_python import EventKind

Known = Mapping[bytes, "tuple[int | None, str | None] | bool"]
"""Events found in the ledger, by key: a sale's amount and currency; whether a lead surely arrived."""


class History:
    """A lookup of sent events by their keys, and of leads without a time by their fields."""

    def __init__(self, journal: Journal | None, scope: int | None, kind: EventKind) -> None:
        """Prepare the lookup; it is empty where the journal or the scope is None."""
        self._journal = journal
        self._scope = scope
        self._kind = kind

    @property
    def is_empty(self) -> bool:
        """Whether the lookup is empty."""
        return self._journal is None or self._scope is None

    def known(self, keys: Sequence[bytes]) -> Known:
        """Return what is known of events."""
        if self._journal is None or self._scope is None or not keys:
            return {}
        with self._journal.reading():
            if self._kind is EventKind.SALE:
                return ledger.known_sales(self._journal.db, self._scope, keys)
            return ledger.known_leads(self._journal.db, self._scope, keys)

    def looks_sent(self, looks: Sequence[bytes]) -> set[bytes]:
        """Return which of some looks leads have that were sent, or may have been."""
        if self._journal is None or self._scope is None or not looks:
            return set()
        with self._journal.reading():
            return look_alikes.sent(self._journal.db, self._scope, looks)

    def files(self) -> set[bytes]:
        """Return the places at the ends of the files whose leads were sent."""
        if self._journal is None or self._scope is None or self._kind is EventKind.SALE:
            return set()
        with self._journal.reading():
            return look_alikes.files(self._journal.db, self._scope)
