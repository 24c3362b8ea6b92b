"""What a server writes: events, associations, invoices and attempts, committed before the answer goes out.

One store has one set of customers and invoices, whoever's token brought them: an account of one's own is a store of
one's own. Only the rate limit tells users apart.
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
from cms_cli.sandbox.store_file import open_store
from cms_cli.sandbox.tokens import Caller

# Made once, because json.dumps() makes an encoder for every call that does not want its defaults.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass
class Draft:
    """What is known so far of a request that is being answered; it becomes a row of ``attempts``.

    Attributes:
        received_at, at_ns: When, in Unix seconds and on the server's monotonic clock.
        method, path: As sent; a request too broken to have them has empty ones.
        caller: Whose it is, once the token is accepted.
        counted: Whether the rate limit counted it.
        subject: The invoice of a sale or the customer of a lead, once the body is read.
        fault: The fault that was played on it, as written: ``5xx``, ``drop-after``.
    """

    received_at: float
    at_ns: int
    method: str = ""
    path: str = ""
    caller: Caller | None = None
    counted: bool = False
    subject: str | None = None
    fault: str | None = None


class Store:
    """The writing side of a store's file. Safe to use from many threads.

    Raises:
        StoreError: The file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = open_store(path)
        self._closed = False

    @contextmanager
    def writing(self) -> Iterator[StoreTransaction]:
        """One transaction, alone among threads and processes; committed when the block ends without an exception.

        Raises:
            StoreError: The store is closed.
            sqlite3.Error: The disk is full, or the file is locked or damaged.
        """
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield StoreTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Let go of the file; waits for a transaction that is under way."""
        with self._lock:
            self._closed = True
            self._connection.close()


class StoreTransaction:
    """The store within one transaction: what the rules ask (it is their ``StoreLookup``), and the writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def deferred_click(self, customer: str) -> str | None:
        """The click that the last deferred set-up of this customer stored."""
        row = self._connection.execute(
            "SELECT click_id FROM associations WHERE customer = ?", (customer,)
        ).fetchone()
        return None if row is None else str(row[0])

    def has_invoice(self, invoice_id: str) -> bool:
        """Whether a sale with this invoice has been recorded."""
        row = self._connection.execute("SELECT 1 FROM invoices WHERE invoice_id = ?", (invoice_id,)).fetchone()
        return row is not None

    def record(self, attributed: AttributedEvent, user: str, now: float) -> int:
        """Keep an event and what it resolved to; returns its number, from 1 up in the order of recording."""
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
        """Note an attempt. ``status`` is what goes out, ``None`` when nothing does."""
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
    """Unix seconds of a timestamp that the field rules have let through, to the millisecond.

    More digits could round up, and those of the last second that a date can have to a year that none can have.
    """
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp() + float(f"0.{fraction[:3] or 0}")


def _words(attributed: AttributedEvent) -> str:
    """What a search looks through: every value, and the click that a follow-up resolved to."""
    return "\n".join([attributed.click_id, *map(str, attributed.event.values())]).lower()
