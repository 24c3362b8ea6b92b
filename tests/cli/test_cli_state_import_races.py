"""``cms state import`` racing replays, other imports and the loss of the database."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from faultserver import HANG, SUCCESS, FaultServer, json_reply
from moving import imported, leads, paused, sales, shared_of
from program import Program

REFUSED = json_reply(422, {"error": "no such click"})
IMPORT = ("state", "import")


def test_a_replay_that_was_about_to_go_on_with_its_run(moving: Program, service: FaultServer) -> None:
    """A replay that found its run before the import exits with 2 after it and sends nothing."""
    path = leads(moving.home, "ab")
    service.script(REFUSED)
    assert moving("lead", "--from-csv", path, "--yes").code == 1
    again = ("lead", "--from-csv", path, "--yes", "--retry-refused")
    with paused(moving, "journal.sqlite_journal", "SqliteJournal.hold", *again) as replay:
        imported(moving)
        replay.go_on()
    assert replay.code == 2
    assert "CMS_STATE_URL" in replay.stderr
    assert len(service.requests) == 2


def test_a_run_that_is_gone_on_with_by_its_id(moving: Program, service: FaultServer) -> None:
    """``runs resume`` that found its run before the import exits with 2 after it and sends nothing."""
    path = leads(moving.home, "ab")
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    (run,) = moving("runs", "list", "--json").json
    resume = ("runs", "resume", run["run"], "--yes")
    with paused(moving, "journal.sqlite_journal", "SqliteJournal.hold", *resume) as replay:
        imported(moving)
        replay.go_on()
    assert replay.code == 2
    assert len(service.requests) == 1


def test_a_replay_that_was_about_to_begin(moving: Program, service: FaultServer) -> None:
    """A replay overtaken by the import while it stages exits with 2 and leaves no run behind."""
    assert moving("lead", "--from-csv", leads(moving.home, "ab"), "--yes").code == 0
    begin = ("lead", "--from-csv", leads(moving.home, "cd", "new.csv"), "--yes")
    with paused(moving, "journal.runs", "create", *begin) as replay:
        imported(moving)
        replay.go_on()
    assert replay.code == 2
    assert len(service.requests) == 2
    assert len(moving("runs", "list", "--json").json) == 1


def test_a_replay_that_has_staged_its_file(moving: Program, service: FaultServer) -> None:
    """An import exits with 5 once a replay has staged its file, and succeeds after the replay's end."""
    assert moving("lead", "--from-csv", leads(moving.home, "ab"), "--yes").code == 0
    begin = ("lead", "--from-csv", leads(moving.home, "cd", "new.csv"), "--yes")
    with paused(moving, "journal.lifecycle", "begin_sending", *begin) as replay:
        assert moving(*IMPORT, env=shared_of(moving)).code == 5
        replay.go_on()
    assert replay.code == 0
    found = imported(moving)
    assert (found["leads"], found["unfinished"]) == (4, [])
    assert len(service.requests) == 4


@pytest.mark.slow
def test_a_replay_that_ends_while_the_import_begins(moving: Program, other: Program, service: FaultServer) -> None:
    """The import takes over a run as the replay left it, even if it ended after the runs were listed."""
    path = sales(moving.home, range(3))
    service.script(SUCCESS, HANG, SUCCESS)
    with moving.start("sale", "--from-csv", path, "--yes", "--timeout", "2") as replay:
        service.wait_for(lambda: len(service.requests) >= 2)
        with paused(moving, "journal.sqlite_journal", "SqliteJournal.hold", *IMPORT, env=shared_of(moving)) as move:
            replay.communicate(timeout=60)
            assert replay.returncode == 0
            move.go_on()
    assert move.code == 0, move.stderr
    sent = len(service.requests)

    (run,) = other("runs", "list", "--json").json
    assert (run["state"], run["counts"]["accepted"]) == ("finished", 3)
    assert "was finished before" in other("sale", "--from-csv", path, "--yes").stderr
    assert len(service.requests) == sent


@pytest.mark.slow
def test_two_imports_of_one_folder(moving: Program, service: FaultServer) -> None:
    """A second import beside a running one exits with 5; repeated, it moves its own account as well."""
    accounts = [{"CMS_BEARER_TOKEN": f"token-{n}", "CMS_ACCOUNT": f"shop{n}"} for n in range(2)]
    paths = [sales(moving.home, range(n, n + 2), f"{n}.csv") for n in range(2)]
    for path, account in zip(paths, accounts):
        assert moving("sale", "--from-csv", path, "--yes", env=account).code == 0
    first, second = ({**shared_of(moving), **account} for account in accounts)
    with paused(moving, "journal.ledger", "copy", *IMPORT, env=first) as move:
        refused = moving(*IMPORT, env=second)
        assert refused.code == 5
        assert "import" in refused.stderr
        move.go_on()
    assert move.code == 0
    assert moving(*IMPORT, env=second).code == 0
    for path, account in zip(paths, accounts):
        assert moving("sale", "--from-csv", path, "--yes", env=account).code == 2
        assert moving("sale", "--from-csv", path, "--yes", env={**shared_of(moving), **account}).code == 0
    assert len(service.requests) == 4


@pytest.mark.slow
def test_other_machines_wait_for_an_import(moving: Program, other: Program, service: FaultServer) -> None:
    """A machine that starts during an import waits for it and does not send the same sales again."""
    path = sales(moving.home, range(3))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    with paused(moving, "journal.ledger", "copy", *IMPORT, env=shared_of(moving)) as move:
        begin = ("sale", "--from-csv", sales(other.home, range(2, 5)), "--yes", "--json")
        with other.start(*begin) as replay:
            go_on = threading.Timer(1.0, move.go_on)
            go_on.start()
            replay.communicate(timeout=60)
            go_on.join()
    assert (move.code, replay.returncode) == (0, 0)
    assert len(service.requests) == 5


def test_a_database_that_goes_away_in_the_middle(
    moving: Program, other: Program, service: FaultServer, shared: str
) -> None:
    """An import that loses the database imports nothing, closes both places, and can be repeated."""
    import psycopg

    path = sales(moving.home, range(3))
    assert moving("sale", "--from-csv", path, "--yes", "--limit", "1").code == 0
    with paused(moving, "journal.ledger", "copy", *IMPORT, env=shared_of(moving)) as move:
        with psycopg.connect(shared, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        move.go_on()
    assert move.code == 3, move.stderr
    assert other("state", "status", "--json").json["sales"] == 0
    for env in ({}, shared_of(moving)):
        assert moving("sale", "--from-csv", path, "--yes", env=env).code == 2
    assert len(service.requests) == 1

    (run,) = imported(moving)["unfinished"]  # type: ignore[misc]
    assert other("runs", "resume", run, "--yes").code == 0
    assert len(service.requests) == 3


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no ulimit")
def test_more_runs_than_open_files(moving: Program, other: Program, service: FaultServer) -> None:
    """A folder with more runs than the process may open files is imported, including the texts of refused rows."""
    service.script(*[REFUSED] * 50)
    for number in range(50):
        path = sales(moving.home, range(number, number + 1), f"{number}.csv")
        assert moving("sale", "--from-csv", path, "--yes").code == 1
    command = f"ulimit -n 40; exec {sys.executable} -m cms_cli state import"
    env = {**moving.env, **shared_of(moving)}
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, cwd=moving.home)
    assert done.returncode == 0, done.stderr
    assert len(other("runs", "list", "--json").json) == 50
    run = other("runs", "list", "--json").json[-1]["run"]
    assert "inv0" in other("runs", "failures", run).stdout
