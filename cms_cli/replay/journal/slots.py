"""The slots of the rate window: one for each request that an account has made, whichever replay made it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cms_cli.replay.journal.database import Database, insert_together

MOST_SLOTS = 100_000
"""Slots kept for an account; a rate limit may count as many requests."""

_LONGEST_WINDOW = 24 * 3600.0  # seconds; a limit over a longer time starts anew where an account moves


class Slot(NamedTuple):
    """A request that counts against the limit.

    Attributes:
        left_at: When it left, in seconds since the epoch; None once it was answered.
        ends: When its answer came or, until then, when it must have come.
    """

    left_at: float | None
    ends: float


def ask_newest(db: Database, scope: int, skip: int, count: int) -> Callable[[], list[Slot]]:
    """Ask for slots by their end, the newest first, without the first ``skip`` of them.

    Returns:
        Reads the answer.
    """
    found = db.execute(
        "SELECT left_at, ends FROM slots WHERE scope = ? ORDER BY ends DESC LIMIT ? OFFSET ?", (scope, count, skip)
    )
    return lambda: [Slot(*row) for row in found]


def add(db: Database, scope: int, slot: Slot, count: int) -> list[int]:
    """Add the slots of requests that are about to leave together, and return their numbers."""
    numbers = [secrets.randbits(62) for _ in range(count)]  # made here, so that nothing has to be read
    insert_together(db, "slots", "id, scope, left_at, ends", ((number, scope, *slot) for number in numbers))
    return numbers


def answered(db: Database, ended: Iterable[tuple[int, float]]) -> None:
    """Record slots whose requests were answered, and when."""
    db.executemany("UPDATE slots SET left_at = NULL, ends = ? WHERE id = ?", [(at, number) for number, at in ended])


def correct(db: Database, scope: int, now: float) -> None:
    """Correct slots that lie in the future because a wrong clock has been set back since.

    Such a request was made before now: an answered one counts as answered just now, one without an answer as if it
    left just now.
    """
    db.execute("UPDATE slots SET ends = ? WHERE scope = ? AND left_at IS NULL AND ends > ?", (now, scope, now))
    db.execute(
        "UPDATE slots SET ends = ends - left_at + ?, left_at = ? WHERE scope = ? AND left_at > ?",
        (now, now, scope, now),
    )


def forget_oldest(db: Database, scope: int) -> None:
    """Delete all but the newest slots of an account.

    By their number and not by their age: another replay may keep to a longer window than this one.
    """
    db.execute(
        "DELETE FROM slots WHERE scope = ? AND ends <"
        " (SELECT ends FROM slots WHERE scope = ? ORDER BY ends DESC LIMIT 1 OFFSET ?)",
        (scope, scope, MOST_SLOTS - 1),
    )


def copy(source: Database, scope: int, db: Database, to: int, now: float, ahead: float) -> None:
    """Copy the slots that a limit may still count into another database.

    Args:
        source: The database to copy from.
        scope: The number of host and account there.
        db: The database to copy to.
        to: The number of host and account there.
        now: The time by the clock of the source.
        ahead: Seconds that the other clock is ahead of it.
    """
    found = source.execute(
        "SELECT id, left_at, ends FROM slots WHERE scope = ? AND ends > ?", (scope, now - _LONGEST_WINDOW)
    )
    insert_together(
        db,
        "slots",
        "id, scope, left_at, ends",
        (
            (number, to, None if left_at is None else left_at + ahead, ends + ahead)
            for number, left_at, ends in found
        ),
        "(id) DO NOTHING",
    )
