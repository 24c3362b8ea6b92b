"""A dry run and the run agree on rows that other files have sent since they were staged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultserver import DROP, SUCCESS, FaultServer, json_reply
from replays import SALE_HEADER, Bench, Notes, as_csv, counted, lead, leads_csv, read_results, sale, sales_csv

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal import lifecycle
from cms_cli.replay.journal.identity import RunConflictError
from cms_cli.replay.journal.rows import SAFE_TO_RESEND
from cms_cli.replay.report import ReplayReport
from cms_cli.replay.run import rehearse
from cms_cli.replay.watcher import Watcher

pytestmark = pytest.mark.usefixtures("engine")

NO = json_reply(422, {"error": "it said no"})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Run a service that accepts everything unless a test scripts its answers."""
    with FaultServer() as server:
        yield server


def agreed(bench: Bench, path: Path, **how: Any) -> ReplayReport:
    """Check that dry run, preview and run agree on every row, and return the run's report.

    The service of these tests accepts every pending row.
    """
    results = bench.folder / "results.jsonl"
    preview, dry = rehearse(bench.request(path, results=results, **how), Watcher())
    planned = {row["_line"]: row["_status"] for row in read_results(results)}
    results.unlink()
    notes = Notes(yes=False)
    if preview.pending:
        with pytest.raises(RunConflictError, match="you answered no"):
            bench.replay(path, notes=notes, **how)
        [shown] = notes.previews
        assert (shown.counts, shown.sums, shown.free) == (preview.counts, preview.sums, preview.free)
    before = bench.sent
    report = bench.replay(path, results=results, **how)
    assert bench.sent - before == preview.pending
    accepted = dry.counts["accepted"] + dry.counts["pending"]
    assert report.counts == {**dry.counts, "accepted": accepted, "pending": 0}
    done = {row["_line"]: row["_status"] for row in read_results(results)}
    assert done == {line: "accepted" if status == "pending" else status for line, status in planned.items()}
    assert [(each.line, each.code) for each in report.problems] == [(each.line, each.code) for each in dry.problems]
    if not preview.pending:
        assert report.exit_code == dry.exit_code
    return report


def test_a_sale_that_another_file_has_sent_meanwhile(tmp_path: Path, server: FaultServer) -> None:
    """A sale that another file has sent since is a duplicate in dry run and run; both warn of another amount."""
    server.script(NO, SUCCESS)
    bench = Bench(tmp_path, server.url)
    free = [sale(6, amount=0), sale(7, amount=0)]
    path = bench.file(as_csv(SALE_HEADER, [*(sale(number) for number in range(6)), *free]))
    assert counted(bench.replay(path, concurrency=1, limit=2)) == {"refused": 1, "accepted": 1, "pending": 6}
    others = as_csv(SALE_HEADER, [sale(0), sale(3), sale(4, amount=9), free[0]])
    assert counted(bench.replay(bench.file(others, "others.csv"))) == {"accepted": 4}
    preview, _ = rehearse(bench.request(path), Watcher())
    assert counted(preview) == {"refused": 1, "accepted": 1, "pending": 3, "duplicate": 3}
    assert (preview.sums, preview.free) == ({"EUR": 102 + 105}, 1)
    [warning] = preview.warnings[-1:]
    assert "line 6: invoice inv_4 was accepted before with 9 EUR" in warning
    report = agreed(bench, path, retry_refused=True)
    assert counted(report) == {"accepted": 4, "duplicate": 4}
    assert warning in report.warnings


def test_a_run_whose_rows_are_all_known_is_settled_without_a_question(tmp_path: Path, server: FaultServer) -> None:
    """A run whose rows have all been sent by others finishes without a question."""
    server.script(NO)
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, concurrency=1, limit=1)
    bench.replay(bench.file(sales_csv(range(4)), "others.csv"))
    report = agreed(bench, path, retry_refused=True)
    assert counted(report) == {"duplicate": 3}
    assert not bench.notes.previews


@pytest.mark.parametrize("again", [False, True])
def test_a_lead_that_another_file_has_left_unknown_meanwhile(
    tmp_path: Path, server: FaultServer, again: bool
) -> None:
    """A lead that another file has left unknown is unknown here too, unless --retry-unknown is given."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(leads_csv(range(4)))
    bench.replay(path, limit=1)
    server.script(DROP, SUCCESS)
    other = bench.file(leads_csv([2, 3]), "other.csv")
    assert counted(bench.replay(other, concurrency=1)) == {"unknown": 1, "accepted": 1}
    report = agreed(bench, path, retry_unknown=again)
    expected = {"accepted": 3, "duplicate": 1} if again else {"accepted": 2, "unknown": 1, "duplicate": 1}
    assert counted(report) == expected


def test_a_row_that_a_killed_run_left_without_an_answer(tmp_path: Path, server: FaultServer) -> None:
    """A dry run counts a sale that is too old to resend as unknown, and with --retry-unknown as pending."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, limit=1)
    left = time.time() - SAFE_TO_RESEND - 60
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", left)
    preview, _ = rehearse(bench.request(path), Watcher())
    assert (preview.counts["unknown"], preview.sums) == (1, {"EUR": 102})
    preview, _ = rehearse(bench.request(path, retry_unknown=True), Watcher())
    assert (preview.counts["unknown"], preview.sums) == (0, {"EUR": 101 + 102})
    assert counted(agreed(bench, path)) == {"accepted": 2, "unknown": 1}
    assert counted(agreed(bench, path, retry_unknown=True)) == {"accepted": 3}


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_an_event_that_another_run_left_without_an_answer(tmp_path: Path, server: FaultServer, kind: str) -> None:
    """A dry run counts an event that another run left unanswered as unknown, as the run does."""
    bench = Bench(tmp_path, server.url, kind)
    rows = sales_csv if kind == "sale" else leads_csv
    bench.replay(bench.file(rows(range(3))), limit=1)
    left = time.time() - SAFE_TO_RESEND - 60
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", left)
    path = bench.file(rows([1, 5]), "next.csv")
    report = agreed(bench, path)
    assert counted(report) == {"unknown": 1, "accepted": 1}
    assert counted(agreed(bench, path, retry_unknown=True)) == {"accepted": 2}


def test_a_refusal_is_final_in_a_file_that_has_grown(tmp_path: Path, server: FaultServer) -> None:
    """A refused lead stays refused after its file has grown, until --retry-refused."""
    bench = Bench(tmp_path, server.url, "lead")
    rows = [lead(0), lead(1, timestamp=""), lead(2), lead(3, timestamp="")]
    server.script(NO, NO, SUCCESS, SUCCESS)
    header = ("click_id", "event_name", "customer_external_id", "timestamp")
    path = bench.file(as_csv(header, rows))
    assert counted(bench.replay(path, concurrency=1)) == {"refused": 2, "accepted": 2}
    rows.append(lead(4))
    path = bench.file(as_csv(header, rows))
    report = agreed(bench, path)
    assert counted(report) == {"refused": 2, "duplicate": 2, "accepted": 1}
    assert report.exit_code == ExitCode.REFUSED
    assert counted(agreed(bench, path, retry_refused=True)) == {"duplicate": 2, "accepted": 3}
    rows.append(lead(5))
    assert counted(agreed(bench, bench.file(as_csv(header, rows)))) == {"duplicate": 5, "accepted": 1}


def test_a_refusal_is_forgotten_once_the_lead_may_have_arrived(tmp_path: Path, server: FaultServer) -> None:
    """A refused lead that was retried without an answer is unknown after its file has grown."""
    bench = Bench(tmp_path, server.url, "lead")
    server.script(NO, DROP)
    path = bench.file(leads_csv([0]))
    assert counted(bench.replay(path)) == {"refused": 1}
    assert counted(bench.replay(path, retry_refused=True)) == {"unknown": 1}
    assert counted(agreed(bench, bench.file(leads_csv([0, 1])))) == {"unknown": 1, "accepted": 1}


@pytest.mark.parametrize("change", ["another file", "fed back", "fresh"])
def test_a_refusal_is_not_final_anywhere_else(tmp_path: Path, server: FaultServer, change: str) -> None:
    """A refused lead is sent again from another file, from a failures file and with --fresh."""
    bench = Bench(tmp_path, server.url, "lead")
    server.script(NO, SUCCESS)
    failures = tmp_path / "failures.csv"
    path = bench.file(leads_csv([0, 1]))
    bench.replay(path, concurrency=1, failures=failures)
    path = {"another file": bench.file(leads_csv([5, 0]), "next.csv"), "fed back": failures, "fresh": path}[change]
    expected = {"another file": 2, "fed back": 1, "fresh": 2}[change]
    assert counted(agreed(bench, path, fresh=change == "fresh")) == {"accepted": expected}


@pytest.mark.parametrize("change", ["fresh", "fed back", "grown"])
def test_repeats_skip_does_not_skip_leads_that_need_no_decision(
    tmp_path: Path, server: FaultServer, change: str
) -> None:
    """--repeats skip skips no lead of a failures file, of a --fresh run or at the end of a grown file."""
    bench = Bench(tmp_path, server.url, "lead")
    rows = [lead(0, timestamp=""), lead(1, timestamp="")]
    header = ("click_id", "event_name", "customer_external_id", "timestamp")
    failures = tmp_path / "failures.csv"
    server.script(SUCCESS, NO)
    path = bench.file(as_csv(header, rows))
    bench.replay(path, concurrency=1, failures=failures)
    bench.replay(bench.file(as_csv(header, [*rows[::-1], lead(7)]), "other.csv"), repeats="send")
    if change == "grown":
        path = bench.file(as_csv(header, [*rows, rows[1]]))
    report = agreed(bench, failures if change == "fed back" else path, repeats="skip", fresh=change == "fresh")
    assert "skipped" not in counted(report)


def test_a_lead_without_a_time_that_another_file_has_sent_meanwhile(tmp_path: Path, server: FaultServer) -> None:
    """With --repeats skip, a lead that looks like one that another file has sent since is skipped."""
    bench = Bench(tmp_path, server.url, "lead")
    header = ("click_id", "event_name", "customer_external_id", "timestamp")
    path = bench.file(as_csv(header, [lead(number, timestamp="") for number in range(4)]))
    bench.replay(path, limit=1)
    others = as_csv(header, [lead(2, timestamp=""), lead(3, timestamp="2026-01-01T00:00:00Z")])
    assert counted(bench.replay(bench.file(others, "other.csv"))) == {"accepted": 2}
    assert counted(agreed(bench, path, repeats="skip")) == {"accepted": 3, "skipped": 1}


def test_a_sale_that_a_removed_run_left_without_an_answer(tmp_path: Path, server: FaultServer) -> None:
    """A sale that a run since removed left unanswered for over a day is unknown until --retry-unknown."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    bench.replay(path, limit=1)
    other = bench.replay(bench.file(sales_csv([7, 2]), "other.csv"), limit=1)
    left = time.time() - SAFE_TO_RESEND - 60
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE run = 2 AND row = 2", left)
    with bench.journal() as journal:
        assert lifecycle.prune(journal, [str(other.run)], ledger_too=False) == 1
    assert counted(agreed(bench, path)) == {"accepted": 2, "unknown": 1}
    assert counted(agreed(bench, path, retry_unknown=True)) == {"accepted": 3}
