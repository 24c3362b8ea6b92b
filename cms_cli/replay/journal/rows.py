"""The rows of a run, as values: staged, pending, settled."""

from __future__ import annotations

import json
from enum import Enum
from typing import NamedTuple

SAFE_TO_RESEND = 24 * 3600.0
"""Seconds for which a sale's unanswered attempt may be repeated.

How long the service remembers an invoice is not documented; the API that it is modelled on does so for 7 days. A
day is well within that, and longer than any run waits.
"""


class RowStatus(str, Enum):
    """The status of a row. Every row has exactly one."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    INVALID = "invalid"
    SKIPPED = "skipped"


WAITED_FOR = 40.0
"""Seconds that another run's request for the same event is waited for; after them that run is taken for dead."""

TOO_LONG_AGO = (
    "too_long_ago",
    "it was sent without an answer more than 24 hours ago; the service may have forgotten it",
)
"""Code and error of a sale that may no longer be repeated."""

INTERRUPTED = ("interrupted", "it was sent, and cms ended before an answer came")
"""Code and error of a lead whose answer nobody waited for."""

OUTCOME_UNKNOWN = "outcome_unknown"
"""Code of a row that was left out when it was staged, because its event may have arrived before."""

FAILED = (RowStatus.INVALID, RowStatus.REFUSED, RowStatus.UNKNOWN)
"""The statuses whose rows go into a failures file."""

AMOUNT_CHANGED = "amount_changed"
"""Code of a row whose invoice another run has had accepted with another amount or currency."""

SENT_ELSEWHERE = (
    RowStatus.UNKNOWN,
    "unknown_elsewhere",
    "another run has sent it without an answer; it may have arrived",
)
"""Status, code and error of a lead that another run has sent without an answer."""

LOOKS_SENT = ("looks_sent", "it looks exactly like a lead that was sent from another file")
"""Code and error of a lead without a time of its own, of which nobody can know whether it is the same event."""

REFUSED_BEFORE = (
    RowStatus.REFUSED,
    "refused_before",
    "the service refused it when the file was shorter; --retry-refused sends it again",
)
"""Status, code and error of a lead that was refused in an earlier run of a file that has since grown at its end."""

IN_LEDGER = (RowStatus.DUPLICATE, "in_ledger", "accepted in another run")
"""Status, code and error of a row whose event another run has had accepted."""


class StagedRow(NamedTuple):
    """A row as it is written when it is staged; body and cells are JSON.

    Attributes:
        customer: The hash by which a customer's rows keep their order; None for a row that is no event.
        key: The hash by which the ledger knows the event; None for a row that is no event.
        code: Why it is not to be sent, for programs, as ``error`` says it for people; None if it is.
        look: The hash of what a lead without a time of its own says; None for any other row.
    """

    row: int
    line: int
    status: str
    customer: int | None
    key: bytes | None
    amount: int | None
    currency: str | None
    body: str | None
    cells: str
    code: str | None
    error: str | None
    column: str | None
    look: bytes | None = None


class PendingRow(NamedTuple):
    """A row that still has to be sent.

    Attributes:
        sent_at: When its first request left that may have arrived, in seconds since the epoch, or None.
        look: As in :class:`StagedRow`.
    """

    row: int
    line: int
    customer: int
    key: bytes
    amount: int | None
    currency: str | None
    body: str
    cells: str
    attempts: int
    sent_at: float | None
    look: bytes | None = None


class SettledRow(NamedTuple):
    """A row with its outcome, for reports and files; body and cells are None if they are forgotten."""

    row: int
    line: int
    status: str
    body: str | None
    status_code: int | None
    attempts: int
    code: str | None
    error: str | None
    cells: str | None
    column: str | None

    @property
    def invoice_id(self) -> str | None:
        """The invoice; None if the row has none or the journal no longer has its text. Read on demand."""
        return invoice_in(self.body)


def settled_row(
    row: PendingRow, status: RowStatus, status_code: int | None, code: str | None, error: str | None
) -> SettledRow:
    """Return a pending row as a settled one, for reports."""
    return SettledRow(
        *(row.row, row.line, status.value, row.body, status_code),
        *(row.attempts, code, error, row.cells, None),
    )


def invoice_in(body: str | None) -> str | None:
    """Return the invoice of a request's JSON, if it has one."""
    invoice = json.loads(body).get("invoiceId") if body else None
    return invoice if isinstance(invoice, str) else None


def is_too_long_ago(row: PendingRow, now: float) -> bool:
    """Return True if a sale's unanswered attempt is too old to resend it."""
    # In both directions: a time in the future was noted before a wrong clock was corrected; its age is unknown.
    return row.sent_at is not None and abs(now - row.sent_at) > SAFE_TO_RESEND


def compared(
    invoice_id: str | None, before: tuple[int | None, str | None], now: tuple[int | None, str | None]
) -> tuple[RowStatus, str, str]:
    """Compare a sale with the ledger's entry for its invoice; return status, code and error.

    Args:
        invoice_id: The invoice.
        before: Amount and currency in the ledger; None if the service only answered 409.
        now: Those of the row.
    """
    if before == now or before[0] is None:
        return IN_LEDGER
    message = (
        f"invoice {invoice_id} was accepted before with {before[0]} {before[1]} (minor units), "
        f"and is {now[0]} {now[1]} here"
    )
    return RowStatus.DUPLICATE, AMOUNT_CHANGED, message
