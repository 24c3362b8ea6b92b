"""Failures and results files over a run's whole life."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, json_reply
from program import Program
from replays import (
    LEAD_HEADER,
    SALE_HEADER,
    Bench,
    Notes,
    as_csv,
    counted,
    lead,
    leads_csv,
    read_results,
    sale,
    sales_csv,
)
from test_machine import limited

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal.identity import RunConflictError
from cms_cli.replay.journal.rows import SettledRow
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError, MachineError

NO = json_reply(422, {"error": "it said no"})


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Run a service that accepts everything unless a test scripts its answers."""
    with FaultServer() as server:
        yield server


def test_a_failures_file_is_fed_back_as_it_is(tmp_path: Path, server: FaultServer) -> None:
    """A failures file, corrected or not, can be fed back with its added columns."""
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
    """Unknown rows of a failures file are rejected unless --retry-unknown is given."""
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
    """Unknown rows skipped with --skip-invalid stay unknown in the next failures file, which can be fed back."""
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
    """A results file has every row with its own columns, however often the run was continued."""
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
    """`runs resume --results` of a finished run is refused, since the row texts are gone."""
    bench = Bench(tmp_path, server.url)
    name = bench.replay(bench.file(sales_csv(range(3)))).run
    assert name is not None
    with pytest.raises(RunConflictError, match="forgotten"):
        bench.resume(name, results=tmp_path / "r.csv")
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize("flag", ["failures", "results"])
def test_the_input_is_not_written_over(tmp_path: Path, server: FaultServer, flag: str) -> None:
    """An output that is the input is refused, by the command and by resume."""
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
    """Invalid rows block a replay: nothing is sent, no run is left, and the failures file lists them."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(1, amount=-1)]))
    failures = tmp_path / "f.csv"
    report = bench.replay(path, failures=failures)
    assert (report.exit_code, counted(report)) == (ExitCode.USAGE, {"pending": 1, "invalid": 1})
    assert [row["_status"] for row in read_results(failures)] == ["invalid"]
    assert [row.status for row in bench.notes.rows] == ["invalid"]
    assert bench.runs() == []
    assert not server.requests


def test_every_row_is_reported_once(tmp_path: Path, server: FaultServer) -> None:
    """Every row is reported once over all invocations, also one that needs no request."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(0), sale(1, amount=-1), *map(sale, range(2, 9))]))
    reported: list[int] = []
    for _ in range(4):
        bench.replay(path, skip_invalid=True, limit=3)
        reported += [row.row for row in bench.notes.rows]
    assert sorted(reported) == list(range(1, 11))


def test_problems_name_their_column_in_every_report(tmp_path: Path, server: FaultServer) -> None:
    """A later report names the same problem and column as the first one."""
    bench = Bench(tmp_path, server.url)
    path = bench.file(as_csv(SALE_HEADER, [sale(0), sale(1, amount=-1)]))
    first = bench.replay(path, skip_invalid=True)
    again = bench.replay(path)
    assert first.problems == again.problems
    assert [(problem.line, problem.column) for problem in first.problems] == [(3, "amount")]
    assert json.dumps(first.to_dict())


@pytest.mark.skipif(os.name != "posix", reason="uses the shell")
@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize("flag", ["--failures", "--results"])
def test_the_input_on_stdin_is_not_written_over(online: Program, flag: str, dry_run: tuple[str, ...]) -> None:
    """An output that is the file on standard input is refused."""
    (online.home / "in.csv").write_text(sales_csv(range(3)))
    (online.home / "link.csv").symlink_to("in.csv")
    for name in ("in.csv", "link.csv"):
        with (online.home / "in.csv").open("rb") as stdin:
            result = subprocess.run(
                [sys.executable, "-m", "cms_cli", "sale", "--from-csv", "-", flag, name, "--yes", *dry_run],
                stdin=stdin,
                capture_output=True,
                text=True,
                env=online.env,
                cwd=online.home,
                timeout=60,
            )
        assert (result.returncode, "is the input" in result.stderr) == (2, True), result.stderr
    assert (online.home / "in.csv").read_text() == sales_csv(range(3))


@pytest.mark.parametrize("piped", [False, True])
def test_resume_writes_over_no_input_from_whatever_folder(
    online: Program, service: FaultServer, piped: bool
) -> None:
    """Resume refuses an output that is the run's input, from any folder and after the input was moved."""
    folders = [online.home / name for name in ("here", "there")]
    for folder in folders:
        folder.mkdir()
    text = sales_csv(range(4))
    (folders[0] / "in.csv").write_text(text)
    (folders[1] / "in.csv").write_text("somebody else's\n")
    flags = ("--limit", "1", "--yes", "--rate", "none", "--json")
    if piped:
        begun = online("sale", "--from-csv", "-", *flags, stdin=text, cwd=folders[0])
    else:
        begun = online("sale", "--from-csv", "in.csv", *flags, cwd=folders[0])
    resume = ("runs", "resume", begun.json["run"], *flags)
    assert online(*resume, "--failures", "in.csv", cwd=folders[0]).code == 2
    # Another file of the same name is not the input and is overwritten.
    assert online(*resume, "--failures", "in.csv", cwd=folders[1]).json["counts"]["accepted"] == 2
    (folders[0] / "in.csv").rename(folders[1] / "moved.csv")
    result = online(*resume, "--results", "moved.csv", cwd=folders[1])
    assert (result.code, "is the input" in result.stderr) == (2, True), result.stderr
    assert (folders[1] / "moved.csv").read_text() == text
    (folders[1] / "moved.csv").unlink()
    assert online(*resume, "--failures", "f.csv", cwd=folders[1]).json["counts"]["accepted"] == 3
    assert (folders[1] / "f.csv").exists()
    assert len(service.requests) == 3


DIALECTS = {
    "tab, ; in a header": (
        "id;old\tclick_id\tevent_name\tcustomer_external_id\tinvoice_id\tamount\tcurrency\n",
        "\t",
    ),
    "semicolon": ("click_id;event_name;customer_external_id;invoice_id;amount;currency;Note, or more\n", ";"),
    "pipe": ("click_id|event_name|customer_external_id|invoice_id|amount|currency|a/b\n", "|"),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_a_failures_file_is_read_back_by_the_same_command(
    tmp_path: Path, server: FaultServer, dialect: str, encoding: str
) -> None:
    """A failures file has the delimiter, encoding and byte order mark of its input."""
    heading, delimiter = DIALECTS[dialect]
    columns = heading.rstrip("\n").split(delimiter)
    rows = [["c", "buy", "u\N{SNOWMAN}", f"i{number}", "100", "EUR"] for number in range(3)]
    fields = dict(zip(SALE_HEADER, range(6)))
    lines = [delimiter.join(row[fields[name]] if name in fields else "x,y;z" for name in columns) for row in rows]
    if delimiter == ";":
        lines = [line.replace("x,y;z", "x,y") for line in lines]
    server.script(SUCCESS, json_reply(422, {"error": "nein, \N{PILE OF POO}"}), SUCCESS)
    bench = Bench(tmp_path, server.url)
    path = bench.file((heading + "\n".join(lines) + "\n").encode(encoding))
    report = bench.replay(path, concurrency=1, limit=2, failures=tmp_path / "f.csv")
    assert report.run
    bench.resume(report.run, failures=tmp_path / "resumed.csv")
    assert (tmp_path / "resumed.csv").read_bytes() == (tmp_path / "f.csv").read_bytes()
    assert (tmp_path / "f.csv").read_text(encoding=encoding).startswith(heading.rstrip("\n"))
    assert counted(bench.replay(tmp_path / "f.csv")) == {"accepted": 1}
    assert server.requests[-1].json["customerExternalId"] == "u\N{SNOWMAN}"


def test_what_an_encoding_cannot_hold_is_escaped(tmp_path: Path, server: FaultServer) -> None:
    """Characters that the input's encoding lacks are escaped in the failures file."""
    shape = Shape(encoding="cp1252", delimiter=";")
    text = as_csv(SALE_HEADER, [sale(0), sale(1, customer="Zoë")]).replace(",", ";")
    server.script(SUCCESS, json_reply(422, {"error": "no \N{SNOWMAN}"}))
    bench = Bench(tmp_path, server.url)
    bench.replay(bench.file(text.encode("cp1252")), shape, concurrency=1, failures=tmp_path / "f.csv")
    assert "Zoë;inv_1;101;EUR;3;refused;no \\u2603" in (tmp_path / "f.csv").read_text(encoding="cp1252")
    assert counted(bench.replay(tmp_path / "f.csv", shape)) == {"accepted": 1}
    assert server.requests[-1].json["customerExternalId"] == "Zoë"


@pytest.mark.parametrize(("name", "encoding"), [("f.jsonl", ""), ("f.csv", ""), ("f.out", "cp1252")])
def test_failures_of_json_lines_are_json_lines(
    tmp_path: Path, server: FaultServer, name: str, encoding: str
) -> None:
    """The failures of a JSON Lines file are JSON Lines, whatever the file is called."""
    records = [dict(zip(SALE_HEADER, sale(number, customer="Zoë"))) for number in range(2)]
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    server.script(SUCCESS, json_reply(422, {"error": "no \N{SNOWMAN}"}))
    bench = Bench(tmp_path, server.url)
    shape = Shape(format="jsonl", encoding=encoding)
    path = bench.file(text.encode(encoding or "utf-8"), "in.jsonl")
    bench.replay(path, shape, concurrency=1, failures=tmp_path / name)
    [failed] = (tmp_path / name).read_text(encoding=encoding or "utf-8").splitlines()
    assert json.loads(failed) == {**records[1], "_line": 2, "_status": "refused", "_error": "no \N{SNOWMAN}"}
    assert counted(bench.replay(tmp_path / name, shape)) == {"accepted": 1}
    assert server.requests[-1].json["customerExternalId"] == "Zoë"


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be removed elsewhere")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_results_file_that_is_removed_is_noticed(tmp_path: Path, server: FaultServer, replaced: bool) -> None:
    """A results file removed during the run is exit 3, and the same command writes it again."""
    bench = Bench(tmp_path, server.url)
    results = tmp_path / "r.csv"
    path = bench.file(sales_csv(range(30)))

    class Removes(Notes):
        def settled(self, rows: list[SettledRow]) -> None:
            super().settled(rows)
            results.unlink(missing_ok=True)
            if replaced:
                results.write_text("another program's\n")

    with pytest.raises(MachineError, match=r"--results .*r.csv was removed or replaced") as caught:
        bench.replay(path, results=results, notes=Removes())
    assert "writes the file again" in caught.value.hint
    assert counted(bench.replay(path, results=results))["accepted"] == 30
    assert len(read_results(results)) == 30
    assert len(server.requests) == 30


@pytest.mark.skipif(os.name != "posix", reason="needs ulimit")
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_failures_file_without_room_ends_with_its_message(
    online: Program, service: FaultServer, dry_run: bool
) -> None:
    """A full disk under a failures file is exit 3 with one message and no traceback."""
    rows = [sale(number, amount=-1 if number % 200 else 5) for number in range(4000)]
    (online.home / "in.csv").write_text(as_csv(SALE_HEADER, rows))
    sends = ("sale", "--from-csv", "in.csv", "--yes", "--rate", "none", "--skip-invalid")
    if dry_run:
        sends = (*sends, "--dry-run")
    else:
        assert online(*sends, "--limit", "1").code == 1
    result = limited(online, 200, *sends, "--failures", "f.csv")
    assert result.returncode == 3
    assert "--failures f.csv: File too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert "ignored" not in result.stderr
