"""The rate limit as the server sees it, over processes, kills and restarts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from faultserver import SUCCESS, FaultServer, json_reply
from program import Program
from replays import Bench, counted, hurry, leads_csv, sales_csv
from services import served

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.sending.pacing import Rate
from cms_cli.replay.sending.turn import Turns
from cms_cli.sandbox import Attempt, SandboxServer, read_attempts

pytestmark = pytest.mark.usefixtures("engine")

RATE = Rate(20, 1.0)


def most_in_a_window(attempts: Iterable[Attempt], seconds: float) -> int:
    """Return the largest number of requests in any window of that many seconds."""
    times = sorted(attempt.at_ns for attempt in attempts)
    most = first = 0
    for last, moment in enumerate(times):
        while moment - times[first] >= seconds * 1e9:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("kind", ["lead", pytest.param("sale", marks=pytest.mark.slow)])
def test_a_server_with_the_same_limit_never_says_no(tmp_path: Path, kind: str) -> None:
    """A server with the same limit answers no 429, and the limit is used in full."""
    with SandboxServer(tmp_path / "s.db", rate_limit="20/1s", latency_ms=5) as server:
        bench = Bench(tmp_path, server.url, kind)
        path = bench.file(sales_csv(range(50)) if kind == "sale" else leads_csv(range(50)))
        report = bench.replay(path, rate=RATE, concurrency=4)
        assert counted(report) == {"accepted": 50}
        attempts = server.attempts()
    assert len(attempts) == 50
    assert most_in_a_window(attempts, 1.0) == 20


def test_every_attempt_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries count against the rate limit."""
    hurry(monkeypatch)
    with SandboxServer(tmp_path / "s.db", rate_limit="20/1s", faults="503:0.3", seed=3) as server:
        bench = Bench(tmp_path, server.url)
        assert counted(bench.replay(bench.file(sales_csv(range(25))), rate=RATE, max_wait=60)) == {"accepted": 25}
        attempts = server.attempts()
    assert len(attempts) > 25
    assert 429 not in Counter(attempt.status for attempt in attempts)
    assert most_in_a_window(attempts, 1.0) <= 20


def test_a_file_that_fits_goes_out_at_once(tmp_path: Path) -> None:
    """A file that fits into one window is sent without waiting."""
    with SandboxServer(tmp_path / "s.db", rate_limit="60/m") as server:
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(60))), rate=Rate(60, 60.0))
        assert "the rate limit" not in bench.notes.waits
        assert counted(report) == {"accepted": 60}
        assert {attempt.status for attempt in server.attempts()} == {200}


def test_the_journal_is_left_alone_while_the_window_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: FaultServer
) -> None:
    """Waiting for the rate limit takes no turns: one in which a row leaves or is answered, and one an opening."""
    turns: list[int] = []
    take = Turns.take

    def counted_take(self: Turns, *arguments: Any) -> Any:
        turns.append(1)
        return take(self, *arguments)

    monkeypatch.setattr(Turns, "take", counted_take)
    bench = Bench(tmp_path, service.url)
    assert counted(bench.replay(bench.file(sales_csv(range(4))), rate=Rate(2, 0.2))) == {"accepted": 4}
    assert len(turns) <= 15


@pytest.mark.slow
def test_a_window_of_hours_counts_what_was_sent_hours_ago(tmp_path: Path) -> None:
    """A window of hours counts the requests of earlier runs."""
    slow = Rate(3, 7200.0)
    with SandboxServer(tmp_path / "s.db", rate_limit="none") as server:
        bench = Bench(tmp_path, server.url)
        assert counted(bench.replay(bench.file(sales_csv(range(3)), "1.csv"), rate=slow)) == {"accepted": 3}
        bench.change("UPDATE slots SET ends = ends - 3960")  # 66 minutes later
        assert counted(bench.replay(bench.file(sales_csv([3]), "2.csv"), rate=Rate(10, 1.0))) == {"accepted": 1}
        path = bench.file(sales_csv(range(4, 9)))
        report = bench.replay(path, rate=slow, max_duration=0.3)
        assert (counted(report), report.exit_code) == ({"pending": 5}, ExitCode.STOPPED)
        # Now the first three requests are two hours old, and the fourth is one.
        bench.change("UPDATE slots SET ends = ends - 3600")
        assert counted(bench.replay(path, rate=slow, max_duration=0.3)) == {"accepted": 2, "pending": 3}


@pytest.mark.slow
def test_processes_share_the_window(program: Program, tmp_path: Path) -> None:
    """Processes share the limit, side by side, one after the other and after a kill."""
    db = tmp_path / "s.db"
    for number in range(4):
        (program.home / f"{number}.csv").write_text(sales_csv(range(number * 100, number * 100 + 15)))

    def command(number: int) -> tuple[str, ...]:
        return ("sale", "--from-csv", f"{number}.csv", "--yes", "-q", "--rate", "20/1s", "--timeout", "1")

    with served(program, db, "--rate-limit", "none", "--latency", "10"):
        both = [program.start(*command(number)) for number in (0, 1)]
        for process in both:
            process.communicate(timeout=60)
            assert process.returncode == 0
        killed = program.start(*command(2))
        while sum(1 for _ in read_attempts(db)) < 35 and killed.poll() is None:
            time.sleep(0.02)
        killed.kill()
        killed.communicate()
        for number in (2, 3):
            assert program(*command(number)).code == 0
        attempts = list(read_attempts(db))
    # A request that the kill cut off names no event.
    assert len({attempt.subject for attempt in attempts if attempt.subject}) == 60
    assert most_in_a_window(attempts, 1.0) <= 20


@pytest.mark.slow
@pytest.mark.parametrize("rate", [Rate(50, 1.0), None])
def test_a_stricter_server_slows_us_down(tmp_path: Path, rate: Rate | None) -> None:
    """A 429 pauses all requests, so that each full window costs no more 429s than requests in flight."""
    with SandboxServer(tmp_path / "s.db", rate_limit="10/1s") as server:
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(30))), rate=rate, concurrency=4, max_wait=30)
        statuses = Counter(attempt.status for attempt in server.attempts())
    assert counted(report) == {"accepted": 30}
    assert statuses[200] == 30
    assert statuses[429] <= 12, statuses  # 4 in each full window


@pytest.mark.slow
def test_every_429_is_waited_out(tmp_path: Path) -> None:
    """A 429 is waited out and is never a failure."""
    replies = [SUCCESS, SUCCESS, json_reply(429, {"error": "slow down"}, ("Retry-After", "1"))] * 2
    with FaultServer() as server:
        server.script(*replies)
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(leads_csv(range(10))), concurrency=1, max_wait=30)
        assert counted(report) == {"accepted": 10}
        assert report.exit_code == 0


def test_retry_after_as_a_date(tmp_path: Path) -> None:
    """A Retry-After date is waited for to the second."""
    with FaultServer() as server:
        until = int(time.time()) + 2
        server.script(SUCCESS, json_reply(429, {"error": "slow"}, ("Retry-After", formatdate(until, usegmt=True))))
        bench = Bench(tmp_path, server.url)
        assert counted(bench.replay(bench.file(sales_csv(range(4))), concurrency=1)) == {"accepted": 4}
        third = server.requests[2].at + time.time() - time.monotonic()
    assert third >= until - 0.01
