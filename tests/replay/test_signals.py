"""The real program while it runs: stopped by signals, inspected, and started a second time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faultserver import HANG, SUCCESS, FaultServer, Reply
from program import OWN_TERMINAL, Program
from replays import leads_csv, sales_csv

from cms_cli.replay.sending.options import DEFAULT_CONCURRENCY

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

SLOW = Reply(200, b'{"success": true}', (("Content-Type", "application/json"),), after=0.15)


def command(kind: str, path: Path, *more: str) -> tuple[str, ...]:
    return (kind, "--from-csv", str(path), "--yes", "--json", "--rate", "none", *more)


def write(program: Program, kind: str, rows: int) -> Path:
    path = program.home / f"{kind}s.csv"
    path.write_text(sales_csv(range(rows)) if kind == "sale" else leads_csv(range(rows)))
    return path


def suspend(process: subprocess.Popen[str], seconds: float) -> None:
    """Stop a process for a time, as a machine does that sleeps."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("kind", [pytest.param("sale", marks=pytest.mark.slow), "lead"])
def test_a_signal_settles_what_is_under_way(
    online: Program, service: FaultServer, kind: str, number: str, code: int
) -> None:
    """A signal lets requests in flight end and prints the command that resumes the run."""
    service.default = SLOW
    path = write(online, kind, 60)
    process = online.start(*command(kind, path))
    service.wait_for(lambda: len(service.requests) >= 12)
    process.send_signal(getattr(signal, number))
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    sent = len(service.requests)
    assert f'"accepted": {sent}' in stdout
    assert '"unknown": 0' in stdout
    service.default = SUCCESS
    found = re.search(r"cms (runs resume \S+)", stderr)
    assert found, stderr
    resumed = online(*found[1].split(), "--yes", "--json", "--rate", "none")
    assert resumed.code == 0, resumed.stderr
    assert resumed.json["counts"]["accepted"] == 60
    assert len(service.requests) == 60


@pytest.mark.parametrize(
    ("kind", "left", "twice"),
    [
        pytest.param("sale", "pending", False, marks=pytest.mark.slow),
        pytest.param("lead", "unknown", False, marks=pytest.mark.slow),
        ("sale", "pending", True),
        ("lead", "unknown", True),
    ],
)
def test_a_signal_does_not_wait_for_a_server_that_hangs(
    online: Program, service: FaultServer, kind: str, left: str, twice: bool
) -> None:
    """A signal waits five seconds for requests in flight; unanswered leads are unknown, sales pending."""
    service.script(SUCCESS, *[HANG] * 50)
    path = write(online, kind, 20)
    process = online.start(*command(kind, path, "--timeout", "600"))
    service.wait_for(lambda: len(service.requests) > DEFAULT_CONCURRENCY)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    if twice:
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 143
    assert twice or time.monotonic() - begin > 4
    assert f'"{left}": {19 if kind == "sale" else DEFAULT_CONCURRENCY}' in stdout
    assert "cms runs resume" in stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_an_answer_that_came_while_the_process_was_stopped_counts(
    online: Program, service: FaultServer, kind: str
) -> None:
    """An answer that arrived while the process was stopped for longer than --timeout counts."""
    service.default = SLOW
    path = write(online, kind, 6)
    process = online.start(*command(kind, path, "--timeout", "1", "--concurrency", "3"))
    service.wait_for(lambda: len(service.requests) >= 2)
    suspend(process, 2)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert '"accepted": 6' in stdout
    assert len(service.requests) == 6


@pytest.mark.slow
def test_a_replay_outlasts_a_suspended_machine(online: Program, service: FaultServer) -> None:
    """Time in which the machine is suspended, as with its lid closed, does not count towards --max-wait."""
    service.script(SUCCESS, *[HANG] * 3)
    process = online.start(*command("sale", write(online, "sale", 6), "--max-wait", "4", "--timeout", "3"))
    service.wait_for(lambda: len(service.requests) >= 4)
    suspend(process, 7)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert '"accepted": 6' in stdout


def test_a_closed_terminal_says_so(online: Program, service: FaultServer) -> None:
    """SIGHUP ends with 129 and a message that names it."""
    service.default = SLOW
    process = online.start(*command("sale", write(online, "sale", 60)))
    service.wait_for(lambda: len(service.requests) >= 12)
    process.send_signal(signal.SIGHUP)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 129
    assert "SIGHUP" in stderr
    assert "SIGTERM" not in stderr


@pytest.mark.parametrize("name", ["HUP", "INT", pytest.param("TERM", marks=pytest.mark.slow)])
def test_what_was_ignored_stays_ignored(online: Program, service: FaultServer, name: str) -> None:
    """A signal that was ignored at the start, as under nohup, does not stop the run."""
    service.default = SLOW
    path = write(online, "lead", 24)
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' {name}; exec \"$@\"", "sh", sys.executable, "-m", "cms_cli", *command("lead", path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=online.env,
        cwd=online.home,
        text=True,
    )
    service.wait_for(lambda: len(service.requests) >= 8)
    process.send_signal(getattr(signal, f"SIG{name}"))
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert '"accepted": 24' in stdout


@pytest.mark.parametrize("kind", [pytest.param("sale", marks=pytest.mark.slow), "lead"])
def test_a_terminal_that_is_closed(online: Program, service: FaultServer, kind: str) -> None:
    """A terminal that closes lets requests in flight end and leaves a run that can be resumed."""
    service.default = SLOW
    path = write(online, kind, 30)
    import pty

    ours, theirs = pty.openpty()  # a terminal without a size
    process = subprocess.Popen(
        [sys.executable, "-c", OWN_TERMINAL, "-m", "cms_cli", *command(kind, path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**online.env, "TERM": "xterm"},
        cwd=online.home,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        service.wait_for(lambda: len(service.requests) >= 12)
    finally:
        os.close(ours)
    assert process.wait(timeout=30) == 129
    sent = len(service.requests)
    assert sent < 30
    [run] = online("runs", "list", "--json").json
    assert run["state"] == "unfinished"
    assert (run["counts"]["accepted"], run["counts"]["pending"]) == (sent, 30 - sent)
    done = online("runs", "resume", run["run"], "--yes", "--json", "--rate", "none")
    assert done.json["counts"]["accepted"] == 30
    assert len(service.requests) == 30


def test_a_signal_before_anything_is_sent(program: Program, tmp_path: Path) -> None:
    """A signal while the file is being read ends the command and leaves no run that has sent anything."""
    path = program.home / "sales.csv"
    path.write_text(sales_csv(range(60_000)))
    process = program.start(*command("sale", path, "--sandbox"))
    journal = program.state / "sandbox" / "journal.sqlite3"
    while not journal.exists() or journal.stat().st_size < 200_000:
        if process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    listed = program("runs", "list", "--json").json
    assert listed == [] or listed[0]["state"] == "unfinished"


def test_a_running_replay_can_be_shown_and_not_started_again(online: Program, service: FaultServer) -> None:
    """`cms runs show` reports a run in progress, and a second process on it is exit 5."""
    service.default = SLOW
    path = write(online, "sale", 300)
    process = online.start(*command("sale", path))
    service.wait_for(lambda: len(service.requests) >= 12)
    [run] = online("runs", "list", "--json").json
    shown = online("runs", "show", run["run"], "--json").json
    assert shown["state"] == "unfinished"
    assert shown["total"] == 300
    assert 0 < shown["counts"]["accepted"] < 300
    for again in (command("sale", path), ("runs", "resume", run["run"], "--yes")):
        turned_away = online(*again)
        assert turned_away.code == 5
        assert "another cms" in turned_away.stderr
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert len({received.json["invoiceId"] for received in service.requests}) == len(service.requests)
