"""The table of rows: each is staged once, and later moved from ``pending`` to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from cms_cli.replay.journal import ledger, look_alikes, runs
from cms_cli.replay.journal.database import Database, in_parts, marks
from cms_cli.replay.journal.journal import Journal, TextsWriter
from cms_cli.replay.journal.locks import RunBusyError
from cms_cli.replay.journal.row_texts import RowText
from cms_cli.replay.journal.rows import (
    INTERRUPTED,
    SAFE_TO_RESEND,
    TOO_LONG_AGO,
    PendingRow,
    RowStatus,
    SettledRow,
    StagedRow,
    is_too_long_ago,
    settled_row,
)
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.journal.schema import ROWS_A_BLOCK

_PAGE = 1000  # rows read at a time

_STAGED = "run, row, line, status, customer, key, amount, currency, code, error, fault, look, place"
_PENDING = "row, line, customer, key, amount, currency, place, attempts, sent_at, look"


def stage(journal: Journal, db: Database, run: Run, rows: Iterable[StagedRow], texts: TextsWriter) -> None:
    """Insert staged rows. Part of a transaction; their texts are durable once ``texts`` is closed."""
    values = ((run.id, *row[:7], *row[9:], texts.add(RowText(row.body or "", row.cells))) for row in rows)
    journal.insert_rows(db, _STAGED, values)


def amend(db: Database, run: Run, rows: Iterable[tuple[int, RowStatus, str, str]]) -> None:
    """Set status, code and error of staged rows, each given with its number. Part of a transaction."""
    db.executemany(
        "UPDATE rows SET status = ?, code = ?, error = ? WHERE run = ? AND row = ?",
        ((status.value, code, error, run.id, row) for row, status, code, error in rows),
    )


def pending(journal: Journal, run: Run, after: int, count: int) -> list[PendingRow]:
    """Return up to ``count`` pending rows after a row number, in file order."""
    found = journal.db.execute(
        f"SELECT {_PENDING} FROM rows INDEXED BY rows_by_status"
        " WHERE run = ? AND status = 'pending' AND row > ? ORDER BY row LIMIT ?",
        (run.id, after, count),
    )
    return [_pending(journal, run, row) for row in found]


def keys_by_row(
    journal: Journal, run: Run, statuses: Sequence[RowStatus]
) -> Iterator[list[tuple[int, bytes, bytes | None]]]:
    """Yield number, key and look of the rows of some statuses in file order, in pages."""
    query = (
        f"SELECT row, key, look FROM rows WHERE run = ? AND status IN ({marks(statuses)}) AND key IS NOT NULL"
        " AND row > ? ORDER BY row LIMIT ?"
    )
    after = 0
    while page := journal.db.execute(query, (run.id, *(each.value for each in statuses), after, _PAGE)).fetchall():
        yield [(row, bytes(key), look if look is None else bytes(look)) for row, key, look in page]
        after = page[-1][0]


def numbered(journal: Journal, run: Run, rows: Sequence[int]) -> list[PendingRow]:
    """Return rows by their numbers, in file order, as rows to send."""
    query = f"SELECT {_PENDING} FROM rows WHERE run = ? AND row IN ({{}}) ORDER BY row"
    return [
        _pending(journal, run, found)
        for some in in_parts(rows)
        for found in journal.db.execute(query.format(marks(some)), (run.id, *some)).fetchall()
    ]


def next_of_customer(journal: Journal, run: Run, before: PendingRow, until: int) -> PendingRow | None:
    """Return the next pending row of the customer of a row, up to a row number, or None."""
    for block in range(before.row >> ROWS_A_BLOCK, (until >> ROWS_A_BLOCK) + 1):
        found = journal.db.execute(
            f"SELECT {_PENDING} FROM rows INDEXED BY rows_pending_by_customer WHERE run = ? AND status = 'pending'"
            f" AND (row >> {ROWS_A_BLOCK}) = ? AND customer = ? AND row > ? AND row <= ? ORDER BY row LIMIT 1",
            (run.id, block, before.customer, before.row, until),
        ).fetchone()
        if found:
            return _pending(journal, run, found)
    return None


def _pending(journal: Journal, run: Run, found: tuple[Any, ...]) -> PendingRow:
    row, line, customer, key, amount, currency, offset, attempts, sent_at, look = found
    body, cells = journal.row_texts(run).read(offset)
    look = None if look is None else bytes(look)
    return PendingRow(row, line, customer, bytes(key), amount, currency, body, cells, attempts, sent_at, look)


def ask_unchanged(db: Database, run: Run, rows: Sequence[PendingRow]) -> Callable[[], None]:
    """Ask if rows are unchanged since they were read; return a function that checks the answer.

    Call that function in the same transaction before :func:`intend`. It raises RunBusyError if another process has
    changed a row, and so may have sent it.
    """
    query = "SELECT row, attempts FROM rows WHERE run = ? AND status = 'pending' AND row IN"
    numbers = [row.row for row in rows]
    cursors = [db.execute(f"{query} ({marks(some)})", (run.id, *some)) for some in in_parts(numbers)]

    def read() -> None:
        attempts = dict(found for cursor in cursors for found in cursor)
        if any(attempts.get(row.row) != row.attempts for row in rows):
            raise RunBusyError

    return read


def intend(db: Database, run: Run, rows: Sequence[PendingRow], now: float) -> None:
    """Record the intent to send rows. Part of a transaction that is committed before their requests are sent."""
    for some in in_parts([row.row for row in rows]):
        db.execute(
            "UPDATE rows SET attempts = attempts + 1, sent_at = coalesce(sent_at, ?), status_code = NULL,"
            f" code = NULL, error = NULL WHERE run = ? AND row IN ({marks(some)})",
            (now, run.id, *some),
        )
    for row in rows:
        if row.look is not None:
            look_alikes.add(db, run.scope, row.look, run.id, row.row)


def put_back(db: Database, run: Run, row: PendingRow, status_code: int | None, code: str, error: str) -> None:
    """Record the result of an attempt that did not settle its row; ``row.sent_at`` has the new value.

    Nothing is written if another process has begun the next attempt meanwhile.
    """
    db.execute(
        "UPDATE rows SET sent_at = ?, status_code = ?, code = ?, error = ?"
        " WHERE run = ? AND row = ? AND status = 'pending' AND attempts = ?",
        (row.sent_at, status_code, code, error, run.id, row.row, row.attempts),
    )


def settle(
    db: Database,
    run: Run,
    row: PendingRow,
    status: RowStatus,
    status_code: int | None,
    code: str | None,
    error: str | None,
) -> None:
    """Write the outcome of a row and the ledger entry that follows from it."""
    db.execute(
        "UPDATE rows SET status = ?, status_code = ?, code = ?, error = ? WHERE run = ? AND row = ?",
        (status.value, status_code, code, error, run.id, row.row),
    )
    there = status in (RowStatus.ACCEPTED, RowStatus.DUPLICATE)
    if run.kind == "lead":
        if there or status is RowStatus.UNKNOWN:
            ledger.add_lead(db, run.scope, row.key, arrived=there)
            return
        if row.look is not None:
            look_alikes.remove(db, run.scope, row.look, run.id, row.row)
        if status is RowStatus.REFUSED:
            ledger.add_refused_lead(db, run.scope, row.key)
    elif status is RowStatus.ACCEPTED:
        ledger.add_sale(db, run.scope, row.key, row.amount or 0, row.currency or "")
    elif status is RowStatus.DUPLICATE:
        ledger.add_known_sale(db, run.scope, row.key)


def interrupted(journal: Journal, run: Run, now: float) -> list[PendingRow]:
    """Return the rows that a killed process left without an answer and that cannot be sent again; there are few.

    For a lead these are all; a sale can be sent again unless its first request was sent too long ago.
    """
    found = journal.db.execute(
        f"SELECT {_PENDING} FROM rows INDEXED BY rows_sent"
        " WHERE run = ? AND status = 'pending' AND sent_at IS NOT NULL",
        (run.id,),
    ).fetchall()
    rows = [_pending(journal, run, each) for each in found]
    return [row for row in rows if run.kind == "lead" or is_too_long_ago(row, now)]


def without_answer(run: Run) -> tuple[str, str]:
    """Return the code and error of an interrupted row."""
    return TOO_LONG_AGO if run.kind == "sale" else INTERRUPTED


def recover(journal: Journal, run: Run, now: float) -> list[SettledRow]:
    """Settle the interrupted rows as unknown, before anything is sent, and return them."""
    code, error = without_answer(run)
    with journal.transaction() as db:
        rows = interrupted(journal, run, now)
        for row in rows:
            settle(db, run, row, RowStatus.UNKNOWN, None, code, error)
    return [settled_row(row, RowStatus.UNKNOWN, None, code, error) for row in rows]


def reopen(journal: Journal, run: Run, status: RowStatus) -> None:
    """Make the unknown or refused rows of a run pending again."""
    with journal.transaction() as db:
        changed = db.execute(
            "UPDATE rows SET status = 'pending', sent_at = NULL, status_code = NULL, code = NULL, error = NULL"
            " WHERE run = ? AND status = ?",
            (run.id, status.value),
        )
        if changed.rowcount:  # in the same transaction: a run that is marked as finished may be pruned
            runs.reopen(db, run)


def keys_of(db: Database, run: Run, *, pending_only: bool = False) -> list[bytes]:
    """Return the keys of a run's events, of all or only of the pending ones."""
    where = " AND status = 'pending'" if pending_only else ""
    found = db.execute(f"SELECT key FROM rows WHERE run = ? AND key IS NOT NULL{where}", (run.id,))
    return [bytes(key) for (key,) in found]


def unanswered(db: Database, run: Run) -> list[tuple[bytes, float]]:
    """Return the keys of events that a run has sent without an answer, and the times of their first attempts."""
    found = db.execute(
        "SELECT key, sent_at FROM rows INDEXED BY rows_sent WHERE run = ? AND status = 'pending'"
        " AND sent_at IS NOT NULL AND key IS NOT NULL",
        (run.id,),
    )
    return [(bytes(key), sent_at) for key, sent_at in found]


def unsent_looks(db: Database, run: Run) -> list[tuple[bytes, int]]:
    """Return look and number of a run's pending rows that were attempted and surely did not arrive."""
    found = db.execute(
        "SELECT look, row FROM rows INDEXED BY rows_by_status WHERE run = ? AND status = 'pending'"
        " AND sent_at IS NULL AND attempts > 0 AND look IS NOT NULL",
        (run.id,),
    )
    return [(bytes(look), row) for look, row in found]


def unknown(db: Database, run: Run) -> list[tuple[bytes, float]]:
    """Return key and time of the first attempt of a run's unknown rows; 0 if another run sent the row."""
    found = db.execute(
        "SELECT key, coalesce(sent_at, 0) FROM rows INDEXED BY rows_by_status WHERE run = ? AND status = 'unknown'"
        " AND key IS NOT NULL",
        (run.id,),
    )
    return [(bytes(key), sent_at) for key, sent_at in found]


def unknown_leads(journal: Journal, run: Run) -> Iterator[tuple[bytes, str]]:
    """Yield key and body of a run's unknown leads."""
    found = journal.db.execute(
        "SELECT key, place FROM rows INDEXED BY rows_by_status WHERE run = ? AND status = 'unknown'"
        " AND key IS NOT NULL AND place IS NOT NULL",
        (run.id,),
    )
    for key, offset in found.fetchall():
        yield bytes(key), journal.row_texts(run).read(offset).body


def ask_in_flight_elsewhere(
    db: Database, others: runs.Others, keys: Sequence[bytes]
) -> Callable[[], dict[bytes, float]]:
    """Send the queries for requests of other runs that have one of the keys and no answer yet.

    Returns:
        A function that reads the result: the time of each such request, by key.
    """
    query = "SELECT key, sent_at FROM rows INDEXED BY rows_sent WHERE status = 'pending' AND sent_at IS NOT NULL"
    query += " AND code IS NULL"
    cursors = [
        db.execute(f"{query} AND key IN ({marks(some)}) AND run IN {runs.OTHERS}", (*some, *others))
        for some in in_parts(keys)
    ]
    return lambda: {bytes(key): sent_at for cursor in cursors for key, sent_at in cursor}


def too_long_ago_elsewhere(db: Database, others: runs.Others, now: float) -> set[bytes]:
    """Return the keys of other runs' unanswered sales that are too old to be sent again; there are few."""
    found = db.execute(
        "SELECT key FROM rows INDEXED BY rows_by_status WHERE status = 'unknown' AND key IS NOT NULL"
        f" AND run IN {runs.OTHERS} UNION ALL"
        " SELECT key FROM rows INDEXED BY rows_sent WHERE status = 'pending' AND sent_at IS NOT NULL"
        f" AND abs(? - sent_at) > ? AND key IS NOT NULL AND run IN {runs.OTHERS}",
        (*others, now, SAFE_TO_RESEND, *others),
    )
    return {bytes(key) for (key,) in found}


def delete(db: Database, run: Run) -> None:
    """Delete the rows of a run. Part of a transaction."""
    db.execute("DELETE FROM rows WHERE run = ?", (run.id,))
