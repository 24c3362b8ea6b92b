"""The rows of a run in the journal: staged once, then each moved on from ``pending`` to what became of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from cms_cli.replay import ledger
from cms_cli.replay.journal import Journal
from cms_cli.replay.runs import Run

SAFE_TO_RESEND = 24 * 3600.0
"""Seconds for which a sale's unanswered attempt may be repeated.

How long the service remembers an invoice is not documented; the API that it is modelled on: 7 days. A day is well
within that, and longer than any run waits.
"""


class RowStatus(str, Enum):
    """What became of a row. Every row has exactly one."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    INVALID = "invalid"
    SKIPPED = "skipped"


FAILED = (RowStatus.INVALID, RowStatus.REFUSED, RowStatus.UNKNOWN)
"""What goes into a failures file."""


class StagedRow(NamedTuple):
    """A row as it is written when it is staged."""

    row: int
    line: int
    status: str
    customer: int | None
    key: bytes | None
    invoice_id: str | None
    amount: int | None
    currency: str | None
    body: str | None
    cells: str
    code: str | None
    error: str | None


class PendingRow(NamedTuple):
    """A row that still has to be sent."""

    row: int
    line: int
    customer: int
    key: bytes | None
    invoice_id: str | None
    amount: int | None
    currency: str | None
    body: str
    cells: str
    attempts: int
    sent_at: float | None


class SettledRow(NamedTuple):
    """A row with its outcome, for reports and files."""

    row: int
    line: int
    status: str
    invoice_id: str | None
    status_code: int | None
    attempts: int
    code: str | None
    error: str | None
    cells: str | None


_PENDING = "row, line, customer, key, invoice_id, amount, currency, body, cells, attempts, sent_at"
_SETTLED = "row, line, status, invoice_id, status_code, attempts, code, error, cells"


def stage(db: sqlite3.Connection, run: Run, rows: Iterable[StagedRow]) -> None:
    """Write rows. Part of a transaction."""
    db.executemany(
        "INSERT INTO rows (run, row, line, status, customer, key, invoice_id, amount, currency, body, cells, code,"
        f" error) VALUES ({run.id:d}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def amend(db: sqlite3.Connection, run: Run, rows: Iterable[tuple[int, RowStatus, str, str]]) -> None:
    """Set right staged rows: number, status, code and error. Part of a transaction."""
    db.executemany(
        f"UPDATE rows SET status = ?, code = ?, error = ? WHERE run = {run.id:d} AND row = ?",
        ((status.value, code, error, row) for row, status, code, error in rows),
    )


def pending(journal: Journal, run: Run, after: int, count: int) -> list[PendingRow]:
    """Give the next rows to send, in file order, beyond a row number."""
    found = journal.db.execute(
        f"SELECT {_PENDING} FROM rows WHERE run = ? AND status = 'pending' AND row > ? ORDER BY row LIMIT ?",
        (run.id, after, count),
    )
    return [PendingRow(*row) for row in found]


def next_of_customer(journal: Journal, run: Run, customer: int) -> PendingRow | None:
    """Give the first row of a customer that still has to be sent."""
    found = journal.db.execute(
        f"SELECT {_PENDING} FROM rows WHERE run = ? AND status = 'pending' AND customer = ? ORDER BY row LIMIT 1",
        (run.id, customer),
    ).fetchone()
    return PendingRow(*found) if found else None


def intend(db: sqlite3.Connection, run: Run, row: PendingRow, now: float) -> None:
    """Write that a request is about to leave. Part of a transaction that is committed before it does."""
    db.execute(
        "UPDATE rows SET attempts = ?, sent_at = ? WHERE run = ? AND row = ?",
        (row.attempts + 1, row.sent_at if row.sent_at is not None else now, run.id, row.row),
    )


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
    if row.key is None or status not in (RowStatus.ACCEPTED, RowStatus.DUPLICATE):
        return
    if run.kind == "sale":
        ledger.add_sale(db, run.scope, row.key, row.amount or 0, row.currency or "")
    else:
        ledger.add_lead(db, run.scope, row.key)


def recover(journal: Journal, run: Run, now: float) -> None:
    """Give an outcome to what an earlier process left between intent and outcome, before anything is sent.

    A lead that may have left is unknown. A sale is sent again, unless that was too long ago. What other runs have
    had accepted meanwhile is a duplicate.
    """
    table, column = _ledger_of(run)
    with journal.transaction() as db:
        if run.kind == "lead":
            db.execute(
                "UPDATE rows SET status = 'unknown', code = 'interrupted',"
                " error = 'it was sent, and cms ended before an answer came'"
                " WHERE run = ? AND status = 'pending' AND sent_at IS NOT NULL",
                (run.id,),
            )
        else:
            db.execute(
                "UPDATE rows SET status = 'unknown', code = 'too_long_ago',"
                " error = 'it was sent without an answer more than 24 hours ago; the service may have forgotten it'"
                " WHERE run = ? AND status = 'pending' AND sent_at < ?",
                (run.id, now - SAFE_TO_RESEND),
            )
        db.execute(
            "UPDATE rows SET status = 'duplicate', code = 'in_ledger', error = 'accepted in another run'"
            " WHERE run = ? AND status = 'pending' AND key IS NOT NULL"
            f" AND EXISTS (SELECT 1 FROM {table} WHERE scope = ? AND {column} = rows.key)",
            (run.id, run.scope),
        )


def reopen(journal: Journal, run: Run, status: RowStatus) -> int:
    """Make the unknown or refused rows of a run pending again; gives how many there were."""
    with journal.transaction() as db:
        changed = db.execute(
            "UPDATE rows SET status = 'pending', sent_at = NULL WHERE run = ? AND status = ?",
            (run.id, status.value),
        )
        return changed.rowcount


def counts(journal: Journal, run: Run) -> dict[str, int]:
    """Count the rows by what became of them; every status is there."""
    found = dict(
        journal.db.execute("SELECT status, count(*) FROM rows WHERE run = ? GROUP BY status", (run.id,)).fetchall()
    )
    return {status.value: found.get(status.value, 0) for status in RowStatus}


def pending_sums(journal: Journal, run: Run) -> tuple[dict[str, int], int]:
    """Give the minor units that are still to be sent, by currency, and how many of those rows cost nothing."""
    sums: dict[str, int] = {}
    free = 0
    for currency, total, zeros in journal.db.execute(
        "SELECT currency, sum(amount), sum(amount = 0) FROM rows"
        " WHERE run = ? AND status = 'pending' AND currency <> '' GROUP BY currency ORDER BY currency",
        (run.id,),
    ):
        sums[currency] = total
        free += zeros
    return sums, free


def sent_any(journal: Journal, run: Run) -> bool:
    """Tell whether anything of a run was ever sent."""
    found = journal.db.execute("SELECT 1 FROM rows WHERE run = ? AND attempts > 0 LIMIT 1", (run.id,))
    return found.fetchone() is not None


def settled(journal: Journal, run: Run, statuses: Iterable[RowStatus]) -> Iterator[SettledRow]:
    """Give the rows of some statuses in file order."""
    wanted = [status.value for status in statuses]
    marks = ",".join("?" * len(wanted))
    query = f"SELECT {_SETTLED} FROM rows WHERE run = ? AND status IN ({marks}) ORDER BY row"
    for row in journal.db.execute(query, (run.id, *wanted)):
        yield SettledRow(*row)


def forget_in_ledger(journal: Journal, run: Run) -> None:
    """Strike what the ledger has of a run's rows, for ``--fresh``."""
    table, column = _ledger_of(run)
    with journal.transaction() as db:
        db.execute(
            f"DELETE FROM {table} WHERE scope = ? AND {column} IN"
            " (SELECT key FROM rows WHERE run = ? AND key IS NOT NULL)",
            (run.scope, run.id),
        )


def drop_personal_data(journal: Journal, run: Run) -> None:
    """Forget what the rows say that nothing needs any more: all but the failed ones' contents."""
    failed = ",".join(f"'{status.value}'" for status in FAILED)
    with journal.transaction() as db:
        db.execute(
            "UPDATE rows SET body = NULL, cells = NULL, customer = NULL, invoice_id = NULL"
            f" WHERE run = ? AND status NOT IN ({failed}) AND cells IS NOT NULL",
            (run.id,),
        )


def _ledger_of(run: Run) -> tuple[str, str]:
    return ("accepted_sales", "invoice") if run.kind == "sale" else ("accepted_leads", "fingerprint")
