"""Is it the row or the service? When everybody has to wait, for how long, and when to give up. Pure."""

from __future__ import annotations

from cms_python import Outcome, Status, backoff

_ALARMING = 3
"""Failures in a row from which on it is the service that is ill, and everybody waits."""

LONGEST_ASIDE = 120.0
"""Seconds that a row which fails alone waits at most until its next attempt, while others go on."""


class Health:
    """How the service has been answering lately.

    Attributes:
        paused_until: Nobody sends before this time, in the clock's seconds.
        reason: What went wrong last, in words.
    """

    def __init__(self, max_wait: float, now: float) -> None:
        self._max_wait = max_wait
        self._progressed = now
        self._failures = 0
        self.paused_until = 0.0
        self.reason = ""

    def progressed(self, now: float) -> None:
        """Note that the service has dealt with an event."""
        self._progressed = now
        self._failures = 0

    def paced(self, seconds: float) -> None:
        """Note time spent waiting for the rate limit, which is nobody's fault."""
        self._progressed += seconds

    def failed(self, outcome: Outcome, attempts: int, now: float, chance: float) -> float:
        """Note a failed attempt.

        Args:
            outcome: What became of it.
            attempts: How often this row has failed in this invocation, this time included.
            now: The time.
            chance: Uniform in [0, 1), to spread attempts.

        Returns:
            The time at which this row may be tried again.
        """
        self.reason = outcome.message
        if outcome.status_code == 429 or outcome.retry_after is not None:
            # The service itself says when; the row is not to blame.
            self._failures += 1
            wait = outcome.retry_after if outcome.retry_after is not None else backoff(self._failures + 1, chance)
            self.paused_until = max(self.paused_until, now + wait)
            return self.paused_until
        self._failures += 1
        if self._failures >= _ALARMING:
            self.paused_until = max(self.paused_until, now + backoff(self._failures - _ALARMING + 2, chance))
        return now + min(LONGEST_ASIDE, backoff(1, chance) * 2.0 ** min(attempts, 10))

    def given_up(self, now: float) -> str:
        """Say why there is no more sense in waiting; "" while there is."""
        if not self._failures:
            return ""
        limit = self._progressed + self._max_wait
        if now > limit:
            return f"no row was settled for {self._max_wait:g} s (--max-wait); the last answer: {self.reason}"
        if self.paused_until > limit:
            return (
                f"the service asks for {self.paused_until - now:.0f} s of patience, "
                f"which is more than --max-wait {self._max_wait:g}: {self.reason}"
            )
        return ""


def is_final(outcome: Outcome) -> bool:
    """Tell whether this is a failure that stops everything: a rejected token, a wrong host, broken settings."""
    return outcome.status in (Status.UNAUTHORIZED, Status.NOT_API) or outcome.type in (
        "tls_error",
        "settings_error",
    )
