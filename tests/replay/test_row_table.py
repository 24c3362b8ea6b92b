"""The rows of a run: reading or changing them leaves other runs, and other rows, alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faultserver import SUCCESS, FaultServer, json_reply
from replays import Bench, leads_csv, sales_csv

from cms_cli.replay.journal import row_reports, row_table
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import SAFE_TO_RESEND, RowStatus
from cms_cli.replay.journal.runs import Run

pytestmark = pytest.mark.usefixtures("engine")

NO = json_reply(422, {"error": "no"})
PENDING = RowStatus.PENDING
Change = Callable[[Journal, Database, Run], object]

CHANGES: dict[str, tuple[set[int], Change]] = {
    "amend": ({2}, lambda _, db, run: row_table.amend(db, run, [(2, RowStatus.INVALID, "code", "error")])),
    "intend": ({4}, lambda journal, db, run: row_table.intend(db, run, row_table.numbered(journal, run, [4]), 1.0)),
    "put back": (
        {4},
        lambda journal, db, run: row_table.put_back(
            db, run, row_table.numbered(journal, run, [4])[0]._replace(sent_at=2.0), 503, "busy", "it is busy"
        ),
    ),
    "settle": (
        {4},
        lambda journal, db, run: row_table.settle(
            db, run, row_table.numbered(journal, run, [4])[0], RowStatus.REFUSED, 422, "code", "error"
        ),
    ),
    "delete": ({1, 2, 3, 4, 5, 6}, lambda _, db, run: row_table.delete(db, run)),
}


@pytest.fixture(params=["lead", "sale"])
def bench(tmp_path: Path, service: FaultServer, request: pytest.FixtureRequest) -> Bench:
    """Return a state folder with a run of rows in various states."""
    bench = Bench(tmp_path, service.url, request.param)
    begin(bench, service, 0)
    return bench


def begin(bench: Bench, service: FaultServer, first: int) -> None:
    """Make a run of six rows: accepted, refused, unknown, sent without an answer, tried in vain, and untouched."""
    make = sales_csv if bench.kind.value == "sale" else leads_csv
    more = {} if bench.kind.value == "sale" else {"timestamp": ""}
    service.script(SUCCESS, NO, SUCCESS)
    report = bench.replay(bench.file(make(range(first, first + 6), **more), f"{first}.csv"), limit=3, concurrency=1)
    number = f"(SELECT id FROM runs WHERE name = '{report.run}')"
    left = time.time() - SAFE_TO_RESEND - 60
    bench.change(f"UPDATE rows SET status = 'unknown', sent_at = ? WHERE run = {number} AND row = 3", left)
    bench.change(f"UPDATE rows SET attempts = 1, sent_at = ? WHERE run = {number} AND row = 4", left)
    bench.change(f"UPDATE rows SET attempts = 1 WHERE run = {number} AND row = 5")


def read(journal: Journal, run: Run) -> list[Any]:
    """Return everything that can be asked of a run's rows."""
    db = journal.db
    return [
        row_table.pending(journal, run, 0, 9),
        [*row_table.keys_by_row(journal, run, [PENDING, RowStatus.UNKNOWN])],
        row_table.numbered(journal, run, [3, 5]),
        row_table.interrupted(journal, run, time.time()),
        row_table.keys_of(db, run),
        row_table.keys_of(db, run, pending_only=True),
        row_table.unanswered(db, run),
        row_table.unsent_looks(db, run),
        row_table.unknown(db, run),
        [*row_table.unknown_leads(journal, run)],
        row_reports.counts(journal, run),
        row_reports.sums_of(journal, run, [PENDING]),
        [*row_reports.settled(journal, run, RowStatus)],
        [*row_reports.settled(journal, run, [RowStatus.UNKNOWN, RowStatus.REFUSED])],
        row_reports.any_sent(journal, run),
        row_reports.has_forgotten(journal, run),
    ]


def table(journal: Journal, run: Run) -> dict[int, tuple[Any, ...]]:
    """Return a run's rows as they are stored, by number."""
    return {row[1]: row for row in journal.db.execute("SELECT * FROM rows WHERE run = ?", (run.id,)).fetchall()}


def test_reading_a_run_reads_no_other(bench: Bench, service: FaultServer) -> None:
    """What is read of a run is the same whether or not there is another one."""
    [run] = bench.runs()
    with bench.journal() as journal:
        before = read(journal, run)
    counts = before[10]
    assert [counts[name] for name in ("accepted", "refused", "unknown", "pending")] == [1, 1, 1, 3]
    begin(bench, service, 10)
    with bench.journal() as journal:
        assert read(journal, run) == before


@pytest.mark.parametrize("change", CHANGES)
def test_changing_rows_changes_no_others(bench: Bench, service: FaultServer, change: str) -> None:
    """A change reaches the rows that it names, and no others of their run or of another one."""
    begin(bench, service, 10)
    changed, make = CHANGES[change]
    other, run = bench.runs()
    with bench.journal() as journal:
        before, others = table(journal, run), table(journal, other)
        with journal.transaction() as db:
            make(journal, db, run)
        after = table(journal, run)
        assert {row for row, value in before.items() if after.get(row) != value} == changed
        assert table(journal, other) == others


@pytest.mark.parametrize("status", [RowStatus.UNKNOWN, RowStatus.REFUSED])
def test_rows_of_one_status_and_run_are_opened_again(bench: Bench, service: FaultServer, status: RowStatus) -> None:
    """Rows that are to be sent again count as never sent; other rows and other runs stay as they are."""
    begin(bench, service, 10)
    other, run = bench.runs()
    [row] = {RowStatus.UNKNOWN: {3}, RowStatus.REFUSED: {2}}[status]
    with bench.journal() as journal:
        before, others = table(journal, run), table(journal, other)
        row_table.reopen(journal, run, status)
        after = table(journal, run)
        assert {number for number, value in before.items() if after[number] != value} == {row}
        [opened] = row_table.numbered(journal, run, [row])
        assert (opened.sent_at, row_table.pending(journal, run, 0, 1)) == (None, [opened])
        assert table(journal, other) == others


def test_what_a_killed_process_left_is_settled_by_kind(bench: Bench, service: FaultServer) -> None:
    """A row without an answer is unknown: a lead at once, and a sale after a day; each says why."""
    begin(bench, service, 10)
    other, run = bench.runs()
    expected = "too_long_ago" if bench.kind.value == "sale" else "interrupted"
    with bench.journal() as journal:
        others = table(journal, other)
        if bench.kind.value == "sale":
            assert row_table.recover(journal, run, time.time() - 120) == []
        found = row_table.recover(journal, run, time.time())
        assert [(each.row, each.status, each.code) for each in found] == [(4, "unknown", expected)]
        assert [*row_reports.settled(journal, run, [RowStatus.UNKNOWN])][1:] == found
        assert table(journal, other) == others
