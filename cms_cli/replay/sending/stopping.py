"""Decides whether sending stops before every row has its outcome, and why."""

from __future__ import annotations

from collections.abc import Callable

from cms_cli.replay.sending.health import Health
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.stop import BY_SIGNAL, Stop

GRACE = 5.0
"""Seconds that requests in flight have to be answered after a signal, and after a failure of this machine."""


class Stopping:
    """The reasons to stop sending; nothing new leaves once there is one.

    Attributes:
        stop: Why sending ends; NONE while it goes on.
        reason: The same for people.
        leave_by: When the process ends after a signal even if requests are in flight, in the clock's seconds.
        hurry: Whether a second signal asked to end at once.
        grace: Seconds that requests in flight have to be answered.
    """

    def __init__(self, options: Delivery, health: Health, wake: Callable[[], None], now: float) -> None:
        self._options = options
        self._health = health
        self._wake = wake
        self._begin = now
        self._signal = Stop.NONE
        self._failures = 0
        self.stop = Stop.NONE
        self.reason = ""
        self.leave_by = 0.0
        self.hurry = False
        self.grace = GRACE

    @property
    def interrupted(self) -> bool:
        """True if a signal has come."""
        return self._signal is not Stop.NONE

    def interrupt(self, stop: Stop) -> None:
        """Stop once requests in flight are answered; a second call stops at once. Safe in a signal handler."""
        self.hurry = self._signal is not Stop.NONE
        self._signal = stop
        self._wake()

    def end(self, stop: Stop, reason: str) -> None:
        """Stop, unless a weightier reason holds already: a rejected token counts for more than --max-failures."""
        if stop.outweighs(self.stop):
            self.stop, self.reason = stop, reason

    def count_failure(self) -> None:
        """Count a row that was refused or is now unknown."""
        self._failures += 1
        if self._options.max_failures is not None and self._failures >= self._options.max_failures:
            self.end(Stop.MAX_FAILURES, f"{self._failures} rows failed (--max-failures)")

    def check(self, now: float) -> None:
        """Stop on a signal, when the time is up, or when the service was waited for long enough."""
        limit = self._options.max_duration
        if self._signal is not Stop.NONE:
            if self.stop not in BY_SIGNAL:
                self.leave_by = now + self.grace
            self.stop, self.reason = self._signal, self._signal.value
        elif limit is not None and now - self._begin >= limit:
            self.end(Stop.MAX_DURATION, f"{limit:g} s are over (--max-duration)")
        elif why := self._health.given_up(now):
            self.end(Stop.UNREACHABLE, why)

    def is_out_of_time(self, now: float) -> bool:
        """Return True if requests in flight are no longer waited for."""
        return self.stop in BY_SIGNAL and (self.hurry or now >= self.leave_by)
