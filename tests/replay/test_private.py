"""Personal data: who can read it and when it is deleted, by searching the bytes on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, json_reply
from program import TOKEN, Program

from cms_cli.replay.journal.journal import Journal

HEADER = "click_id,event_name,customer_external_id,customer_name,customer_email,invoice_id,amount,currency\n"


def person(number: int) -> str:
    """Return a row whose values can all be found on disk by its number."""
    mark = f"{number:05d}"
    return f"clk{mark}x,buy,cus{mark}x,Name{mark}x,mail{mark}x@example.com,inv{mark}x,100,EUR\n"


def traces(folder: Path, number: int) -> set[str]:
    """Return the names of the files in a folder that hold a value of a person's row."""
    mark = f"{number:05d}x".encode()
    return {path.name for path in folder.rglob("*") if path.is_file() and mark in path.read_bytes()}


def write(program: Program, rows: int) -> Path:
    path = program.home.parent / f"{program.home.name}.csv"
    path.write_text(HEADER + "".join(person(number) for number in range(1, rows + 1)))
    return path


def test_the_token_is_nowhere(online: Program, service: FaultServer) -> None:
    """The token is in no file that a replay leaves."""
    service.script(SUCCESS, json_reply(422, {"error": f"not with Bearer {TOKEN}"}), DROP)
    path = write(online, 30)
    for limit in ("10", "20"):
        online("sale", "--from-csv", str(path), "--limit", limit, "--results", "r.csv", "--failures", "f.csv", "-v")
    for file in online.home.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file


@pytest.mark.skipif(os.name != "posix", reason="modes are a POSIX matter")
def test_nobody_else_can_read_what_is_kept(online: Program, service: FaultServer) -> None:
    """The state folder and all files that a replay writes are readable by their owner only."""
    path = write(online, 5)
    online("sale", "--from-csv", str(path), "--limit", "2", "--results", "r.csv", "--failures", "f.csv")
    assert online.state.stat().st_mode & 0o777 == 0o700
    files = [*online.state.rglob("*"), online.home / "r.csv", online.home / "f.csv"]
    assert len(files) >= 4
    for file in files:
        assert not file.stat().st_mode & 0o077, file


def test_a_finished_run_forgets_whom_it_was_about(online: Program, service: FaultServer) -> None:
    """A finished run keeps no data of accepted rows, and keeps those of failed rows."""
    service.script(SUCCESS, json_reply(422, {"error": "no"}))
    path = write(online, 600)
    result = online("sale", "--from-csv", str(path), "--json", "--rate", "none", "--concurrency", "1")
    assert result.code == 1, result.stderr
    found = [number for number in range(1, 601) if traces(online.state, number)]
    assert found == [2]


def test_a_finished_run_forgets_while_another_process_reads(online: Program, service: FaultServer) -> None:
    """A finished run's data is deleted even while another process has the journal open."""
    path = write(online, 200)
    Journal.open(online.state).close()
    with Journal.open(online.state):
        assert online("sale", "--from-csv", str(path), "--rate", "none").code == 0
        assert not [number for number in range(1, 201) if traces(online.state, number)]


@pytest.mark.parametrize("how", ["invalid", "no"])
def test_what_was_not_sent_is_forgotten_at_once(online: Program, service: FaultServer, how: str) -> None:
    """A file that was refused or declined leaves no personal data behind."""
    path = write(online, 200)
    if how == "invalid":
        with path.open("a") as file:
            file.write(person(201).replace(",100,", ",x,"))
        assert online("sale", "--from-csv", str(path)).code == 2
    else:
        screen = online.on_terminal("sale", "--from-csv", str(path), typed=[("[y/N]", "n\n")])
        assert screen.code == 2
    assert not service.requests
    assert not [number for number in range(1, 202) if traces(online.state, number)]


def test_a_pruned_run_leaves_no_data(online: Program, service: FaultServer) -> None:
    """A pruned run leaves no personal data, whatever became of its rows."""
    service.script(SUCCESS, *[json_reply(422, {"error": "no"})] * 20)
    path = write(online, 300)
    online("sale", "--from-csv", str(path), "--json", "--rate", "none", "--limit", "50")
    assert [number for number in range(1, 301) if traces(online.state, number)]
    [run] = online("runs", "list", "--json").json
    assert online("runs", "prune").code == 0
    assert online("runs", "list", "--json").json == [{**run}]
    assert online("runs", "prune", run["run"]).code == 0
    assert online("runs", "list", "--json").json == []
    assert not [number for number in range(1, 301) if traces(online.state, number)]
