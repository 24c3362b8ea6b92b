"""The rows of a run: reading or changing them leaves other runs, and other rows, alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faultserver import SUCCESS, FaultServer, json_reply
from replays import LEAD_HEADER, SALE_HEADER, Bench, as_csv, lead, sale, sales_csv

from cms_cli.replay.journal import row_reports, row_table, runs
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import SAFE_TO_RESEND, RowStatus
from cms_cli.replay.journal.runs import Run

pytestmark = pytest.mark.usefixtures("engine")

NO = json_reply(422, {"error": "no"})
PENDING = RowStatus.PENDING
LONG_AGO = time.time() - SAFE_TO_RESEND - 60
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
    "delete": ({1, 2, 3, 4, 5, 6, 7}, lambda _, db, run: row_table.delete(db, run)),
}


@pytest.fixture(params=["lead", "sale"])
def bench(tmp_path: Path, service: FaultServer, request: pytest.FixtureRequest) -> Bench:
    """Return a state folder with a run of rows in various states."""
    bench = Bench(tmp_path, service.url, request.param)
    begin(bench, service, 0)
    return bench


def begin(bench: Bench, service: FaultServer, first: int) -> None:
    """Make a run of rows: accepted, refused, unknown, unanswered, tried in vain, untouched, and invalid."""
    numbers = range(first, first + 6)
    if bench.kind.value == "sale":
        text = as_csv(SALE_HEADER, [*(sale(number, "ann") for number in numbers), sale(first + 6, invoice=" ")])
    else:
        rows = [lead(number, "ann", timestamp="") for number in numbers]
        text = as_csv(LEAD_HEADER, [*rows, lead(first + 6, " ")])
    service.script(SUCCESS, NO, SUCCESS)
    report = bench.replay(bench.file(text, f"{first}.csv"), limit=3, concurrency=1, skip_invalid=True)
    number = f"(SELECT id FROM runs WHERE name = '{report.run}')"
    bench.change(f"UPDATE rows SET status = 'unknown', sent_at = ? WHERE run = {number} AND row = 3", LONG_AGO)
    bench.change(f"UPDATE rows SET attempts = 1, sent_at = ? WHERE run = {number} AND row = 4", LONG_AGO)
    bench.change(f"UPDATE rows SET attempts = 1 WHERE run = {number} AND row = 5")


def read(journal: Journal, run: Run) -> list[Any]:
    """Return everything that can be asked of a run's rows."""
    db = journal.db
    return [
        row_table.pending(journal, run, 0, 9),
        [*row_table.keys_by_row(journal, run, [PENDING, RowStatus.UNKNOWN])],
        row_table.numbered(journal, run, [3, 5]),
        row_table.next_of_customer(journal, run, row_table.numbered(journal, run, [4])[0], 9),
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
    counts = before[11]
    assert [counts[name] for name in ("accepted", "refused", "unknown", "pending", "invalid")] == [1, 1, 1, 3, 1]
    begin(bench, service, 10)
    with bench.journal() as journal:
        assert read(journal, run) == before


def test_each_question_finds_the_rows_that_it_is_about(bench: Bench) -> None:
    """Rows are found that are unknown, were sent without an answer, or surely did not arrive."""
    [run] = bench.runs()
    with bench.journal() as journal:
        db = journal.db
        row_of = {key: row for page in row_table.keys_by_row(journal, run, [*RowStatus]) for row, key, _ in page}
        assert sorted(row_of[key] for key in row_table.keys_of(db, run)) == [1, 2, 3, 4, 5, 6]
        assert sorted(row_of[key] for key in row_table.keys_of(db, run, pending_only=True)) == [4, 5, 6]
        assert [(row_of[key], at) for key, at in row_table.unanswered(db, run)] == [(4, LONG_AGO)]
        assert [(row_of[key], at) for key, at in row_table.unknown(db, run)] == [(3, LONG_AGO)]
        assert [row_of[key] for key, _ in row_table.unknown_leads(journal, run)] == [3]
        looks = [] if run.kind == "sale" else [(row_table.numbered(journal, run, [5])[0].look, 5)]
        assert row_table.unsent_looks(db, run) == looks
        following = row_table.next_of_customer(journal, run, row_table.numbered(journal, run, [4])[0], 9)
        assert following is not None
        assert following.row == 5


def test_a_request_is_in_flight_until_it_is_answered(bench: Bench) -> None:
    """Other runs wait for a request without an answer, and not for one that was answered and is to be repeated."""
    [run] = bench.runs()
    with bench.journal() as journal:
        [row] = row_table.numbered(journal, run, [4])
        keys = row_table.keys_of(journal.db, run)

        def in_flight() -> dict[bytes, float]:
            return row_table.ask_in_flight_elsewhere(journal.db, runs.any_run(run.scope, run.kind), keys)()

        assert in_flight() == {row.key: LONG_AGO}
        with journal.transaction() as db:
            row_table.put_back(db, run, row, 503, "busy", "it is busy")
        assert in_flight() == {}


def test_the_keys_of_a_long_run_are_read_once_each(tmp_path: Path, service: FaultServer) -> None:
    """A run is read page by page, without a row twice or left out."""
    bench = Bench(tmp_path, service.url)
    bench.replay(bench.file(sales_csv(range(2100))), limit=1)
    [run] = bench.runs()
    with bench.journal() as journal:
        pages = [*row_table.keys_by_row(journal, run, [PENDING])]
    assert len(pages) > 1
    assert [row for page in pages for row, _, _ in page] == [*range(2, 2101)]


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
            assert row_table.recover(journal, run, LONG_AGO + SAFE_TO_RESEND - 1) == []
        found = row_table.recover(journal, run, time.time())
        assert [(each.row, each.status, each.code) for each in found] == [(4, "unknown", expected)]
        assert [*row_reports.settled(journal, run, [RowStatus.UNKNOWN])][1:] == found
        assert table(journal, other) == others
