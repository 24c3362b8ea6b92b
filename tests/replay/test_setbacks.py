"""Failures on this machine while sending, such as a full disk or a bug, and what other runs do meanwhile."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faultserver import DROP, HANG, SUCCESS, FaultServer, Received, Reply, json_reply
from replays import Bench, Notes, counted, hurry, leads_csv, sales_csv
from services import sandbox

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal import row_table
from cms_cli.replay.journal.locks import RunBusyError
from cms_cli.replay.journal.sqlite_file import FILE_NAME, LOCKS, JournalError
from cms_cli.replay.model import MachineError
from cms_cli.replay.rowfiles import RowFiles
from cms_cli.replay.sending import stopping, turn
from cms_cli.replay.sending.pacing import Rate
from cms_cli.replay.sending.stop import Stop
from cms_python import CMSClient, Outcome, WireEvent


def test_what_another_run_sends_meanwhile_is_not_sent_again(tmp_path: Path) -> None:
    """A staged row whose event another file has sent since is a duplicate."""
    with sandbox(tmp_path) as server:
        bench = Bench(tmp_path, server.url, "lead")
        path = bench.file(leads_csv(range(6)))
        bench.replay(path, limit=1)
        bench.replay(bench.file(leads_csv([3, 4]), "other.csv"))
        report = bench.replay(path, limit=4)
        assert counted(report) == {"accepted": 4, "duplicate": 2}
        assert max(Counter(event.click_id for event in server.events()).values()) == 1
        assert [row.code for row in bench.notes.rows if row.status == "duplicate"] == ["in_ledger"] * 2


def test_an_amount_that_another_run_sent_otherwise(tmp_path: Path) -> None:
    """A staged sale that another run has sent with another amount is a duplicate with a warning."""
    with sandbox(tmp_path) as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(4)))
        bench.replay(path, limit=1)
        bench.replay(bench.file(sales_csv([2], amount=1), "other.csv"))
        report = bench.replay(path)
        assert counted(report) == {"accepted": 3, "duplicate": 1}
        assert report.exit_code == ExitCode.OK
        [warning] = report.warnings
        assert "line 4: invoice inv_2 was accepted before with 1 EUR" in warning


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_two_files_of_the_same_events_side_by_side(tmp_path: Path, kind: str) -> None:
    """Two runs of the same events at the same time send each event once."""
    reports: list[dict[str, int]] = []

    def go(name: str, numbers: list[int]) -> None:
        bench = Bench(tmp_path, server.url, kind)
        text = sales_csv(numbers) if kind == "sale" else leads_csv(numbers)
        reports.append(counted(bench.replay(bench.file(text, name))))

    with sandbox(tmp_path, latency_ms=30) as server:
        numbers = list(range(20))
        both = [threading.Thread(target=go, args=(f"{name}.csv", [*numbers, name])) for name in (20, 21)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        requests = Counter(attempt.subject for attempt in server.attempts())
    assert (len(requests), set(requests.values())) == (22, {1})
    assert sum(report["accepted"] for report in reports) == 22
    assert sum(report.get("duplicate", 0) for report in reports) == 20


def test_a_sale_that_another_run_sends_again_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits for another run's retry of the same sale and settles the row by its answer."""
    hurry(monkeypatch)
    reports: list[dict[str, int]] = []

    def meanwhile(received: Received) -> Reply:
        other = Bench(tmp_path, server.url)
        path = other.file(sales_csv([1, 2]), "other.csv")
        reports.append(counted(other.replay(path, concurrency=1, max_duration=0.5)))
        return SUCCESS

    with FaultServer() as server:
        server.script(json_reply(500, {"error": "oops"}), meanwhile)
        bench = Bench(tmp_path, server.url)
        assert counted(bench.replay(bench.file(sales_csv([1])))) == {"accepted": 1}
        assert reports == [{"accepted": 1, "pending": 1}]
        assert counted(bench.replay(tmp_path / "other.csv")) == {"accepted": 1, "duplicate": 1}
        sent = [received.json["invoiceId"] for received in server.requests]
    assert sent == ["inv_1", "inv_1", "inv_2"]


def test_a_lead_that_a_dead_run_was_sending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lead that a dead run was sending is unknown once its answer can no longer come."""
    monkeypatch.setattr(turn, "WAITED_FOR", 0.3)
    with sandbox(tmp_path) as server:
        bench = Bench(tmp_path, server.url, "lead")
        bench.replay(bench.file(leads_csv(range(3))), limit=1)
        bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", time.time())
        path = bench.file(leads_csv([1, 5, 6]), "other.csv")
        assert counted(bench.replay(path)) == {"accepted": 2, "unknown": 1}
        assert [event.click_id for event in server.events()] == ["clk_0", "clk_5", "clk_6"]
        assert counted(bench.replay(path, retry_unknown=True)) == {"accepted": 3}


def test_an_unknown_lead_learned_while_sending_is_unknown_and_holds_nobody_up(tmp_path: Path) -> None:
    """A lead that another file has left unknown since staging is unknown, and its customer's others are sent."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url, "lead")
        path = bench.file(leads_csv(range(6), customer="cus"))
        bench.replay(path, limit=1)
        server.script(json_reply(500, {"error": "oops"}))
        assert counted(bench.replay(bench.file(leads_csv([3], customer="cus"), "other.csv"))) == {"unknown": 1}
        report = bench.replay(path, max_failures=1)
        assert (counted(report), report.exit_code) == ({"accepted": 5, "unknown": 1}, ExitCode.UNKNOWN)
        sent = [received.json["clickId"] for received in server.requests]
        assert sent == ["clk_0", "clk_3", "clk_1", "clk_2", "clk_4", "clk_5"]
        learned = [row for row in bench.settled(report.run) if row.status == "unknown"]
        # A file that is staged later reports the same.
        again = bench.replay(bench.file(leads_csv([3, 7], customer="cus"), "third.csv"))
        assert (counted(again), again.exit_code) == ({"accepted": 1, "unknown": 1}, ExitCode.UNKNOWN)
        staged = [row for row in bench.settled() if row.status == "unknown"]
        assert [(row.code, row.error) for row in staged] == [(row.code, row.error) for row in learned]


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_row_that_another_process_has_begun_stops_the_replay(tmp_path: Path, kind: str) -> None:
    """A replay stops at a row that another process has begun, and records the answers in flight."""
    with sandbox(tmp_path, latency_ms=5) as server, CMSClient("tok", server.url, retries=0) as client:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(30)) if kind == "sale" else leads_csv(range(30)))

        def send(event: WireEvent) -> Outcome:
            if b'"clk_5"' in event.body:
                bench.change("UPDATE rows SET attempts = 1, sent_at = ? WHERE row = 21", time.time())
            return client.attempt(event)

        with pytest.raises(RunBusyError):
            bench.replay(path, send=send, concurrency=4)
        sent = {event.click_id for event in server.events()}
        assert 5 < len(sent) <= 20
        assert "clk_20" not in sent
        accepted = [row for row, status in bench.rows().items() if status == "accepted"]
        assert {f"clk_{row - 1}" for row in accepted} == sent


def test_an_answer_does_not_undo_the_intent_of_another_process(tmp_path: Path) -> None:
    """A 503 to one attempt does not cancel the attempt that another process has recorded."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url, "lead")

        def reply(_: Received) -> Reply:
            bench.change("UPDATE rows SET attempts = 2 WHERE row = 2")
            return json_reply(503, {"error": "busy"})

        server.script(SUCCESS, reply)
        path = bench.file(leads_csv(range(4)))
        with pytest.raises(RunBusyError):
            bench.replay(path, concurrency=1)
        # To the next command the other process's attempt has no answer.
        report = bench.replay(path)
        assert bench.rows(report.run)[2] == "unknown"
        assert [received.json["clickId"] for received in server.requests].count("clk_1") == 1


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed elsewhere")
@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_lock_that_is_lost_stops_the_replay(tmp_path: Path, kind: str) -> None:
    """A replay whose lock was removed sends nothing more and records the answers in flight."""
    with sandbox(tmp_path, latency_ms=20) as server, CMSClient("tok", server.url, retries=0) as client:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(30)) if kind == "sale" else leads_csv(range(30)))

        def send(event: WireEvent) -> Outcome:
            if b'"clk_10"' in event.body:
                shutil.rmtree(bench.state / LOCKS)
            return client.attempt(event)

        with pytest.raises(JournalError, match="was removed while this run was at work"):
            bench.replay(path, send=send, concurrency=4)
        sent = {event.click_id for event in server.events()}
        assert 10 < len(sent) < 20
        assert {f"clk_{row - 1}" for row, status in bench.rows().items() if status == "accepted"} == sent
        assert counted(bench.replay(path)) == {"accepted": 30}
        assert len(server.attempts()) == 30


def test_the_time_of_the_first_attempt_stays(tmp_path: Path) -> None:
    """A sale's age counts from its first unanswered attempt, not from a retry."""
    with FaultServer(default=DROP) as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(1)))
        assert counted(bench.replay(path, max_wait=0.2)) == {"pending": 1}
        bench.change("UPDATE rows SET sent_at = sent_at - 23 * 3600")
        server.default, before = HANG, len(server.requests)
        notes = Notes()

        def interrupt() -> None:
            server.wait_for(lambda: len(server.requests) > before)
            assert notes.interrupt is not None
            notes.interrupt(Stop.INTERRUPTED)
            notes.interrupt(Stop.INTERRUPTED)

        thread = threading.Thread(target=interrupt)
        thread.start()
        assert counted(bench.replay(path, notes=notes)) == {"pending": 1}
        thread.join()
        bench.change("UPDATE rows SET sent_at = sent_at - 2 * 3600")
        server.default, before = SUCCESS, len(server.requests)
        assert counted(bench.replay(path)) == {"unknown": 1}
        assert len(server.requests) == before


@pytest.mark.slow
def test_a_clock_set_back_between_two_runs_costs_one_window(tmp_path: Path) -> None:
    """A clock set back between two runs costs one window, and the announced time does not move."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url)
        bench.replay(bench.file(sales_csv(range(3)), "first.csv"), rate=Rate(3, 3.0))
        bench.change("UPDATE slots SET ends = ends + 36000")
        notes = Notes()
        report = bench.replay(bench.file(sales_csv(range(3, 6))), rate=Rate(3, 3.0), notes=notes)
        assert counted(report) == {"accepted": 3}
        first, second = server.requests[2].at, server.requests[3].at
    assert second - first >= 3.0
    until = [progress.until for progress in notes.progressed if progress.waiting == "the rate limit"]
    assert max(until) - min(until) < 0.5
    assert max(until) < second + 1  # the slots lie ten hours ahead


def test_what_an_invoice_was_accepted_with_stays_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 409 to another amount does not replace the amount that another run was accepted with."""
    monkeypatch.setattr(turn, "WAITED_FOR", 0.2)  # so that the other run soon stops waiting for this one's answer
    with sandbox(tmp_path) as server, CMSClient("tok", server.url, retries=0) as client:

        def overtaken(event: WireEvent) -> Outcome:
            other = Bench(tmp_path, server.url)
            assert counted(other.replay(other.file(sales_csv([1], amount=7), "other.csv"))) == {"accepted": 1}
            return client.attempt(event)

        bench = Bench(tmp_path, server.url)
        assert counted(bench.replay(bench.file(sales_csv([1])), send=overtaken)) == {"duplicate": 1}
        for amount, warnings in ((7, 0), (101, 1)):
            path = bench.file(sales_csv([1], amount=amount) + "\n", f"{amount}.csv")
            report = bench.replay(path)
            assert (counted(report), len(report.warnings)) == ({"duplicate": 1}, warnings)


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed elsewhere")
@pytest.mark.parametrize("put_back", [True, False])
def test_a_journal_that_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put_back: bool) -> None:
    """A replay whose journal is moved away stops sending, and records the answers if it is put back."""
    monkeypatch.setattr(stopping, "GRACE", 20.0 if put_back else 0.3)
    with sandbox(tmp_path, latency_ms=5) as server, CMSClient("tok", server.url, retries=0) as client:
        bench = Bench(tmp_path, server.url, "lead")
        path, journal, away = bench.file(leads_csv(range(60))), bench.state / FILE_NAME, tmp_path / "away"

        def send(event: WireEvent) -> Outcome:
            if b'"clk_20"' in event.body:
                journal.rename(away)
                if put_back:
                    threading.Timer(1.0, lambda: away.rename(journal)).start()
            return client.attempt(event)

        with pytest.raises(JournalError, match="removed or replaced"):
            bench.replay(path, send=send)
        assert len(server.attempts()) < 30
        if put_back:
            assert counted(bench.replay(path)) == {"accepted": 60}
            assert len(server.attempts()) == 60


@pytest.mark.slow
def test_many_rows_that_need_no_request(tmp_path: Path) -> None:
    """Rows that need no request are settled without waiting and do not count against --limit."""
    with sandbox(tmp_path) as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(1500)))
        bench.replay(path, limit=1)
        bench.replay(bench.file(sales_csv(range(1, 1490)), "other.csv"), concurrency=16)
        report = bench.replay(path, limit=5)
        assert counted(report) == {"accepted": 6, "duplicate": 1489, "pending": 5}
        assert "the rate limit" not in bench.notes.waits


def _failing(monkeypatch: pytest.MonkeyPatch, name: str, calls: range) -> None:
    """Make some calls that write to the journal fail with a full disk."""
    real: Callable[..., None] = getattr(row_table, name)
    made = 0

    def failing(*arguments: Any) -> None:
        nonlocal made
        made += 1
        if made in calls:
            raise sqlite3.OperationalError("database or disk is full")
        real(*arguments)

    monkeypatch.setattr(row_table, name, failing)


@pytest.mark.parametrize("kind", ["sale", "lead"])
@pytest.mark.parametrize(("where", "calls"), [("intend", range(10, 11)), ("settle", range(30, 34))])
def test_a_disk_that_is_full_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, where: str, calls: range
) -> None:
    """A disk that is full for a moment stops the run, leaves nothing unknown, and the same command continues."""
    with sandbox(tmp_path, latency_ms=5) as server:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(60)) if kind == "sale" else leads_csv(range(60)))
        with monkeypatch.context() as patch:
            _failing(patch, where, calls)
            with pytest.raises(JournalError, match="full"):
                bench.replay(path)
        report = bench.replay(path)
        assert counted(report) == {"accepted": 60}
        assert len(server.attempts()) == 60


def test_a_disk_that_stays_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads whose answers could not be written are unknown and are not sent again unasked."""
    monkeypatch.setattr(stopping, "GRACE", 0.3)
    with sandbox(tmp_path, latency_ms=5) as server:
        bench = Bench(tmp_path, server.url, "lead")
        path = bench.file(leads_csv(range(60)))
        with monkeypatch.context() as patch:
            _failing(patch, "settle", range(30, 10_000))
            with pytest.raises(JournalError, match="full"):
                bench.replay(path, concurrency=4)
        report = bench.replay(path)
        assert report.counts["accepted"] + report.counts["unknown"] == 60
        assert 1 <= report.counts["unknown"] <= 4
        assert len(server.attempts()) == 60


def test_a_results_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A results file that cannot be written stops the run and leaves no lead unknown."""
    real = RowFiles.add
    calls = 0

    def failing(self: RowFiles, rows: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise MachineError("--results r.csv: no space", "make room")
        real(self, rows)

    with sandbox(tmp_path, latency_ms=5) as server:
        bench = Bench(tmp_path, server.url, "lead")
        path = bench.file(leads_csv(range(60)))
        with monkeypatch.context() as patch:
            patch.setattr(RowFiles, "add", failing)
            with pytest.raises(MachineError, match="no space"):
                bench.replay(path, results=tmp_path / "r.csv")
        report = bench.replay(path, results=tmp_path / "r.csv")
        assert counted(report) == {"accepted": 60}
        assert len(server.attempts()) == 60
        assert len((tmp_path / "r.csv").read_text().splitlines()) == 61


@pytest.mark.parametrize(("kind", "becomes"), [("sale", "accepted"), ("lead", "unknown")])
def test_a_bug_in_a_worker(tmp_path: Path, kind: str, becomes: str) -> None:
    """A bug in a worker is raised after all answers are recorded, and its row counts as interrupted."""
    with sandbox(tmp_path, latency_ms=5) as server:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(30)) if kind == "sale" else leads_csv(range(30)))

        def broken(event: WireEvent) -> Outcome:
            if b'"clk_10"' in event.body:
                raise ZeroDivisionError
            return client.attempt(event)

        with CMSClient("tok", server.url, retries=0) as client, pytest.raises(ZeroDivisionError):
            bench.replay(path, send=broken)
        report = bench.replay(path)
        assert counted(report) == +Counter({"accepted": 29}) + Counter({becomes: 1})
        assert len(server.attempts()) == (30 if kind == "sale" else 29)


@pytest.mark.parametrize(("kind", "synchronous"), [("sale", 1), ("lead", 2)])
def test_what_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, synchronous: int
) -> None:
    """A lead's intent is synced to disk before its request; a sale's is not, since it is deduplicated."""
    real, seen = row_table.intend, []

    def watched(db: sqlite3.Connection, *arguments: Any) -> None:
        seen.append(db.execute("PRAGMA synchronous").fetchone()[0])
        real(db, *arguments)

    monkeypatch.setattr(row_table, "intend", watched)
    with sandbox(tmp_path) as server:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(5)) if kind == "sale" else leads_csv(range(5)))
        bench.replay(path, limit=2)
        bench.replay(path)
    assert set(seen) == {synchronous}
