"""Failures and results files over a run's whole life, and what is told of its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, json_reply
from replays import (
    LEAD_HEADER,
    SALE_HEADER,
    Bench,
    as_csv,
    counted,
    lead,
    leads_csv,
    read_results,
    sale,
    sales_csv,
)

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal.identity import RunConflictError
from cms_cli.replay.model import InputError

NO = json_reply(422, {"error": "it said no"})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """A service that takes everything, unless its script says otherwise."""
    with FaultServer() as server:
        yield server


def test_a_failures_file_is_fed_back_as_it_is(tmp_path: Path, server: FaultServer) -> None:
    """Mended in a spreadsheet or not, with our columns in it: what can be sent is sent, once."""
    server.script(SUCCESS, NO)
    bench = Bench(tmp_path, server.url)
    failures = tmp_path / "failures.csv"
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(1), sale(2, amount=-5), sale(3)]))
    report = bench.replay(path, skip_invalid=True, failures=failures, concurrency=1)
    assert counted(report) == {"accepted": 2, "refused": 1, "invalid": 1}
    rows = read_results(failures)
    assert [(row["_line"], row["_status"], row["invoice_id"]) for row in rows] == [
        ("4", "invalid", "inv_2"),
        ("3", "refused", "inv_1"),
    ]
    failures.write_text(failures.read_text().replace(",-5,", ",5,"))
    assert counted(bench.replay(failures)) == {"accepted": 2}


def test_unknown_rows_of_a_failures_file(tmp_path: Path, server: FaultServer) -> None:
    """They are rejected, by name, unless --retry-unknown says that they may go."""
    server.script(SUCCESS, DROP)
    bench = Bench(tmp_path, server.url, "lead")
    failures = tmp_path / "failures.csv"
    bench.replay(bench.file(leads_csv(range(3), timestamp="")), failures=failures)
    blocked = bench.replay(failures)
    assert blocked.blocked
    assert [(problem.code, problem.column) for problem in blocked.problems] == [("outcome_unknown", "_status")]
    assert len(server.requests) == 3
    assert counted(bench.replay(failures, retry_unknown=True)) == {"accepted": 1}


def test_unknown_rows_that_were_left_out(tmp_path: Path, server: FaultServer) -> None:
    """With --skip-invalid they stay unknown in the next failures file, and the way to send them is said."""
    server.script(SUCCESS, DROP)
    bench = Bench(tmp_path, server.url, "lead")
    first, second, results = tmp_path / "first.csv", tmp_path / "second.csv", tmp_path / "results.csv"
    path = bench.file(as_csv(LEAD_HEADER, [lead(0, timestamp=""), lead(1, timestamp=""), lead(2, timestamp="x")]))
    bench.replay(path, skip_invalid=True, failures=first)
    first.write_text(first.read_text().replace(",x,", ",2026-04-10,"))
    report = bench.replay(first, skip_invalid=True, failures=second, results=results)
    assert counted(report) == {"accepted": 1, "invalid": 1}
    assert [row["_status"] for row in read_results(second)] == ["unknown"]
    assert sorted(row["_status"] for row in read_results(results)) == ["accepted", "invalid"]
    assert bench.replay(second).blocked
    with pytest.raises(RunConflictError) as caught:
        bench.replay(first, retry_unknown=True)
    assert f"cms runs failures {report.run}" in caught.value.hint
    assert len(server.requests) == 3
    assert counted(bench.replay(second, retry_unknown=True)) == {"accepted": 1}
    assert [received.json["clickId"] for received in server.requests].count("clk_1") == 2


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_results_are_complete_however_often_it_runs(tmp_path: Path, server: FaultServer, name: str) -> None:
    """In pieces, resumed, and when all is done and forgotten: every row is there, with its own columns."""
    server.script(SUCCESS, NO)
    bench = Bench(tmp_path, server.url)
    results = tmp_path / name
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(1), sale(1), sale(2, amount=-1), sale(3)]))
    first = bench.replay(path, skip_invalid=True, limit=2, results=results, concurrency=1)
    assert sorted(row["_status"] for row in read_results(results)) == [
        "accepted",
        "duplicate",
        "invalid",
        "refused",
    ]
    assert first.run is not None
    bench.resume(first.run, results=results)
    for _ in range(2):
        found = {int(row["_line"]): row for row in read_results(results)}
        assert [found[line]["_status"] for line in range(2, 7)] == [
            "accepted",
            "refused",
            "duplicate",
            "invalid",
            "accepted",
        ]
        assert [found[line]["click_id"] for line in range(2, 7)] == ["clk_0", "clk_1", "clk_1", "clk_2", "clk_3"]
        bench.replay(path, results=results)
    bench.replay(path, results=results, retry_refused=True)
    assert [row["click_id"] for row in read_results(results)] == ["clk_0", "clk_1", "clk_2", "clk_3", "clk_1"]


def test_results_of_a_finished_run_need_its_input(tmp_path: Path, server: FaultServer) -> None:
    """The journal has forgotten what its rows said: resume says so, rather than write empty cells."""
    bench = Bench(tmp_path, server.url)
    name = bench.replay(bench.file(sales_csv(range(3)))).run
    assert name is not None
    with pytest.raises(RunConflictError, match="forgotten"):
        bench.resume(name, results=tmp_path / "r.csv")
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize("flag", ["failures", "results"])
def test_the_input_is_not_written_over(tmp_path: Path, server: FaultServer, flag: str) -> None:
    """Neither by the command itself nor by resume."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(sales_csv(range(3)))
    with pytest.raises(InputError, match="is the input"):
        bench.replay(path, **{flag: path})
    name = bench.replay(path, limit=1).run
    assert name is not None
    with pytest.raises(InputError, match="is the input"):
        bench.resume(name, **{flag: path})
    assert path.read_text() == sales_csv(range(3))


def test_invalid_rows_block_and_are_listed(tmp_path: Path, server: FaultServer) -> None:
    """Nothing is sent, no run is left, and the failures file has them."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(1, amount=-1)]))
    failures = tmp_path / "f.csv"
    report = bench.replay(path, failures=failures)
    assert (report.exit_code, counted(report)) == (ExitCode.USAGE, {"pending": 1, "invalid": 1})
    assert [row["_status"] for row in read_results(failures)] == ["invalid"]
    assert [row.status for row in bench.notes.rows] == ["invalid"]
    assert bench.runs() == []
    assert not server.requests


def test_every_row_is_told_of_once(tmp_path: Path, server: FaultServer) -> None:
    """Rows that need no request too, over all invocations together."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(0), sale(1, amount=-1), *map(sale, range(2, 9))]))
    told: list[int] = []
    for _ in range(4):
        bench.replay(path, skip_invalid=True, limit=3)
        told += [row.row for row in bench.notes.rows]
    assert sorted(told) == list(range(1, 11))


def test_problems_name_their_column_in_every_report(tmp_path: Path, server: FaultServer) -> None:
    """The first report and a later one say the same of a row."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(1, amount=-1)]))
    first = bench.replay(path, skip_invalid=True)
    again = bench.replay(path)
    assert first.problems == again.problems
    assert [(problem.line, problem.column) for problem in first.problems] == [(3, "amount")]
    assert json.dumps(first.to_dict())
