"""Events of runs that were pruned or have grown old are still known."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultserver import DROP, FaultServer, json_reply
from program import TOKEN, Program
from replays import Bench, as_csv, counted, lead, sales_csv

from cms_cli.replay.journal import ledger, lifecycle, row_table, runs
from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.sending import turn
from cms_python import CMSClient, Outcome, WireEvent

SUCCESS = json_reply(200, {"success": True, "message": "ok", "data": {}})
HEADER = ("click_id", "event_name", "customer_external_id")
NOW = Shape(constants=(("timestamp", "now"),))


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(default=SUCCESS) as server:
        yield server


def undated(numbers: list[int]) -> str:
    return as_csv(HEADER, [lead(number)[:3] for number in numbers])


def prune(bench: Bench, *names: str) -> None:
    with bench.journal() as journal:
        assert lifecycle.prune(journal, names or None, ledger_too=False) == 1


@pytest.mark.parametrize("shape", [Shape(), NOW], ids=["no time", "now"])
def test_leads_without_a_time_of_their_own(tmp_path: Path, server: FaultServer, shape: Shape) -> None:
    """Leads without a time stay known to their file, and to one that has grown, after their run is pruned."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(undated([1, 2]))
    assert counted(bench.replay(path, shape)) == {"accepted": 2}
    prune(bench)
    assert counted(bench.replay(path, shape)) == {"duplicate": 2}
    prune(bench)
    assert counted(bench.replay(path, shape)) == {"duplicate": 2}
    assert len(server.requests) == 2
    assert counted(bench.replay(path, shape, fresh=True)) == {"accepted": 2}
    # In any other file, leads that look the same may be other events.
    grown = bench.file(undated([1, 2, 3]), "grown.csv")
    assert counted(bench.replay(grown, shape)) == {"accepted": 1, "duplicate": 2}
    other = bench.file(undated([3, 1]), "other.csv")
    assert bench.replay(other, shape).blocked
    assert counted(bench.replay(other, shape, repeats="send")) == {"accepted": 2}


def test_leads_that_an_older_version_sent_stay_known(tmp_path: Path, server: FaultServer) -> None:
    """Leads without a time that an older version recorded, by the hash of their file, are not sent again."""
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(undated([1, 2]))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert counted(bench.replay(path)) == {"accepted": 2}
    bodies = [request.body.decode() for request in server.requests]
    prune(bench)
    for table in ("sent_leads", "lead_looks", "lead_files"):
        bench.change(f"DELETE FROM {table}")
    with bench.journal() as journal:
        scope = runs.scope_of(journal, bench.host, bench.account)
        with journal.transaction() as db:
            for number, body in enumerate(bodies, start=1):
                ledger.add_lead(db, scope, ledger.key_of(f"{sha256} {number} {body}"), arrived=True)
    assert counted(bench.replay(path)) == {"duplicate": 2}
    assert len(server.requests) == 2


@pytest.mark.parametrize("shape", [Shape(), NOW], ids=["no time", "now"])
def test_an_unknown_lead_without_a_time_of_its_own(tmp_path: Path, server: FaultServer, shape: Shape) -> None:
    """An unknown lead without a time is not sent unasked after its run was pruned."""
    server.script(SUCCESS, DROP)
    bench = Bench(tmp_path, server.url, "lead")
    path = bench.file(undated([1, 2, 3, 4]))
    first = bench.replay(path, shape, limit=3)
    assert counted(first) == {"accepted": 2, "unknown": 1, "pending": 1}
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 4", time.time())
    prune(bench, str(first.run))
    assert counted(bench.replay(path, shape)) == {"duplicate": 2, "unknown": 2}
    assert len(server.requests) == 3
    assert counted(bench.replay(path, shape, retry_unknown=True)) == {"accepted": 2, "duplicate": 2}


def test_leads_stay_known_after_runs_prune(program: Program, server: FaultServer) -> None:
    """`cms runs prune` does not let the same command send its leads again."""
    program.env.update(CMS_HOST=server.url, CMS_BEARER_TOKEN=TOKEN)
    path = program.home / "leads.csv"
    path.write_text(undated([1, 2]))
    command = ("lead", "--from-csv", str(path), "--yes", "--json")
    assert program(*command).json["counts"]["accepted"] == 2
    assert program("runs", "prune").code == 0
    rehearsed = program(*command, "--dry-run")
    assert rehearsed.json["counts"]["duplicate"] == 2
    again = program(*command)
    assert (again.code, again.json["counts"]["duplicate"]) == (0, 2)
    assert len(server.requests) == 2


def test_a_sale_of_another_run_that_grows_too_old_meanwhile(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long run checks again whether another run's unanswered sale has become too old to resend."""
    monkeypatch.setattr(turn, "_LOOK_AGAIN", 0.0)
    bench = Bench(tmp_path, server.url)
    bench.replay(bench.file(sales_csv(range(3))), limit=1)
    bench.change("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 3", time.time() - 3600)
    sent: list[Any] = []

    def send(event: WireEvent) -> Outcome:
        sent.append(event)
        if len(sent) == 1:  # a day passes
            sql = "UPDATE rows SET sent_at = ? WHERE sent_at IS NOT NULL AND row = 3 AND run = 1"
            Bench(tmp_path, server.url).change(sql, time.time() - 25 * 3600)
        return client.attempt(event)

    with CMSClient("tok", server.url, retries=0) as client:
        report = bench.replay(bench.file(sales_csv(range(1, 4)), "next.csv"), send=send, concurrency=1)
    assert counted(report) == {"accepted": 2, "unknown": 1}
    assert len(sent) == 2


def test_a_finished_run_that_is_opened_again_is_not_finished(tmp_path: Path, server: FaultServer) -> None:
    """A finished run is unfinished from the moment that a row is to be sent again, so that prune keeps it."""
    server.script(SUCCESS, json_reply(422, {"error": "no"}))
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    assert counted(bench.replay(path)) == {"accepted": 2, "refused": 1}
    with bench.journal() as journal:
        [run] = runs.all_runs(journal)
        row_table.reopen(journal, run, RowStatus.UNKNOWN)
        assert [each.state for each in runs.all_runs(journal)] == [runs.RunState.FINISHED]
        row_table.reopen(journal, run, RowStatus.REFUSED)
        assert [each.state for each in runs.all_runs(journal)] == [runs.RunState.UNFINISHED]
        assert lifecycle.prune(journal, None, ledger_too=False) == 0
    assert counted(bench.replay(path)) == {"accepted": 3}
