"""A clock that never jumps within a process, and whose times can be compared between processes."""

from __future__ import annotations

import time
from collections.abc import Callable

from cms_cli.replay.journal.steady import steady


class Clock:
    """Tells the time in seconds since the epoch, without ever going back.

    It reads the wall clock once and then adds the time of a monotonic clock. If the wall clock is set while a
    replay runs, the rate window neither opens early nor stays shut. With shared state, it tells the server's time.
    """

    def __init__(self, ahead: Callable[[], float | None] = lambda: None) -> None:
        """Start the clock.

        Args:
            ahead: Returns the seconds by which the server's clock is ahead of :func:`steady`, or None without a
                server.
        """
        self._ahead = ahead
        self._offset = time.time() - steady()

    def now(self) -> float:
        """Return the seconds since the epoch."""
        ahead = self._ahead()
        return steady() + (self._offset if ahead is None else ahead)
