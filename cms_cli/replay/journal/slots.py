"""The table of rate window slots: one for each request of an account, of all its replays."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cms_cli.replay.journal.database import Database, insert_together

MOST_SLOTS = 100_000
"""The number of slots kept for an account, and the most requests in a rate limit."""

_LONGEST_WINDOW = 24 * 3600.0  # seconds; an import copies no older slots


class Slot(NamedTuple):
    """A request that counts towards the rate limit. Times are in seconds since the epoch.

    Attributes:
        left_at: The time at which it was sent; None once it was answered.
        ends: The time of its answer or, before that, the latest time at which the answer can come.
    """

    left_at: float | None
    ends: float


def ask_newest(db: Database, scope: int, skip: int, count: int) -> Callable[[], list[Slot]]:
    """Send the query for the newest slots by their end, without the first ``skip`` of them.

    Returns:
        A function that reads up to ``count`` slots, the newest first.
    """
    found = db.execute(
        "SELECT left_at, ends FROM slots WHERE scope = ? ORDER BY ends DESC LIMIT ? OFFSET ?", (scope, count, skip)
    )
    return lambda: [Slot(*row) for row in found]


def add(db: Database, scope: int, slot: Slot, count: int) -> list[int]:
    """Add the slots of requests that are about to be sent together, and return their ids."""
    numbers = [secrets.randbits(62) for _ in range(count)]  # random, so that no result has to be waited for
    insert_together(db, "slots", "id, scope, left_at, ends", ((number, scope, *slot) for number in numbers))
    return numbers


def answered(db: Database, ended: Iterable[tuple[int, float]]) -> None:
    """Record the answers to requests, each as the slot's id and the time of the answer."""
    db.executemany("UPDATE slots SET left_at = NULL, ends = ? WHERE id = ?", [(at, number) for number, at in ended])


def correct(db: Database, scope: int, now: float) -> None:
    """Correct slots with times in the future, which a clock has made that was set back since.

    Their requests were made before now. An answered one counts as answered now, another as sent now.
    """
    db.execute("UPDATE slots SET ends = ? WHERE scope = ? AND left_at IS NULL AND ends > ?", (now, scope, now))
    db.execute(
        "UPDATE slots SET ends = ends - left_at + ?, left_at = ? WHERE scope = ? AND left_at > ?",
        (now, now, scope, now),
    )


def forget_oldest(db: Database, scope: int) -> None:
    """Delete all but the ``MOST_SLOTS`` newest slots of an account.

    Their age does not count, since another replay may have a rate limit with a longer window.
    """
    db.execute(
        "DELETE FROM slots WHERE scope = ? AND ends <"
        " (SELECT ends FROM slots WHERE scope = ? ORDER BY ends DESC LIMIT 1 OFFSET ?)",
        (scope, scope, MOST_SLOTS - 1),
    )


def copy(source: Database, scope: int, db: Database, to: int, now: float, ahead: float) -> None:
    """Copy the slots that may still count towards a limit into another database.

    Args:
        source: The database to copy from.
        scope: The id of host and account in ``source``.
        db: The database to copy to.
        to: The id of host and account in ``db``.
        now: The time by the clock of ``source``, in seconds since the epoch.
        ahead: The seconds by which the clock of ``db`` is ahead.
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
