"""What one attempt means for its row. Pure."""

from __future__ import annotations

from typing import NamedTuple

from cms_cli.replay.journal.rowbook import PendingRow, RowStatus, is_too_long_ago
from cms_cli.replay.sending.stop import Stop
from cms_python import EventKind, Outcome, Status

_SETTLING = {
    Status.ACCEPTED: RowStatus.ACCEPTED,
    Status.DUPLICATE: RowStatus.DUPLICATE,
    Status.REFUSED: RowStatus.REFUSED,
}
_BROKEN_SETTINGS = ("tls_error", "settings_error")


class Verdict(NamedTuple):
    """What one attempt means.

    Attributes:
        row: The row, this attempt included.
        status: Its outcome, or None while it stays pending.
        stop: What the attempt means for all other rows: NONE, or that no other one would fare better.
    """

    row: PendingRow
    status: RowStatus | None
    stop: Stop


def judge(kind: EventKind, outcome: Outcome, row: PendingRow, left_at: float, now: float) -> Verdict:
    """Judge an attempt.

    Args:
        kind: Lead or sale.
        outcome: What came back.
        row: The row as it was before.
        left_at: When the request left, seconds since the epoch.
        now: When the answer came.
    """
    # The oldest attempt that may have arrived is the one that the service may have forgotten.
    sent_at = row.sent_at if row.sent_at is not None else left_at if outcome.may_have_arrived else None
    row = row._replace(attempts=row.attempts + 1, sent_at=sent_at)
    if outcome.status is Status.UNAUTHORIZED:
        return Verdict(row, None, Stop.UNAUTHORIZED)
    if outcome.status is Status.NOT_API or (outcome.status is Status.UNSENT and outcome.type in _BROKEN_SETTINGS):
        return Verdict(row, None, Stop.NOT_API)
    status = _SETTLING.get(outcome.status)
    if status is None and kind is EventKind.LEAD and outcome.may_have_arrived:
        status = RowStatus.UNKNOWN
    if status is None and is_too_long_ago(row, now):
        status = RowStatus.UNKNOWN
    return Verdict(row, status, Stop.NONE)
