"""``cms`` in a CI job: annotations, a summary, no questions, and no injected workflow commands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from faultserver import FaultServer, json_reply
from program import Program

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / "examples" / "ci").glob("*.yml"))
HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency,customer_email\n"
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)
LEAD = ("lead", "--event-name", "signup", "--customer-external-id", "user_42", "--click-id", "id_1")


def line(number: int, amount: object = 100, email: str = "") -> str:
    return f"clk_{number},purchase,user_{number},inv_{number},{amount},USD,{email}\n"


@pytest.fixture
def job(online: Program) -> Program:
    """Return the program as a step of a GitHub workflow runs it, in a folder of its repository."""
    online.env.update(
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(online.home / "summary.md"),
        GITHUB_WORKSPACE=str(online.home),
    )
    return online


def test_problems_are_annotated_on_their_lines(job: Program) -> None:
    """Each bad row is annotated on its line with column and code, without its value; stdout holds only JSON."""
    path = job.home / "exports" / "sales, 50%.csv"
    path.parent.mkdir()
    path.write_text(HEADER + line(1) + line(2, "jane@example.com") + line(3, "secret-name"), encoding="utf-8")

    result = job("sale", "--from-csv", "exports/sales, 50%.csv", "--json")

    assert result.code == 2
    commands = [each for each in result.stderr.splitlines() if each.startswith("::")]
    assert [each.partition(",title")[0] for each in commands] == [
        "::error file=exports/sales%2C 50%25.csv,line=3",
        "::error file=exports/sales%2C 50%25.csv,line=4",
    ]
    assert "::amount: amount_" in commands[0]
    assert "::amount: amount_" in commands[1]
    assert not any("jane" in each or "secret" in each for each in commands)
    assert result.json["counts"]["invalid"] == 2


def test_a_file_outside_of_the_repository_is_not_annotated(job: Program) -> None:
    """The annotation for a file outside the repository has the line in its text and no path with ".."."""
    outside = job.home.parent / f"{job.home.name} outside.csv"
    outside.write_text(HEADER + line(1, "x"), encoding="utf-8")

    result = job("sale", "--from-csv", f"../{outside.name}", "--dry-run")

    outside.unlink()
    (command,) = [text for text in result.stderr.splitlines() if text.startswith("::")]
    assert command.startswith("::error title=cms::line 2: ")
    assert ".." not in command


def test_no_more_annotations_than_are_shown(job: Program) -> None:
    """At most ten annotations are written, as many as GitHub shows; the tenth counts the remaining rows."""
    (job.home / "sales.csv").write_text(HEADER + "".join(line(n, "x") for n in range(25)), encoding="utf-8")

    result = job("sale", "--from-csv", "sales.csv", "--dry-run")

    commands = [each for each in result.stderr.splitlines() if each.startswith("::")]
    assert len(commands) == 10
    assert "16 more rows" in commands[-1]


def test_refused_rows_are_annotated_on_their_lines(job: Program, service: FaultServer) -> None:
    """A row that the service refused is annotated on its line, without the service's own words."""
    service.script(json_reply(422, {"success": False, "error": "no Jane Doe here", "type": "Jane Doe"}))
    (job.home / "sales.csv").write_text(HEADER + line(1), encoding="utf-8")

    result = job("sale", "--from-csv", "sales.csv", "--rate", "none")

    assert result.code == 1
    (command,) = (each for each in result.stderr.splitlines() if each.startswith("::"))
    assert command.startswith("::error file=sales.csv,line=2,")
    assert "Jane" not in command


def test_the_summary_is_a_table(job: Program) -> None:
    """The job summary shows counts and kinds of problems as Markdown tables, without any cell's value."""
    name = "a|b <b>`x`.csv"
    (job.home / name).write_text(HEADER + line(1) + line(2, "jane@example.com"), encoding="utf-8")

    job("sale", "--from-csv", name, "--skip-invalid", "--rate", "none")
    job("sale", "--from-csv", name, "--dry-run")

    summary = (job.home / "summary.md").read_text(encoding="utf-8")
    assert "| accepted | 1 |" in summary
    assert "| invalid | 1 |" in summary
    assert "| **total** | **2** |" in summary
    assert summary.count("### ") == 2
    assert "a\\|b \\<b\\>\\`x\\`\\.csv" in summary
    assert "jane" not in summary


def test_a_summary_that_cannot_be_written_is_a_warning(job: Program) -> None:
    """A summary that cannot be written is a warning and does not change the exit code."""
    (job.home / "sales.csv").write_text(HEADER + line(1), encoding="utf-8")

    result = job("sale", "--from-csv", "sales.csv", "--rate", "none", env={"GITHUB_STEP_SUMMARY": "/nowhere/x.md"})

    assert result.code == 0
    assert "summary cannot be written" in result.stderr


def test_outside_of_github_nothing_is_annotated(online: Program) -> None:
    """Without GITHUB_ACTIONS there are no annotations and no summary."""
    (online.home / "sales.csv").write_text(HEADER + line(1, "x"), encoding="utf-8")

    result = online("sale", "--from-csv", "sales.csv", env={"GITHUB_STEP_SUMMARY": str(online.home / "s.md")})

    assert "::" not in result.stderr
    assert not (online.home / "s.md").exists()


ORDERS = "::error::owned\n::stop-commands::x\r\n \u00a0::add-mask::y\n##[add-mask]z ##[error]w"


@pytest.mark.parametrize("flags", [(), ("-v",), ("--json",), ("-v", "--output", "jsonl")], ids=" ".join)
def test_no_command_comes_from_the_service(job: Program, service: FaultServer, flags: tuple[str, ...]) -> None:
    """The service's text never becomes a workflow command, in tables, errors, JSON or the log of ``-v``."""
    service.script(
        json_reply(200, {"success": True, "message": ORDERS, "data": {ORDERS: ORDERS}}),
        json_reply(422, {"success": False, "error": ORDERS, "type": ORDERS, "details": {ORDERS: [ORDERS]}}),
    )

    for _ in range(2):
        result = job(*LEAD, *flags)
        assert not COMMAND.search(result.stdout + result.stderr), result
    if flags == ("--json",):
        assert result.json["error"] == ORDERS


def test_no_command_comes_from_a_file_or_an_argument(job: Program, service: FaultServer) -> None:
    """Cells, headers, file names and flags never become workflow commands; a failures file keeps them as is."""
    bad = '"::error::a","##[error]b\n::warning::c",u,"::i",x,USD,\n'
    name = "::notice::f.csv"
    (job.home / name).write_text("::error::h," + HEADER + "1," + bad, encoding="utf-8")
    service.default = json_reply(422, {"error": ORDERS})
    tries: list[tuple[str, ...]] = [
        ("sale", "--from-csv", name, "-v"),
        ("sale", "--from-csv", name, "--output", "jsonl", "--map", "amount=\n::error::"),
        ("sale", "--from-csv", "\n::error::none.csv"),
        ("::error::",),
        ("lead", "\n::error::"),
        ("auth", "status", "--offline", "--profile", "\n::error::"),
        (*LEAD, "--customer-email", "\n::error::x", "--host", "\n::error::y"),
        ("sale", "--from-csv", name, "--skip-invalid", "--failures", "f.csv"),
        ("runs", "list"),
    ]
    for arguments in tries:
        result = job(*arguments)
        commands = [each for each in result.stderr.splitlines() if COMMAND.search(each)]
        start = "::error file=%3A%3Anotice%3A%3Af.csv,line=2,title=cms::"
        ours = [each for each in commands if each.startswith(start)]
        assert commands == ours, arguments
        assert not COMMAND.search(result.stdout), arguments
    assert "::error::a" in (job.home / "f.csv").read_text(encoding="utf-8")


def test_failures_in_a_log_hold_no_command(job: Program, service: FaultServer) -> None:
    """``cms runs failures`` escapes workflow commands in a log, and writes them unchanged into a file."""
    service.default = json_reply(422, {"success": False, "error": "no"})
    (job.home / "s.csv").write_text(HEADER + line(1).replace("clk_1", "::error::clk"), encoding="utf-8")
    run = job("sale", "--from-csv", "s.csv", "--rate", "none", "--json").json["run"]

    assert not COMMAND.search(job("runs", "failures", run).stdout)
    with (job.home / "out.csv").open("wb") as out:
        subprocess.run(
            [sys.executable, "-m", "cms_cli", "runs", "failures", run], stdout=out, env=job.env, check=True
        )
    assert "\n::error::clk," in (job.home / "out.csv").read_text(encoding="utf-8")


def test_no_question_without_a_terminal(online: Program, service: FaultServer) -> None:
    """Without a terminal neither a replay nor ``runs prune`` waits for an answer."""
    (online.home / "sales.csv").write_text(HEADER + line(1), encoding="utf-8")

    assert online("sale", "--from-csv", "sales.csv", stdin="n\n").code == 0
    assert len(service.requests) == 1
    refused = online("runs", "prune", "--ledger", stdin="y\n")
    assert refused.code == 2
    assert "--yes" in refused.stderr


def scripts(value: Any) -> list[str]:
    """Return every shell script in a workflow."""
    if isinstance(value, list):
        return [text for each in value for text in scripts(each)]
    if not isinstance(value, dict):
        return []
    found = []
    for key, each in value.items():
        if key in ("run", "script", "before_script"):
            found += [each] if isinstance(each, str) else each
        else:
            found += scripts(each)
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_that_is_offered_works(path: Path, online: Program, request: pytest.FixtureRequest) -> None:
    """Each example workflow is valid YAML and shell, and every cms command in it succeeds unchanged."""
    text = path.read_text(encoding="utf-8")
    found = scripts(yaml.safe_load(text))
    (online.home / "exports").mkdir()
    (online.home / "exports" / "sales.csv").write_text(HEADER + line(1), encoding="utf-8")
    with_database = "database" in path.name
    env = {"CMS_STATE_URL": request.getfixturevalue("shared"), "CMS_ACCOUNT": "shop"} if with_database else {}

    commands = [each for each in found if each.startswith("cms ")]
    assert len(commands) == (1 if with_database else 2)
    for each in found:
        assert subprocess.run(["bash", "-n", "-c", each]).returncode == 0, each
    for each in commands:
        command, _, otherwise = each.replace('"$FILE"', "exports/sales.csv").partition(" || ")
        result = online(*command.split()[1:], env=env)
        assert result.code == 0, result.stderr
        if otherwise:
            ends = {code: subprocess.run(["bash", "-ec", f"(exit {code}) || {otherwise}"]) for code in (4, 7)}
            assert {code: done.returncode for code, done in ends.items()} == {4: 4, 7: 0}
    assert "CMS_BEARER_TOKEN" in text
    assert ("CMS_STATE_URL" if with_database else "CMS_STATE_DIR") in text
    # The package of that name on the index is another program, without a command line.
    assert all(
        "cms-python-client @ https" in each or "[postgres] @ https" in each for each in found if "pip" in each
    )


def test_the_examples_are_for_github_and_gitlab() -> None:
    """GitHub and GitLab each have an example with a cache and one with a database, complete with its parts."""
    found = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in WORKFLOWS}
    assert set(found) == {"github", "github-database", "gitlab", "gitlab-database"}
    github, gitlab = found["github"], found["gitlab"]

    assert set(github["jobs"]) == {"check", "send"}
    assert {"pull_request", "push", "schedule"} <= set(github[True])  # YAML reads the key `on` as a boolean
    for each in (github, found["github-database"]):
        assert all(step.keys() & {"uses", "run"} for job in each["jobs"].values() for step in job["steps"])
    # At the top level it would cover the checks too, and GitHub cancels a waiting job when another one queues up.
    assert "concurrency" not in github
    # A replay that is stopped after 50 minutes fails no job.
    sends = [each for name in ("github", "github-database") for each in scripts(found[name]) if "--max-dur" in each]
    assert [" || " in each for each in sends] == [True, True]
    assert all(
        7 in found[name]["send-sales"]["allow_failure"]["exit_codes"] for name in ("gitlab", "gitlab-database")
    )
    assert [name for name, each in github["jobs"].items() if "concurrency" in each] == ["send"]
    assert all("script" in gitlab[name] for name in ("check-sales", "send-sales"))
    assert "concurrency" not in json.dumps(found["github-database"])
    assert "resource_group" not in json.dumps(found["gitlab-database"])


@pytest.fixture
def homeless(program: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the program as it runs in a container: a user id without an account, and no HOME."""
    import pwd

    def no_account(key: object) -> None:
        raise KeyError(key)

    monkeypatch.setattr(pwd, "getpwuid", no_account)
    monkeypatch.setattr(pwd, "getpwnam", no_account)
    for name in [name for name in program.env if name.startswith(("XDG_", "CMS_")) or name == "HOME"]:
        del program.env[name]
    return program


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such accounts")
def test_without_a_home_events_work_and_folders_are_below_the_root(homeless: Program) -> None:
    """Without HOME, commands that need no folder work, and the default folders are below ``/``."""
    result = homeless(*LEAD, "--dry-run", "--json")
    assert result.code == 0, result.stderr
    assert result.json["body"]["clickId"] == "id_1"

    settings = homeless("config", "list")
    assert settings.code == 0, settings.stderr
    assert re.search(r"^state_dir +/.*cms +default$", settings.stdout, re.MULTILINE)
    assert "~" not in settings.stdout

    state = str(homeless.home / "state")
    replay = homeless("runs", "list", "--state-dir", state)
    assert replay.code == 0, replay.stderr

    relative = homeless("config", "path", env={"HOME": "here"})
    assert relative.stdout.startswith(str(homeless.home / "here"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file")
def test_a_home_that_is_no_folder(homeless: Program) -> None:
    """With HOME=/dev/null, commands that write exit with 3 and name the flag for another folder."""
    env = {"HOME": "/dev/null"}
    (homeless.home / "s.csv").write_text(
        "click_id,event_name,customer_external_id,invoice_id,amount,currency\nc,e,u,i,1,USD\n", encoding="utf-8"
    )
    for command in (
        *((*LEAD, "--dry-run"), ("sale", "--from-csv", "s.csv", "--dry-run"), ("config", "list"), ("runs", "list")),
        *(("sandbox", "events"), ("sandbox", "reset"), ("--version",), ("help", "files")),
    ):
        result = homeless(*command, env=env)
        assert result.code == 0, (command, result.stderr)
    for command, flag in (
        *(((*LEAD, "--sandbox"), "--state-dir"), (("sandbox", "serve", "--port", "0"), "--state-dir")),
        (("sale", "--from-csv", "s.csv", "--sandbox"), "--state-dir"),
        (("config", "set", "output", "json"), "--config"),
    ):
        result = homeless(*command, env=env)
        assert result.code == 3, (command, result.stderr)
        assert flag in result.stderr, command
    assert homeless(*LEAD, "--sandbox", "--state-dir", "state", env=env).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such accounts")
def test_a_tilde_before_an_unknown_user_is_part_of_the_path(homeless: Program) -> None:
    """``~name`` of an unknown user is taken literally, as in a shell, and never ends in an internal error."""
    for flag, code in (("--config", 2), ("--token-file", 4)):
        result = homeless(*LEAD, flag, "~nobody/x")
        assert result.code == code, result.stderr
        assert "~nobody/x" in result.stderr
        assert "itself failed" not in result.stderr

    (homeless.home / "~token").write_text("tok_1")
    result = homeless("auth", "status", "--token-file", "~token", "--host", "https://127.0.0.1:1")
    assert "--token-file" in result.stdout
    assert "itself failed" not in result.stderr
