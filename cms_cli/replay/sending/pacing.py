"""When may the next request go? A sliding window that all replays of one account share, through the journal.

The service counts requests as they reach it. A request reaches it between the moment it leaves and the moment its
answer is here, so a slot is taken when it leaves and is free again one window after its answer came: then no window
at the service ever holds more than the limit, whatever the line does.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

_RATE = re.compile(r"(\d{1,6})(?:/(\d{0,4})(s|sec|m|min|h))?", re.IGNORECASE)
_UNIT_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}

# The service's clock and ours do not tick alike to the last millisecond: this part of the window is kept in hand.
_MARGIN = 0.001

_LONGEST_WINDOW = 3600.0  # seconds that slots are kept for other replays
_LONGEST_TIMEOUT = 300.0  # seconds that another replay may wait for an answer
_TIDY_EVERY = 10.0  # seconds between two looks for slots that no longer count
_MOST_SLOTS = 100_000  # kept at all: a replay without a limit would fill the journal with them


@dataclass(frozen=True)
class Rate:
    """At most ``count`` requests in any ``window`` seconds."""

    count: int
    window: float

    def __str__(self) -> str:
        units = {1.0: "s", 60.0: "m", 3600.0: "h"}
        unit = units.get(self.window)
        return f"{self.count}/{unit}" if unit else f"{self.count}/{self.window:g}s"


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
    if not match or not int(match[1]):
        raise ValueError("must be a number of requests and a time such as 60/m or 5/s, or none")
    times = int(match[2]) if match[2] else 1
    if not times:
        raise ValueError("must name a time of more than nothing")
    return Rate(int(match[1]), times * _UNIT_SECONDS[(match[3] or "m").lower()])


def ideal_seconds(rows: int, rate: Rate | None) -> float:
    """Give the seconds that a number of requests takes at least: whole windows, the first of which is free."""
    if rate is None or rows <= 0:
        return 0.0
    return (rows - 1) // rate.count * rate.window


class SharedWindow:
    """The slots of one scope. Every method is part of a transaction on the journal."""

    def __init__(self, scope: int, rate: Rate | None, timeout: float) -> None:
        """Make a view of the slots.

        Args:
            scope: The host and account that the limit belongs to.
            rate: The limit, or None to only record, so that other replays see these requests.
            timeout: Seconds after which a request that nobody reports back has reached the service or never will.
        """
        self._scope = scope
        self._rate = rate
        self._timeout = timeout
        self._window = rate.window * (1 + _MARGIN) if rate else 0.0
        self._tidied = float("-inf")

    def take(self, db: sqlite3.Connection, now: float, wanted: int) -> list[int]:
        """Take up to ``wanted`` slots; gives their numbers."""
        self._forget_old(db, now)
        numbers = []
        for _ in range(max(0, min(wanted, self.free(db, now)))):
            # Until its answer comes, a slot ends when the answer must be there at the latest.
            cursor = db.execute("INSERT INTO slots (scope, ends) VALUES (?, ?)", (self._scope, now + self._timeout))
            numbers.append(int(cursor.lastrowid or 0))
        return numbers

    def give_back(self, db: sqlite3.Connection, slot: int, now: float) -> None:
        """Note that a request's answer came: the slot is free one window from now."""
        db.execute("UPDATE slots SET ends = ? WHERE id = ?", (now, slot))

    def free(self, db: sqlite3.Connection, now: float) -> int:
        """Give how many requests may leave now; negative where replays with a higher limit hold more slots."""
        if self._rate is None:
            return _MOST_SLOTS
        held = db.execute(
            "SELECT count(*) FROM slots WHERE scope = ? AND ends > ?", (self._scope, now - self._window)
        ).fetchone()[0]
        return self._rate.count - int(held)

    def next_free(self, db: sqlite3.Connection, now: float) -> float:
        """Give the time before which no slot is free; in the past where one is.

        A slot whose answer is not there yet is free one window from now at the earliest: then is when to ask again.
        """
        if self._rate is None:
            return 0.0
        held = db.execute(
            "SELECT ends FROM slots WHERE scope = ? ORDER BY ends DESC LIMIT 1 OFFSET ?",
            (self._scope, self._rate.count - 1),
        ).fetchone()
        return min(float(held[0]), now) + self._window if held else 0.0

    def _forget_old(self, db: sqlite3.Connection, now: float) -> None:
        if 0 <= now - self._tidied < _TIDY_EVERY:
            return  # looking for old slots takes as long as everything else that a request costs here
        self._tidied = now
        # Not by our own window: another replay may keep to a longer one.
        oldest = now - max(self._window, _LONGEST_WINDOW)
        db.execute("DELETE FROM slots WHERE scope = ? AND ends <= ?", (self._scope, oldest))
        # What ends later than anybody waits for an answer was noted before a wrong clock was set back, and would
        # hold the window shut by as much. How old it really is nobody knows.
        newest = now + max(self._timeout, _LONGEST_TIMEOUT)
        db.execute("UPDATE slots SET ends = ? WHERE scope = ? AND ends > ?", (newest, self._scope, newest))
        last = db.execute("SELECT max(id) FROM slots").fetchone()[0] or 0
        db.execute("DELETE FROM slots WHERE scope = ? AND id <= ?", (self._scope, last - _MOST_SLOTS))
