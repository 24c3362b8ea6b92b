"""A clock whose times can be compared between processes, and which never jumps within one."""

from __future__ import annotations

import time
from collections.abc import Callable

from cms_cli.replay.journal.steady import steady


class Clock:
    """Seconds since the epoch that only go forward.

    The wall clock is read once; from then on a monotonic clock moves it. So a clock that is set while a replay
    runs neither opens the rate window early nor holds it shut. Over several machines it is the server's clock.
    """

    def __init__(self, ahead: Callable[[], float | None] = lambda: None) -> None:
        """Start the clock.

        Args:
            ahead: Returns how far a server's clock is ahead of this machine's steady one, or None without a server.
        """
        self._ahead = ahead
        self._offset = time.time() - steady()

    def now(self) -> float:
        """Return the seconds since the epoch."""
        ahead = self._ahead()
        return steady() + (self._offset if ahead is None else ahead)
