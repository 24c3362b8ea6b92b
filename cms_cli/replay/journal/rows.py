"""The rows of a run as values: staged, pending and settled; with their statuses and error codes."""

from __future__ import annotations

import json
from enum import Enum
from typing import NamedTuple

SAFE_TO_RESEND = 24 * 3600.0
"""Seconds after its first request during which an unanswered sale may be sent again.

How long the service remembers invoices is not documented; the API that it is modelled on does so for 7 days. A day
is well within that, and longer than any run waits.
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
"""Seconds to wait for another run's request for the same event; after them, that run counts as dead."""

TOO_LONG_AGO = (
    "too_long_ago",
    "it was sent without an answer more than 24 hours ago; the service may have forgotten it",
)
"""Code and error of an unanswered sale that is too old to be sent again."""

INTERRUPTED = ("interrupted", "it was sent, and cms ended before an answer came")
"""Code and error of a lead whose process ended before the answer came."""

OUTCOME_UNKNOWN = "outcome_unknown"
"""Code of a row that was left out when it was staged, because a failures file marks it as unknown."""

FAILED = (RowStatus.INVALID, RowStatus.REFUSED, RowStatus.UNKNOWN)
"""The statuses whose rows go into a failures file."""

AMOUNT_CHANGED = "amount_changed"
"""Code of a row whose invoice was accepted in another run with another amount or currency."""

SENT_ELSEWHERE = (
    RowStatus.UNKNOWN,
    "unknown_elsewhere",
    "another run has sent it without an answer; it may have arrived",
)
"""Status, code and error of a lead that another run has sent without an answer."""

LOOKS_SENT = ("looks_sent", "it looks exactly like a lead that was sent from another file")
"""Code and error of a lead without a time of its own that may be the same event as one that was sent."""

REFUSED_BEFORE = (
    RowStatus.REFUSED,
    "refused_before",
    "the service refused it when the file was shorter; --retry-refused sends it again",
)
"""Status, code and error of a lead that was refused in an earlier run of a file that has since grown at its end."""

IN_LEDGER = (RowStatus.DUPLICATE, "in_ledger", "accepted in another run")
"""Status, code and error of a row whose event was accepted in another run."""


class StagedRow(NamedTuple):
    """A row as it is staged; body and cells are JSON.

    Attributes:
        row: Its number, from 1.
        line: Its line number, from 1.
        status: Its status, a value of :class:`RowStatus`.
        customer: The hash of the customer (:func:`ledger.order_key`); None for a row that is not an event.
        key: The hash that identifies the event in the ledger (:func:`ledger.key_of`); None as above.
        amount: A sale's amount in minor units; 0 for a lead, None for a row that is not an event.
        currency: A sale's currency; "" for a lead, None for a row that is not an event.
        body: The request's JSON; None for a row that is not an event.
        cells: Its cells as a JSON array.
        code: The reason not to send it, for programs; None for a row to send.
        error: The same reason for people, or None.
        column: The header of the column at fault, or None.
        look: The hash of the fields of a lead without a time of its own (:mod:`look_alikes`); None for other rows.
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
        attempts: The number of requests so far.
        sent_at: The time of the first request that may have arrived, in seconds since the epoch, or None.
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
    """A row with its outcome, for reports and files; body and cells are None if they were dropped or not read."""

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
        """The invoice id, read from the body; None if the row has none or the body is not there."""
        return invoice_in(self.body)


def settled_row(
    row: PendingRow, status: RowStatus, status_code: int | None, code: str | None, error: str | None
) -> SettledRow:
    """Return a pending row with its outcome, as a settled row."""
    return SettledRow(
        *(row.row, row.line, status.value, row.body, status_code),
        *(row.attempts, code, error, row.cells, None),
    )


def invoice_in(body: str | None) -> str | None:
    """Return the invoice id in a request's JSON, or None."""
    invoice = json.loads(body).get("invoiceId") if body else None
    return invoice if isinstance(invoice, str) else None


def is_too_long_ago(row: PendingRow, now: float) -> bool:
    """Return True if a sale's unanswered attempt is too old to send the sale again."""
    # A time far in the future comes from a clock that was wrong, so the age is not known.
    return row.sent_at is not None and abs(now - row.sent_at) > SAFE_TO_RESEND


def compared(
    invoice_id: str | None, before: tuple[int | None, str | None], now: tuple[int | None, str | None]
) -> tuple[RowStatus, str, str]:
    """Return status, code and error of a sale whose invoice is in the ledger.

    Args:
        invoice_id: The invoice id.
        before: Amount and currency in the ledger, None if the service only answered 409.
        now: Amount and currency of the row.
    """
    if before == now or before[0] is None:
        return IN_LEDGER
    message = (
        f"invoice {invoice_id} was accepted before with {before[0]} {before[1]} (minor units), "
        f"and is {now[0]} {now[1]} here"
    )
    return RowStatus.DUPLICATE, AMOUNT_CHANGED, message
