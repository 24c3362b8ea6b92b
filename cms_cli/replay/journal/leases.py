"""Leases: with shared state, a run is held by one process of any machine, as long as it renews its lease.

A lease is a row and not one of the database's own locks. Those belong to sessions, which poolers share, and which
may outlive a dead machine for hours. Times are the server's, in seconds since the epoch.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from cms_cli.replay.journal.database import Cursor, Database

SECONDS = 30.0
"""The duration of a lease after its last renewal, in seconds."""

RENEWED_AFTER = 8.0
"""The interval at which a lease is renewed, in seconds."""


_EXTENDED = "until = extract(epoch FROM clock_timestamp()) + ? WHERE id = ? AND epoch = ?"


class Lease(NamedTuple):
    """A lease, as it is in the database.

    Attributes:
        id: The hash that identifies the held run.
        epoch: A random number that identifies the holder.
        until: The time at which it ends unless it is renewed.
    """

    id: bytes
    epoch: int
    until: float


def find(db: Database, name: bytes) -> Lease | None:
    """Return the lease of a run, or None if it has none; another process may hold it."""
    found = db.execute("SELECT id, epoch, until FROM leases WHERE id = ?", (name,)).fetchone()
    return Lease(*found) if found else None


def take(db: Database, name: bytes, now: float) -> Lease:
    """Take a lease that is free or has expired. Part of a transaction that has locked the account."""
    lease = Lease(name, secrets.randbits(62), now + SECONDS)
    db.execute(
        "INSERT INTO leases (id, epoch, turn, until) VALUES (?, ?, 0, ?)"
        " ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, turn = 0, until = excluded.until",
        lease,
    )
    return lease


def renew(db: Database, lease: Lease) -> bool:
    """Extend a lease by the server's clock; return False if another process has taken it."""
    return db.execute(f"UPDATE leases SET {_EXTENDED}", (SECONDS, lease.id, lease.epoch)).rowcount == 1


def begin_turn(db: Database, lease: Lease) -> Cursor:
    """Extend a lease and count a turn of its holder.

    Returns:
        A cursor with the number of the turn; without a row if another process has taken the lease.
    """
    return db.execute(
        f"UPDATE leases SET turn = turn + 1, {_EXTENDED} RETURNING turn", (SECONDS, lease.id, lease.epoch)
    )


def give_back(db: Database, lease: Lease) -> None:
    """End a lease, unless another process has taken it."""
    db.execute("DELETE FROM leases WHERE id = ? AND epoch = ?", (lease.id, lease.epoch))


def delete_ended(db: Database, before: float) -> None:
    """Delete leases that ended before a time; their machines have died."""
    db.execute("DELETE FROM leases WHERE until < ?", (before,))
