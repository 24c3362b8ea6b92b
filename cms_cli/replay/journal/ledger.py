"""The ledger: the events that the service has accepted from an account, which no other run or file sends again.

Leads that may have arrived are in the ledger too, marked as such; they are sent again only with
``--retry-unknown``. So are refused leads, which a file that has grown at its end sends again only with
``--retry-refused``. Invoices and leads are kept as hashes, so the ledger does not reveal who bought what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from cms_cli.replay.journal.database import Database, in_parts, insert_together, marks

_REFUSED = 2  # a value of the column "arrived", which is 1 for a lead that arrived and 0 for one that may have
# An entry that a lead arrived is kept; one that it may have arrived replaces one that it was refused.
_LATER_WORD = (
    "(scope, fingerprint) DO UPDATE SET arrived = excluded.arrived"
    f" WHERE excluded.arrived = 1 OR sent_leads.arrived = {_REFUSED}"
)


def key_of(*texts: str) -> bytes:
    """Return the 128-bit hash by which the ledger identifies an invoice or a lead.

    Several texts are hashed with their lengths, so that ("a", "bc") and ("ab", "c") differ.
    """
    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    data = parts[0] if len(parts) == 1 else b"".join(b"%d:%s" % (len(part), part) for part in parts)
    return blake2b(data, digest_size=16).digest()


def order_key(customer: str) -> int:
    """Return a 63-bit hash of a customer's id, by which the customer's rows are kept in order.

    If two customers had the same hash, they would only wait for each other.
    """
    return int.from_bytes(blake2b(customer.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def known_sales(db: Database, scope: int, keys: Sequence[bytes]) -> dict[bytes, tuple[int | None, str | None]]:
    """Return amount and currency of the invoices that are in the ledger, by key.

    Both are None if the service only answered 409, which does not tell the amount.
    """
    return ask_sales(db, scope, keys)()


def ask_sales(
    db: Database, scope: int, keys: Sequence[bytes]
) -> Callable[[], dict[bytes, tuple[int | None, str | None]]]:
    """Send the queries of :func:`known_sales`; return a function that reads the result."""
    query = "SELECT invoice, amount, currency FROM accepted_sales WHERE scope = ? AND invoice IN"
    cursors = [db.execute(f"{query} ({marks(some)})", (scope, *some)) for some in in_parts(keys)]
    return lambda: {bytes(key): (amount, currency) for cursor in cursors for key, amount, currency in cursor}


def known_leads(db: Database, scope: int, keys: Sequence[bytes]) -> dict[bytes, bool]:
    """Return the leads that are in the ledger, by key: True if the lead arrived, False if it may have."""
    return ask_leads(db, scope, keys)()


def ask_leads(db: Database, scope: int, keys: Sequence[bytes]) -> Callable[[], dict[bytes, bool]]:
    """Send the queries of :func:`known_leads`; return a function that reads the result."""
    query = (
        f"SELECT fingerprint, arrived FROM sent_leads WHERE arrived <> {_REFUSED} AND scope = ? AND fingerprint IN"
    )
    cursors = [db.execute(f"{query} ({marks(some)})", (scope, *some)) for some in in_parts(keys)]
    return lambda: {bytes(key): bool(arrived) for cursor in cursors for key, arrived in cursor}


def refused_leads(db: Database, scope: int, keys: Sequence[bytes]) -> set[bytes]:
    """Return the keys of the leads that the service refused and has not accepted since."""
    query = f"SELECT fingerprint FROM sent_leads WHERE arrived = {_REFUSED} AND scope = ? AND fingerprint IN"
    cursors = [db.execute(f"{query} ({marks(some)})", (scope, *some)) for some in in_parts(keys)]
    return {bytes(key) for cursor in cursors for (key,) in cursor}


def add_sale(db: Database, scope: int, key: bytes, amount: int, currency: str) -> None:
    """Add a sale that the service accepted. Part of the transaction that settles its row."""
    db.execute(
        "INSERT INTO accepted_sales (scope, invoice, amount, currency) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (scope, invoice) DO UPDATE SET amount = excluded.amount, currency = excluded.currency",
        (scope, key, amount, currency),
    )


def add_known_sale(db: Database, scope: int, key: bytes) -> None:
    """Add an invoice that the service already has (409). If the ledger has an amount for it, that is kept."""
    db.execute(
        "INSERT INTO accepted_sales (scope, invoice, amount, currency) VALUES (?, ?, NULL, NULL)"
        " ON CONFLICT (scope, invoice) DO NOTHING",
        (scope, key),
    )


def add_lead(db: Database, scope: int, key: bytes, *, arrived: bool) -> None:
    """Add a lead that arrived or may have arrived. An entry that it arrived is kept."""
    _add_lead(db, scope, key, int(arrived))


def add_refused_lead(db: Database, scope: int, key: bytes) -> None:
    """Add a lead that the service refused. An entry that it arrived or may have arrived is kept."""
    _add_lead(db, scope, key, _REFUSED)


def _add_lead(db: Database, scope: int, key: bytes, arrived: int) -> None:
    db.execute(
        f"INSERT INTO sent_leads (scope, fingerprint, arrived) VALUES (?, ?, ?) ON CONFLICT {_LATER_WORD}",
        (scope, key, arrived),
    )


def forget(db: Database, scope: int, kind: str, keys: Iterable[bytes]) -> None:
    """Delete the entries of events of a kind, by key."""
    table, column = ("accepted_sales", "invoice") if kind == "sale" else ("sent_leads", "fingerprint")
    db.executemany(f"DELETE FROM {table} WHERE scope = ? AND {column} = ?", ((scope, key) for key in keys))


def forget_unknown_leads(db: Database, scope: int, keys: Iterable[bytes]) -> None:
    """Delete those of the given leads that are unknown, because they are to be sent again."""
    db.executemany(
        "DELETE FROM sent_leads WHERE arrived = 0 AND scope = ? AND fingerprint = ?", ((scope, key) for key in keys)
    )


def sizes(db: Database, scope: int | None = None) -> tuple[int, int]:
    """Return the numbers of sales and of leads, of one host and account or, without a scope, of all."""
    where, values = ("1 = 1", ()) if scope is None else ("scope = ?", (scope,))
    (sales,) = db.execute(f"SELECT count(*) FROM accepted_sales WHERE {where}", values).fetchone()
    query = f"SELECT count(*) FROM sent_leads WHERE {where} AND arrived <> {_REFUSED}"
    (leads,) = db.execute(query, values).fetchone()
    return int(sales), int(leads)


def copy(source: Database, scope: int, db: Database, to: int) -> None:
    """Copy the ledger of a host and account into another database; of two entries, the more certain one is kept."""
    sales = source.execute("SELECT invoice, amount, currency FROM accepted_sales WHERE scope = ?", (scope,))
    insert_together(
        db,
        "accepted_sales",
        "scope, invoice, amount, currency",
        ((to, *sale) for sale in sales),
        "(scope, invoice) DO UPDATE SET amount = excluded.amount, currency = excluded.currency"
        " WHERE accepted_sales.amount IS NULL",
    )
    leads = source.execute("SELECT fingerprint, arrived FROM sent_leads WHERE scope = ?", (scope,))
    insert_together(
        db,
        "sent_leads",
        "scope, fingerprint, arrived",
        ((to, *lead) for lead in leads),
        _LATER_WORD,
    )


def clear(db: Database, scope: int) -> None:
    """Delete all entries of a host and account."""
    for table in ("accepted_sales", "sent_leads"):
        db.execute(f"DELETE FROM {table} WHERE scope = ?", (scope,))
