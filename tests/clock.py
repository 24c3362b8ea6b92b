"""A fake clock, which only moves when advanced or slept on."""

from __future__ import annotations

import threading


class Clock:
    """Replaces the ``time`` module of a client, and, as a callable, the nanosecond clock of a sandbox.

    Attributes:
        pauses: The length of each requested pause, in seconds.
    """

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000
        self.pauses: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1_000_000_000

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.now_ns += round(seconds * 1_000_000_000)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.pauses.append(seconds)
        self.advance(seconds)
