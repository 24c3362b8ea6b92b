"""Judges what one attempt means for its row and for the whole replay. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from cms_cli.replay.journal.rows import PendingRow, RowStatus, is_too_long_ago
from cms_cli.replay.sending.stop import Stop
from cms_python import EventKind, Outcome, Status, may_resend

_SETTLING = {
    Status.ACCEPTED: RowStatus.ACCEPTED,
    Status.DUPLICATE: RowStatus.DUPLICATE,
    Status.REFUSED: RowStatus.REFUSED,
}


class Trust(IntEnum):
    """The certainty that the host is the API, in this invocation."""

    NONE = 0
    """Nothing has answered yet, so the host's name may be wrong."""
    ANSWERED = 1
    """The host has answered, but may not be the API."""
    ACCEPTED = 2
    """The host has accepted an event, or has had one already, so it is the API."""


class Verdict(NamedTuple):
    """The meaning of one attempt.

    Attributes:
        row: The row, updated by this attempt.
        status: The row's outcome, or None if it stays pending.
        stop: The reason to stop the replay, since no other row would succeed; NONE to continue.
    """

    row: PendingRow
    status: RowStatus | None
    stop: Stop


def judge(
    kind: EventKind, outcome: Outcome, row: PendingRow, left_at: float, now: float, trust: Trust = Trust.NONE
) -> Verdict:
    """Judge an attempt.

    Args:
        kind: Lead or sale.
        outcome: The outcome of the attempt.
        row: The row as it was before the attempt.
        left_at: The time at which the request was sent, in epoch seconds.
        now: The time at which the answer came, in epoch seconds.
        trust: The trust in the host before the attempt.
    """
    # Keep the time of the first attempt that may have arrived, since the service forgets that one first.
    sent_at = row.sent_at if row.sent_at is not None else left_at if outcome.may_have_arrived else None
    row = row._replace(attempts=row.attempts + 1, sent_at=sent_at)
    stop = _stop_for(kind, outcome, trust)
    status = _SETTLING.get(outcome.status)
    if status is None and outcome.may_have_arrived and not may_resend(kind, outcome):
        status = RowStatus.UNKNOWN if kind is EventKind.LEAD else None
    if status is None and stop is Stop.NONE and is_too_long_ago(row, now):
        status = RowStatus.UNKNOWN
    return Verdict(row, status, stop)


def _stop_for(kind: EventKind, outcome: Outcome, trust: Trust) -> Stop:
    if outcome.status is Status.UNAUTHORIZED:
        return Stop.UNAUTHORIZED
    if outcome.status is Status.NOT_API:
        # If the host is known to be the API, a web page is from a deployment or maintenance.
        page = trust is Trust.ACCEPTED and not outcome.may_have_arrived
        return Stop.NONE if page else Stop.NOT_API
    if outcome.status is Status.UNSENT and not may_resend(kind, outcome):
        if outcome.type != "host_not_found":
            return Stop.NOT_API
        # If the host has answered before, its name is right, and the network is down.
        return Stop.UNREACHABLE if trust is Trust.NONE else Stop.NONE
    return Stop.NONE


def trusted(outcome: Outcome, before: Trust) -> Trust:
    """Return the trust in the host after an outcome."""
    if outcome.status in (Status.ACCEPTED, Status.DUPLICATE):
        return Trust.ACCEPTED
    return max(before, Trust.ANSWERED if outcome.status_code is not None else Trust.NONE)
