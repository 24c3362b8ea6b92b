"""Decides whether a row or the service fails, how long all rows wait, and when to give up. Pure."""

from __future__ import annotations

from typing import NamedTuple

from cms_python import Outcome, backoff

ALARMING = 3
"""Failures in a row from which on the service counts as ill: all rows wait, then one request tries alone."""

LONGEST_ASIDE = 120.0
"""Longest time in seconds that a row which fails alone waits for its next attempt, while others go on."""

LONGEST_PAUSE = 30.0
"""Longest time in seconds between two tries at a service that is ill."""

LONGEST_COSTLY_PAUSE = 120.0
"""The same where each try costs something: a lead without an answer is one more unknown."""

_LAST_TRY = 0.5  # seconds after a failure at which a last try may come


class _Tries(NamedTuple):
    """The failures of a row in this invocation."""

    failures: int
    last: float


class Health:
    """The health of the service, judged by its latest answers.

    Attributes:
        paused_until: No request leaves before this time, in the clock's seconds.
        reason: The last failure, in words.
    """

    def __init__(self, max_wait: float, now: float) -> None:
        """Begin without failures.

        Args:
            max_wait: Seconds without any row settling after which to give up.
            now: The time.
        """
        self._max_wait = max_wait
        self._waiting_since = now  # moved on by time spent waiting for the rate limit
        self._progressed = 0.0
        self._failures = 0
        self._tries: dict[int, _Tries] = {}  # by row number
        self._level = 0  # of the pauses; raised once for all requests that were in flight together
        self._raised = 0.0
        self._asked = False  # whether the service asked for the pause
        self.paused_until = 0.0
        self.reason = ""

    @property
    def alarming(self) -> bool:
        """True if the service counts as down, so that one request at a time tests whether it still is."""
        return self._failures >= ALARMING

    def progressed(self, row: int, now: float) -> None:
        """Record that the service has processed a row."""
        self.settled(row)
        self._waiting_since = max(self._waiting_since, now)
        self._progressed = now
        self._failures = self._level = 0

    def settled(self, row: int) -> None:
        """Forget the failures of a row, which will not be tried again."""
        self._tries.pop(row, None)

    def discount(self, seconds: float) -> None:
        """Do not count seconds as waiting for the service: those of the rate limit, or of a suspended machine."""
        self._waiting_since += seconds

    def failed(
        self, row: int, outcome: Outcome, now: float, chance: float, *, left_at: float, costly: bool = False
    ) -> float:
        """Record a failed attempt.

        Args:
            row: The row's number.
            outcome: The outcome of the attempt.
            now: The time.
            chance: Uniform in [0, 1), to spread attempts.
            left_at: When the request left.
            costly: Whether each failure costs a row its certain outcome.

        Returns:
            The time at which this row may be tried again.
        """
        before = self._tries.get(row)
        tries = before.failures + 1 if before else 1
        self._tries[row] = _Tries(tries, now)
        asked = outcome.retry_after
        aside = now + max(asked or 0.0, backoff(tries + 1, chance, LONGEST_ASIDE))
        if outcome.status_code != 429 and before is not None and self._progressed > before.last:
            return aside  # others went through meanwhile: it is this row
        self.reason = outcome.message
        self._failures += 1
        if left_at >= self._raised:
            self._level += 1
            self._raised = now
        if outcome.asks_to_wait:
            # The service itself says when, to the second; what is less than one must not become a busy loop.
            wait = asked if asked is not None and asked >= 1.0 else max(asked or 0.0, self._pause(chance, costly))
            self._pause_until(now + wait, asked=asked is not None)
            return self.paused_until
        if not self.alarming:
            return aside
        # A pause of our own ends in time for a last try.
        last_try = max(now + _LAST_TRY, self._waiting_since + self._max_wait)
        self._pause_until(min(now + self._pause(chance, costly), last_try), asked=False)
        return self.paused_until

    def given_up(self, now: float) -> str:
        """Return the reason to give up; "" if there is none."""
        if not self._failures:
            return ""
        limit = self._waiting_since + self._max_wait
        if self._asked and self.paused_until > limit:
            return (
                f"the service asks to wait for {self.paused_until - now:.0f} s, "
                f"which is more than --max-wait {self._max_wait:g}: {self.reason}"
            )
        if now > limit:
            return f"no row was settled for {self._max_wait:g} s (--max-wait); the last answer: {self.reason}"
        return ""

    def _pause(self, chance: float, costly: bool) -> float:
        longest = LONGEST_COSTLY_PAUSE if costly else LONGEST_PAUSE
        return backoff(max(1, self._level - ALARMING + 2), chance, longest)

    def _pause_until(self, until: float, *, asked: bool) -> None:
        if until > self.paused_until:
            self.paused_until, self._asked = until, asked
