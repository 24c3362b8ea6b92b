"""A clock whose times can be compared between processes, and which never jumps within one."""

from __future__ import annotations

import sys
import time


class Clock:
    """Seconds since the epoch that only go forward.

    The wall clock is read once; from then on a monotonic clock moves it. So a clock that is set while a replay
    runs neither opens the rate window early nor holds it shut.
    """

    def __init__(self) -> None:
        self._offset = time.time() - _steady()

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._offset + _steady()


def _steady() -> float:
    """Read a monotonic clock that goes on while the machine sleeps.

    Python's own stands still meanwhile on Linux and macOS: what a laptop records after a night would look like last
    evening's to other processes, and to them the rate window would be open.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()
