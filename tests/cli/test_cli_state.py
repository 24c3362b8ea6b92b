"""A state folder that was lost looks like a new one, unless it is said which ones there are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from faultserver import FaultServer
from program import Program

SALES = "click_id,event_name,customer_external_id,invoice_id,amount,currency\nc1,buy,u1,inv1,499,EUR\n"
REQUIRED = {"CMS_STATE_REQUIRED": "1"}


@pytest.fixture
def sales(program: Program) -> str:
    path = program.home / "sales.csv"
    path.write_text(SALES)
    return str(path)


def test_a_replay_needs_state_that_was_initialised(online: Program, service: FaultServer, sales: str) -> None:
    """On a folder that nobody initialised nothing is sent; once it is, the same command goes through."""
    command = ("sale", "--from-csv", sales, "--yes")

    refused = online(*command, env=REQUIRED)
    assert refused.code == 3
    assert f"{online.state} was never initialised" in refused.stderr
    assert "cms state init" in refused.stderr
    assert not service.requests

    assert online("state", "init").code == 0
    assert online(*command, env=REQUIRED).code == 0
    assert len(service.requests) == 1


def test_the_config_file_may_ask_for_it(online: Program, service: FaultServer, sales: str) -> None:
    """``state_required`` does what the variable does, and the variable wins."""
    assert online("config", "set", "state_required", "true").code == 0

    assert online("sale", "--from-csv", sales, "--yes").code == 3
    assert online("runs", "resume", "--all").code == 3
    assert not service.requests
    assert online("sale", "--from-csv", sales, "--yes", env={"CMS_STATE_REQUIRED": "0"}).code == 0


def test_a_dry_run_warns_where_the_run_would_not_begin(online: Program, service: FaultServer, sales: str) -> None:
    """It needs no state itself, so it ends as its rows say; once the folder is initialised, it is silent."""
    command = ("sale", "--from-csv", sales, "--dry-run", "--json")

    result = online(*command, env=REQUIRED)
    assert result.code == 0
    [warning] = [each for each in json.loads(result.stdout)["warnings"] if "exit code 3" in each]
    assert f"{online.state} was never initialised" in warning
    assert "cms state init" in warning
    assert "exit code 3" in result.stderr
    assert not online.state.exists()
    assert "exit code 3" not in online(*command).stderr

    assert online("state", "init").code == 0
    assert "exit code 3" not in online(*command, env=REQUIRED).stderr
    assert not service.requests


@pytest.mark.parametrize("value", ["maybe", "2"])
def test_a_switch_is_on_or_off(online: Program, sales: str, value: str) -> None:
    """A value that means neither on nor off is an error that names the variable."""
    result = online("sale", "--from-csv", sales, "--yes", env={"CMS_STATE_REQUIRED": value})

    assert result.code == 2
    assert "CMS_STATE_REQUIRED must be true or false" in result.stderr


def test_an_emptied_folder_is_not_taken_for_a_new_one(online: Program, service: FaultServer, sales: str) -> None:
    """A cache that brings back the mark without the journal has lost what was sent."""
    assert online("state", "init").code == 0
    assert online("sale", "--from-csv", sales, "--yes", env=REQUIRED).code == 0
    for path in online.state.glob("journal*"):
        path.unlink()

    assert online("sale", "--from-csv", sales, "--yes", env=REQUIRED).code == 3
    assert len(service.requests) == 1

    shutil.rmtree(online.state)
    assert online("sale", "--from-csv", sales, "--yes", env=REQUIRED).code == 3
    assert len(service.requests) == 1


def test_what_needs_no_state_does_not_ask_for_it(online: Program, sales: str) -> None:
    """A dry run, a single event and the sandbox go on without."""
    event = "--click-id c --event-name e --customer-external-id u --invoice-id i --amount 1 --currency eur"

    assert online("sale", "--from-csv", sales, "--dry-run", env=REQUIRED).code == 0
    assert online("sale", *event.split(), env=REQUIRED).code == 0
    assert online("sale", "--from-csv", sales, "--yes", "--sandbox", env=REQUIRED).code == 0


def test_the_status_says_what_is_there(online: Program, sales: str) -> None:
    """Before, after ``init``, and after a replay."""
    expected = {
        "where": str(online.state),
        "initialised": False,
        "runs": 0,
        "unfinished": 0,
        "sales": 0,
        "leads": 0,
    }
    assert online("state", "status", "--json").json == expected
    assert not Path(online.state).exists()

    first, again = online("state", "init"), online("state", "init")
    assert "already initialised" not in first.stderr
    assert "already initialised" in again.stderr
    online("sale", "--from-csv", sales, "--yes")

    assert online("state", "status", "--json").json == {**expected, "initialised": True, "runs": 1, "sales": 1}
    assert "1 sales" in online("state", "status").stdout
