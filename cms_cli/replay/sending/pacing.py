"""Decides when the next request may leave, by a sliding window that all replays of one account share.

The service counts requests as they reach it. A request reaches it between the moment it leaves and the moment its
answer is here, so a slot is taken when it leaves and is free again one window after its answer came: then no window
at the service ever holds more than the limit, whatever the line does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cms_cli.replay.journal import slots
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.slots import MOST_SLOTS, Slot

_RATE = re.compile(r"(\d{1,6})(?:/(\d{0,4})(s|sec|m|min|h))?", re.IGNORECASE)
_UNIT_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

# The service's clock and ours do not tick alike to the last millisecond: this part of the window is added to it.
_MARGIN = 0.001

# Slots that are free within this part of the window after the first of them are waited for together: over a long
# line a turn for each would take longer.
_TOGETHER = 0.002

_TIDY_EVERY = 10_000  # slots taken between two deletions of the oldest


@dataclass(frozen=True)
class Rate:
    """At most ``count`` requests in any ``window`` seconds."""

    count: int
    window: float

    def __str__(self) -> str:
        unit = next((unit for unit in "hm" if self.window % _UNIT_SECONDS[unit] == 0), "s")
        times = self.window / _UNIT_SECONDS[unit]
        return f"{self.count}/{'' if times == 1 else f'{times:g}'}{unit}"


DOCUMENTED_RATE = Rate(60, 60.0)
"""The limit that the service documents: 60 requests a minute a user."""


def parse_rate(text: str) -> Rate | None:
    """Read ``60/m``, ``5/s``, ``10/2s`` or ``none``.

    Returns:
        The rate, or None for ``none``.

    Raises:
        ValueError: It is none of these.
    """
    if text.strip().lower() == "none":
        return None
    match = _RATE.fullmatch(text.strip())
    if not match or not 0 < int(match[1]) <= MOST_SLOTS:
        raise ValueError(
            f"must be a number of requests (up to {MOST_SLOTS}) and a time such as 60/m or 5/s, or none"
        )
    times = int(match[2]) if match[2] else 1
    if not times:
        raise ValueError("must name a time of more than nothing")
    return Rate(int(match[1]), times * _UNIT_SECONDS[(match[3] or "m").lower()])


def ideal_seconds(rows: int, rate: Rate | None) -> float:
    """Return the least seconds that a number of requests takes: whole windows, the first of which is free."""
    if rate is None or rows <= 0:
        return 0.0
    return (rows - 1) // rate.count * rate.window


class Opening(NamedTuple):
    """The free slots of the rate window.

    Attributes:
        free: Requests that may leave now.
        look_at: Before this time there is no sense in looking again; 0 if that is not known.
        opens: When others may leave, should no other answer come before; 0 likewise.
    """

    free: int
    look_at: float = 0.0
    opens: float = 0.0


def opening(slots: Sequence[Slot], wanted: int, window: float, now: float) -> Opening:
    """Compute how many of ``wanted`` requests may leave.

    Args:
        slots: Those that stand in the way: with a limit of ``count`` requests, the newest ``count`` slots without
            the first ``count - wanted`` of them, newest first.
        wanted: The number of requests that are to leave.
        window: Seconds after its end for which a slot counts.
        now: The time.
    """
    held = [slot for slot in slots if slot.ends + window > now]
    if not held:
        return Opening(wanted)
    next_free = next(slot for slot in held if slot.ends <= held[-1].ends + window * _TOGETHER)
    # One in flight may be answered at any moment, and is free one window later.
    look_at = next_free.ends if next_free.left_at is None else min(next_free.ends, now)
    return Opening(wanted - len(held), look_at + window, next_free.ends + window)


class SharedWindow:
    """The rate window of one account. Every method is part of a transaction on the journal."""

    def __init__(self, scope: int, rate: Rate | None, timeout: float) -> None:
        """Bind the limit to an account.

        Args:
            scope: The host and account that the limit belongs to.
            rate: The limit, or None to only record, so that other replays see these requests.
            timeout: Longest time in seconds that a request can still be in flight.
        """
        self._scope = scope
        self._rate = rate
        self._timeout = timeout
        self._window = rate.window * (1 + _MARGIN) if rate else 0.0
        self._taken = 0

    def ask(self, db: Database, wanted: int) -> Callable[[float], Opening]:
        """Ask how many of ``wanted`` requests may leave; return a function of the time that reads the answer."""
        if self._rate is None:
            return lambda _: Opening(wanted)
        wanted = min(wanted, self._rate.count)
        skip = self._rate.count - wanted
        asked = slots.ask_newest(db, self._scope, skip, wanted)

        def read(now: float) -> Opening:
            found = asked()
            if any(slot.ends > now if slot.left_at is None else slot.left_at > now for slot in found):
                slots.correct(db, self._scope, now)
                found = slots.ask_newest(db, self._scope, skip, wanted)()
            return opening(found, wanted, self._window, now)

        return read

    def take(self, db: Database, count: int, now: float) -> list[int]:
        """Take slots for requests that are about to leave, and return their numbers."""
        if self._taken % _TIDY_EVERY < count:
            slots.forget_oldest(db, self._scope)
        self._taken += count
        return slots.add(db, self._scope, Slot(now, now + self._timeout), count)

    def answered(self, db: Database, ended: Iterable[tuple[int, float]]) -> None:
        """Record slots whose requests were answered, and when: they are free one window later."""
        slots.answered(db, ended)
