"""The time, as a replay needs it: comparable between processes, and never jumping within one."""

from __future__ import annotations

import time


class Clock:
    """Seconds since the epoch that only ever go forward.

    The wall clock is read once; from then on the monotonic clock moves it. So a clock that is set while a replay
    runs neither opens the rate window early nor holds it shut.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Give the seconds since the epoch."""
        return self._offset + time.monotonic()
