"""Decides if and why sending stops before every row has an outcome."""

from __future__ import annotations

from collections.abc import Callable

from cms_cli.replay.sending.health import Health
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.stop import BY_SIGNAL, Stop

GRACE = 5.0
"""Seconds to wait for the answers to requests in flight, after a signal or a failure of this machine."""


class Stopping:
    """Collects the reasons to stop sending. Once there is one, no further request is sent.

    Attributes:
        stop: The reason to stop; NONE if there is none.
        reason: The same for people.
        leave_by: After a signal, the time at which the process ends even if requests are in flight; in epoch
            seconds.
        hurry: Whether a second signal came, after which the process ends at once.
        grace: The seconds to wait for the answers to requests in flight.
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
        """True if a signal was received."""
        return self._signal is not Stop.NONE

    def interrupt(self, stop: Stop) -> None:
        """Stop once the requests in flight are answered; a second call stops at once. Safe in a signal handler."""
        self.hurry = self._signal is not Stop.NONE
        self._signal = stop
        self._wake()

    def end(self, stop: Stop, reason: str) -> None:
        """Stop for a reason, unless another one that takes precedence holds already."""
        if stop.outweighs(self.stop):
            self.stop, self.reason = stop, reason

    def count_failure(self) -> None:
        """Count a refused or unknown row towards --max-failures."""
        self._failures += 1
        if self._options.max_failures is not None and self._failures >= self._options.max_failures:
            self.end(Stop.MAX_FAILURES, f"{self._failures} rows failed (--max-failures)")

    def check(self, now: float) -> None:
        """Stop if a signal was received, --max-duration is over, or the service failed for too long."""
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
        """Return True if the answers to requests in flight are no longer waited for."""
        return self.stop in BY_SIGNAL and (self.hurry or now >= self.leave_by)
