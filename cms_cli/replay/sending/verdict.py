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
    """How sure this invocation is that the host is the API."""

    NONE = 0
    """Nothing has answered yet: the host's name may be wrong."""
    ANSWERED = 1
    """Something has answered."""
    ACCEPTED = 2
    """It has accepted an event, or says that it has one already: it is the API."""


class Verdict(NamedTuple):
    """The meaning of one attempt.

    Attributes:
        row: The row, this attempt included.
        status: Its outcome, or None while it stays pending.
        stop: Why no other row would fare better; NONE where others go on, and this one too if it is pending.
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
        outcome: Its outcome.
        row: The row as it was before.
        left_at: When the request left, seconds since the epoch.
        now: When the answer came.
        trust: The trust in the host before.
    """
    # The oldest attempt that may have arrived is the one that the service may have forgotten.
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
        # From a host that is the API, a web page is a deploy or a maintenance page.
        page = trust is Trust.ACCEPTED and not outcome.may_have_arrived
        return Stop.NONE if page else Stop.NOT_API
    if outcome.status is Status.UNSENT and not may_resend(kind, outcome):
        if outcome.type != "host_not_found":
            return Stop.NOT_API
        # A name that was right before is right still, and the network is down.
        return Stop.UNREACHABLE if trust is Trust.NONE else Stop.NONE
    return Stop.NONE


def trusted(outcome: Outcome, before: Trust) -> Trust:
    """Return the trust in the host after this outcome."""
    if outcome.status in (Status.ACCEPTED, Status.DUPLICATE):
        return Trust.ACCEPTED
    return max(before, Trust.ANSWERED if outcome.status_code is not None else Trust.NONE)
