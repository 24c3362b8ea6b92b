"""A monotonic clock that runs on while the machine sleeps."""

from __future__ import annotations

import sys
import time


def steady() -> float:
    """Return seconds from an arbitrary moment on, the same one for all processes of this machine.

    Python's own monotonic clock stands still while the machine sleeps, on Linux and macOS: what a laptop records
    after a night would look like last evening's to other processes, and to them the rate window would be open.
    """
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()
