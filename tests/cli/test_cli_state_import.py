"""``cms state import``: moving to a shared database loses nothing, doubles nothing and closes the folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from faultserver import DROP, HANG, SUCCESS, FaultServer, Received, Reply, json_reply
from moving import SALES, TIMED, customers, imported, leads, sales, shared_of, write
from program import Program


def test_what_was_sent_is_known_on_every_machine(moving: Program, other: Program, service: FaultServer) -> None:
    """Imported sales and finished runs are known on another machine, with their amounts."""
    path = sales(moving.home, range(4))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    assert imported(moving)["sales"] == 4

    assert "was finished before" in other("sale", "--from-csv", path, "--yes").stderr
    changed = sales(moving.home, range(2, 6), "more.csv", amount=500)
    result = other("sale", "--from-csv", changed, "--yes", "--json").json
    assert (result["counts"]["duplicate"], result["counts"]["accepted"]) == (2, 2)
    assert any("another amount" in each for each in result["warnings"])
    assert len(service.requests) == 6


def test_a_replay_before_the_import_is_refused(moving: Program, service: FaultServer) -> None:
    """A replay with the database exits with 2 until the folder's ledger is imported; so does a dry run."""
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes", "--limit", "1").code == 0
    run = moving("runs", "list", "--json").json[0]["run"]
    for command in (("sale", "--from-csv", path, "--yes"), ("sale", "--from-csv", path, "--dry-run")):
        refused = moving(*command, env=shared_of(moving))
        assert refused.code == 2
        assert "cms state import" in refused.stderr
    assert len(service.requests) == 1

    assert imported(moving)["unfinished"] == [run]
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 0
    assert len(service.requests) == 2


def test_the_folder_is_closed_after_the_import(moving: Program, service: FaultServer) -> None:
    """After the import a replay without the database exits with 2, since others may have sent its rows."""
    path = sales(moving.home, range(3))
    assert moving("sale", "--from-csv", path, "--yes", "--limit", "1").code == 0
    imported(moving)

    for command in (
        ("sale", "--from-csv", path, "--yes"),
        ("sale", "--from-csv", sales(moving.home, range(7, 9), "new.csv"), "--yes"),
        ("sale", "--from-csv", path, "--dry-run"),
    ):
        refused = moving(*command)
        assert refused.code == 2
        assert "CMS_STATE_URL" in refused.stderr
    assert len(service.requests) == 1
    assert not list(moving.state.glob("*.rows"))


def test_an_unfinished_run_is_gone_on_with_elsewhere(moving: Program, other: Program, service: FaultServer) -> None:
    """An imported run is resumed on another machine, without its file and with all its texts."""
    path = Path(
        write(
            moving.home,
            "s.csv",
            SALES.replace("\n", ",customer_name\n") + "c,buy,u1,i1,1,EUR,Zoë\nc,buy,u2,i2,2,EUR,Łukasz\n",
        )
    )
    assert moving("sale", "--from-csv", str(path), "--yes", "--limit", "1").code == 0
    path.unlink()
    (run,) = imported(moving)["unfinished"]  # type: ignore[misc]

    assert other("runs", "resume", run, "--yes").code == 0
    assert [request.json["customerName"] for request in service.requests] == ["Zoë", "Łukasz"]


def test_a_lead_that_may_have_arrived_stays_unknown(moving: Program, other: Program, service: FaultServer) -> None:
    """A lead without an answer stays unknown after the import, in its own file and in another one."""
    dropped = write(moving.home, "a.csv", TIMED + "signup,u1,c1,2026-11-01T10:00:00Z\n")
    service.script(DROP)
    assert moving("lead", "--from-csv", dropped, "--yes").code == 6
    killed = write(moving.home, "b.csv", TIMED + "signup,u2,c2,2026-11-01T10:00:00Z\n")
    service.script(HANG)
    with moving.start("lead", "--from-csv", killed, "--yes") as process:
        service.wait_for(lambda: len(service.requests) >= 2)
        process.kill()
        process.communicate()

    assert imported(moving)["leads"] == 2
    assert other("lead", "--from-csv", dropped, "--yes").code == 6
    assert other("lead", "--from-csv", killed, "--yes").code == 6
    both = write(
        moving.home, "c.csv", TIMED + "signup,u1,c1,2026-11-01T10:00:00Z\nsignup,u2,c2,2026-11-01T10:00:00Z\n"
    )
    assert other("lead", "--from-csv", both, "--yes", "--json").json["counts"]["unknown"] == 2
    assert len(service.requests) == 2


@pytest.mark.parametrize("pruned", [False, True])
def test_leads_without_a_time_are_known(
    moving: Program, other: Program, service: FaultServer, pruned: bool
) -> None:
    """After the import, leads of a grown file are not sent again, and look-alikes elsewhere need ``--repeats``."""
    assert moving("lead", "--from-csv", leads(moving.home, "ab"), "--yes").code == 0
    if pruned:
        assert moving("runs", "prune").code == 0
    imported(moving)

    grown = other("lead", "--from-csv", leads(moving.home, "abc"), "--yes", "--json").json
    assert (grown["counts"]["accepted"], grown["counts"]["duplicate"]) == (1, 2)
    refused = other("lead", "--from-csv", leads(moving.home, "ba", "other.csv"), "--yes")
    assert refused.code == 2
    assert "--repeats" in refused.stderr
    assert customers(service) == {"a": 1, "b": 1, "c": 1}


def test_importing_twice_changes_nothing(moving: Program, other: Program, service: FaultServer) -> None:
    """A second import changes nothing that the database has recorded since the first."""
    assert moving("sale", "--from-csv", sales(moving.home, range(3)), "--yes", "--limit", "1").code == 0
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 0
    before = other("runs", "list", "--json").json

    imported(moving)

    assert other("runs", "list", "--json").json == before
    assert other("state", "status", "--json").json["sales"] == 3
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert len(service.requests) == 3


def test_a_run_whose_name_was_taken_is_imported_once(
    moving: Program, other: Program, service: FaultServer, shared: str
) -> None:
    """A run whose id is taken gets a new one, and a repeated import finds it under that id."""
    import psycopg

    path = leads(moving.home, "abc")
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    name = moving("runs", "list", "--json").json[0]["run"]
    assert other("lead", "--from-csv", leads(other.home, "xy"), "--yes", "--limit", "1").code == 0
    with psycopg.connect(shared) as connection:
        connection.execute("UPDATE cms.runs SET name = %s", (name,))
        connection.execute("UPDATE cms.runs SET texts = replace(texts, split_part(texts, '.', 1), name)")
        connection.execute("UPDATE cms.row_texts SET texts = (SELECT texts FROM cms.runs)")
    before = moving.home / "before"
    shutil.copytree(moving.state, before)
    (new,) = imported(moving)["unfinished"]  # type: ignore[misc]
    assert new != name
    shutil.rmtree(moving.state)
    shutil.copytree(before, moving.state)

    assert imported(moving)["unfinished"] == [new]

    assert {run["run"] for run in other("runs", "list", "--json").json} == {name, new}
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert customers(service) == dict.fromkeys("abcxy", 1)


def test_two_machines_that_sent_the_same(moving: Program, other: Program, service: FaultServer) -> None:
    """The ledgers of two machines are merged; a sale answered 409 to one gets the amount known to the other."""
    del other.env["CMS_STATE_URL"], other.env["CMS_ACCOUNT"]
    other.shared = shared_of(moving)  # type: ignore[attr-defined]
    assert moving("sale", "--from-csv", sales(moving.home, range(3)), "--yes").code == 0
    service.script(json_reply(409, {"error": "duplicate"}), SUCCESS, SUCCESS)
    assert other("sale", "--from-csv", sales(other.home, range(2, 5)), "--yes").code == 0

    imported(other)
    imported(moving)

    after = sales(other.home, range(5), "again.csv", amount=500)
    result = other("sale", "--from-csv", after, "--yes", "--json", env=shared_of(other)).json
    assert result["counts"]["duplicate"] == 5
    assert any(each.startswith("5 rows have invoices") for each in result["warnings"])
    assert len(service.requests) == 6


def test_an_import_while_a_replay_is_at_work(moving: Program, service: FaultServer) -> None:
    """An import during a replay exits with 5, and the replay goes on undisturbed."""
    path = sales(moving.home, range(3))
    tried = threading.Event()

    def answer(_: Received) -> Reply:
        tried.wait(20)
        return SUCCESS

    service.script(SUCCESS, answer)
    with moving.start("sale", "--from-csv", path, "--yes") as process:
        service.wait_for(lambda: len(service.requests) >= 2)
        refused = moving("state", "import", env=shared_of(moving))
        tried.set()
        assert refused.code == 5
        assert "another cms is at work" in refused.stderr
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert "was finished before" in moving("sale", "--from-csv", path, "--yes").stderr
    assert imported(moving)["sales"] == 3


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("step", ["_copy", "ledger.copy", "lifecycle.delete", "moved.mark"])
def test_an_import_that_is_killed(
    moving: Program, other: Program, service: FaultServer, step: str, tmp_path: Path
) -> None:
    """After a killed import no row is sent twice, and repeating the import completes it."""
    path = sales(moving.home, range(3))
    assert moving("sale", "--from-csv", path, "--yes", "--limit", "1").code == 0
    script = write(
        tmp_path,
        "killed.py",
        "import os, signal, sys\n"
        "from cms_cli.replay.journal import ledger, lifecycle, moved, state_import\n"
        f"owner, name = {step!r}.rpartition('.')[::2]\n"
        "owner = {'': state_import, 'ledger': ledger, 'lifecycle': lifecycle, 'moved': moved}[owner]\n"
        "real = getattr(owner, name)\n"
        "def killed(*given, **named):\n"
        "    if name != 'mark' or given[1].complete:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*given, **named)\n"
        "setattr(owner, name, killed)\n"
        "from cms_cli.__main__ import run\n"
        "run()\n",
    )
    env = {**moving.env, **shared_of(moving)}
    done = subprocess.run([sys.executable, script, "state", "import"], env=env, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr

    assert moving("sale", "--from-csv", path, "--yes").code == 2
    again = moving("sale", "--from-csv", path, "--yes", env=shared_of(moving))
    if step == "lifecycle.delete":  # the database has everything by then
        assert again.code == 0
    else:
        assert again.code == 2
        assert "Finish it: cms state import" in again.stderr
        assert len(service.requests) == 1
    imported(moving)
    assert other("sale", "--from-csv", path, "--yes").code == 0
    assert other("runs", "list", "--json").json[0]["counts"]["accepted"] == 3
    assert len(other("runs", "list", "--json").json) == 1
    assert len(service.requests) == 3
    assert not list(moving.state.glob("*.rows"))


def test_the_rate_limit_holds_over_the_import(moving: Program, service: FaultServer) -> None:
    """Requests made before the import count towards the rate limit after it."""
    limit = ("--rate", "2/2s", "--yes")
    assert moving("sale", "--from-csv", sales(moving.home, range(2)), *limit).code == 0
    imported(moving)
    assert (
        moving("sale", "--from-csv", sales(moving.home, range(2, 4), "b.csv"), *limit, env=shared_of(moving)).code
        == 0
    )
    # Time is the promise here, and a slow machine only lengthens it.
    assert service.requests[2].at - service.requests[0].at >= 1.9


def test_other_accounts_stay_where_they_are(moving: Program, service: FaultServer) -> None:
    """An import names the folder's other accounts, and ``--from KEY`` imports one of them."""
    path = sales(moving.home, range(2))
    before = {"CMS_BEARER_TOKEN": "an-earlier-token"}
    assert moving("sale", "--from-csv", path, "--yes", env=before).code == 0
    result = moving("state", "import", "--json", env=shared_of(moving)).json
    assert (result["sales"], result["runs"]) == (0, 0)
    ((key,),) = [[each["account"] for each in result["others"]]]

    assert f"--from '{key}'" in moving("state", "import", env=shared_of(moving)).stderr
    mistyped = moving("state", "import", "--from", key[:-1], env=shared_of(moving))
    assert mistyped.code == 2
    assert f"'{key}'" in mistyped.stderr
    assert imported(moving, "--from", key)["sales"] == 2
    assert moving("sale", "--from-csv", path, "--yes", "--json", env=shared_of(moving)).code == 0
    assert len(service.requests) == 2


def test_an_import_of_nothing_closes_the_folder_too(moving: Program, service: FaultServer) -> None:
    """Importing an empty folder exits with 0; later, a job without CMS_STATE_URL sends nothing of its own."""
    result = moving("state", "import", env=shared_of(moving))
    assert result.code == 0
    assert "nothing to import" in result.stderr
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 0
    assert moving("sale", "--from-csv", path, "--yes").code == 2
    assert len(service.requests) == 2


def test_an_import_takes_a_database(moving: Program) -> None:
    """An import without a database exits with 2 and names CMS_STATE_URL."""
    result = moving("state", "import")
    assert result.code == 2
    assert "CMS_STATE_URL" in result.stderr


def test_a_damaged_mark_says_what_to_do(moving: Program, service: FaultServer) -> None:
    """A damaged moved.json exits with 3 with and without the database; once it is removed, an import repairs it."""
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    imported(moving)
    (moving.state / "moved.json").write_text("{")
    for env in ({}, shared_of(moving)):
        result = moving("sale", "--from-csv", path, "--yes", env=env)
        assert result.code == 3
        assert "moved.json is damaged" in result.stderr

    (moving.state / "moved.json").unlink()
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 2
    imported(moving)
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 0
    assert len(service.requests) == 2


def test_a_damaged_journal_is_not_taken_for_an_empty_one(moving: Program) -> None:
    """A damaged journal exits with 3 and is named, by an import and by a replay with the database."""
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    (moving.state / "journal.sqlite3").write_bytes(b"no database" * 500)
    for command in (("state", "import"), ("sale", "--from-csv", path, "--yes")):
        result = moving(*command, env=shared_of(moving))
        assert result.code == 3
        assert "journal.sqlite3" in result.stderr


@pytest.mark.slow
def test_a_big_ledger_is_imported_whole(moving: Program, other: Program) -> None:
    """All of several thousand sales are imported, across the limits of a single statement."""
    path = sales(moving.home, range(2501))
    assert moving("sale", "--from-csv", path, "--yes", "--rate", "none", "--concurrency", "8").code == 0
    assert imported(moving)["sales"] == 2501
    result = other("sale", "--from-csv", sales(moving.home, range(2500, -1, -1), "b.csv"), "--yes", "--json").json
    assert result["counts"]["duplicate"] == 2501
