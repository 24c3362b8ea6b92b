"""Decides when the next request may be sent, by a sliding window that all replays of an account share.

The service counts a request when it arrives, which is at some time between sending it and receiving its answer. So
a slot is taken when the request is sent, and is free again one window after the answer came. Then no window at the
service has more requests than the limit, regardless of delays in the network.
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

# The window is lengthened by this share, since the service's clock and ours may differ in speed.
_MARGIN = 0.001

# Slots that become free within this share of the window after the first one are waited for together, since a turn
# for each may take longer than that with a distant database.
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
"""The limit that the service documents: 60 requests a minute for each user."""


def parse_rate(text: str) -> Rate | None:
    """Parse a rate such as ``60/m``, ``5/s`` or ``10/2s``, or ``none``.

    Returns:
        The rate, or None for ``none``.

    Raises:
        ValueError: The text is not a rate. The message continues its name.
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
    """Return the least seconds that sending a number of rows takes; the first window's rows are sent at once."""
    if rate is None or rows <= 0:
        return 0.0
    return (rows - 1) // rate.count * rate.window


class Opening(NamedTuple):
    """The free slots of the rate window.

    Attributes:
        free: The number of requests that may be sent now.
        look_at: The earliest time at which another slot may be free; 0 if it is not known.
        opens: The time at which another slot will be free unless an answer comes earlier; 0 if it is not known.
    """

    free: int
    look_at: float = 0.0
    opens: float = 0.0


def opening(slots: Sequence[Slot], requests: int, window: float, now: float) -> Opening:
    """Return how many of the requests may be sent, and when the others may.

    Args:
        slots: The slots that have to be free for that, the newest first: of the newest ``count`` slots (the limit),
            all but the first ``count - requests``.
        requests: The number of requests to send.
        window: The seconds after its end for which a slot counts.
        now: The time in epoch seconds.
    """
    held = [slot for slot in slots if slot.ends + window > now]
    if not held:
        return Opening(requests)
    next_free = next(slot for slot in held if slot.ends <= held[-1].ends + window * _TOGETHER)
    # A request in flight may be answered at any moment; its slot is free one window later.
    look_at = next_free.ends if next_free.left_at is None else min(next_free.ends, now)
    return Opening(requests - len(held), look_at + window, next_free.ends + window)


class SharedWindow:
    """The rate window of one account. Its methods are called within a transaction of the journal."""

    def __init__(self, scope: int, rate: Rate | None, timeout: float) -> None:
        """Bind a limit to an account.

        Args:
            scope: The journal's id of host and account.
            rate: The limit, or None for no limit; requests are recorded all the same, since other replays count
                them.
            timeout: The longest time that a request can be in flight, in seconds.
        """
        self._scope = scope
        self._rate = rate
        self._timeout = timeout
        self._window = rate.window * (1 + _MARGIN) if rate else 0.0
        self._taken = 0

    def ask(self, db: Database, requests: int) -> Callable[[float], Opening]:
        """Send the query for free slots for requests; return a function of the time that reads it."""
        if self._rate is None:
            return lambda _: Opening(requests)
        requests = min(requests, self._rate.count)
        skip = self._rate.count - requests
        read_slots = slots.ask_newest(db, self._scope, skip, requests)

        def read(now: float) -> Opening:
            found = read_slots()
            if any(slot.ends > now if slot.left_at is None else slot.left_at > now for slot in found):
                slots.correct(db, self._scope, now)
                found = slots.ask_newest(db, self._scope, skip, requests)()
            return opening(found, requests, self._window, now)

        return read

    def take(self, db: Database, count: int, now: float) -> list[int]:
        """Take slots for requests that are about to be sent, and return their ids."""
        if self._taken % _TIDY_EVERY < count:
            slots.forget_oldest(db, self._scope)
        self._taken += count
        return slots.add(db, self._scope, Slot(now, now + self._timeout), count)

    def answered(self, db: Database, ended: Iterable[tuple[int, float]]) -> None:
        """Record the answers to requests, each as the slot's id and the time of the answer."""
        slots.answered(db, ended)
