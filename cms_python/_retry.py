"""Decides if and when an event is sent again. Pure: no clock, no sleep."""

from __future__ import annotations

from datetime import timezone

from cms_python.events import EventKind
from cms_python.outcome import Outcome, Status

FIRST_BACKOFF = 0.5
"""Seconds before the first retry, unless the service names a time."""

LONGEST_BACKOFF = 30.0
"""The longest wait before a retry, in seconds, unless the service names a time."""

_FOREVER = 1e9
"""The cap on ``Retry-After``, in seconds: thirty years, so that no time overflows."""

# Types of failures caused by our own settings, which a retry cannot fix.
_LASTING = frozenset({"tls_error", "settings_error", "host_not_found"})


def may_resend(kind: EventKind, outcome: Outcome) -> bool:
    """Return True if sending an event again may succeed and cannot record it twice.

    The service dedupes sales by invoice, so a sale may be sent again even if it may have arrived. It does not
    dedupe leads, so a lead is sent again only if it surely did not arrive (no connection, 429, 503).

    Args:
        kind: Lead or sale.
        outcome: The outcome of the attempts so far.
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
        attempt: The number of the attempt that failed, from 1.
        chance: A random number in [0, 1), so that clients that failed together do not retry together.
        longest: The longest wait, in seconds.

    Returns:
        A time that doubles with each attempt, from 0.5 s up to ``longest``, of which up to a quarter is taken off
        at random.
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
    """Return the seconds until the next attempt, or None to give up.

    Args:
        kind: Lead or sale.
        outcome: The outcome of the last attempt.
        failures: The number of attempts that have failed so far.
        elapsed: Seconds since the first attempt began.
        retries: The most retries, a whole number or infinity; 0 for none. A 429 and any answer with ``Retry-After``
            do not count: the service is up and has said when it accepts requests again.
        total_wait: Seconds since the first attempt began, within which every retry has to begin.
        chance: A random number in [0, 1).
    """
    if not may_resend(kind, outcome):
        return None
    if failures > retries and not (retries and outcome.asks_to_wait):
        return None
    wait = max(backoff(failures, chance), outcome.retry_after or 0.0)
    return wait if elapsed + wait < total_wait else None


def read_retry_after(text: str, now: float) -> float | None:
    """Parse ``Retry-After`` (RFC 9110, 10.2.3), which is a number of seconds or a date.

    Args:
        text: The header's value, or "".
        now: Seconds since the epoch.

    Returns:
        Seconds from now, or None if the value is neither.
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
        moment = moment.replace(tzinfo=timezone.utc)  # the asctime form has no zone and means GMT
    return min(max(0.0, moment.timestamp() - now), _FOREVER)
