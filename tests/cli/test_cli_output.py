"""Output on terminals and in pipes: colour, width, escapes, closed streams and encodings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from faultserver import FaultServer, json_reply
from program import Program

LEAD = ("lead", "--event-name", "signup", "--customer-external-id", "user_42", "--click-id", "id_1")
HARM = "\x1b[31mred\x07 [bold]x[/bold] :smile: \u202eevil \x9b2J \ud800"

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal or shell")


def test_text_from_the_service_is_text(online: Program, service: FaultServer) -> None:
    """Control characters from the service are shown escaped; JSON keeps their meaning.

    A lone surrogate, which no encoding can hold, becomes U+FFFD.
    """
    service.script(
        json_reply(200, {"success": True, "message": HARM, "data": {HARM: HARM}}),
        json_reply(422, {"success": False, "error": HARM, "details": {HARM: HARM}}),
        json_reply(200, {"success": True, "message": HARM, "data": {}}),
    )

    table, refused, as_json = online(*LEAD), online(*LEAD), online(*LEAD, "--json")

    for text in (table.stdout, refused.stderr, as_json.stdout):
        assert not set(text) & {"\x1b", "\x07", "\u202e", "\x9b"}
    assert "\\u001b[31mred\\u0007 [bold]x[/bold] :smile:" in table.stdout
    assert as_json.json["message"] == HARM.replace("\ud800", "\ufffd")


@posix
def test_a_terminal_gets_text_as_text(online: Program, service: FaultServer) -> None:
    """A drawn table shows the service's markup and emoji codes literally, and none of its escapes."""
    service.script(json_reply(200, {"success": True, "message": HARM, "data": {}}))

    screen = online.on_terminal(*LEAD, size=(24, 200))

    assert screen.code == 0
    assert "[bold]x[/bold] :smile:" in screen.text
    assert "\x1b[31mred" not in screen.raw
    assert "\x07" not in screen.raw


@posix
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_table_fits_the_terminal(online: Program, service: FaultServer, columns: int) -> None:
    """A drawn table is at most as wide as the terminal, and no text is cut off."""
    words = " ".join(f"word{number}" for number in range(40))
    service.script(json_reply(200, {"success": True, "message": words, "data": {"id": "x" * 150}}))

    screen = online.on_terminal(*LEAD, size=(24, columns))

    assert max(map(len, screen.text.splitlines())) <= columns
    assert all(f"word{number}" in screen.text for number in range(40))
    assert screen.text.count("x") == 150
    assert "\u2026" not in screen.text


@posix
@pytest.mark.parametrize("columns", [60, 200])
def test_a_long_name_leaves_its_value_room(online: Program, service: FaultServer, columns: int) -> None:
    """A very long key in the service's data hides no value."""
    service.script(
        json_reply(200, {"success": True, "message": "m", "data": {"k" * 90: "v" * 90, "id": "order 1"}})
    )

    screen = online.on_terminal(*LEAD, size=(60, columns))

    assert max(map(len, screen.text.splitlines())) <= columns
    assert screen.text.count("k") == screen.text.count("v") == 90
    assert "order 1" in screen.text


@posix
def test_a_command_in_a_message_is_whole(program: Program) -> None:
    """A command to copy stays on one line even if the text around it wraps."""
    sent = program.on_terminal(*LEAD, "--sandbox", size=(24, 70))
    assert "\nSee what was received: cms sandbox events\n" in sent.text
    login = program.on_terminal(*LEAD, size=(24, 24))
    assert "`cms auth login`" in login.text


@pytest.mark.slow
@posix
def test_a_slow_token_command_is_told_once(online: Program) -> None:
    """A slow token command is announced once on a terminal, so that its own prompt stays readable."""
    del online.env["CMS_BEARER_TOKEN"]
    online.config.write_text('token_command = "sleep 1.5; echo tok_of_a_command"\n', encoding="utf-8")
    online.config.chmod(0o600)

    for command in (LEAD, ("auth", "status")):
        screen = online.on_terminal(*command, size=(24, 200))
        assert screen.code == 0
        assert screen.text.count("waiting for the token of token_command in") == 1
        assert "waiting" not in online(*command).stderr


@posix
@pytest.mark.parametrize(
    ("arguments", "env"),
    [((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"}), (("--no-color",), {})],
    ids=["NO_COLOR", "dumb", "--no-color"],
)
def test_no_colour_where_none_is_wanted(
    online: Program, service: FaultServer, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    """NO_COLOR, TERM=dumb and ``--no-color`` turn colour off in results, errors and help."""
    service.script(json_reply(200, {"success": True}), json_reply(422, {"error": "no"}))

    for command in ((*LEAD, *arguments), (*LEAD, *arguments), ("lead", "--help", *arguments)):
        raw = online.on_terminal(*command, env=env).raw
        assert "\x1b[3" not in raw
        if env.get("TERM") == "dumb":
            assert "\x1b" not in raw


@posix
def test_colour_means_something(online: Program, service: FaultServer) -> None:
    """Errors are red on a terminal."""
    service.script(json_reply(422, {"error": "no"}))

    assert "\x1b[1;31merror:\x1b[0m" in online.on_terminal(*LEAD).raw


@pytest.mark.slow
@posix
def test_a_long_wait_shows_a_sign_of_life(online: Program, service: FaultServer) -> None:
    """A slow request shows a spinner on a terminal, which is erased afterwards; a fast one shows none."""
    service.script(json_reply(200, {"success": True}, after=1.2))

    slow = online.on_terminal(*LEAD)
    fast = online.on_terminal(*LEAD)

    assert "sending to http://127.0.0.1" in slow.text
    assert slow.raw.rindex("\x1b[2K") > slow.raw.rindex("sending to")
    assert "sending to" not in fast.text


@posix
def test_asking_the_host_shows_a_sign_of_life(online: Program, service: FaultServer) -> None:
    """``cms auth status`` shows a spinner while it waits for a slow host."""
    service.script(json_reply(404, {"error": "no"}, after=1.2))

    screen = online.on_terminal("auth", "status")

    assert screen.code == 0
    assert f"asking {online.env['CMS_HOST']}" in screen.text
    assert screen.raw.rindex("\x1b[2K") > screen.raw.rindex("asking")


@posix
def test_the_wait_for_a_retry_shows_a_sign_of_life(online: Program, service: FaultServer) -> None:
    """While an event waits for a retry, a spinner moves below the line that gives the reason."""
    service.script(
        json_reply(429, {"error": "slow down"}, ("Retry-After", "2")), json_reply(200, {"success": True})
    )

    screen = online.on_terminal(*LEAD)

    assert screen.code == 0
    assert len(re.findall(r"\S sending to ", screen.text)) > 5
    assert "\nattempt 1: slow down; next in 2" in f"\n{screen.text}".replace("\r", "\n")


@posix
def test_login_asks_without_showing(program: Program) -> None:
    """``cms auth login`` asks for the token on a terminal and does not echo it."""
    screen = program.on_terminal("auth", "login", typed=[("Token", "tok_typed_in\n")])

    assert screen.code == 0
    assert "tok_typed_in" not in screen.raw
    assert 'token = "tok_typed_in"' in program.config.read_text()


@posix
def test_login_asks_the_terminal_where_stderr_is_none(program: Program) -> None:
    """With stderr in a file, login still asks on the terminal without echoing the token."""
    redirect = "import os; os.dup2(os.open('err.log', os.O_WRONLY | os.O_CREAT), 2)"
    (program.home / "sitecustomize.py").write_text(redirect)
    path = os.pathsep.join([str(program.home), program.env["PYTHONPATH"]])
    screen = program.on_terminal("auth", "login", env={"PYTHONPATH": path}, typed=[("Token", "tok_typed_in\n")])

    assert screen.code == 0
    assert "tok_typed_in" not in screen.raw
    assert 'token = "tok_typed_in"' in program.config.read_text()


@posix
@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_ctrl_c_at_the_prompt(program: Program, key: str) -> None:
    """Ctrl-C or Ctrl-D at the prompt exits with 130 on a new line, and nothing is stored."""
    screen = program.on_terminal("auth", "login", typed=[("Token", key)])

    assert screen.code == 130
    assert screen.text.endswith("\n")
    assert "Traceback" not in screen.text
    assert not program.config.exists()


@posix
def test_ctrl_c_while_sending(online: Program, service: FaultServer) -> None:
    """Ctrl-C while a lead is in flight exits with 130 and says that it may have been recorded."""
    service.script(json_reply(200, {"success": True}, after=20.0))

    screen = online.on_terminal(*LEAD, typed=[("sending to", "\x03")])

    assert screen.code == 130
    assert "may or may not have been recorded" in " ".join(screen.text.split())
    assert "Traceback" not in screen.text


@posix
@pytest.mark.parametrize("env", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["", "unbuffered"])
@pytest.mark.parametrize("command", [LEAD, ("lead", "--help"), (), ("--version",), ("config", "list")])
def test_a_closed_pipe_is_no_error(online: Program, command: tuple[str, ...], env: dict[str, str]) -> None:
    """A closed stdout changes neither the exit code nor stderr, with or without buffering."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cms_cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=subprocess.PIPE,
            env={**online.env, **env},
            timeout=30,
        )
    finally:
        os.close(write)

    assert done.returncode == 0
    assert b"Broken pipe" not in done.stderr
    assert b"Traceback" not in done.stderr


@posix
def test_streams_that_are_closed_from_the_start(online: Program, service: FaultServer) -> None:
    """An event is sent even if stdin, stdout and stderr are closed."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "cms_cli", *LEAD],
        env=online.env,
        timeout=30,
    )

    assert done.returncode == 0
    assert len(service.requests) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [(*LEAD, "--json"), ("--version",), ("config", "list")])
def test_a_full_disk_under_stdout(online: Program, command: tuple[str, ...]) -> None:
    """A result that cannot be written exits with 3 and says why, and what became of the lead."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cms_cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env=online.env,
            timeout=30,
        )

    assert done.returncode == 3
    assert b"error: the result cannot be written: No space left" in done.stderr
    assert (b"the outcome of the lead: accepted" in done.stderr) == (command[0] == "lead")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(("command", "code"), [((*LEAD, "-v", "--json"), 0), (("lead",), 2), (("nope",), 2)])
def test_a_full_disk_under_stderr(online: Program, command: tuple[str, ...], code: int) -> None:
    """A stderr on a full disk changes neither the result nor the exit code."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cms_cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=full,
            env=online.env,
            timeout=30,
        )

    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)


def test_an_encoding_that_lacks_characters(online: Program, service: FaultServer) -> None:
    """A character that stdout cannot encode is escaped, and JSON stays valid."""
    service.default = json_reply(
        200, {"success": True, "message": "gr\u00fc\u00dfe \u4f60\u597d \U0001f600", "data": {}}
    )
    ascii_only = {"PYTHONIOENCODING": "ascii"}

    assert (
        online.spawn(*LEAD, "--json", env=ascii_only).json["message"] == "gr\u00fc\u00dfe \u4f60\u597d \U0001f600"
    )
    assert "gr\\xfc\\xdfe" in online.spawn(*LEAD, env=ascii_only).stdout


@posix
def test_arguments_that_are_no_text(program: Program) -> None:
    """An argument that is not UTF-8 exits with 2 and names its flag."""
    done = subprocess.run(
        [
            sys.executable.encode(),
            b"-m",
            b"cms_cli",
            *(part.encode() for part in LEAD),
            b"--customer-name",
            b"\xff\xfe",
        ],
        capture_output=True,
        env={**program.env, "LC_ALL": "C.UTF-8"},
        timeout=30,
    )

    assert done.returncode == 2
    assert b"--customer-name must be text" in done.stderr


def test_stdin_is_not_read_unasked(online: Program) -> None:
    """An event on the command line leaves stdin unread."""
    script = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-m', 'cms_cli', *{LEAD!r}, '-q'], check=True)\n"
        "print(sys.stdin.read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=b"the next line", capture_output=True, env=online.env, timeout=30
    )

    assert done.stdout.strip() == b"the next line"


def test_json_survives_a_round_trip(online: Program, service: FaultServer) -> None:
    """``--json`` prints the service's ``data`` unchanged."""
    data = {"nested": [1, 2.5, None, True, {"a": 'b\nc\t"d" \\ \u00e9 \u2028'}], "big": 2**53}
    service.script(json_reply(200, {"success": True, "message": "m", "data": data}))

    assert json.loads(online(*LEAD, "--json").stdout)["data"] == data
