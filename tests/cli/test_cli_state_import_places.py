"""``cms state import``: which account of which database a folder was moved to, and what still uses the folder."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from faultserver import DROP, HANG, FaultServer, json_reply
from moving import SALES, TIMED, customers, imported, leads, sales, shared_of, write
from program import Program
from tokens import jwt

from cms_cli.replay.journal import runs
from cms_cli.replay.journal.journal import Journal

REFUSED = json_reply(422, {"error": "no such click"})


def test_a_name_that_is_misspelt_later_is_refused(moving: Program, service: FaultServer) -> None:
    """A misspelt CMS_ACCOUNT after the import exits with 2 and names the right one."""
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    imported(moving)

    env = {**shared_of(moving), "CMS_ACCOUNT": "Shop"}
    refused = moving("sale", "--from-csv", path, "--yes", env=env)
    assert refused.code == 2
    assert "(account shop)" in refused.stderr
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 0
    assert len(service.requests) == 2


def test_another_database_is_refused_until_it_is_imported_too(
    moving: Program, service: FaultServer, database: str
) -> None:
    """A replay with another database exits with 2 until the folder is imported there as well."""
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    imported(moving)
    env = {**shared_of(moving), "CMS_STATE_URL": database}
    assert moving("state", "init", env=env).code == 0
    refused = moving("sale", "--from-csv", path, "--yes", env=env)
    assert refused.code == 2
    assert "was moved to" in refused.stderr

    result = moving("state", "import", env=env)
    assert result.code == 0
    assert "what was sent since is known only there" in result.stderr
    assert moving("sale", "--from-csv", path, "--yes", env=env).code == 0
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 2
    assert len(service.requests) == 2


def test_a_jwt_is_the_same_account_everywhere(moving: Program, other: Program, service: FaultServer) -> None:
    """A JWT needs no CMS_ACCOUNT, and a renewed one finds what was imported with the earlier one."""
    tokens = [jwt(iss="cms", sub="u1", exp=end) for end in (4_000_000_000, 4_000_000_001)]
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes", env={"CMS_BEARER_TOKEN": tokens[0]}).code == 0
    moving.env["CMS_BEARER_TOKEN"] = tokens[1]
    del moving.shared["CMS_ACCOUNT"], other.env["CMS_ACCOUNT"]  # type: ignore[attr-defined]

    assert imported(moving)["sales"] == 2
    again = other("sale", "--from-csv", path, "--yes", env={"CMS_BEARER_TOKEN": tokens[0]})
    assert "was finished before" in again.stderr
    assert moving("sale", "--from-csv", path, "--yes", env={"CMS_BEARER_TOKEN": tokens[0]}).code == 2
    assert len(service.requests) == 2


def test_a_run_of_an_earlier_token_is_closed_with_its_account(moving: Program, service: FaultServer) -> None:
    """A renewed token cannot resume the imported run of an earlier token in the closed folder."""
    before = {"CMS_BEARER_TOKEN": "an-earlier-token"}
    path = write(moving.home, "a.csv", TIMED + "signup,u1,c1,2026-11-01T10:00:00Z\n")
    service.script(DROP)
    assert moving("lead", "--from-csv", path, "--yes", env=before).code == 6
    (run,) = moving("runs", "list", "--json").json
    assert moving("state", "import", env={**shared_of(moving), **before}).code == 0

    refused = moving("runs", "resume", run["run"], "--retry-unknown", "--yes")
    assert refused.code == 2
    assert "CMS_STATE_URL" in refused.stderr
    assert len(service.requests) == 1


def test_what_an_earlier_token_has_sent_is_not_ignored(moving: Program, service: FaultServer) -> None:
    """A folder that an earlier opaque token has used must be imported before the database is used."""
    path = leads(moving.home, "ab")
    assert moving("lead", "--from-csv", path, "--yes", env={"CMS_BEARER_TOKEN": "an-earlier-token"}).code == 0
    refused = moving("lead", "--from-csv", path, "--yes", env=shared_of(moving))
    assert refused.code == 2
    assert "cms state import" in refused.stderr

    ((_, key),) = [each.values() for each in imported(moving)["others"]]  # type: ignore[attr-defined]
    imported(moving, "--from", key)
    assert "was finished before" in moving("lead", "--from-csv", path, "--yes", env=shared_of(moving)).stderr
    assert len(service.requests) == 2


def test_resuming_all_runs_does_not_ignore_those_of_the_folder(moving: Program, service: FaultServer) -> None:
    """``runs resume --all`` exits with 2 before the import, and afterwards without the database."""
    assert moving("sale", "--from-csv", sales(moving.home, range(2)), "--yes", "--limit", "1").code == 0
    before = moving("runs", "resume", "--all", "--yes", env=shared_of(moving))
    assert before.code == 2
    assert "cms state import" in before.stderr
    imported(moving)
    assert moving("runs", "resume", "--all", "--yes").code == 2
    assert moving("runs", "resume", "--all", "--yes", env=shared_of(moving)).code == 0
    assert len(service.requests) == 2


def test_sales_in_doubt_alone_are_something_to_import(moving: Program, service: FaultServer) -> None:
    """A sale in flight at a kill has to be imported, even if its run was removed."""
    service.script(HANG)
    with moving.start("sale", "--from-csv", sales(moving.home, range(1)), "--yes") as process:
        service.wait_for(lambda: len(service.requests) >= 1)
        process.kill()
        process.communicate()
    (run,) = moving("runs", "list", "--json").json
    assert moving("runs", "prune", run["run"]).code == 0

    path = sales(moving.home, range(2), "b.csv")
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 2
    imported(moving)
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 0


@pytest.mark.parametrize("removed", [False, True])
def test_a_sale_that_got_no_answer_for_a_day_is_sent_by_nobody(
    moving: Program, other: Program, service: FaultServer, removed: bool
) -> None:
    """A sale that the folder left unanswered a day ago is not sent by another machine, its run removed or not."""
    path = sales(moving.home, range(3))
    assert moving("sale", "--from-csv", path, "--yes", "--limit", "1").code == 0
    shutil.copytree(moving.state, other.state)
    with Journal.open(moving.state) as journal, journal.transaction() as db:
        db.execute("UPDATE rows SET sent_at = ?, attempts = 1 WHERE row = 2", (time.time() - 90_000,))
    if removed:
        (run,) = moving("runs", "list", "--json").json
        assert moving("runs", "prune", run["run"]).code == 0
    other.shared = shared_of(moving)  # type: ignore[attr-defined]
    imported(other)
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 6
    assert customers(service) == {"u0": 1, "u2": 1}


def test_an_import_that_fails_leaves_the_folder_closed(
    moving: Program, service: FaultServer, database: str
) -> None:
    """A second import that cannot begin leaves the mark of the first, so that the folder sends nothing."""
    assert moving("sale", "--from-csv", sales(moving.home, range(1)), "--yes").code == 0
    imported(moving)
    env = {**shared_of(moving), "CMS_STATE_URL": database}
    assert moving("state", "init", env=env).code == 0
    with Journal.open(moving.state) as journal:
        [run] = runs.all_runs(journal)
        with journal.hold(run.key):
            assert moving("state", "import", env=env).code == 5
    assert moving("sale", "--from-csv", sales(moving.home, range(2), "b.csv"), "--yes").code == 2
    assert len(service.requests) == 1


def test_runs_keep_their_order(moving: Program, other: Program, service: FaultServer) -> None:
    """``runs resume --all`` resumes imported runs with the oldest first."""
    for each in "abc":
        path = leads(moving.home, f"{each}{each.upper()}", f"{each}.csv")
        assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert [request.json["customerExternalId"] for request in service.requests] == [*"abcABC"]


def test_a_second_import_does_not_bring_back_what_was_forgotten(
    moving: Program, other: Program, service: FaultServer
) -> None:
    """A second import does not mark rows as sent that ``--fresh`` has released since."""
    path = sales(moving.home, range(3))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    imported(moving)
    assert other("sale", "--from-csv", path, "--yes", "--fresh", "--limit", "1").code == 0

    again = moving("state", "import", env=shared_of(moving))
    assert again.code == 0
    assert "nothing new to import" in again.stderr

    assert other("runs", "resume", "--all", "--yes", "--json").json[0]["counts"]["accepted"] == 3
    assert len(service.requests) == 6


def test_a_second_import_makes_no_look_alikes_of_a_runs_own_leads(
    moving: Program, other: Program, service: FaultServer
) -> None:
    """Two identical leads of one file stay two events after a repeated import."""
    path = leads(moving.home, "aa")
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    imported(moving)
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert customers(service) == {"a": 2}


def test_a_restored_database_takes_a_second_import(
    moving: Program, other: Program, service: FaultServer, shared: str
) -> None:
    """After the database was restored, removing the mark, as the error says, allows another import."""
    import psycopg

    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    imported(moving)
    with psycopg.connect(shared) as connection:  # a backup from before the import
        connection.execute("DELETE FROM cms.accepted_sales")
        connection.execute("DELETE FROM cms.rows")
        connection.execute("DELETE FROM cms.runs")
    assert str(moving.state / "moved.json") in moving("state", "import", env=shared_of(moving)).stderr

    (moving.state / "moved.json").unlink()
    assert imported(moving)["sales"] == 2
    assert "was finished before" in other("sale", "--from-csv", path, "--yes").stderr
    assert len(service.requests) == 2


def test_copies_of_a_folder_that_went_on_by_themselves(
    moving: Program, other: Program, service: FaultServer
) -> None:
    """A run that two copies of a folder continued is imported once, with what either of them sent."""
    path = leads(moving.home, "abcd")
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    shutil.copytree(moving.state, other.state)
    del other.env["CMS_STATE_URL"], other.env["CMS_ACCOUNT"]
    other.shared = shared_of(moving)  # type: ignore[attr-defined]
    service.script(DROP, REFUSED)
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 6  # "b" may have arrived
    assert (
        other("lead", "--from-csv", path, "--yes", "--limit", "1").code == 1
    )  # this copy has no record of "b", which is refused

    assert imported(other)["unfinished"] == imported(moving)["unfinished"]

    assert moving("runs", "resume", "--all", "--yes", env=shared_of(moving)).code in (1, 6)
    assert customers(service) == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert len(moving("runs", "list", "--json", env=shared_of(moving)).json) == 1


def test_the_sandbox_stays_where_it_is(moving: Program, service: FaultServer) -> None:
    """The sandbox's state is neither imported nor closed."""
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes", "--sandbox").code == 0
    found = imported(moving)
    assert (found["sales"], found["runs"], found["others"]) == (0, 0, [])
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 0
    for env in ({}, shared_of(moving)):
        again = moving("sale", "--from-csv", path, "--yes", "--sandbox", env=env)
        assert again.code == 0
        assert "was finished before" in again.stderr
    assert len(service.requests) == 2


@pytest.mark.parametrize("mark", [b"\xff", b"5", b"[[1]]", b'[{"host": 1}]', b"{}x"])
def test_a_mark_that_is_no_mark(moving: Program, mark: bytes, service: FaultServer) -> None:
    """An unreadable moved.json exits with 3, is called damaged, and nothing is sent."""
    moving.state.mkdir()
    (moving.state / "moved.json").write_bytes(mark)
    result = moving("sale", "--from-csv", sales(moving.home, range(1)), "--yes")
    assert result.code == 3
    assert "moved.json is damaged" in result.stderr
    assert not service.requests


def test_unusual_texts_are_imported(moving: Program, other: Program, service: FaultServer) -> None:
    """Non-ASCII texts and backslashes are imported unchanged."""
    header = SALES.replace("\n", ",customer_name\n")
    name = "Zoë 🦉 \\N"
    path = write(moving.home, "s.csv", header + f"c,buy,u1,i1,1,EUR,x\nc,buy,u2,i2,2,EUR,{name}\n")
    assert moving("sale", "--from-csv", path, "--yes", "--limit", "1").code == 0
    Path(path).unlink()
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert service.requests[1].json["customerName"] == name
