"""The reasons to stop early: a rejected token, a wrong host, a limit, a signal."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faultserver import HANG, SUCCESS, FaultServer, Received, Reply, html_reply, json_reply
from program import TOKEN
from replays import Bench, Notes, counted, hurry, leads_csv, sales_csv
from services import sandbox

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.sending import stopping
from cms_cli.replay.sending.stop import Stop
from cms_python import CMSClient, Outcome, WireEvent


@pytest.mark.parametrize(
    ("reply", "stop", "code"),
    [
        (json_reply(401, {"error": "expired"}), Stop.UNAUTHORIZED, ExitCode.AUTH),
        (json_reply(403, {"error": "no"}), Stop.UNAUTHORIZED, ExitCode.AUTH),
        (html_reply(200), Stop.NOT_API, ExitCode.UNAVAILABLE),
        (html_reply(404), Stop.NOT_API, ExitCode.UNAVAILABLE),
        (html_reply(301, "", ("Location", "/")), Stop.NOT_API, ExitCode.UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_wrong_host_or_token_costs_one_request(
    tmp_path: Path, kind: str, reply: Any, stop: Stop, code: ExitCode
) -> None:
    """A wrong host or token stops the run at the first answer, and no row is used up."""
    with FaultServer(default=reply) as server:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(9)) if kind == "sale" else leads_csv(range(9)))
        report = bench.replay(path, concurrency=8)
        assert (counted(report), report.stop, report.exit_code) == ({"pending": 9}, stop, code)
        assert len(server.requests) == 1
        server.default = SUCCESS
        assert counted(bench.replay(path)) == {"accepted": 9}
        assert len(server.requests) == 10


@pytest.mark.parametrize("page", [html_reply(200), html_reply(404), html_reply(301, "", ("Location", "/"))])
@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_web_page_in_mid_run_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, page: Reply
) -> None:
    """A web page after an accepted event is waited out, and its rows are sent again."""
    hurry(monkeypatch)
    with FaultServer() as server:
        server.script(SUCCESS, *[page] * 5)
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(9)) if kind == "sale" else leads_csv(range(9)))
        report = bench.replay(path, concurrency=4)
        assert (counted(report), report.exit_code) == ({"accepted": 9}, ExitCode.OK)
        assert len(server.requests) == 14


def test_a_web_page_that_stays_ends_the_run_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web page that stays stops the run after --max-wait, with its rows pending."""
    hurry(monkeypatch)
    with FaultServer(default=html_reply(200)) as server:
        server.script(SUCCESS)
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(leads_csv(range(9))), max_wait=0.5)
        assert (counted(report), report.exit_code) == ({"accepted": 1, "pending": 8}, ExitCode.UNAVAILABLE)
        assert "web page" in report.reason


def test_a_web_page_after_a_refusal_stops(tmp_path: Path) -> None:
    """A web page stops the run if the service has only refused events so far."""
    with FaultServer(default=html_reply(200)) as server:
        server.script(json_reply(422, {"error": "no"}))
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(9))), concurrency=1)
        assert (counted(report), report.stop) == ({"refused": 1, "pending": 8}, Stop.NOT_API)
        assert len(server.requests) == 2


@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("body", ["OK", "null", "[]", '"ok"'])
@pytest.mark.parametrize(("kind", "left"), [("sale", "pending"), ("lead", "unknown")])
def test_a_success_that_says_nothing_stops(tmp_path: Path, kind: str, left: str, body: str, before: int) -> None:
    """A success that is neither page nor JSON object stops the run, and a lead that got it is unknown."""
    reply = Reply(200, body.encode(), (("Content-Type", "text/plain" if body == "OK" else "application/json"),))
    with FaultServer(default=reply) as server:
        server.script(*[SUCCESS] * before)
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(5)) if kind == "sale" else leads_csv(range(5)))
        report = bench.replay(path, concurrency=1)
        expected = Counter({"accepted": before, left: 1}) + Counter({"pending": 4 - before})
        assert (counted(report), report.stop) == (expected, Stop.NOT_API)
        assert report.exit_code == ExitCode.UNAVAILABLE
        assert len(server.requests) == before + 1
        server.default = SUCCESS
        report = bench.replay(path)
        assert counted(report) == {"accepted": 5} if kind == "sale" else {"accepted": 4, "unknown": 1}


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_token_that_expires_wastes_no_row(tmp_path: Path, kind: str) -> None:
    """A rejected token stops the run at once, and a new token continues it."""
    with sandbox(tmp_path, token_requests=20) as server:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(50)) if kind == "sale" else leads_csv(range(50)))
        report = bench.replay(path)
        assert counted(report) == {"accepted": 20, "pending": 30}
        assert report.exit_code == ExitCode.AUTH
        with CMSClient("renewed", server.url, retries=0) as client:
            report = bench.replay(path, send=client.attempt)
        assert counted(report) == {"accepted": 40, "pending": 10}
        with CMSClient("renewed_again", server.url, retries=0) as client:
            assert counted(bench.replay(path, send=client.attempt)) == {"accepted": 50}
        assert len(server.events()) == 50


def test_max_failures(tmp_path: Path) -> None:
    """--max-failures stops the run after that many refused rows, resumably."""
    with sandbox(tmp_path, faults="422") as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(20)))
        report = bench.replay(path, max_failures=3, concurrency=1)
        assert counted(report) == {"refused": 3, "pending": 17}
        assert (report.stop, report.exit_code) == (Stop.MAX_FAILURES, ExitCode.STOPPED)


def test_a_stop_at_the_last_row_is_none(tmp_path: Path) -> None:
    """A limit reached with the last row is no stop, and the exit code is that of the finished run."""
    with sandbox(tmp_path, faults="422") as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(3)))
        first = bench.replay(path, max_failures=3, concurrency=1)
        assert (counted(first), first.stop, first.reason) == ({"refused": 3}, Stop.NONE, "")
        assert first.exit_code == bench.replay(path).exit_code == ExitCode.REFUSED


def test_a_token_that_is_rejected_after_another_stop(tmp_path: Path) -> None:
    """Of several reasons to stop, the one that comes first among the exit codes counts."""
    no, rejected = (json_reply(code, {"error": "no"}, after=after) for code, after in ((422, 0.0), (401, 0.5)))
    with FaultServer() as server:
        both = threading.Event()

        def reply(received: Received) -> Reply:
            if received.json["clickId"] == "clk_1":
                both.wait(10)
                return no
            both.set()
            return rejected

        server.script(SUCCESS, reply, reply)
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(3))), max_failures=1, concurrency=2)
    assert counted(report) == {"accepted": 1, "refused": 1, "pending": 1}
    assert (report.stop, report.exit_code) == (Stop.UNAUTHORIZED, ExitCode.AUTH)


def test_max_duration(tmp_path: Path) -> None:
    """--max-duration stops sending after that many seconds and waits for requests in flight."""
    with sandbox(tmp_path, latency_ms=50) as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(400)))
        report = bench.replay(path, max_duration=0.5)
        assert (report.stop, report.exit_code) == (Stop.MAX_DURATION, ExitCode.STOPPED)
        assert 0 < report.counts["accepted"] < 400
        assert len(server.events()) == report.counts["accepted"]
        assert bench.replay(path, max_duration=0).counts == report.counts


def test_limit_caps_one_invocation(tmp_path: Path) -> None:
    """--limit caps the rows of one invocation, and the last invocation finishes the run."""
    with sandbox(tmp_path) as server:
        bench = Bench(tmp_path, server.url)
        path = bench.file(sales_csv(range(10)))
        accepted = []
        for _ in range(4):
            report = bench.replay(path, limit=4)
            accepted.append((report.counts["accepted"], report.stop, report.exit_code))
        assert accepted == [(4, Stop.LIMIT, 0), (8, Stop.LIMIT, 0), (10, Stop.NONE, 0), (10, Stop.NONE, 0)]
        assert {event.click_id for event in server.events()[:4]} == {"clk_0", "clk_1", "clk_2", "clk_3"}
        assert bench.sent == 10


def test_max_failures_counts_unknowns(tmp_path: Path) -> None:
    """An unknown lead counts as a failure for --max-failures."""
    with FaultServer() as server:
        server.script(SUCCESS, json_reply(422, {"error": "no"}), json_reply(500, {"error": "oops"}))
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(leads_csv(range(9))), max_failures=2, concurrency=1)
        assert counted(report) == {"accepted": 1, "refused": 1, "unknown": 1, "pending": 6}
        assert (report.stop, report.exit_code) == (Stop.MAX_FAILURES, ExitCode.STOPPED)


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_an_interrupt_waits_for_what_is_under_way(tmp_path: Path, kind: str) -> None:
    """An interrupt waits for requests in flight and sends nothing more."""
    notes = Notes()
    with sandbox(tmp_path, latency_ms=150) as server:
        bench = Bench(tmp_path, server.url, kind)
        threading.Timer(0.4, lambda: notes.interrupt and notes.interrupt(Stop.INTERRUPTED)).start()
        path = bench.file(sales_csv(range(100)) if kind == "sale" else leads_csv(range(100)))
        report = bench.replay(path, notes=notes)
        assert (report.stop, report.exit_code) == (Stop.INTERRUPTED, ExitCode.INTERRUPTED)
        assert report.counts["unknown"] == 0
        assert report.counts["accepted"] == len(server.events()) > 0
        assert len(server.attempts()) == report.counts["accepted"]


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("kind", "left"), [("sale", "pending"), ("lead", "unknown")])
def test_an_interrupt_leaves_a_server_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, left: str, second: bool
) -> None:
    """An interrupt stops waiting after the grace period or at a second signal, and reports every row."""
    monkeypatch.setattr(stopping, "GRACE", 60.0 if second else 0.3)
    notes = Notes()
    with FaultServer() as server:
        server.script(SUCCESS, *[HANG] * 40)
        bench = Bench(tmp_path, server.url, kind)

        def interrupt() -> None:
            server.wait_for(lambda: len(server.requests) >= 5)
            for _ in range(1 + second):
                assert notes.interrupt is not None
                notes.interrupt(Stop.TERMINATED)

        thread = threading.Thread(target=interrupt)
        thread.start()
        path = bench.file(sales_csv(range(20)) if kind == "sale" else leads_csv(range(20)))
        with CMSClient(TOKEN, server.url, timeout=600, retries=0) as client:
            ended: list[Outcome] = []

            def send(event: WireEvent) -> Outcome:
                outcome = client.attempt(event)
                ended.append(outcome)
                return outcome

            report = bench.replay(path, notes=notes, send=send, concurrency=4, results=tmp_path / "r.csv")
            assert len(ended) == 1, "the four others are still in flight"
        thread.join()
    assert report.exit_code == ExitCode.TERMINATED
    assert report.counts["accepted"] == 1
    assert report.counts[left] == (19 if kind == "sale" else 4)
    assert Counter(row.status for row in notes.rows) == +Counter({**report.counts, "pending": 0})
    assert len((tmp_path / "r.csv").read_text().splitlines()) == len(notes.rows) + 1
