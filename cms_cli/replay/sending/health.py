"""Is it the row or the service? When everybody has to wait, for how long, and when to give up. Pure."""

from __future__ import annotations

from cms_python import Outcome

ALARMING = 3
"""Failures in a row from which on it is the service that is ill: everybody waits, then one request tries alone."""

LONGEST_ASIDE = 120.0
"""Seconds that a row which fails alone waits at most until its next attempt, while others go on."""

LONGEST_PAUSE = 30.0
"""Seconds between two tries at a service that is ill."""

LONGEST_COSTLY_PAUSE = 120.0
"""The same where each try costs something: a lead that gets no answer is one more of which nobody knows."""

_FIRST = 0.5  # seconds of the first pause, and of a row's first time aside


class Health:
    """How the service has been answering lately.

    Attributes:
        paused_until: Nobody sends before this time, in the clock's seconds.
        reason: What went wrong last, in words.
    """

    def __init__(self, max_wait: float, now: float) -> None:
        """Begin in good health.

        Args:
            max_wait: Seconds without any row settling after which it makes no more sense to wait.
            now: The time.
        """
        self._max_wait = max_wait
        self._waiting_since = now  # moved on by what is nobody's fault
        self._progressed = 0.0
        self._failures = 0
        self._level = 0  # of the pauses; one for all requests that were under way together
        self._raised = 0.0
        self._asked = False  # whether the pause is the service's wish
        self.paused_until = 0.0
        self.reason = ""

    @property
    def alarming(self) -> bool:
        """Whether the service is ill, as far as can be seen: then one request finds out whether it still is."""
        return self._failures >= ALARMING

    def progressed(self, now: float) -> None:
        """Note that the service has dealt with an event."""
        self._waiting_since = max(self._waiting_since, now)
        self._progressed = now
        self._failures = self._level = 0

    def paced(self, seconds: float) -> None:
        """Note time spent waiting for the rate limit, which is nobody's fault."""
        self._waiting_since += seconds

    def failed(
        self,
        outcome: Outcome,
        now: float,
        chance: float,
        *,
        left_at: float,
        tries: int = 1,
        failed_before: float | None = None,
        costly: bool = False,
    ) -> float:
        """Note a failed attempt.

        Args:
            outcome: What became of it.
            now: The time.
            chance: Uniform in [0, 1), to spread attempts.
            left_at: When the request left.
            tries: How often its row has failed in this invocation, this time included.
            failed_before: When its row failed last before this, or None.
            costly: Whether each failure costs a row its certain outcome.

        Returns:
            The time at which this row may be tried again.
        """
        asked = outcome.retry_after
        aside = now + max(asked or 0.0, _spread(min(LONGEST_ASIDE, _FIRST * 2.0 ** min(tries, 10)), chance))
        if outcome.status_code != 429 and failed_before is not None and self._progressed > failed_before:
            return aside  # others went through meanwhile: it is this row
        self.reason = outcome.message
        self._failures += 1
        if left_at >= self._raised:
            self._level += 1
            self._raised = now
        if outcome.status_code == 429 or asked is not None:
            # The service itself says when, to the second; what is less than one must not become a busy loop.
            wait = asked if asked is not None and asked >= 1.0 else max(asked or 0.0, self._pause(chance, costly))
            self._pause_until(now + wait, asked=asked is not None)
            return self.paused_until
        if not self.alarming:
            return aside
        # Our own pauses end in time for a last try.
        last_try = max(now + _FIRST, self._waiting_since + self._max_wait)
        self._pause_until(min(now + self._pause(chance, costly), last_try), asked=False)
        return self.paused_until

    def given_up(self, now: float) -> str:
        """Say why there is no more sense in waiting; "" while there is."""
        if not self._failures:
            return ""
        limit = self._waiting_since + self._max_wait
        if self._asked and self.paused_until > limit:
            return (
                f"the service asks for {self.paused_until - now:.0f} s of patience, "
                f"which is more than --max-wait {self._max_wait:g}: {self.reason}"
            )
        if now > limit:
            return f"no row was settled for {self._max_wait:g} s (--max-wait); the last answer: {self.reason}"
        return ""

    def _pause(self, chance: float, costly: bool) -> float:
        longest = LONGEST_COSTLY_PAUSE if costly else LONGEST_PAUSE
        return _spread(min(longest, _FIRST * 2.0 ** min(max(0, self._level - ALARMING + 1), 10)), chance)

    def _pause_until(self, until: float, *, asked: bool) -> None:
        if until > self.paused_until:
            self.paused_until, self._asked = until, asked


def _spread(seconds: float, chance: float) -> float:
    return seconds * (0.75 + 0.25 * chance)
