"""A clock for what waits: it moves when told, and a pause moves it at once."""

from __future__ import annotations

import threading


class Clock:
    """Stands in for the ``time`` of a client, and, called, for the nanoseconds of a sandbox.

    Attributes:
        pauses: How long each pause was to take, in seconds.
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
