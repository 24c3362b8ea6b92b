"""A monotonic clock that continues while the machine sleeps."""

from __future__ import annotations

import sys
import time


def steady() -> float:
    """Return the seconds since an arbitrary moment, which is the same for all processes of this machine.

    On Linux and macOS, Python's own monotonic clock stops while the machine sleeps. What a laptop records after a
    night would seem to be from last evening to other processes, and they would find the rate window open.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()
