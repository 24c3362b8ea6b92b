"""The account of a run, and the warnings about its token: the real program."""

from __future__ import annotations

import inspect
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from faultserver import FaultServer
from program import Program
from replays import LEAD_HEADER, as_csv, lead, leads_csv, sales_csv
from tokens import jwt

from cms_cli.commands.runs import resume
from cms_cli.commands.sale import sale
from cms_cli.replay.journal.sqlite_file import FILE_NAME

pytestmark = pytest.mark.usefixtures("engine")


def token(subject: str, expires: float = 4_000_000_000) -> dict[str, str]:
    return {"CMS_BEARER_TOKEN": jwt(iss="cms", sub=subject, exp=int(expires))}


ZONED = "timestamp (CET),event_name,customer_external_id\n2026-01-01 12:00,x,y\n"


def write(program: Program, text: str) -> str:
    (program.home / "in.csv").write_text(text)
    return "in.csv"


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_run_goes_on_under_its_own_account_only(online: Program, service: FaultServer, kind: str) -> None:
    """A run is resumed with a renewed token of its account and refused to any other account."""
    path = write(online, sales_csv(range(4)) if kind == "sale" else leads_csv(range(4)))
    command = (kind, "--from-csv", path, "--yes", "--json")
    run = online(*command, "--limit", "1", env=token("ann")).json["run"]
    told = online(*command, env=token("bob"))
    assert (told.code, f"cms runs resume {run}" in told.stderr) == (2, True), told.stderr
    kept_out = online("runs", "resume", run, "--yes", env=token("bob"))
    assert kept_out.code == 2
    assert "belongs to the account ann" in kept_out.stderr
    assert len(service.requests) == 1
    renewed = token("ann", 4_100_000_000)
    assert online("runs", "resume", run, "--yes", "--json", env=renewed).json["counts"]["accepted"] == 4
    assert service.requests[-1].headers["Authorization"] == f"Bearer {renewed['CMS_BEARER_TOKEN']}"
    again = online(*command, env=renewed)
    assert (again.code, len(service.requests)) == (0, 4)
    assert "finished before" in again.stderr


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_finished_file_and_a_renewed_token_that_is_no_jwt(
    online: Program, service: FaultServer, kind: str
) -> None:
    """A finished file is not sent again under a token that is no JWT, since its account cannot be told."""
    path = write(online, sales_csv(range(3)) if kind == "sale" else leads_csv(range(3)))
    command = (kind, "--from-csv", path, "--yes", "--json")
    old, new = {"CMS_BEARER_TOKEN": "tok_of_last_year"}, {"CMS_BEARER_TOKEN": "tok_of_this_year"}
    run = online(*command, env=old).json["run"]
    if kind == "sale":
        with closing(sqlite3.connect(online.state / FILE_NAME)) as db, db:
            db.execute("UPDATE runs SET touched = touched - 90000")
    told = online(*command, env=new)
    assert (told.code, len(service.requests)) == (2, 3)
    assert f"cms runs show {run}" in told.stderr
    assert "--fresh" in told.stderr
    assert online(*command, env=token("ann")).code == 2
    assert online(*command, "--fresh", env=new).json["counts"]["accepted"] == 3
    again = online(*command, env=new)
    assert (again.code, len(service.requests)) == (0, 6)


def test_a_file_for_two_accounts_that_are_known(online: Program, service: FaultServer) -> None:
    """A file may be sent to two known accounts; recent sales go out under any token, being deduplicated."""
    path = write(online, leads_csv(range(2)))
    for name in ("ann", "bob"):
        assert online("lead", "--from-csv", path, "--yes", env=token(name)).code == 0
    path = write(online, sales_csv(range(2)))
    for name in ("tok_of_last_year", "tok_of_this_year"):
        assert online("sale", "--from-csv", path, "--yes", env={"CMS_BEARER_TOKEN": name}).code == 0
    assert len(service.requests) == 8


def test_a_run_that_is_resumed_with_another_profile(online: Program, service: FaultServer) -> None:
    """A run resumed with another profile goes on with a warning, since both may be one account."""
    online.config.write_text("".join(f'[profiles.{name}]\ntoken = "tok_{name}_1234"\n' for name in ("ann", "bob")))
    online.config.chmod(0o600)
    path = write(online, sales_csv(range(3)))
    command = ("sale", "--from-csv", path, "--yes", "--json", "--limit", "1", "--profile", "ann")
    run = online(*command).json["run"]
    own = online("runs", "resume", run, "--yes", "--limit", "1", "--profile", "ann")
    assert (own.code, "was begun with" in own.stderr) == (0, False)
    other = online("runs", "resume", run, "--yes", "--profile", "bob")
    assert other.code == 0
    said = f"{run} was begun with the token of the profile ann, and is resumed with that of the profile bob"
    assert said in " ".join(other.stderr.split())


@pytest.mark.parametrize(
    ("text", "flags", "expires", "said"),
    [
        (sales_csv(range(90)), ("--rate", "1/m"), 3600, "token expires at"),
        (sales_csv(range(90)), ("--rate", "none"), 3600, ""),
        (sales_csv(range(3)), (), 1e9, "no column gives the time"),
        (as_csv(LEAD_HEADER, [lead(0, timestamp="2099-01-01"), lead(1)]), (), 1e9, "1 row is dated in the future"),
        (as_csv(LEAD_HEADER, [lead(0, timestamp=""), lead(1)]), (), 1e9, "1 row is without a time"),
        (ZONED, ("--map", "timestamp=timestamp (CET)"), 1e9, '"timestamp (CET)" seems to name a time zone'),
        (ZONED, ("--map", "timestamp=timestamp (CET)", "--timezone", "Europe/Berlin"), 1e9, ""),
    ],
)
def test_warnings_before_a_run(
    online: Program, text: str, flags: tuple[str, ...], expires: float, said: str
) -> None:
    """A preview warns of a token that expires first, of times that are not mapped and of times in the future."""
    kind = "lead" if "timestamp" in text else "sale"
    env = token("ann", time.time() + expires)
    checked = online(kind, "--from-csv", write(online, text), "--dry-run", *flags, env=env)
    assert checked.code == 0, checked.stderr
    assert said in checked.stderr
    assert ("name a time zone" in checked.stderr) is ("name a time zone" in said)
    assert ("token expires" in checked.stderr) is (said == "token expires at")


def test_the_sandbox_has_no_rate_limit_unless_asked(program: Program) -> None:
    """A replay into the sandbox has no rate limit unless --rate sets one."""
    path = write(program, sales_csv(range(150)))
    command = ("sale", "--from-csv", path, "--sandbox")
    assert "at 60/m" in program(*command, "--dry-run", "--rate", "60/m").stderr
    done = program.spawn(*command, "--yes", "--json")
    assert done.json["counts"]["accepted"] == 150


def test_resume_takes_every_flag_that_does_not_shape_events() -> None:
    """`runs resume` takes every delivery flag except --skip-invalid and --fresh, which its run has settled."""
    page = Path(inspect.getfile(sale)).with_name("replay_options.py").read_text()
    control = set(re.findall(r'"--([a-z-]+)"[^)]*rich_help_panel=CONTROL', page, re.DOTALL))
    mine = {name.replace("_", "-") for name in inspect.signature(resume).parameters}
    assert {"limit", "rate", "failures", "results", "max-failures", "retry-unknown"} <= control
    assert control - mine == {"skip-invalid", "fresh"}
