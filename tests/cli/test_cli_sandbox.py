"""The sandbox on the command line: ``--sandbox`` inside a command, and ``cms sandbox`` as a server."""

from __future__ import annotations

import http.client
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from program import Program

LEAD = ("lead", "--event-name", "signup", "--customer-external-id", "user_42")
SALE = (
    *("sale", "--event-name", "purchase", "--customer-external-id", "user_42", "--click-id", "id_1"),
    *("--invoice-id", "inv_1", "--amount", "4999", "--currency", "USD"),
)


def test_a_deferred_lead_and_its_follow_up(program: Program) -> None:
    """``--sandbox`` needs no token, and its store connects a follow-up to an earlier deferred lead."""
    first = program(*LEAD, "--click-id", "id_1", "--deferred", "--sandbox", "--json")
    second = program(*LEAD, "--sandbox", "--json")
    stranger = program("lead", "--event-name", "a", "--customer-external-id", "nobody", "--sandbox", "--json")
    events = program("sandbox", "events", "--json").json

    assert (first.code, second.code, stranger.code) == (0, 0, 1)
    assert "sandbox" in first.stderr
    assert stranger.json["status_code"] == 404
    assert [(event["clickId"], event["clickSource"]) for event in events] == [
        ("id_1", "sent"),
        ("id_1", "deferred"),
    ]


def test_an_invoice_counts_once(program: Program) -> None:
    """A sale sent twice is recorded once; the second is answered 409 and exits with 0."""
    first, second = program(*SALE, "--sandbox"), program(*SALE, "--sandbox", "--json")

    assert (first.code, second.code) == (0, 0)
    assert second.json["status_code"] == 409
    assert len(program("sandbox", "events", "--output", "jsonl").json_lines) == 1


def test_a_dry_run_leaves_the_sandbox_alone(program: Program) -> None:
    """``--dry-run --sandbox`` sends nothing and creates no state folder."""
    assert program(*SALE, "--sandbox", "--dry-run").code == 0
    assert not program.state.exists()


def test_events_are_shown_and_filtered(program: Program) -> None:
    """``cms sandbox events`` lists events, filtered by kind or click; an empty list exits with 0."""
    empty = program("sandbox", "events")
    program(*SALE, "--sandbox")
    program(*LEAD, "--click-id", "id_2", "--sandbox")
    table = program("sandbox", "events")
    leads = program("sandbox", "events", "--kind", "lead", "--json").json
    clicks = program("sandbox", "events", "--click-id", "id_1", "--json").json

    assert (empty.code, empty.stdout) == (0, "")
    assert len(table.stdout.splitlines()) == 3
    assert "49.99 USD" in table.stdout
    assert "inv_1" in table.stdout
    assert [event["kind"] for event in leads] == ["lead"]
    assert [event["kind"] for event in clicks] == ["sale"]
    assert sorted(leads[0]) == ["clickId", "clickSource", "event", "id", "kind", "receivedAt"]


def test_what_to_copy_finds_the_store_again(program: Program) -> None:
    """The printed ``cms sandbox events`` command repeats the given ``--state-dir``."""
    folder = program.home / "another folder"
    result = program(*LEAD, "--click-id", "id_1", "--sandbox", "--state-dir", str(folder))
    told = result.stderr.partition("See what was received: cms ")[2].splitlines()[0]

    assert len(program(*shlex.split(told), "--json").json) == 1


def test_reset_forgets_events_and_replays(program: Program) -> None:
    """``cms sandbox reset`` empties the store and removes its journal, but not the one of real replays."""
    program(*SALE, "--sandbox")
    journal, kept = program.state / "sandbox" / "journal.sqlite3", program.state / "journal.sqlite3"
    for file in (journal, kept):
        file.write_text("x")

    result = program("sandbox", "reset")

    assert (result.code, result.stdout) == (0, "")
    assert "forgot 1 event " in result.stderr
    assert program("sandbox", "events", "--json").json == []
    assert (journal.exists(), kept.exists()) == (False, True)


def test_reset_forgets_nothing_else(program: Program) -> None:
    """``cms sandbox reset`` removes only files that cms wrote, since the folder may be a project's."""
    folder = program.state / "sandbox"
    folder.mkdir(parents=True)
    theirs = [
        folder / name for name in ("main.py", "other.sqlite3", "journal.txt", "sandbox.sqlite3.bak", "a.rows")
    ]
    for file in theirs:
        file.write_text("mine")
    table = program.home / "sales.csv"
    table.write_text("click_id,event_name,customer_external_id,invoice_id,amount,currency\nc,e,u,i,1,USD\n")
    replay = ("sale", "--from-csv", str(table), "--sandbox", "--yes")

    assert program(*replay).code == 0
    assert program("sandbox", "reset").code == 0
    left = sorted(file.name for file in folder.iterdir() if file.is_file())
    assert left == sorted(["sandbox.sqlite3", *(file.name for file in theirs)])
    assert program(*replay, "--json").json["counts"]["accepted"] == 1


def test_a_store_that_is_none(program: Program) -> None:
    """A file that is not a store exits with 3, is named, and stays unchanged."""
    other = program.home / "notes.txt"
    other.write_text("not a database" * 20)

    for arguments in (("events",), ("reset",), ("serve", "--port", "0")):
        result = program("sandbox", *arguments, "--db", str(other))
        assert result.code == 3
        assert str(other) in result.stderr
    assert other.read_text().startswith("not a database")


@pytest.mark.parametrize("named", [True, False], ids=["--db", "the usual one"])
def test_a_store_of_another_version(program: Program, named: bool) -> None:
    """A store of another version exits with 3 and names the reset command for that very store."""
    program(*LEAD, "--click-id", "id_1", "--sandbox")
    usual = program.state / "sandbox" / "sandbox.sqlite3"
    store = program.home / "other store.sqlite3" if named else usual
    if named:
        shutil.copy(usual, store)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA user_version = 99")
    db = ("--db", str(store)) if named else ()

    answers = [program("sandbox", *words, *db) for words in (("events",), ("report",), ("serve", "--port", "0"))]
    if not named:
        answers.append(program(*LEAD, "--click-id", "id_2", "--sandbox"))
    way_out = f"cms sandbox reset --db '{store}'" if named else "cms sandbox reset"
    for answer in answers:
        assert (answer.code, answer.stdout) == (3, "")
        assert "another version" in answer.stderr
        assert answer.stderr.rstrip().endswith(way_out)
    assert program(*shlex.split(way_out)[1:]).code == 0
    assert program("sandbox", "events", *db, "--json").json == []
    assert len(program("sandbox", "events", "--json").json) == (1 if named else 0)


def finish(server: subprocess.Popen[str], number: int) -> tuple[str, str]:
    server.send_signal(number)
    return server.communicate(timeout=20)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_serve_answers_until_it_is_told_to_end(program: Program, number: int) -> None:
    """``serve`` prints its URL first and answers there until Ctrl-C or SIGTERM, which exit with 0."""
    server = program.start("sandbox", "serve", "--port", "0")
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        result = program(*SALE, "--json", env={"CMS_HOST": url, "CMS_BEARER_TOKEN": "anything"})
    finally:
        rest, stderr = finish(server, number)

    assert result.code == 0, result.stderr
    assert (server.returncode, rest) == (0, "")
    assert "CMS_HOST" in stderr


def look(url: str) -> int:
    """Return the status of the page's request for news."""
    with closing(http.client.HTTPConnection(url.partition("//")[2], timeout=30)) as connection:
        connection.request("GET", "/_sandbox/overview")
        return connection.getresponse().status


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_server_that_is_watched_shares_its_store_with_commands(program: Program) -> None:
    """Commands and a server share a store without losing an event while the page is open."""
    server = program.start("sandbox", "serve", "--port", "0")
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        env = {"CMS_HOST": url, "CMS_BEARER_TOKEN": "anything"}
        for number in range(3):
            assert look(url) == 200
            inside = program(*LEAD, "--click-id", f"inside_{number}", "--sandbox")
            served = program(*LEAD, "--click-id", f"served_{number}", env=env)
            assert (inside.code, served.code) == (0, 0)
        shown = program("sandbox", "events", "--json").json
    finally:
        finish(server, signal.SIGTERM)
    kept = program("sandbox", "events", "--json").json

    assert [event["clickId"] for event in shown] == [
        *("inside_0", "served_0", "inside_1", "served_1", "inside_2", "served_2"),
    ]
    assert kept == shown


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_serve_takes_faults_and_limits(program: Program) -> None:
    """``serve`` takes faults and limits as flags; ``--json`` prints the URL on one line."""
    server = program.start(
        "sandbox", "serve", "--port", "0", "--fault", "lead.422", "--rate-limit", "1/m", "--json"
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        env = {"CMS_HOST": line.split('"')[3], "CMS_BEARER_TOKEN": "anything"}
        refused = program(*LEAD, "--click-id", "id_1", "--json", env=env)
        limited = program(*SALE, "--max-wait", "1", "--json", env=env)
    finally:
        finish(server, signal.SIGTERM)

    assert line.startswith('{"url":"http://127.0.0.1:')
    assert (refused.code, refused.json["status_code"]) == (1, 422)
    assert (limited.code, limited.json["status_code"]) == (5, 429)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_serve_checks_and_expires_tokens(program: Program) -> None:
    """``--token`` rejects all other tokens, ``--token-requests`` lets it expire, and the printed command has it."""
    server = program.start("sandbox", "serve", "--port", "0", "--token", "t$1", "--token-requests", "2")
    try:
        assert server.stdout is not None
        host = {"CMS_HOST": server.stdout.readline().strip()}
        other = program(*LEAD, "--click-id", "id_1", "--json", env={**host, "CMS_BEARER_TOKEN": "t"})
        good = [
            program(*LEAD, "--click-id", "id_1", "--json", env={**host, "CMS_BEARER_TOKEN": "t$1"})
            for _ in range(3)
        ]
    finally:
        _, stderr = finish(server, signal.SIGTERM)

    assert (other.code, other.json["status_code"]) == (4, 401)
    assert [each.code for each in good] == [0, 0, 4]
    assert "expired" in good[2].json["error"]
    assert "CMS_BEARER_TOKEN='t$1'" in stderr


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--token", "two words"), 2),
        (("--token", ""), 2),
        (("--token-seconds", "nan"), 2),
        (("--latency", "inf"), 2),
        (("--rate-limit", "fast"), 2),
        (("--fail", "2"), 2),
        (("--fault", "flood"), 2),
        (("--answer", "poem"), 2),
        (("--scenario", "nowhere.toml"), 2),
        (("--port", "70000"), 2),
    ],
)
def test_wrong_options_of_serve(program: Program, flags: tuple[str, ...], code: int) -> None:
    """An invalid option of ``serve`` exits with 2 before the server starts."""
    result = program("sandbox", "serve", *flags)

    assert (result.code, result.stdout) == (code, "")
    assert result.stderr.startswith("error: ")


def test_a_port_that_is_taken(program: Program) -> None:
    """A port in use exits with 3 and suggests ``--port 0``."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = program("sandbox", "serve", "--port", str(taken.getsockname()[1]))

    assert result.code == 3
    assert "--port 0" in result.stderr
