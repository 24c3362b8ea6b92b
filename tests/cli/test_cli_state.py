"""``cms state init`` and CMS_STATE_REQUIRED, which tell a lost state folder from a new one."""

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
    """With CMS_STATE_REQUIRED a replay on an uninitialised folder exits with 3 and sends nothing."""
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
    """``state_required`` in the config file does what the variable does, and the variable wins."""
    assert online("config", "set", "state_required", "true").code == 0

    assert online("sale", "--from-csv", sales, "--yes").code == 3
    assert online("runs", "resume", "--all").code == 3
    assert not service.requests
    assert online("sale", "--from-csv", sales, "--yes", env={"CMS_STATE_REQUIRED": "0"}).code == 0


def test_a_dry_run_warns_where_the_run_would_not_begin(online: Program, service: FaultServer, sales: str) -> None:
    """A dry run warns if the real run would exit with 3, and does not exit with 3 itself."""
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
    """A CMS_STATE_REQUIRED that is neither true nor false exits with 2 and is named."""
    result = online("sale", "--from-csv", sales, "--yes", env={"CMS_STATE_REQUIRED": value})

    assert result.code == 2
    assert "CMS_STATE_REQUIRED must be true or false" in result.stderr


def test_an_emptied_folder_is_not_taken_for_a_new_one(online: Program, service: FaultServer, sales: str) -> None:
    """With CMS_STATE_REQUIRED a folder that lost its journal or everything exits with 3."""
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
    """A dry run, a single event and the sandbox work on an uninitialised folder."""
    event = "--click-id c --event-name e --customer-external-id u --invoice-id i --amount 1 --currency eur"

    assert online("sale", "--from-csv", sales, "--dry-run", env=REQUIRED).code == 0
    assert online("sale", *event.split(), env=REQUIRED).code == 0
    assert online("sale", "--from-csv", sales, "--yes", "--sandbox", env=REQUIRED).code == 0


def test_the_status_says_what_is_there(online: Program, sales: str) -> None:
    """``cms state status`` counts runs and sales, and says whether the folder is initialised."""
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
