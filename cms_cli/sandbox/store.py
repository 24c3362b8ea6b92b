"""Writes to the store: events, associations, invoices and attempts, which are committed before the answer is sent.

All users of a store share its customers and invoices; to test with another account, use another store. Only the
rate limit distinguishes users.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from cms_cli.sandbox.errors import StoreError
from cms_cli.sandbox.rules import AttributedEvent
from cms_cli.sandbox.store_file import open_store, transaction
from cms_cli.sandbox.tokens import Caller

# json.dumps() would create an encoder for each call, since the options are not its defaults.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass
class Draft:
    """An attempt that is being answered, as far as it is known; later a row of ``attempts``.

    For the fields see :class:`cms_cli.sandbox.Attempt`.
    """

    received_at: float
    at_ns: int
    method: str
    path: str
    caller: Caller | None = None
    counted: bool = False
    subject: str | None = None
    fault: str | None = None


class Store:
    """Writes to a store's file. Thread-safe.

    Raises:
        StoreError: The file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = open_store(path)
        self._closed = False

    @contextmanager
    def writing(self) -> Iterator[StoreTransaction]:
        """Run the block as one transaction, which is committed if the block ends without an exception.

        Raises:
            StoreError: The store is closed.
            sqlite3.Error: The disk is full, or the file is locked or damaged.
        """
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            with transaction(self._connection):
                yield StoreTransaction(self._connection)

    def close(self) -> None:
        """Close the file, after a transaction that is in progress."""
        with self._lock:
            self._closed = True
            self._connection.close()


class StoreTransaction:
    """The lookups and writes within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def deferred_click(self, customer: str) -> str | None:
        """Return the click that the customer's last deferred set-up stored, or ``None``."""
        query = "SELECT click_id FROM associations WHERE customer = ?"
        row = self._connection.execute(query, (customer,)).fetchone()
        return None if row is None else str(row[0])

    def has_invoice(self, invoice_id: str) -> bool:
        """Return True if a sale with this invoice has been recorded."""
        query = "SELECT 1 FROM invoices WHERE invoice_id = ?"
        return self._connection.execute(query, (invoice_id,)).fetchone() is not None

    def record(self, attributed: AttributedEvent, user: str, now: float) -> int:
        """Record an event with its association or invoice; return its id, which counts up from 1."""
        event = attributed.event
        customer, invoice_id = event["customerExternalId"], event.get("invoiceId")
        execute = self._connection.execute
        cursor = execute(
            "INSERT INTO events (received_at, kind, click_id, click_source, customer, invoice_id, user,"
            " happened_at, amount, currency, words, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now,
                attributed.kind,
                attributed.click_id,
                attributed.click_source,
                customer,
                invoice_id,
                user,
                _instant(event["timestamp"]) if "timestamp" in event else now,
                event.get("amount"),
                event.get("currency"),
                _words(attributed),
                _to_json(event),
            ),
        )
        if attributed.stores_association:
            execute("INSERT OR REPLACE INTO associations VALUES (?, ?)", (customer, attributed.click_id))
        if invoice_id is not None:
            execute("INSERT INTO invoices VALUES (?)", (invoice_id,))
        return cursor.lastrowid or 0

    def log(self, draft: Draft, status: int | None, event_id: int | None) -> None:
        """Record an attempt.

        Args:
            draft: The attempt.
            status: The status that is sent, or ``None`` if nothing is sent.
            event_id: The id of the event that it recorded, or ``None``.
        """
        caller = draft.caller
        self._connection.execute(
            "INSERT INTO attempts"
            " (received_at, at_ns, method, path, user, token, counted, subject, status, fault, event_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                draft.received_at,
                draft.at_ns,
                draft.method,
                draft.path[:255],
                caller and caller.user,
                caller and caller.token,
                draft.counted,
                draft.subject,
                status,
                draft.fault,
                event_id,
            ),
        )


def _instant(timestamp: str) -> float:
    """Return the Unix seconds of a valid timestamp, truncated to milliseconds.

    With more digits, the last second of the year 9999 could be rounded up to the year 10000.
    """
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp() + float(f"0.{fraction[:3] or 0}")


def _words(attributed: AttributedEvent) -> str:
    """Return the text to search in: every value, and the click that the event resolved to."""
    return "\n".join([attributed.click_id, *map(str, attributed.event.values())]).lower()
