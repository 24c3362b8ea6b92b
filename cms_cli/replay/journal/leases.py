"""Leases: a run is held by one process of any machine, for as long as that process renews its lease.

A row instead of a lock of the database's own: such locks belong to sessions, which poolers share, and which outlive
a vanished machine for hours. Times are the server's.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from cms_cli.replay.journal.database import Cursor, Database

SECONDS = 30.0
"""How long a lease holds after it was renewed last."""

RENEWED_AFTER = 8.0
"""Seconds after which a lease is renewed again and again, whatever its holder waits for."""


_EXTENDED = "until = extract(epoch FROM clock_timestamp()) + ? WHERE id = ? AND epoch = ?"


class Lease(NamedTuple):
    """The current state of a lease.

    Attributes:
        id: The hash of what it holds.
        epoch: A number that no other holder has had.
        until: When it ends, unless it is renewed.
    """

    id: bytes
    epoch: int
    until: float


def find(db: Database, name: bytes) -> Lease | None:
    """Return a lease, whoever holds it."""
    found = db.execute("SELECT id, epoch, until FROM leases WHERE id = ?", (name,)).fetchone()
    return Lease(*found) if found else None


def take(db: Database, name: bytes, now: float) -> Lease:
    """Take a lease that is free or has expired. Part of a transaction that holds the account."""
    lease = Lease(name, secrets.randbits(62), now + SECONDS)
    db.execute(
        "INSERT INTO leases (id, epoch, turn, until) VALUES (?, ?, 0, ?)"
        " ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, turn = 0, until = excluded.until",
        lease,
    )
    return lease


def renew(db: Database, lease: Lease) -> bool:
    """Extend a lease by the server's clock; False if another process has taken it."""
    return db.execute(f"UPDATE leases SET {_EXTENDED}", (SECONDS, lease.id, lease.epoch)).rowcount == 1


def begin_turn(db: Database, lease: Lease) -> Cursor:
    """Extend a lease and count a turn of its holder; the result has the number if the lease is still held."""
    return db.execute(
        f"UPDATE leases SET turn = turn + 1, {_EXTENDED} RETURNING turn", (SECONDS, lease.id, lease.epoch)
    )


def give_back(db: Database, lease: Lease) -> None:
    """End a lease. Each lease has a new epoch, so that a later one is not mistaken for it."""
    db.execute("DELETE FROM leases WHERE id = ? AND epoch = ?", (lease.id, lease.epoch))


def delete_ended(db: Database, before: float) -> None:
    """Delete the leases of machines that died."""
    db.execute("DELETE FROM leases WHERE until < ?", (before,))
