"""Every command of the README is run, and what it says in tables agrees with the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import Program

from cms_cli.exit_codes import ExitCode
from cms_cli.sandbox import KINDS, SandboxServer, load_scenario

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(<!-- command: (?P<name>\w+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)\n```", re.DOTALL)
SHELL = [block["text"] for block in BLOCK.finditer(README) if block["language"] == "sh" and not block["name"]]
PYTHON = [block["text"] for block in BLOCK.finditer(README) if block["language"] == "python"]


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """A folder on the PATH that has `cms`, and the environment of somebody who has a token."""
    env = Program(tmp_path).env
    tools = tmp_path / "bin"
    tools.mkdir()
    cms = tools / "cms"
    cms.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cms_cli "$@"\n', encoding="utf-8")
    cms.chmod(0o755)
    return {
        **env,
        "PATH": f"{tools}{os.pathsep}{env['PATH']}",
        "CMS_BEARER_TOKEN": "readme_token",
        "GITHUB_RUN_ID": "7",
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="the README's commands are for a POSIX shell")
@pytest.mark.parametrize("text", SHELL, ids=[text.split("\n")[0][:50] for text in SHELL])
def test_a_command_of_the_readme_works(text: str, surroundings: dict[str, str], tmp_path: Path) -> None:
    """Each block of shell commands runs from the project's folder, and every command in it succeeds."""
    with SandboxServer(tmp_path / "service.sqlite3") as service:
        # As if the default host were the service: everything else in the block is as it stands in the README.
        env = {**surroundings, "CMS_HOST": service.url}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        )
        refused = [each.status for each in service.attempts() if each.method == "POST" and each.status != 200]
    assert done.returncode == 0, done.stderr
    assert not refused
    assert "your_jwt_token" not in done.stdout + done.stderr


def test_the_faults_of_the_readme_are_those_of_the_sandbox() -> None:
    """Every kind of fault is in the table, and no other."""
    table = README.partition("| kind of fault |")[2].partition("\n\n")[0]
    kinds = [kind for row in table.splitlines()[2:] for kind in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(kinds) == sorted(KINDS)


def test_the_scenario_of_the_readme_is_one(tmp_path: Path) -> None:
    """It can be copied as it stands."""
    (text,) = (block["text"] for block in BLOCK.finditer(README) if "[[step]]" in block["text"])
    file = tmp_path / "scenario.toml"
    file.write_text(text, encoding="utf-8")
    plan = load_scenario(file)
    assert (plan.seed, len(plan.steps), len(plan.poison)) == (7, 2, 1)


@pytest.mark.parametrize("text", PYTHON)
def test_the_python_of_the_readme_works(text: str, surroundings: dict[str, str], tmp_path: Path) -> None:
    """Each block of Python runs as it stands; only the host is that of a sandbox."""
    with SandboxServer(tmp_path / "service.sqlite3") as service:
        code = text.replace("CMSClient(token=", f"CMSClient(host={service.url!r}, token=")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert len(service.events()) == 1
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Success:")


def test_the_commands_that_set_everything_up_are_there() -> None:
    """The two commands that CI takes from the README are marked, and one line each."""
    named = {block["name"]: block["text"] for block in BLOCK.finditer(README) if block["name"]}
    assert set(named) == {"main", "tests"}
    assert all("\n" not in text for text in named.values())


def test_the_exit_codes_are_those_of_the_program() -> None:
    """The README's table has every exit code of the program and no other."""
    section = README.split("## Exit codes")[1].split("\n## ")[0]
    codes = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE) for code in row.split(",")}
    assert codes == {int(code) for code in ExitCode}


def test_the_readme_names_no_flag_that_is_not_there(program: Program) -> None:
    """Every long flag in the README is a flag of some command."""
    commands: list[tuple[str, ...]] = [
        (),
        *(("lead",), ("sale",), ("runs", "list"), ("runs", "resume"), ("runs", "prune"), ("runs", "failures")),
        *(("sandbox", "serve"), ("sandbox", "events"), ("sandbox", "report"), ("config", "set")),
        *(("auth", "login"), ("auth", "status")),
    ]
    known = "".join(program(*command, "--help").stdout for command in commands)
    others = {"--quiet", "--editable"}  # of pip, in the commands that set everything up
    for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - others:
        assert flag in known, flag


def test_the_readme_names_every_key_of_the_json(program: Program) -> None:
    """What a script can look for in --json and in JSON Lines is named where scripts are spoken of."""
    (program.home / "s.csv").write_text(
        "click_id,event_name,customer_external_id,invoice_id,amount,currency\nc,buy,u,i,1,USD\nc,buy,u,j,x,USD\n"
    )
    *rows, summary = program(
        *("sale", "--from-csv", "s.csv", "--sandbox", "--skip-invalid", "--output", "jsonl")
    ).json_lines
    event = program(*("lead", "--event-name", "a", "--customer-external-id", "b", "--dry-run", "--json")).json
    section = README.split("\n## In CI\n")[1].split("\n## ")[0]

    assert len(rows) == 2
    for key in {*rows[0], *summary, *summary["problems"][0], *event}:
        assert f"`{key}`" in section, key
