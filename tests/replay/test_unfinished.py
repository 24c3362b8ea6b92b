"""Unfinished runs are named and resumed together, and an exit code says how a run ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, json_reply
from program import Program
from replays import Bench, counted, hurry, leads_csv, sales_csv

from cms_cli.exit_codes import ExitCode

FLAGS = ("--yes", "--rate", "none")


def nights(online: Program) -> list[str]:
    """Begin a run for each of three nights with rows left, and return the runs' names."""
    names = []
    for night in range(3):
        (online.home / f"night{night}.csv").write_text(sales_csv(range(night * 10, night * 10 + 4)))
        result = online("sale", "--from-csv", f"night{night}.csv", "--limit", "2", "--json", *FLAGS)
        names.append(result.json["run"])
    return names


def test_a_replay_names_the_unfinished_runs_that_it_leaves_behind(online: Program) -> None:
    """A replay names other unfinished runs and their pending rows, in reports, JSON and dry runs."""
    names = nights(online)
    (online.home / "last.csv").write_text(sales_csv(range(90, 92)))
    for flags in (("--dry-run",), ()):
        result = online("sale", "--from-csv", "last.csv", "--json", *FLAGS, *flags)
        assert result.code == 0
        for name in names:
            [warning] = [each for each in result.json["warnings"] if f"cms runs resume {name}" in each]
            assert "2 rows pending" in warning
            assert f"cms runs resume {name}" in result.stderr.replace(" --state-dir", "\n")
        assert "cms runs resume --all" in result.stderr
    result = online("sale", "--from-csv", "night0.csv", "--limit", "1", "--json", *FLAGS)
    assert not [each for each in result.json["warnings"] if f"resume {names[0]}" in each]


def test_resume_all_resumes_every_unfinished_run_the_oldest_first(online: Program, service: FaultServer) -> None:
    """`runs resume --all` resumes the unfinished runs of its own account, the oldest first."""
    names = nights(online)
    (online.home / "other.csv").write_text(sales_csv(range(70, 74)))
    other = {"CMS_BEARER_TOKEN": "another_token"}
    foreign = online("sale", "--from-csv", "other.csv", "--limit", "2", "--json", *FLAGS, env=other)
    assert foreign.json["counts"]["pending"] == 2
    before = len(service.requests)
    result = online("runs", "resume", "--all", "--json", *FLAGS)
    assert result.code == 0
    assert [report["run"] for report in result.json] == names
    assert [report["counts"]["accepted"] for report in result.json] == [4, 4, 4]
    invoices = [request.json["invoiceId"] for request in service.requests[before:]]
    assert [sorted(invoices[at : at + 2]) for at in (0, 2, 4)] == [
        [f"inv_{number}" for number in (night * 10 + 2, night * 10 + 3)] for night in range(3)
    ]
    again = online("runs", "resume", "--all", *FLAGS)
    assert (again.code, "there is no unfinished run" in again.stderr) == (0, True)
    assert online("runs", "resume", "--all", "--json", *FLAGS, env=other).json[0]["run"] == foreign.json["run"]


def test_resume_all_reads_the_token_from_stdin_once(online: Program) -> None:
    """A token on stdin is used for every run."""
    token = online.env.pop("CMS_BEARER_TOKEN")
    flags = (*FLAGS, "--token-file", "-")
    for night in range(2):
        (online.home / f"{night}.csv").write_text(sales_csv(range(night * 10, night * 10 + 4)))
        online("sale", "--from-csv", f"{night}.csv", "--limit", "2", *flags, stdin=token)
    result = online("runs", "resume", "--all", "--json", *flags, stdin=token)
    assert result.code == 0, result.stderr
    assert [report["counts"]["accepted"] for report in result.json] == [4, 4]


def test_resume_all_does_without_a_damaged_sandbox(online: Program) -> None:
    """The runs of an account are resumed even if the journal of the sandbox cannot be read, with a warning."""
    (online.home / "a.csv").write_text(sales_csv(range(4)))
    online("sale", "--from-csv", "a.csv", "--limit", "1", "--sandbox", "--yes")
    online("sale", "--from-csv", "a.csv", "--limit", "2", *FLAGS)
    (journal,) = online.home.rglob("sandbox/journal.sqlite3")
    journal.write_bytes(b"no journal")
    result = online("runs", "resume", "--all", "--json", *FLAGS)
    assert result.code == 0, result.stderr
    assert [report["counts"]["accepted"] for report in result.json] == [4]
    assert "the runs of the sandbox are left out" in result.stderr
    assert online("sandbox", "reset").code == 0
    assert "left out" not in online("runs", "resume", "--all", *FLAGS).stderr


def test_resume_all_needs_a_token_for_runs_of_an_account_only(online: Program) -> None:
    """`runs resume --all` resumes the runs of the sandbox without a token, unless an account has some as well."""
    none = {"CMS_BEARER_TOKEN": ""}
    (online.home / "a.csv").write_text(sales_csv(range(4)))
    begun = online("sale", "--from-csv", "a.csv", "--limit", "1", "--sandbox", "--yes", "--json").json["run"]
    result = online("runs", "resume", "--all", "--yes", "--json", env=none)
    assert (result.code, [report["run"] for report in result.json]) == (0, [begun]), result.stderr
    assert result.json[0]["counts"]["accepted"] == 4
    assert online("runs", "resume", "--all", "--yes", env=none).code == 4  # nothing is left that needs no token
    (online.home / "b.csv").write_text(sales_csv(range(10, 14)))
    online("sale", "--from-csv", "b.csv", "--limit", "1", "--sandbox", "--yes")
    online("sale", "--from-csv", "b.csv", "--limit", "1", *FLAGS)
    assert online("runs", "resume", "--all", "--yes", env=none).code == 4
    both = online("runs", "resume", "--all", "--json", *FLAGS)
    assert [(report["counts"]["accepted"], report["counts"]["pending"]) for report in both.json] == [(4, 0), (4, 0)]


def test_resume_all_logs_every_request_once(online: Program) -> None:
    """`runs resume --all -v` logs every request once."""
    nights(online)
    logged = online("runs", "resume", "--all", "-v", *FLAGS).stderr.splitlines()
    assert sum(line.startswith("POST ") for line in logged) == 6


def test_resume_all_ends_with_the_code_that_counts(online: Program, service: FaultServer) -> None:
    """`runs resume --all` ends with the first exit code in the contract's order, at once for a rejected token."""
    nights(online)
    service.script(json_reply(422, {"error": "no"}))
    assert online("runs", "resume", "--all", "--limit", "1", *FLAGS).code == 1
    before = len(service.requests)
    service.script(json_reply(401, {"error": "who are you"}))
    assert online("runs", "resume", "--all", *FLAGS).code == 4
    assert len(service.requests) == before + 1


@pytest.mark.parametrize("arguments", [(), ("sale-x", "--all"), ("--all", "--failures", "f.csv")])
def test_resume_takes_one_run_or_all(online: Program, arguments: tuple[str, ...]) -> None:
    """`runs resume` takes a run or --all, and no output file with --all."""
    result = online("runs", "resume", *arguments)
    assert result.code == 2
    assert "--all" in result.stderr


@pytest.mark.parametrize(("reply", "lead"), [(DROP, 6), (json_reply(500, {"error": "oops"}), 6)])
def test_the_code_of_a_sale_without_an_answer_is_that_of_an_unreachable_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: object, lead: int
) -> None:
    """A sale without an answer stays pending with exit 5, and a lead is unknown with exit 6."""
    hurry(monkeypatch)
    with FaultServer() as server:
        for kind, text, code in (("sale", sales_csv(range(2)), 5), ("lead", leads_csv(range(1)), lead)):
            server.script(*[reply] * 500)  # type: ignore[list-item]
            bench = Bench(tmp_path / kind, server.url, kind)
            bench.folder.mkdir()
            path = bench.file(text)
            report = bench.replay(path, max_wait=0.5)
            assert int(report.exit_code) == code
            assert counted(report) == ({"pending": 2} if kind == "sale" else {"unknown": 1})
        server.script(SUCCESS)
    assert ExitCode.UNAVAILABLE == 5


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read")
@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_an_input_that_cannot_be_read_is_named(online: Program, flags: tuple[str, ...]) -> None:
    """An input that fails while it is read is named, with the error."""
    result = online("sale", "--from-csv", "/proc/self/mem", *FLAGS, *flags)
    assert result.code in (2, 3)
    assert "/proc/self/mem: Input/output error" in result.stderr
    assert "bug" not in result.stderr
