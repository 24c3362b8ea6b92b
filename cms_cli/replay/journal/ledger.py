"""The ledger: what the service has accepted from an account, so that no other run or file sends it again.

A lead that may have arrived is in it too, marked as such: no file may send it again unasked. The ledger keeps
hashes, so it tells nobody who bought what; only somebody who has an invoice can ask whether it is there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b

from cms_cli.replay.journal.journal import Journal

_KEYS_PER_QUERY = 500  # SQLite takes 999 parameters at least


def key_of(text: str) -> bytes:
    """Give the 128-bit hash under which an invoice or a lead is kept."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def order_key(customer: str) -> int:
    """Give a 63-bit hash of a customer, by which their rows are kept in order.

    Two customers that share one, which nobody will meet, would only wait for each other.
    """
    return int.from_bytes(blake2b(customer.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def known_sales(journal: Journal, scope: int, keys: Sequence[bytes]) -> dict[bytes, tuple[int, str]]:
    """Give amount and currency of those invoices that are in the ledger."""
    found: dict[bytes, tuple[int, str]] = {}
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        some = keys[start : start + _KEYS_PER_QUERY]
        query = (
            f"SELECT invoice, amount, currency FROM accepted_sales WHERE scope = ? AND invoice IN ({_marks(some)})"
        )
        for invoice, amount, currency in journal.db.execute(query, (scope, *some)):
            found[invoice] = (amount, currency)
    return found


def known_leads(journal: Journal, scope: int, keys: Sequence[bytes]) -> dict[bytes, bool]:
    """Give those fingerprints that are in the ledger, and whether the service has said that it has them."""
    found: dict[bytes, bool] = {}
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        some = keys[start : start + _KEYS_PER_QUERY]
        query = f"SELECT fingerprint, arrived FROM sent_leads WHERE scope = ? AND fingerprint IN ({_marks(some)})"
        for fingerprint, arrived in journal.db.execute(query, (scope, *some)):
            found[fingerprint] = bool(arrived)
    return found


def add_sale(db: sqlite3.Connection, scope: int, key: bytes, amount: int, currency: str, *, accepted: bool) -> None:
    """Enter a sale that the service has. Part of the transaction that settles its row.

    One that it had before (409) may have another amount there: what is known of its acceptance stays.
    """
    verb = "REPLACE" if accepted else "IGNORE"
    db.execute(f"INSERT OR {verb} INTO accepted_sales VALUES (?, ?, ?, ?)", (scope, key, amount, currency))


def add_lead(db: sqlite3.Connection, scope: int, key: bytes, *, arrived: bool) -> None:
    """Enter a lead that the service has, or may have. Part of the transaction that settles its row."""
    verb = "REPLACE" if arrived else "IGNORE"
    db.execute(f"INSERT OR {verb} INTO sent_leads VALUES (?, ?, ?)", (scope, key, arrived))


def forget(db: sqlite3.Connection, scope: int, kind: str, run: int) -> None:
    """Strike what is known of the rows of a run, and of their like in other runs. Part of a transaction."""
    sales = (("accepted_sales", "invoice"), ("sales_in_doubt", "invoice"))
    for table, column in sales if kind == "sale" else (("sent_leads", "fingerprint"),):
        db.execute(
            f"DELETE FROM {table} WHERE scope = ? AND {column} IN"
            " (SELECT key FROM rows WHERE run = ? AND key IS NOT NULL)",
            (scope, run),
        )


def allow_unknown(db: sqlite3.Connection, scope: int, kind: str, run: int) -> None:
    """Strike that what a run is to send may have arrived before: somebody said to send it again.

    Part of a transaction.
    """
    what = "sales_in_doubt WHERE invoice" if kind == "sale" else "sent_leads WHERE NOT arrived AND fingerprint"
    db.execute(
        f"DELETE FROM {what} IN (SELECT key FROM rows WHERE run = ? AND status = 'pending' AND key IS NOT NULL)"
        " AND scope = ?",
        (run, scope),
    )


def keep_in_doubt(db: sqlite3.Connection, scope: int, kind: str, run: int) -> None:
    """Enter what a run has sent without an answer, before the run is removed. Part of a transaction."""
    if kind == "lead":  # one that is unknown is there already
        db.execute(
            "INSERT OR IGNORE INTO sent_leads SELECT ?, key, 0 FROM rows INDEXED BY rows_sent"
            " WHERE run = ? AND status = 'pending' AND sent_at IS NOT NULL AND key IS NOT NULL",
            (scope, run),
        )
        return
    # One that is unknown without having been sent here is so since another run sent it, too long ago.
    db.execute(
        "INSERT OR REPLACE INTO sales_in_doubt"
        " SELECT ?, key, coalesce(sent_at, 0) FROM rows INDEXED BY rows_by_status"
        " WHERE run = ? AND status = 'unknown' AND key IS NOT NULL UNION ALL"
        " SELECT ?, key, sent_at FROM rows INDEXED BY rows_sent"
        " WHERE run = ? AND status = 'pending' AND sent_at IS NOT NULL AND key IS NOT NULL",
        (scope, run, scope, run),
    )


def clear(db: sqlite3.Connection) -> None:
    """Forget everything. Part of a transaction."""
    for table in ("accepted_sales", "sent_leads", "sales_in_doubt"):
        db.execute(f"DELETE FROM {table}")


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
