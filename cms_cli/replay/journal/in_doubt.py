"""The table of unanswered sales of runs that were removed.

The service may or may not have recorded them, and may have forgotten their invoices since. If a later file has the
same sale, it is sent again within a day, and after that only with ``--retry-unknown``.
"""

from __future__ import annotations

from collections.abc import Iterable

from cms_cli.replay.journal.database import Database, insert_together
from cms_cli.replay.journal.rows import SAFE_TO_RESEND

# The oldest attempt is the one that the service may have recorded and forgotten.
_OLDER = "(scope, invoice) DO UPDATE SET sent_at = excluded.sent_at WHERE excluded.sent_at < sales_in_doubt.sent_at"


def keep(db: Database, scope: int, sales: Iterable[tuple[bytes, float]]) -> None:
    """Add sales, each as the key of its invoice and the time of its first request in seconds since the epoch."""
    db.executemany(
        f"INSERT INTO sales_in_doubt (scope, invoice, sent_at) VALUES (?, ?, ?) ON CONFLICT {_OLDER}",
        ((scope, key, sent_at) for key, sent_at in sales),
    )


def too_long_ago(db: Database, scope: int, now: float) -> set[bytes]:
    """Return the keys of the sales that are too old to be sent again; there are few."""
    found = db.execute(
        "SELECT invoice FROM sales_in_doubt WHERE scope = ? AND abs(? - sent_at) > ?", (scope, now, SAFE_TO_RESEND)
    )
    return {bytes(key) for (key,) in found}


def size(db: Database, scope: int) -> int:
    """Return the number of sales of a host and account."""
    (found,) = db.execute("SELECT count(*) FROM sales_in_doubt WHERE scope = ?", (scope,)).fetchone()
    return int(found)


def forget(db: Database, scope: int, keys: Iterable[bytes]) -> None:
    """Delete sales because they are to be sent again."""
    db.executemany("DELETE FROM sales_in_doubt WHERE scope = ? AND invoice = ?", ((scope, key) for key in keys))


def copy(source: Database, scope: int, db: Database, to: int, ahead: float) -> None:
    """Copy the sales of a host and account into another database, whose clock is ``ahead`` seconds ahead."""
    sales = source.execute("SELECT invoice, sent_at + ? FROM sales_in_doubt WHERE scope = ?", (ahead, scope))
    insert_together(
        db,
        "sales_in_doubt",
        "scope, invoice, sent_at",
        ((to, *sale) for sale in sales),
        _OLDER,
    )


def clear(db: Database, scope: int) -> None:
    """Delete the sales of a host and account."""
    db.execute("DELETE FROM sales_in_doubt WHERE scope = ?", (scope,))
