"""Decides whether an event may be sent again, and after how long. Pure: no clock, no sleep."""

from __future__ import annotations

from datetime import timezone

from cms_python.events import EventKind
from cms_python.outcome import Outcome, Status

FIRST_BACKOFF = 0.5
"""Seconds before the first repeat, where the service names none."""

LONGEST_BACKOFF = 30.0
"""Seconds that a repeat waits at most, where the service names none."""

_FOREVER = 1e9
"""The longest ``Retry-After`` that is passed on, in seconds: thirty years, so that no time overflows."""

# Failures caused by our own settings, which a retry cannot fix.
_LASTING = frozenset({"tls_error", "settings_error", "host_not_found"})


def may_resend(kind: EventKind, outcome: Outcome) -> bool:
    """Return whether sending an event again can neither double it nor be in vain.

    The service dedupes sales by their invoice, so a sale may be resent whatever became of it. Nothing dedupes
    leads: a lead is resent only when it surely did not arrive (no connection, 429, 503).
    """
    if outcome.status is Status.UNSENT:
        return outcome.type not in _LASTING
    unclear = outcome.status is Status.NOT_API and outcome.may_have_arrived
    if unclear or outcome.status in (Status.UNANSWERED, Status.BUSY):
        return kind is EventKind.SALE or not outcome.may_have_arrived
    return False


def backoff(attempt: int, chance: float, longest: float = LONGEST_BACKOFF) -> float:
    """Return the seconds to wait after a failed attempt for which the service names no time.

    Args:
        attempt: Which attempt failed, from 1.
        chance: Uniform in [0, 1): spreads clients that failed together.
        longest: Seconds to wait at most.

    Returns:
        Doubling from half a second up to ``longest``, of which the last quarter is left to chance.
    """
    return min(longest, FIRST_BACKOFF * 2.0 ** min(attempt - 1, 16)) * (0.75 + 0.25 * chance)


def pause(
    kind: EventKind,
    outcome: Outcome,
    *,
    failures: int,
    elapsed: float,
    retries: float,
    total_wait: float,
    chance: float,
) -> float | None:
    """Return the seconds until the next attempt, or None when it is time to give up.

    Args:
        kind: Lead or sale.
        outcome: What became of the last attempt.
        failures: How many attempts have failed so far.
        elapsed: Seconds since the first attempt began.
        retries: Repeats after the first attempt, a whole number or infinity; with 0 there is none. A 429, and any
            answer with ``Retry-After``, does not use them up: the service is up and has said
            when it accepts requests again.
        total_wait: Seconds within which every attempt begins. The last one has its whole time nonetheless.
        chance: Uniform in [0, 1).
    """
    if not may_resend(kind, outcome):
        return None
    if failures > retries and not (retries and outcome.asks_to_wait):
        return None
    wait = max(backoff(failures, chance), outcome.retry_after or 0.0)
    return wait if elapsed + wait < total_wait else None


def read_retry_after(text: str, now: float) -> float | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3), which is a number of seconds or a date.

    Args:
        text: The header's value, or "".
        now: Seconds since the epoch.

    Returns:
        Seconds from now, or None where it says nothing that can be read.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _FOREVER)
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)  # asctime's form names no zone, and means GMT
    return min(max(0.0, moment.timestamp() - now), _FOREVER)
