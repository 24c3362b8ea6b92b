"""Reads the rows of a run for reports: counts, sums, and settled rows. Nothing here writes."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from cms_cli.replay.journal.database import Database, marks
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import AMOUNT_CHANGED, FAILED, OUTCOME_UNKNOWN, RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run

_PAGE = 1000  # rows read at a time

_SETTLED = "row, line, status, status_code, attempts, code, error, place, fault"


def changed_amounts(journal: Journal, run: Run) -> tuple[int, str]:
    """Return the number of rows whose invoice was accepted before with another amount, and a text on the first."""
    where = "WHERE run = ? AND status = 'duplicate' AND code = ?"
    values = (run.id, AMOUNT_CHANGED)
    count = journal.db.execute(f"SELECT count(*) FROM rows INDEXED BY rows_by_status {where}", values).fetchone()[0]
    if not count:
        return 0, ""
    line, error = journal.db.execute(
        f"SELECT line, error FROM rows INDEXED BY rows_by_status {where} ORDER BY row LIMIT 1", values
    ).fetchone()
    return int(count), f"line {line}: {error}"


def counts(journal: Journal, run: Run) -> dict[str, int]:
    """Return the number of rows by status, with every status as a key."""
    found = dict(
        journal.db.execute("SELECT status, count(*) FROM rows WHERE run = ? GROUP BY status", (run.id,)).fetchall()
    )
    return {status.value: found.get(status.value, 0) for status in RowStatus}


def sums_of(journal: Journal, run: Run, statuses: Sequence[RowStatus]) -> tuple[dict[str, int], int]:
    """Return the sums of the rows of some statuses in minor units by currency, and the number with amount 0."""
    sums: dict[str, int] = {}
    free = 0
    # The upper and lower bits are summed apart, since a thousand of the largest amounts would overflow 64 bits.
    for currency, high, low, zeros in journal.db.execute(
        "SELECT currency, sum(amount >> 31), sum(amount & 2147483647), sum(CASE WHEN amount = 0 THEN 1 ELSE 0 END)"
        f" FROM rows WHERE run = ? AND status IN ({marks(statuses)}) AND currency <> ''"
        " GROUP BY currency ORDER BY currency",
        (run.id, *(status.value for status in statuses)),
    ):
        sums[currency] = (int(high) << 31) + int(low)
        free += int(zeros)
    return sums, free


def settled(
    journal: Journal, run: Run, statuses: Iterable[RowStatus], *, texts: bool = True
) -> Generator[SettledRow, None, None]:
    """Yield the rows of some statuses in file order.

    Args:
        journal: The journal.
        run: The run.
        statuses: The statuses.
        texts: Whether to read body and cells, which is not possible while the run is being staged.
    """
    values = sorted({status.value for status in statuses})
    parts = [[each] for each in values] if values and {*values} <= {each.value for each in FAILED} else [values]
    for row, line, status, status_code, attempts, code, error, offset, fault in heapq.merge(
        *(pages(journal.db, run, part) for part in parts), key=lambda found: found[0]
    ):
        text = journal.row_texts(run).read(offset) if texts and offset is not None else None
        yield SettledRow(
            *(row, line, status, text.body if text else None, status_code),
            *(attempts, code, error, text.cells if text else None, fault),
        )


def pages(db: Database, run: Run, statuses: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of some statuses in file order, in pages, so that no statement stays open."""
    hint = " INDEXED BY rows_by_status" if len(statuses) == 1 else ""
    query = (
        f"SELECT {_SETTLED} FROM rows{hint} WHERE run = ? AND status IN ({marks(statuses)}) AND row > ?"
        " ORDER BY row LIMIT ?"
    )
    after = 0
    while page := db.execute(query, (run.id, *statuses, after, _PAGE)).fetchall():
        yield from page
        after = page[-1][0]


def left_in_doubt(journal: Journal, run: Run) -> int:
    """Return the number of rows that were left out because they may have arrived before."""
    found = journal.db.execute(
        "SELECT count(*) FROM rows INDEXED BY rows_by_status WHERE run = ? AND status = 'invalid' AND code = ?",
        (run.id, OUTCOME_UNKNOWN),
    )
    return int(found.fetchone()[0])


def any_sent(journal: Journal, run: Run) -> bool:
    """Return True if an event of a run may have arrived; with a rejected token or a wrong host, none has."""
    found = journal.db.execute(
        "SELECT 1 FROM rows WHERE run = ? AND (status = 'unknown'"
        " OR attempts > 0 AND (status <> 'pending' OR sent_at IS NOT NULL)) LIMIT 1",
        (run.id,),
    )
    return found.fetchone() is not None


def has_forgotten(journal: Journal, run: Run) -> bool:
    """Return True if texts of a run's rows were dropped, because it was finished before."""
    found = journal.db.execute("SELECT 1 FROM rows WHERE run = ? AND place IS NULL LIMIT 1", (run.id,))
    return found.fetchone() is not None
