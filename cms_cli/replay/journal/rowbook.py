"""The rows of a run in the journal: staged once, then each moved on from ``pending`` to what became of it."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

from cms_cli.replay.journal import ledger
from cms_cli.replay.journal.contents import ENDING, Content, ContentsWriter
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.journalfile import ROWS_A_BLOCK
from cms_cli.replay.journal.runs import Run, RunBusyError, RunState

SAFE_TO_RESEND = 24 * 3600.0
"""Seconds for which a sale's unanswered attempt may be repeated.

How long the service remembers an invoice is not documented; the API that it is modelled on does so for 7 days. A
day is well within that, and longer than any run waits.
"""

_FORGOTTEN_TOGETHER = 20_000  # rows whose contents are dropped in one transaction; others wait for its end


class RowStatus(str, Enum):
    """What became of a row. Every row has exactly one."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    INVALID = "invalid"
    SKIPPED = "skipped"


_THERE = (RowStatus.ACCEPTED, RowStatus.DUPLICATE)  # the service has the event

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
"""What goes into a failures file."""

AMOUNT_CHANGED = "amount_changed"
"""Code of a row whose invoice another run has had accepted with another amount or currency."""

_ELSEWHERE = "another run has sent it without an answer; it may have arrived"
SENT_ELSEWHERE = (RowStatus.UNKNOWN, "unknown_elsewhere", _ELSEWHERE)
"""Status, code and error of a lead that another run has sent without an answer."""

IN_LEDGER = (RowStatus.DUPLICATE, "in_ledger", "accepted in another run")
"""Status, code and error of a row whose event another run has had accepted."""


class StagedRow(NamedTuple):
    """A row as it is written when it is staged; body and cells are JSON.

    Attributes:
        customer: The hash by which a customer's rows keep their order; None for a row that is no event.
        key: The hash by which the ledger knows the event; None for a lead without a time of its own.
        code: Why it is not to be sent, for programs, as ``error`` says it for people; None where it is.
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


class PendingRow(NamedTuple):
    """A row that still has to be sent.

    Attributes:
        sent_at: When its first request left that may have arrived, in seconds since the epoch, or None.
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


class SettledRow(NamedTuple):
    """A row with its outcome, for reports and files; body and cells are None where they are forgotten."""

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
        """The invoice, where the row has one and the journal has not forgotten it. Read when it is asked for."""
        return invoice_in(self.body)


_PENDING = "row, line, customer, key, amount, currency, place, attempts, sent_at"
_SETTLED = "row, line, status, status_code, attempts, code, error, place, fault"


def stage(db: sqlite3.Connection, run: Run, rows: Iterable[StagedRow], contents: ContentsWriter) -> None:
    """Write rows. Part of a transaction; what they say is on disk for good once ``contents`` is closed."""
    db.executemany(
        "INSERT INTO rows (run, row, line, status, customer, key, amount, currency, code, error, fault, place)"
        f" VALUES ({run.id:d}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((*row[:7], *row[9:], contents.add(Content(row.body or "", row.cells))) for row in rows),
    )


def staged(journal: Journal, run: Run, size: int) -> Run:
    """Note that all rows of a run are written, and the size of what they say; gives the run as it is now."""
    with journal.transaction() as db:
        db.execute("UPDATE runs SET contents_size = ? WHERE id = ?", (size, run.id))
    return replace(run, contents_size=size)


def amend(db: sqlite3.Connection, run: Run, rows: Iterable[tuple[int, RowStatus, str, str]]) -> None:
    """Set right staged rows: number, status, code and error. Part of a transaction."""
    db.executemany(
        f"UPDATE rows SET status = ?, code = ?, error = ? WHERE run = {run.id:d} AND row = ?",
        ((status.value, code, error, row) for row, status, code, error in rows),
    )


def pending(journal: Journal, run: Run, after: int, count: int) -> list[PendingRow]:
    """Give the next rows to send, in file order, beyond a row number."""
    found = journal.db.execute(
        f"SELECT {_PENDING} FROM rows INDEXED BY rows_by_status"
        " WHERE run = ? AND status = 'pending' AND row > ? ORDER BY row LIMIT ?",
        (run.id, after, count),
    )
    return [_pending(journal, run, row) for row in found]


def next_of_customer(journal: Journal, run: Run, before: PendingRow, until: int) -> PendingRow | None:
    """Give the first row of the same customer after this one that still has to be sent, up to a row number."""
    for block in range(before.row >> ROWS_A_BLOCK, (until >> ROWS_A_BLOCK) + 1):
        found = journal.db.execute(
            f"SELECT {_PENDING} FROM rows INDEXED BY rows_pending_by_customer WHERE run = ? AND status = 'pending'"
            f" AND row >> {ROWS_A_BLOCK} = ? AND customer = ? AND row > ? AND row <= ? ORDER BY row LIMIT 1",
            (run.id, block, before.customer, before.row, until),
        ).fetchone()
        if found:
            return _pending(journal, run, found)
    return None


def _pending(journal: Journal, run: Run, found: tuple[Any, ...]) -> PendingRow:
    row, line, customer, key, amount, currency, place, attempts, sent_at = found
    body, cells = journal.contents(run.contents, run.contents_size).read(place)
    return PendingRow(row, line, customer, key, amount, currency, body, cells, attempts, sent_at)


def intend(db: sqlite3.Connection, run: Run, row: PendingRow, now: float) -> None:
    """Write that a request is about to leave; raises RunBusyError where another process has changed the row."""
    changed = db.execute(
        "UPDATE rows SET attempts = attempts + 1, sent_at = ?, status_code = NULL, code = NULL, error = NULL"
        " WHERE run = ? AND row = ? AND status = 'pending' AND attempts = ?",
        (row.sent_at if row.sent_at is not None else now, run.id, row.row, row.attempts),
    )
    if changed.rowcount != 1:
        raise RunBusyError


def put_back(
    db: sqlite3.Connection, run: Run, row: PendingRow, status_code: int | None, code: str, error: str
) -> None:
    """Write what an attempt brought that did not settle the row; ``row.sent_at`` as it is now to be."""
    db.execute(
        "UPDATE rows SET sent_at = ?, status_code = ?, code = ?, error = ? WHERE run = ? AND row = ?",
        (row.sent_at, status_code, code, error, run.id, row.row),
    )


def settle(
    db: sqlite3.Connection,
    run: Run,
    row: PendingRow,
    status: RowStatus,
    status_code: int | None,
    code: str | None,
    error: str | None,
) -> None:
    """Write a row's outcome and, where the service has the event, its entry in the ledger."""
    db.execute(
        "UPDATE rows SET status = ?, status_code = ?, code = ?, error = ? WHERE run = ? AND row = ?",
        (status.value, status_code, code, error, run.id, row.row),
    )
    if run.kind == "sale" and status in _THERE:
        accepted = status is RowStatus.ACCEPTED
        ledger.add_sale(db, run.scope, row.key, row.amount or 0, row.currency or "", accepted=accepted)
    elif run.kind == "lead" and (status in _THERE or status is RowStatus.UNKNOWN):
        ledger.add_lead(db, run.scope, row.key, arrived=status is not RowStatus.UNKNOWN)


def interrupted(journal: Journal, run: Run, now: float) -> list[PendingRow]:
    """Return rows between intent and outcome that must not be resent: all leads, and sales that are too old."""
    found = journal.db.execute(
        f"SELECT {_PENDING} FROM rows INDEXED BY rows_sent"
        " WHERE run = ? AND status = 'pending' AND sent_at IS NOT NULL",
        (run.id,),
    ).fetchall()
    rows = [_pending(journal, run, each) for each in found]
    return [row for row in rows if run.kind == "lead" or is_too_long_ago(row, now)]


def recover(journal: Journal, run: Run, now: float) -> list[SettledRow]:
    """Settle the interrupted rows as unknown, before anything is sent; returns them."""
    code, error = TOO_LONG_AGO if run.kind == "sale" else INTERRUPTED
    with journal.transaction() as db:
        rows = interrupted(journal, run, now)
        for row in rows:
            settle(db, run, row, RowStatus.UNKNOWN, None, code, error)
    return [settled_row(row, RowStatus.UNKNOWN, None, code, error) for row in rows]


def is_too_long_ago(row: PendingRow, now: float) -> bool:
    """Tell whether a sale's unanswered attempt is so old that it may no longer be repeated."""
    # Either way: what lies ahead was noted before a wrong clock was set back, and how old that is nobody knows.
    return row.sent_at is not None and abs(now - row.sent_at) > SAFE_TO_RESEND


def settled_row(
    row: PendingRow, status: RowStatus, status_code: int | None, code: str | None, error: str | None
) -> SettledRow:
    """Give a row as it is reported once it has its outcome."""
    return SettledRow(
        *(row.row, row.line, status.value, row.body, status_code),
        *(row.attempts, code, error, row.cells, None),
    )


def invoice_in(body: str | None) -> str | None:
    """Give the invoice of a request's JSON, where it has one."""
    invoice = json.loads(body).get("invoiceId") if body else None
    return invoice if isinstance(invoice, str) else None


def reopen(journal: Journal, run: Run, status: RowStatus) -> None:
    """Make the unknown or refused rows of a run pending again."""
    with journal.transaction() as db:
        changed = db.execute(
            "UPDATE rows INDEXED BY rows_by_status"
            " SET status = 'pending', sent_at = NULL, status_code = NULL, code = NULL, error = NULL"
            " WHERE run = ? AND status = ?",
            (run.id, status.value),
        )
        if changed.rowcount:  # together: a finished run that has rows to send could be pruned, or begun afresh
            db.execute("UPDATE runs SET counts = NULL, state = ? WHERE id = ?", (RunState.UNFINISHED.value, run.id))


def counts(journal: Journal, run: Run) -> dict[str, int]:
    """Count the rows by what became of them; every status is there."""
    found = dict(
        journal.db.execute("SELECT status, count(*) FROM rows WHERE run = ? GROUP BY status", (run.id,)).fetchall()
    )
    return {status.value: found.get(status.value, 0) for status in RowStatus}


def sums_of(journal: Journal, run: Run, statuses: Sequence[RowStatus]) -> tuple[dict[str, int], int]:
    """Give the minor units of the rows of some statuses, by currency, and how many of those rows cost nothing."""
    sums: dict[str, int] = {}
    free = 0
    # In two halves: SQLite's numbers end at 64 bits, which a thousand of the largest amounts exceed.
    for currency, high, low, zeros in journal.db.execute(
        "SELECT currency, sum(amount >> 31), sum(amount & 0x7fffffff), sum(amount = 0) FROM rows"
        f" WHERE run = ? AND status IN ({','.join('?' * len(statuses))}) AND currency <> ''"
        " GROUP BY currency ORDER BY currency",
        (run.id, *(status.value for status in statuses)),
    ):
        sums[currency] = (high << 31) + low
        free += zeros
    return sums, free


def settled(
    journal: Journal, run: Run, statuses: Iterable[RowStatus], *, contents: bool = True
) -> Iterator[SettledRow]:
    """Give the rows of some statuses in file order. Failed ones are found without reading through the others.

    Without ``contents`` body and cells are None; while a run is staged, nothing else can be read of it.
    """
    wanted = set(statuses)
    found: Iterator[Any]
    if wanted <= set(FAILED):
        query = f"SELECT {_SETTLED} FROM rows INDEXED BY rows_by_status WHERE run = ? AND status = ? ORDER BY row"
        found = heapq.merge(*(journal.db.execute(query, (run.id, status.value)) for status in wanted))
    else:
        marks = ",".join("?" * len(wanted))
        query = f"SELECT {_SETTLED} FROM rows WHERE run = ? AND status IN ({marks}) ORDER BY row"
        found = iter(journal.db.execute(query, (run.id, *(status.value for status in wanted))))
    for row, line, status, status_code, attempts, code, error, place, fault in found:
        content = None
        if contents and place is not None:
            content = journal.contents(run.contents, run.contents_size).read(place)
        yield SettledRow(
            *(row, line, status, content.body if content else None, status_code),
            *(attempts, code, error, content.cells if content else None, fault),
        )


def compared(
    invoice_id: str | None, before: tuple[int, str], now: tuple[int | None, str | None]
) -> tuple[RowStatus, str, str]:
    """Return status, code and error of a sale whose invoice is in the ledger, by amount and currency."""
    if before == now:
        return IN_LEDGER
    message = (
        f"invoice {invoice_id} was accepted before with {before[0]} {before[1]} (minor units), "
        f"and is {now[0]} {now[1]} here"
    )
    return RowStatus.DUPLICATE, AMOUNT_CHANGED, message


def left_in_doubt(journal: Journal, run: Run) -> int:
    """Count the rows that were left out because they may have arrived before."""
    found = journal.db.execute(
        "SELECT count(*) FROM rows INDEXED BY rows_by_status WHERE run = ? AND status = 'invalid' AND code = ?",
        (run.id, OUTCOME_UNKNOWN),
    )
    return int(found.fetchone()[0])


def has_forgotten(journal: Journal, run: Run) -> bool:
    """Tell whether rows of a run have lost their contents, because it was finished before."""
    found = journal.db.execute("SELECT 1 FROM rows WHERE run = ? AND place IS NULL LIMIT 1", (run.id,))
    return found.fetchone() is not None


def drop_personal_data(journal: Journal, run: Run) -> Run:
    """Forget what the rows say that nothing needs any more: all but the failed ones' contents.

    Returns the run, with the file that is left.

    Raises:
        JournalError: The disk is full, or failing. Nothing is lost then, and nothing forgotten.
    """
    generation = int(run.contents.split(".")[1]) + 1 if run.contents.count(".") > 1 else 2
    name = f"{run.name}.{generation}{ENDING}"
    places: list[tuple[int, int]] = []
    with journal.writing(name) as contents:
        for row, place in journal.db.execute(
            "SELECT row, place FROM rows WHERE run = ? AND place IS NOT NULL"
            f" AND status IN ({','.join('?' * len(FAILED))})",
            (run.id, *(status.value for status in FAILED)),
        ):
            content = journal.contents(run.contents, run.contents_size).read(place)
            places.append((contents.add(content), row))
    failed = ",".join(f"'{status.value}'" for status in FAILED)
    last = journal.db.execute("SELECT max(row) FROM rows WHERE run = ?", (run.id,)).fetchone()[0] or 0
    for start in range(0, last + 1, _FORGOTTEN_TOGETHER):
        with journal.transaction() as db:
            db.execute(
                "UPDATE rows SET place = NULL, customer = NULL, key = NULL, amount = NULL, currency = NULL"
                f" WHERE run = ? AND row > ? AND row <= ? AND status NOT IN ({failed}) AND place IS NOT NULL",
                (run.id, start, start + _FORGOTTEN_TOGETHER),
            )
    # The old file goes next, and a power cut must not bring back a journal that still needs it.
    journal.make_durable(against_power_cuts=True)
    with journal.transaction() as db:
        db.executemany(f"UPDATE rows SET place = ? WHERE run = {run.id:d} AND row = ?", places)
        db.execute("UPDATE runs SET contents = ?, contents_size = ? WHERE id = ?", (name, contents.size, run.id))
    journal.forget_contents(run.name, keep=name)
    return replace(run, contents=name, contents_size=contents.size)
