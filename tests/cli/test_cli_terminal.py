"""A replay on a terminal: the bar, what is written beside it, and tables at every width."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from faultserver import FaultServer, json_reply
from program import Program

from cms_cli.replay.journal.rows import SettledRow
from cms_cli.replay.sending.listener import Progress
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.pacing import Rate
from cms_cli.terminal import progress
from cms_cli.terminal.console import Console
from cms_cli.terminal.progress import ReplayView
from cms_cli.terminal.text import cut, width

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
REPLAY = ("sale", "--from-csv", "sales.csv", "--rate", "none", "--concurrency", "1")


@pytest.fixture
def slow(online: Program, service: FaultServer) -> Program:
    """The program with a file of six sales and a service that takes its time for each."""
    rows = [f"c{n},buy,u{n},i{n},{100 + n},USD\n" for n in range(6)]
    (online.home / "sales.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    service.default = json_reply(200, {"success": True}, after=0.35)
    return online


def screen_lines(raw: str) -> list[str]:
    """What is left on the screen: a carriage return goes back to the line's beginning, and EL clears its rest."""
    lines = []
    for line in raw.replace("\r\n", "\n").split("\n"):
        cells: list[str] = []
        at = 0
        for piece in re.findall(r"\x1b\[K|\x1b\[[0-9;]*m|\r|[^\r\x1b]+", line):
            if piece == "\r":
                at = 0
            elif piece == "\x1b[K":
                del cells[at:]
            elif not piece.startswith("\x1b"):
                cells[at : at + len(piece)] = piece
                at += len(piece)
        lines.append("".join(cells).rstrip())
    return lines


@pytest.mark.parametrize("columns", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_the_bar_shows_counts_rate_and_time_left(slow: Program, columns: int) -> None:
    """While rows go out a bar shows how many are settled, the rate and the time left, on one line, then is gone."""
    screen = slow.on_terminal(*REPLAY, "--yes", size=(24, columns))

    assert screen.code == 0
    bars = [text for text in re.split(r"[\r\n]", screen.raw) if "/6" in text]
    assert any(re.search(r"\u2501+\u2500+  \d/6  \d+/min  \d+ s left", text) for text in bars)
    assert all(width(text.replace("\x1b[K", "")) < columns for text in bars)
    assert not [line for line in screen_lines(screen.raw) if "/6" in line]
    assert re.search(r"accepted +6", screen.text)


def test_reading_a_large_file_shows_how_far_it_is(program: Program) -> None:
    """Before anything is sent, the rows that have been read are counted on the terminal; no trace is left of it."""
    rows = (f"c{n},buy,u{n},i{n},{100 + n},USD\n" for n in range(60_000))
    (program.home / "sales.csv").write_text(HEADER + "".join(rows), encoding="utf-8")

    screen = program.on_terminal("sale", "--from-csv", "sales.csv", "--sandbox", "--yes", "--limit", "1")

    assert screen.code == 0
    assert re.search(r"checking: \d+,\d{3} rows read", screen.raw)
    assert not [line for line in screen_lines(screen.raw) if "checking" in line]


@pytest.mark.slow
def test_nothing_flickers(slow: Program) -> None:
    """A drawing overwrites the one before: the line is not cleared before it is drawn, and no line is jumped to."""
    raw = slow.on_terminal(*REPLAY, "--yes").raw

    assert raw.count("/6  ") > 5
    assert "\r\x1b[K\r" not in raw
    assert not re.search(r"\x1b\[\d*[ABFHJfhl]", raw)


@pytest.mark.parametrize(
    "more", [("-v",), pytest.param(("-v", "--output", "jsonl"), marks=pytest.mark.slow)], ids=" ".join
)
def test_what_is_written_beside_the_bar_stays_whole(slow: Program, more: tuple[str, ...]) -> None:
    """Log lines and JSON Lines on the same terminal as the bar come out as whole lines, and no bar between them."""
    screen = slow.on_terminal(*REPLAY, "--yes", *more, size=(24, 400))

    assert screen.code == 0
    lines = [line for line in screen_lines(screen.raw) if line]
    assert not [line for line in lines if "\u2500" in line and "/6" in line]
    if "-v" in more:
        assert len([line for line in lines if line.startswith("POST http") and "-> 200" in line]) == 6
    if "jsonl" in more:
        rows = [json.loads(line) for line in lines if line.startswith("{")]
        assert [row["row"] for row in rows[:-1]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_bar_keeps_off_a_result_that_goes_elsewhere(slow: Program) -> None:
    """With the bar on a terminal and stdout in a file, the file has the result, and the bar fits the terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    with (slow.home / "out.jsonl").open("wb") as out:
        done = subprocess.Popen(
            [sys.executable, "-m", "cms_cli", *REPLAY, "--yes", "--output", "jsonl"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=theirs,
            env={**slow.env, "TERM": "xterm"},
            cwd=slow.home,
        )
        os.close(theirs)
        seen = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            seen += data
        os.close(ours)
        assert done.wait(30) == 0
    bars = [text for text in re.split(r"[\r\n]", seen.decode()) if "/6" in text]
    assert bars
    assert all(width(text.replace("\x1b[K", "")) < 60 for text in bars)
    lines = (slow.home / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == 7


def test_ctrl_c_takes_the_bar_away(slow: Program, service: FaultServer) -> None:
    """Ctrl-C ends the bar, settles what is in flight, and names the command that goes on."""
    screen = slow.on_terminal(*REPLAY, "--yes", typed=[("/6", "\x03")])

    assert screen.code == 130
    lines = screen_lines(screen.raw)
    assert any("cms runs resume sale-" in line for line in lines)
    assert not [line for line in lines if "/6" in line]
    assert any("stopped: Ctrl-C" in line for line in lines)
    assert "Traceback" not in screen.text


@pytest.mark.slow
@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}], ids=["dumb", "NO_COLOR"])
def test_plain_terminals(slow: Program, env: dict[str, str]) -> None:
    """TERM=dumb gets no escape at all, NO_COLOR no colour, and both everything that is to be known."""
    screen = slow.on_terminal(*REPLAY, "--yes", env=env)

    assert screen.code == 0
    assert re.search(r"accepted +6", screen.text)
    assert "\x1b[3" not in screen.raw
    assert env.get("TERM") != "dumb" or "\x1b" not in screen.raw


@pytest.mark.slow
def test_quiet_shows_no_bar(slow: Program) -> None:
    """With -q a terminal sees nothing of a replay that goes well."""
    assert slow.on_terminal(*REPLAY, "--yes", "-q").raw == ""


def test_progress_without_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Anywhere else a plain line every few seconds tells counts, rate, time left and what is waited for."""
    now = 1000.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    view = ReplayView(Console(), "table", Delivery(rate=Rate(60, 60.0)), ask=False)
    with view:
        view.reading(5000)
        view.sending(None, 200)
        for number in range(1, 121):
            now += 0.5
            view.settled([SettledRow(**{**dict.fromkeys(SettledRow._fields), "status": "accepted"})])
            view.progress(Progress(number, "the rate limit", now + 30.0))

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert re.fullmatch(
        r"120 of 200 settled \(120 accepted\); 120/min; 2 min left; waiting 30 s: the rate limit", lines[-1]
    )
    assert not any("\x1b" in line or "\r" in line for line in lines)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_every_table_fits(slow: Program, service: FaultServer, columns: int) -> None:
    """Preview, report, runs and settings fit the terminal from 60 columns on, with all that they have to say."""
    service.default = json_reply(200, {"success": True})
    name = "a very long name of a file that goes on and on until it is too long for most tables, 2026-11.csv"
    (slow.home / "sales.csv").rename(slow.home / name)
    size = (50, columns)

    screens = [slow.on_terminal("sale", "--from-csv", name, "--rate", "none", size=size, typed=[("?", "y\n")])]
    run = slow("runs", "list", "--json").json[0]["run"]
    commands = [("runs", "list"), ("runs", "show", run), ("config", "list"), ("auth", "status", "--offline")]
    screens += [slow.on_terminal(*command, size=size) for command in commands]

    for screen in screens:
        assert screen.code == 0, screen.text
        assert screen is screens[0] or "\u2026" not in screen.text  # of a sample, a preview shows the beginning
        drawn = [line for line in screen_lines(screen.raw) if re.search("[\u2500\u2502\u256d]", line)]
        assert all(width(line) <= columns for line in drawn)
    for screen in screens[:3]:
        squeezed = re.sub(r"[\s\u2502]+", "", screen.text)
        assert re.sub(r"\s", "", name) in squeezed
        assert run in squeezed


def test_a_table_in_a_pipe_is_complete(slow: Program, service: FaultServer) -> None:
    """Without a terminal nothing is folded or cut, whatever COLUMNS says."""
    service.default = json_reply(200, {"success": True})
    name = "x" * 150 + ".csv"
    (slow.home / "sales.csv").rename(slow.home / name)
    slow("sale", "--from-csv", name, "--rate", "none")

    (line,) = slow("runs", "list", env={"COLUMNS": "40"}).stdout.splitlines()[1:]

    assert name in line
    assert "6 accepted" in line


def test_no_word_of_a_table_is_broken(online: Program, service: FaultServer) -> None:
    """Runs at two hosts, the widest table, on 80 columns: lines break between words, and only a URL inside one."""
    rows = [f"c{n},buy,u{n},i{n},{100 + n if n else ''},USD\n" for n in range(3)]
    (online.home / "sales.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    assert online(*REPLAY, "--skip-invalid", "--limit", "1").code == 1
    assert online(*REPLAY, "--skip-invalid", "--sandbox").code == 1

    screen = online.on_terminal("runs", "list")

    lines = screen.text.splitlines()
    assert lines[1].split() == ["run", "state", "begun", "(UTC)", "rows", "outcomes", "file", "host"]
    assert all(width(line) <= 80 for line in lines)
    words = set(screen.text.split())
    assert {"accepted,", "pending,", "invalid", "finished", "unfinished", "sales.csv", "sandbox"} <= words


def test_words_are_cut_by_columns() -> None:
    """A line is cut by the columns that it takes, not by its characters."""
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab\u2026"
    assert cut("\u4f60\u597d\u5417", 4) == "\u4f60\u2026"
    assert width("\x1b[31mred\x1b[0m") == 3
