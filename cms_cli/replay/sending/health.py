"""Tells failures of a row from failures of the service, and decides how long to wait and when to give up. Pure."""

from __future__ import annotations

from typing import NamedTuple

from cms_python import Outcome, backoff

ALARMING = 3
"""The number of consecutive failures after which the service counts as down: all rows wait, then one is tried."""

LONGEST_ASIDE = 120.0
"""The longest wait of a row that fails while others succeed, in seconds."""

LONGEST_PAUSE = 30.0
"""The longest pause between two attempts while the service is down, in seconds."""

LONGEST_COSTLY_PAUSE = 120.0
"""The same if each attempt may cost a row its certain outcome, as for leads without an answer."""

_LAST_TRY = 0.5  # the least seconds between a failure and the last attempt


class _Tries(NamedTuple):
    """The number of a row's failures in this invocation, and the time of the last one."""

    failures: int
    last: float


class Health:
    """The health of the service, judged by its latest answers.

    Attributes:
        paused_until: The time before which no request is sent, in epoch seconds.
        reason: The last failure, for people.
    """

    def __init__(self, max_wait: float, now: float) -> None:
        """Start without failures.

        Args:
            max_wait: The seconds without any settled row after which to give up.
            now: The time in epoch seconds, as for all methods.
        """
        self._max_wait = max_wait
        self._waiting_since = now  # later by the time spent waiting for the rate limit
        self._progressed = 0.0
        self._failures = 0
        self._tries: dict[int, _Tries] = {}  # by row number
        self._level = 0  # the length of pauses; raised only once for requests that were in flight together
        self._raised = 0.0
        self._by_service = False  # whether the service asked for the pause
        self.paused_until = 0.0
        self.reason = ""

    @property
    def alarming(self) -> bool:
        """True if the service counts as down, so that only one request at a time tests it."""
        return self._failures >= ALARMING

    def progressed(self, row: int, now: float) -> None:
        """Record that the service has processed a row."""
        self.settled(row)
        self._waiting_since = max(self._waiting_since, now)
        self._progressed = now
        self._failures = self._level = 0

    def settled(self, row: int) -> None:
        """Forget the failures of a row that has its outcome."""
        self._tries.pop(row, None)

    def discount(self, seconds: float) -> None:
        """Exclude seconds from the wait for the service: those of the rate limit, or of a suspended machine."""
        self._waiting_since += seconds

    def failed(
        self, row: int, outcome: Outcome, now: float, chance: float, *, left_at: float, costly: bool = False
    ) -> float:
        """Record a failed attempt.

        Args:
            row: The row's number.
            outcome: The outcome of the attempt.
            now: The time.
            chance: A random number in [0, 1), to spread attempts.
            left_at: The time at which the request was sent.
            costly: Whether the failure cost the row its certain outcome.

        Returns:
            The time at which this row may be sent again.
        """
        before = self._tries.get(row)
        tries = before.failures + 1 if before else 1
        self._tries[row] = _Tries(tries, now)
        retry_after = outcome.retry_after or 0.0
        aside = now + max(retry_after, backoff(tries + 1, chance, LONGEST_ASIDE))
        if outcome.status_code != 429 and before is not None and self._progressed > before.last:
            return aside  # others have succeeded meanwhile, so this row is the problem
        self.reason = outcome.message
        self._failures += 1
        if left_at >= self._raised:
            self._level += 1
            self._raised = now
        if outcome.asks_to_wait:
            # Use the service's own time; one of less than a second would make a busy loop.
            wait = retry_after if retry_after >= 1.0 else max(retry_after, self._pause(chance, costly))
            self._pause_until(now + wait, by_service=outcome.retry_after is not None)
            return self.paused_until
        if not self.alarming:
            return aside
        # A pause of our own ends early enough for a last attempt.
        last_try = max(now + _LAST_TRY, self._waiting_since + self._max_wait)
        self._pause_until(min(now + self._pause(chance, costly), last_try), by_service=False)
        return self.paused_until

    def given_up(self, now: float) -> str:
        """Return the reason to give up, for people; "" if there is none."""
        if not self._failures:
            return ""
        limit = self._waiting_since + self._max_wait
        if self._by_service and self.paused_until > limit:
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

    def _pause_until(self, until: float, *, by_service: bool) -> None:
        if until > self.paused_until:
            self.paused_until, self._by_service = until, by_service
