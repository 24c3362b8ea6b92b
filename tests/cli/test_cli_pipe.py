"""Pipes and loops: what goes to stdout, what is read from stdin, and readers that stop early."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from faultserver import FaultServer, Reply, json_reply
from program import Program

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")

HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
LEAD = ("lead", "--event-name", "signup", "--customer-external-id", "user_42", "--click-id", "id_1")


def sales(program: Program, count: int = 3, name: str = "sales.csv") -> str:
    rows = [f"c{n},buy,u{n},i{n},{100 + n},USD\n" for n in range(count)]
    (program.home / name).write_text(HEADER + "".join(rows), encoding="utf-8")
    return name


def test_stdin_has_one_reader(online: Program, service: FaultServer) -> None:
    """File and token cannot both come from stdin: exit 2, both flags named, nothing sent."""
    result = online("sale", "--from-csv", "-", "--token-file", "-", stdin=HEADER)

    assert (result.code, result.stdout) == (2, "")
    assert "--from-csv -" in result.stderr
    assert "--token-file -" in result.stderr
    assert not service.requests


@pytest.mark.parametrize(
    "command",
    [
        ("sale", "--from-csv", "sales.csv", "--rate", "none", "-q"),
        ("sale", "--from-csv", "sales.csv", "--dry-run", "-q"),
        ("runs", "list"),
        ("runs", "prune"),
        ("config", "set", "timeout", "5"),
        ("config", "list"),
        ("auth", "status"),
        ("auth", "logout"),
        ("auth", "status", "--offline", "--json"),
        ("presets",),
        ("runs", "resume", "sale-none0"),
        ("sandbox", "events"),
        ("sandbox", "report"),
        ("sandbox", "reset"),
        ("lead", "--event-name"),
        ("lead", "--help"),
    ],
    ids=" ".join,
)
def test_stdin_is_left_alone(online: Program, command: tuple[str, ...]) -> None:
    """Commands leave stdin to the surrounding ``while read`` loop unless they are told to read it."""
    sales(online)
    script = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-m', 'cms_cli', *{command!r}], stdout=2)\n"
        "print(sys.stdin.read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=b"the next line",
        capture_output=True,
        env=online.env,
        cwd=online.home,
        timeout=30,
    )
    assert done.stdout.strip() == b"the next line"


@pytest.mark.slow
@posix
def test_a_reader_that_has_seen_enough(online: Program, service: FaultServer) -> None:
    """``| head -1`` gets its line from every command with long output; the command exits with 0 and no error."""
    service.default = json_reply(422, {"success": False, "error": "no"})
    sales(online, 300)
    run = online("sale", "--from-csv", "sales.csv", "--rate", "none", "--json").json["run"]
    online(*LEAD, "--sandbox")
    commands = [
        f"runs failures {run}",
        f"runs show {run} --json",
        "runs list",
        "sandbox events --json",
        "sandbox report --json",
        "config list",
        "presets stripe",
        "auth status",
        "sale --help",
        "sale --from-csv sales.csv --dry-run --json --fresh",
    ]
    for command in commands:
        script = f'"{sys.executable}" -m cms_cli {command} | head -1; echo "${{PIPESTATUS[0]}}"'
        done = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, env=online.env, cwd=online.home, timeout=60
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 2, (command, lines)
        assert lines[-1] == "0", (command, done.stderr)
        assert "Broken pipe" not in done.stderr
        assert "Traceback" not in done.stderr


@posix
def test_a_replay_goes_on_when_nobody_listens(online: Program, service: FaultServer) -> None:
    """A replay sends every row even if the reader of its JSON Lines goes away."""
    sales(online, 20)
    command = f'"{sys.executable}" -m cms_cli sale --from-csv sales.csv --rate none --output jsonl | head -1'
    subprocess.run(["bash", "-c", command], capture_output=True, env=online.env, cwd=online.home, timeout=60)

    assert len(service.requests) == 20


@pytest.mark.parametrize("form", ["json", "jsonl"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("sale", "--from-csv", "sales.csv", "--rate", "none"), 0),
        (("sale", "--from-csv", "sales.csv", "--dry-run"), 0),
        (("sale", "--from-csv", "bad.csv"), 2),
        (("sale", "--from-csv", "none.csv"), 2),
        (("sale", "--from-csv", "sales.csv", "--map", "amount=none"), 2),
        (("sale", "--amount", "x"), 2),
        (("runs", "list"), 0),
        (("runs", "show", "sale-none0"), 2),
        (("config", "list"), 0),
        (("config", "get", "host"), 0),
        (("auth", "status", "--offline"), 0),
        (("sandbox", "events"), 0),
        (("sandbox", "events", "--no-such-flag"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_stdout_is_one_document_or_lines_of_json(
    online: Program, command: tuple[str, ...], code: int, form: str
) -> None:
    """With JSON output, stdout holds JSON and nothing else; a command that fails writes an object that says why."""
    sales(online)
    (online.home / "bad.csv").write_text(HEADER + "c,buy,u,i,n/a,USD\n", encoding="utf-8")

    result = online(*command, "--output", form, "-v" if command[0] == "sale" else "--no-color")

    assert result.code == code, result.stderr
    found = result.json_lines if form == "jsonl" else [result.json]
    assert all(isinstance(each, dict if form == "jsonl" else (dict, list)) for each in found)
    if code:
        assert "error: " in result.stderr
        assert found[-1].get("problems") or (found[-1]["success"], found[-1]["exit_code"]) == (False, code)


@pytest.mark.parametrize(
    "answer",
    [
        json_reply(422, {"success": False, "error": "no"}),
        json_reply(401, {"success": False, "error": "no"}),
        Reply(200, b"<html>", headers=(("Content-Type", "text/html"),)),
    ],
    ids=["refused", "token", "a page"],
)
def test_an_error_leaves_stdout_to_the_result(online: Program, service: FaultServer, answer: Reply) -> None:
    """A failing event or replay writes its JSON to stdout and its message to stderr."""
    service.default = answer
    sales(online)

    for command in (LEAD, ("sale", "--from-csv", "sales.csv", "--rate", "none")):
        result = online(*command, "--json", "-v")
        assert result.code != 0
        assert isinstance(result.json, dict)
        assert "error: " in result.stderr


RUN_KEYS = [
    *("run", "kind", "state", "file", "sha256", "host", "account", "created", "touched", "exit_code", "counts")
]


def test_the_keys_of_every_document(online: Program) -> None:
    """The JSON keys of runs, settings and sandbox events, which scripts rely on, stay the same."""
    sales(online)
    online("sale", "--from-csv", "sales.csv", "--rate", "none")
    online(*LEAD, "--sandbox")

    (run,) = online("runs", "list", "--json").json
    assert list(run) == [*RUN_KEYS, "total"]
    assert online("runs", "list", "--output", "jsonl").json == run
    shown = online("runs", "show", run["run"], "--json").json
    assert list(shown) == [*RUN_KEYS, "total", "problems"]
    assert set(run["counts"]) == {
        *("pending", "accepted", "duplicate", "refused", "unknown", "invalid", "skipped"),
    }
    settings = online("config", "list", "--json").json
    assert list(settings) == ["path", "exists", "profiles", "settings"]
    assert list(settings["settings"]) == [
        *("profile", "host", "output", "timezone", "timeout", "max_wait", "state_dir", "state_url", "account"),
        *("state_required", "token"),
    ]
    assert all(list(each) == ["value", "origin"] for each in settings["settings"].values())
    assert list(online("config", "get", "host", "--json").json) == ["key", "value", "origin"]
    (event,) = online("sandbox", "events", "--json").json
    assert list(event) == ["id", "receivedAt", "kind", "clickId", "clickSource", "event"]
    assert event["event"]["eventName"] == "signup"


def test_problems_have_these_keys(online: Program, service: FaultServer) -> None:
    """A failed row has row, line, column, code and message, in the report and in ``cms runs show``."""
    service.default = json_reply(422, {"success": False, "error": "no"})
    sales(online, 1)
    report = online("sale", "--from-csv", "sales.csv", "--rate", "none", "--json").json
    shown = online("runs", "show", report["run"], "--json").json

    for document in (report, shown):
        assert [list(problem) for problem in document["problems"]] == [["row", "line", "column", "code", "message"]]


def test_results_go_to_stdout_and_words_to_stderr(online: Program) -> None:
    """In a pipe the table goes to stdout, and previews, warnings and hints go to stderr."""
    sales(online)
    result = online("sale", "--from-csv", "sales.csv", "--rate", "none")

    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["outcome", "rows"],
        ["accepted", "3"],
        ["total", "3"],
    ]
    assert "to send: 3 rows" in result.stderr


@posix
def test_output_that_is_closed_from_the_start(online: Program, service: FaultServer) -> None:
    """A replay with all standard streams closed sends its rows."""
    sales(online)
    command = ["sale", "--from-csv", "sales.csv", "--rate", "none"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "cms_cli", *command],
        env=online.env,
        cwd=online.home,
        timeout=30,
    )
    assert done.returncode == 0
    assert len(service.requests) == 3


def test_json_is_utf8_and_complete(online: Program) -> None:
    """A file name in any script is kept in the JSON, whatever the locale's encoding."""
    if os.name == "nt":
        pytest.skip("the console's code page decides")
    name = sales(online, 1, "\u4f60\u597d \u00e9.csv")
    for env in ({}, {"PYTHONIOENCODING": "ascii"}):
        document = online.spawn("sale", "--from-csv", name, "--dry-run", "--json", env=env).stdout
        assert json.loads(document)["file"] == name


@posix
def test_a_stdin_that_is_closed(program: Program) -> None:
    """``--from-csv -`` with a closed stdin exits with 2 and says so."""
    command = f'"{sys.executable}" -m cms_cli sale --from-csv - --dry-run <&-'
    done = subprocess.run(
        ["sh", "-c", command], env=program.env, cwd=program.home, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: standard input is closed\n")


@pytest.mark.parametrize("flag", ["--dry-run", "--json", "-q", "--customer-email=a@example.com"])
def test_a_variable_that_is_empty_does_not_take_the_next_flag_for_a_value(
    online: Program, service: FaultServer, flag: str
) -> None:
    """An empty ``$NAME`` in ``--customer-name $NAME --dry-run`` is an error; ``--flag=value`` is literal."""
    lead = ("lead", "--event-name", "signup", "--customer-external-id", "u", "--click-id", "c")
    result = online(*lead, "--customer-name", flag)
    assert result.code == 2
    assert bool(result.stdout) == (flag == "--json")
    assert f"--customer-name has no value: {flag} comes next" in result.stderr
    assert service.requests == []

    said = online(*lead, f"--customer-name={flag}", "--token-file", "-", "--json", stdin="tok_1\n")
    assert said.code == 0, said.stderr
    assert [request.json["customerName"] for request in service.requests] == [flag]


@pytest.mark.parametrize(
    ("arguments", "env", "code"),
    [
        (("sale", "--json"), {}, 2),
        (("sale", "--jsn", "--json"), {}, 2),
        (("--json", "nope"), {}, 2),
        (("sale", "--output", "json", "--limit", "x"), {}, 2),
        (("sale", "--output=jsonl", "--from-csv", "none.csv"), {}, 2),
        (("runs", "show", "sale-xxxxx", "--json"), {}, 2),
        (("lead", "--limit", "0"), {"CMS_OUTPUT": "json"}, 2),
        (("auth", "login", "--json"), {}, 2),
        (("lead", "--event-name", "a", "--customer-external-id", "b", "--json"), {"CMS_BEARER_TOKEN": ""}, 4),
    ],
    ids=str,
)
def test_a_failure_is_an_object_where_the_output_is_json(
    online: Program, arguments: tuple[str, ...], env: dict[str, str], code: int
) -> None:
    """With JSON output, a command that fails early writes one JSON object, and the same error to stderr."""
    result = online(*arguments, env=env)

    assert (result.code, result.json["exit_code"]) == (code, code)
    assert list(result.json) == ["success", "error", "exit_code", "hint"]
    assert result.json["success"] is False
    assert result.stderr.startswith(f"error: {result.json['error']}")


def test_a_failure_is_an_object_where_the_config_file_says_json(online: Program) -> None:
    """JSON set in the config file covers failures too, except of commands that write no JSON."""
    online.config.write_text('output = "json"\n')

    assert online("runs", "show", "sale-xxxxx").json["exit_code"] == 2
    assert online("sale", "--nope").json["exit_code"] == 2
    assert online("runs", "failures", "sale-xxxxx").stdout == ""
    assert online("auth", "logout", "--nope").stdout == ""
