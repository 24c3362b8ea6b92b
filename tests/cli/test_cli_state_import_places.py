"""``cms state import``: to which account of which database a folder was moved, and what it is still used for."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from faultserver import DROP, HANG, FaultServer, json_reply
from moving import SALES, TIMED, customers, imported, leads, sales, shared_of, write
from program import Program

REFUSED = json_reply(422, {"error": "no such click"})


def test_a_name_that_is_misspelt_later_is_refused(moving: Program, service: FaultServer) -> None:
    """Under another name of the account nothing is known, and all would be sent again."""
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
    """The import says that what was sent since the first one is not in the folder."""
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
    """It needs no name, and a renewed one finds what was imported under an earlier one."""
    tokens = []
    for end in (4_000_000_000, 4_000_000_001):
        claims = json.dumps({"iss": "cms", "sub": "u1", "exp": end}).encode()
        tokens.append(f"e30.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.sig")
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
    """A renewed token could go on with it, whose own key the folder was not closed for."""
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


def test_going_on_with_all_runs_does_not_pass_over_those_of_the_folder(
    moving: Program, service: FaultServer
) -> None:
    """Neither before the import, when the database has none, nor afterwards, when the folder has none."""
    assert moving("sale", "--from-csv", sales(moving.home, range(2)), "--yes", "--limit", "1").code == 0
    before = moving("runs", "resume", "--all", "--yes", env=shared_of(moving))
    assert before.code == 2
    assert "cms state import" in before.stderr
    imported(moving)
    assert moving("runs", "resume", "--all", "--yes").code == 2
    assert moving("runs", "resume", "--all", "--yes", env=shared_of(moving)).code == 0
    assert len(service.requests) == 2


def test_sales_in_doubt_alone_are_something_to_import(moving: Program, service: FaultServer) -> None:
    """The run that sent them was removed, and the ledger is empty."""
    service.script(HANG)
    with moving.start("sale", "--from-csv", sales(moving.home, range(1)), "--yes") as process:
        service.wait_for(lambda: len(service.requests) == 1)
        process.kill()
        process.communicate()
    (run,) = moving("runs", "list", "--json").json
    assert moving("runs", "prune", run["run"]).code == 0

    path = sales(moving.home, range(2), "b.csv")
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 2
    imported(moving)
    assert moving("sale", "--from-csv", path, "--yes", env=shared_of(moving)).code == 0


def test_runs_keep_their_order(moving: Program, other: Program, service: FaultServer) -> None:
    """``runs resume --all`` goes on with the oldest first, wherever it was begun."""
    for each in "abc":
        path = leads(moving.home, f"{each}{each.upper()}", f"{each}.csv")
        assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert [request.json["customerExternalId"] for request in service.requests] == [*"abcABC"]


def test_a_second_import_does_not_bring_back_what_was_forgotten(
    moving: Program, other: Program, service: FaultServer
) -> None:
    """The folder is closed: what it has is what it had. Rows that --fresh sends again are not taken for sent."""
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
    """Two leads of one file that look alike are two, whichever machine sends the second."""
    path = leads(moving.home, "aa")
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    imported(moving)
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert customers(service) == {"a": 2}


def test_a_restored_database_takes_a_second_import(
    moving: Program, other: Program, service: FaultServer, shared: str
) -> None:
    """Once the mark is removed, as the command says."""
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
    """As CI caches do. Their common run is imported once, and what either has sent of it is known."""
    import shutil

    path = leads(moving.home, "abcd")
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 0
    shutil.copytree(moving.state, other.state)
    del other.env["CMS_STATE_URL"], other.env["CMS_ACCOUNT"]
    other.shared = shared_of(moving)  # type: ignore[attr-defined]
    service.script(DROP, REFUSED)
    assert moving("lead", "--from-csv", path, "--yes", "--limit", "1").code == 6  # "b" may have arrived
    assert other("lead", "--from-csv", path, "--yes", "--limit", "1").code == 1  # it knew "b" of nothing: refused

    assert imported(other)["unfinished"] == imported(moving)["unfinished"]

    assert moving("runs", "resume", "--all", "--yes", env=shared_of(moving)).code in (1, 6)
    assert customers(service) == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert len(moving("runs", "list", "--json", env=shared_of(moving)).json) == 1


def test_the_sandbox_stays_where_it_is(moving: Program, service: FaultServer) -> None:
    """Neither is it imported, nor is it closed."""
    path = sales(moving.home, range(2))
    assert moving("sale", "--from-csv", path, "--yes", "--sandbox").code == 0
    assert imported(moving)["sales"] == 0
    assert moving("sale", "--from-csv", path, "--yes").code == 0
    assert imported(moving)["sales"] == 2
    for env in ({}, shared_of(moving)):
        again = moving("sale", "--from-csv", path, "--yes", "--sandbox", env=env)
        assert again.code == 0
        assert "was finished before" in again.stderr
    assert len(service.requests) == 2


@pytest.mark.parametrize("mark", [b"\xff", b"5", b"[[1]]", b'[{"host": 1}]', b"{}x"])
def test_a_mark_that_is_no_mark(moving: Program, mark: bytes, service: FaultServer) -> None:
    """Whatever is in the file, it is said to be damaged, and nothing is sent."""
    moving.state.mkdir()
    (moving.state / "moved.json").write_bytes(mark)
    result = moving("sale", "--from-csv", sales(moving.home, range(1)), "--yes")
    assert result.code == 3
    assert "moved.json is damaged" in result.stderr
    assert not service.requests


def test_unusual_texts_are_imported(moving: Program, other: Program, service: FaultServer) -> None:
    """Names that the database could not hold as texts arrive as they were."""
    header = SALES.replace("\n", ",customer_name\n")
    name = "Zoë 🦉 \\N"
    path = write(moving.home, "s.csv", header + f"c,buy,u1,i1,1,EUR,x\nc,buy,u2,i2,2,EUR,{name}\n")
    assert moving("sale", "--from-csv", path, "--yes", "--limit", "1").code == 0
    Path(path).unlink()
    imported(moving)
    assert other("runs", "resume", "--all", "--yes").code == 0
    assert service.requests[1].json["customerName"] == name
