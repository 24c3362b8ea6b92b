"""A replay on a terminal: progress bar, log lines beside it, and tables of any width."""

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
from cms_cli.terminal.text import width

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
REPLAY = ("sale", "--from-csv", "sales.csv", "--rate", "none", "--concurrency", "1")


@pytest.fixture
def slow(online: Program, service: FaultServer) -> Program:
    """Return the program with a file of six sales, and a service that takes 0.35 s for each."""
    rows = [f"c{n},buy,u{n},i{n},{100 + n},USD\n" for n in range(6)]
    (online.home / "sales.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    service.default = json_reply(200, {"success": True}, after=0.35)
    return online


def screen_lines(raw: str) -> list[str]:
    """Return the lines left on the screen, after cursor movements and erased lines."""
    lines, row, at = [""], 0, 0
    for piece in re.findall(r"\x1b\[\?\d+[hl]|\x1b\[\d*A|\x1b\[2?K|\x1b\[[0-9;]*m|\r|\n|[^\r\n\x1b]+", raw):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            at = 0
        elif piece.startswith("\x1b") and piece.endswith("A"):
            row -= int(piece[2:-1] or 1)
        elif piece.startswith("\x1b") and piece.endswith("K"):
            lines[row] = ""
        elif not piece.startswith("\x1b"):
            line = lines[row].ljust(at)
            lines[row] = line[:at] + piece + line[at + len(piece) :]
            at += len(piece)
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("columns", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_the_bar_shows_counts_rate_and_time_left(slow: Program, columns: int) -> None:
    """The progress bar shows count, rate and time left on one line, and is erased at the end."""
    screen = slow.on_terminal(*REPLAY, "--yes", size=(24, columns))

    assert screen.code == 0
    bars = bars_of(screen.raw)
    assert any(re.search(r"[\u2501\u2578\u257a]+ \d/6  \d+/min  \d+ s left", text) for text in bars)
    assert all(width(text) <= columns - len("^C") for text in bars)
    assert re.search(r"\x1b\[36m\u2501+", screen.raw)
    assert not [line for line in screen_lines(screen.raw) if "/6" in line]
    assert re.search(r"accepted +6", screen.text)


def bars_of(raw: str) -> list[str]:
    """Return every state of the progress bar, without styles."""
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text) for text in re.split(r"[\r\n]", raw) if "/6" in text]


@pytest.mark.slow
def test_reading_a_large_file_shows_how_far_it_is(program: Program) -> None:
    """Reading a large file shows a count of rows on the terminal, which is erased afterwards."""
    rows = (f"c{n},buy,u{n},i{n},{100 + n},USD\n" for n in range(30_000))
    (program.home / "sales.csv").write_text(HEADER + "".join(rows), encoding="utf-8")

    screen = program.on_terminal("sale", "--from-csv", "sales.csv", "--sandbox", "--yes", "--limit", "1")

    assert screen.code == 0
    assert re.search(r"checking: \d+,\d{3} rows read", screen.raw)
    assert not [line for line in screen_lines(screen.raw) if "checking" in line]


@pytest.mark.parametrize(
    "more", [("-v",), pytest.param(("-v", "--output", "jsonl"), marks=pytest.mark.slow)], ids=" ".join
)
def test_what_is_written_beside_the_bar_stays_whole(slow: Program, more: tuple[str, ...]) -> None:
    """Log lines and rows beside the progress bar are complete."""
    screen = slow.on_terminal(*REPLAY, "--yes", *more, size=(24, 400))

    assert screen.code == 0
    lines = [line for line in screen_lines(screen.raw) if line]
    assert not [line for line in lines if "/6" in line]
    if "-v" in more:
        assert len([line for line in lines if line.startswith("POST http") and "-> 200" in line]) == 6
    if "jsonl" in more:
        rows = [json.loads(line) for line in lines if line.startswith("{")]
        assert [row["row"] for row in rows[:-1]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_bar_keeps_off_a_result_that_goes_elsewhere(slow: Program) -> None:
    """With stdout in a file, the bar fits the terminal and the file holds only the result."""
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
    bars = bars_of(seen.decode())
    assert bars
    assert all(width(text) < 60 for text in bars)
    lines = (slow.home / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == 7


def test_ctrl_c_takes_the_bar_away(slow: Program) -> None:
    """Ctrl-C erases the bar and the ^C, and names the command that resumes the run.

    Where ^C has no room behind the bar, the terminal continues in the next line, and the bar stays.
    """
    screen = slow.on_terminal(*REPLAY, "--yes", size=(24, 28), typed=[("/6  ", "\x03")])

    assert screen.code == 130
    assert max(map(width, bars_of(screen.raw))) <= 28
    lines = screen_lines(screen.raw)
    assert any("cms runs resume sale-" in line for line in lines)
    assert not [line for line in lines if "/6" in line or "^" in line]
    assert any("stopped: Ctrl-C" in line for line in lines)
    assert "Traceback" not in screen.text


@pytest.mark.slow
@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1"}], ids=["dumb", "NO_COLOR"])
def test_plain_terminals(slow: Program, env: dict[str, str]) -> None:
    """TERM=dumb receives no escapes and NO_COLOR no colour; both show the result."""
    screen = slow.on_terminal(*REPLAY, "--yes", env=env)

    assert screen.code == 0
    assert re.search(r"accepted +6", screen.text)
    assert "\x1b[3" not in screen.raw
    assert env.get("TERM") != "dumb" or "\x1b" not in screen.raw


@pytest.mark.slow
def test_quiet_shows_no_bar(slow: Program) -> None:
    """``-q`` shows nothing on a terminal."""
    assert slow.on_terminal(*REPLAY, "--yes", "-q").raw == ""


def test_progress_without_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, progress is a plain line every few seconds with counts, rate and the reason to wait."""
    now = 1000.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now))
    view = ReplayView(Console(), "table", Delivery(rate=Rate(60, 60.0)), kind="sale", target="h", ask=False)
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


@pytest.mark.parametrize(
    "columns", [60, *(pytest.param(columns, marks=pytest.mark.slow) for columns in (80, 120, 200))]
)
def test_every_table_fits(slow: Program, service: FaultServer, columns: int) -> None:
    """Every table fits a terminal of 60 columns or more, and a run's id is never cut."""
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
        drawn = [line for line in screen_lines(screen.raw) if re.search("[\u2500\u2502\u256d]", line)]
        assert all(width(line) <= columns for line in drawn)
    assert all(run in screen.text for screen in screens[:3])
    listed = [line for line in screens[1].text.splitlines() if run in line]
    assert len(listed) == 1
    assert "a very long" in listed[0]


def test_what_is_cut_off_ends_in_an_ellipsis(online: Program, service: FaultServer) -> None:
    """A list with two columns that do not fit shortens both; the edge of the terminal cuts nothing off."""
    service.default = json_reply(200, {"success": True})
    rows = [f"c{n},buy,u{n},i{n},{100 + n},USD\n" for n in (0, 0, 1, 2, 3, 4, 5)]
    (online.home / "sales-of-a-day.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    assert online("sale", "--from-csv", "sales-of-a-day.csv", "--limit", "3").code == 0

    listed = online.on_terminal("runs", "list", size=(24, 80)).text.splitlines()
    (run,) = [line.rstrip() for line in listed if "sale-" in line]
    assert re.search("pending, .*\u2026  sales.*\u2026$", run)
    assert width(run) <= 80


SALE = ("sale", "--event-name", "purchase_completed", "--amount", "123456", "--currency", "USD", "--sandbox")


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_one_line_an_event(program: Program, columns: int) -> None:
    """``sandbox events`` shows an event per line; ids and amount are whole, and other columns need room."""
    for number in range(3):
        ids = {
            "click": f"clk_{1000 + number}",
            "customer-external": f"user_{number:05}",
            "invoice": f"inv_{number}",
        }
        flags = [word for name, value in ids.items() for word in (f"--{name}-id", value)]
        assert program(*SALE, *flags).code == 0

    lines = program.on_terminal("sandbox", "events", size=(24, columns)).text.splitlines()
    for number in range(3):
        (line,) = [line for line in lines if f"clk_{1000 + number}" in line]
        assert f"user_{number:05}" in line
        assert f"inv_{number}" in line
        assert "1,234.56 USD" in line
    assert all(width(line) <= columns for line in lines)
    assert ("purchase_completed" in "".join(lines)) == (columns >= 80)
    assert ("received (UTC)" in "".join(lines)) == (columns >= 120)


def test_ids_that_no_terminal_has_room_for_are_whole(program: Program) -> None:
    """An id wider than the terminal wraps and is not cut."""
    ids = ("--click-id", "c" * 150, "--customer-external-id", "u" * 150, "--invoice-id", "i" * 150)
    assert program(*SALE, *ids).code == 0

    text = program.on_terminal("sandbox", "events", size=(24, 80)).text
    assert [text.count(letter) >= 150 for letter in "cui"] == [True] * 3
    assert all(width(line) <= 80 for line in text.splitlines())


def test_lists_in_a_pipe_are_for_cut_and_awk(slow: Program, service: FaultServer) -> None:
    """A list in a pipe is tab-separated with a header line, and uncut whatever COLUMNS says."""
    service.default = json_reply(200, {"success": True})
    name = "x" * 100 + "\ty\n.csv"
    (slow.home / "sales.csv").rename(slow.home / name)
    slow("sale", "--from-csv", name, "--rate", "none")
    slow("sale", "--from-csv", name, "--sandbox")

    expected = {
        ("runs", "list"): ("run", "state", "begun (UTC)", "rows", "outcomes", "file", "host"),
        ("sandbox", "events"): ("id", "kind", "click", "click from", "event", "customer", "invoice", "amount"),
        ("sandbox", "report"): ("click", "leads", "sales", "revenue"),
        ("presets",): ("preset", "reads"),
    }
    for command, header in expected.items():
        lines = slow(*command, env={"COLUMNS": "40"}).stdout.splitlines()
        cells = [line.split("\t") for line in lines]
        assert tuple(cells[0][: len(header)]) == header
        assert {len(row) for row in cells} == {len(cells[0])}
    runs = slow("runs", "list").stdout.splitlines()
    assert {line.split("\t")[5].rpartition("/")[2] for line in runs[1:]} == {"x" * 100 + "\\ty\\n.csv"}
    assert {line.split("\t")[3] for line in runs[1:]} == {"6"}


def test_columns_is_one_value(program: Program) -> None:
    """COLUMNS makes tables and pages narrower than the terminal, never wider."""
    for env, most in (({"COLUMNS": "60"}, 60), ({"COLUMNS": "300"}, 80), ({}, 80)):
        for command in (("config", "list"), (*SALE[:-1], "--dry-run", *IDS)):
            lines = program.on_terminal(*command, size=(24, 80), env=env).text.splitlines()
            drawn = [line for line in lines if re.search("[\u2500\u2502]", line)]
            assert max(map(width, drawn)) <= most, (command, env)
        page = program.on_terminal("sale", "--help", size=(24, 80), env=env).text.partition("Examples:")[0]
        assert most - 10 < max(map(width, page.splitlines())) <= most


IDS = ("--click-id", "c", "--customer-external-id", "u", "--invoice-id", "i")


def test_colour_can_be_forced(slow: Program, service: FaultServer) -> None:
    """FORCE_COLOR colours a log without drawing boxes; NO_COLOR and ``--no-color`` win."""
    service.default = json_reply(200, {"success": True})
    forced = {"FORCE_COLOR": "1", "TERM": "dumb"}
    result = slow(*REPLAY, env=forced)
    assert "\x1b[32maccepted\x1b[0m" in result.stdout
    assert "\u2500" not in result.stdout
    assert "\x1b[1;31merror:" in slow("nope", env=forced).stderr
    assert "\x1b[36m" in slow("sale", "--help", env=forced).stdout
    for env, flags in (({"NO_COLOR": "1"}, ()), ({"FORCE_COLOR": "0"}, ()), ({}, ("--no-color",))):
        done = slow(*REPLAY, *flags, env={**forced, **env})
        assert "\x1b" not in done.stdout + done.stderr


def test_a_refused_event_is_a_red_table(program: Program) -> None:
    """A refusal is drawn in red with reason and status, followed by what to do."""
    follow_up = ("lead", "--event-name", "trial", "--customer-external-id", "u", "--sandbox")
    refused = program.on_terminal(*follow_up)
    assert refused.code == 1
    assert "\x1b[1;31mLead refused" in refused.raw
    assert "\x1b[31m\u256d" in refused.raw
    assert re.search(r"status_code +\u2502 404", refused.text)
    assert "Correct it and send it again" in refused.text
    accepted = program.on_terminal(*follow_up, "--click-id", "c")
    assert "\x1b[1;32mLead accepted" in accepted.raw
