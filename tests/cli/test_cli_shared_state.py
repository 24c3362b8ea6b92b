"""State shared in PostgreSQL, seen by the user of the real program; each machine has its own state folder."""

from __future__ import annotations

import os
import signal
import stat
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from faultserver import HANG, FaultServer
from postgres import OwnPostgres, Postgres
from program import TOKEN, Program, Result
from tokens import jwt

HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
NOWHERE = "postgresql://cms:a-secret-password@127.0.0.1:1/cms"


def sales(home: Path, numbers: range, name: str = "sales.csv") -> str:
    path = home / name
    path.write_text(HEADER + "".join(f"c{n},buy,u{n},inv{n},499,EUR\n" for n in numbers))
    return str(path)


@pytest.fixture
def machines(tmp_path: Path, service: FaultServer, shared: str) -> tuple[Program, Program]:
    """Return two machines that share an account through a database."""
    found = []
    for name in ("one", "two"):
        home = tmp_path / name
        home.mkdir()
        program = Program(home)
        program.env.update(CMS_HOST=service.url, CMS_BEARER_TOKEN=TOKEN, CMS_STATE_URL=shared, CMS_ACCOUNT="shop")
        found.append(program)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("url", "said", "hint"),
    [
        ("postgresql://cms@127.0.0.1:1/cms", "port 1", "Check host and port"),
        ("postgresql://cms@127.0.0.1:99999/cms", '"99999"', "Correct it: in the URL"),
        ("postgresql://cms@127.0.0.1/cms?sslmode=requir", '"requir"', "Correct it: in the URL"),
        ("postgresql:///cms?service=nowhere", '"nowhere"', "Correct it: in the URL"),
        ("postgresql://cms@127.0.0.1/cms?connect_timeout=x", "connect_timeout", "Correct it: in the URL"),
    ],
)
def test_a_setting_of_the_database_that_cannot_be_used_is_named(
    program: Program, url: str, said: str, hint: str
) -> None:
    """A wrong port, host, sslmode or service is named, with a hint that says where to look."""
    done = program("state", "status", env={"CMS_STATE_URL": url})
    assert done.code == 3
    assert said in done.stderr
    assert hint in done.stderr


def test_what_one_machine_sent_the_other_does_not(
    machines: tuple[Program, Program], service: FaultServer, tmp_path: Path
) -> None:
    """Sales that one machine has sent are not sent by another, and neither writes a local journal."""
    one, two = machines
    first, second = sales(tmp_path, range(3)), sales(tmp_path, range(1, 5), "more.csv")

    assert one("sale", "--from-csv", first, "--yes").code == 0
    assert "was finished before" in two("sale", "--from-csv", first, "--yes").stderr
    assert two("sale", "--from-csv", second, "--yes", "--json").json["counts"]["duplicate"] == 2
    assert len(service.requests) == 5
    assert not one.state.exists()
    assert not two.state.exists()


def test_a_run_is_gone_on_with_on_another_machine(
    machines: tuple[Program, Program], service: FaultServer, tmp_path: Path
) -> None:
    """A run is listed and resumed on another machine, without its file."""
    one, two = machines
    path = Path(sales(one.home, range(4)))
    assert one("sale", "--from-csv", str(path), "--yes", "--limit", "1").code == 0
    path.unlink()
    (run,) = two("runs", "list", "--json").json
    assert run["state"] == "unfinished"

    assert two("runs", "resume", run["run"], "--yes", "--limit", "1").code == 0
    assert two("runs", "resume", "--all", "--yes").code == 0

    assert len(service.requests) == 4
    assert one("runs", "show", run["run"], "--json").json["counts"]["accepted"] == 4


def test_a_token_that_is_no_jwt_needs_a_name_for_its_account(
    machines: tuple[Program, Program], service: FaultServer, tmp_path: Path
) -> None:
    """An opaque token needs CMS_ACCOUNT; a JWT is an account by itself, whatever that variable says."""
    one, two = machines
    path = sales(tmp_path, range(2))
    for command in (("sale", "--from-csv", path, "--yes"), ("sale", "--from-csv", path, "--dry-run")):
        refused = one(*command, env={"CMS_ACCOUNT": ""})
        assert refused.code == 2
        assert "CMS_ACCOUNT" in refused.stderr
    assert not service.requests

    first, second = ({"CMS_BEARER_TOKEN": jwt(iss="cms", sub=subject)} for subject in ("u1", "u2"))
    assert one("sale", "--from-csv", path, "--yes", env={**first, "CMS_ACCOUNT": ""}).code == 0
    again = two("sale", "--from-csv", path, "--yes", env={**first, "CMS_ACCOUNT": "x"})
    assert "was finished before" in again.stderr
    assert two("sale", "--from-csv", path, "--yes", env=second).code == 0
    assert len(service.requests) == 4


def test_a_run_of_another_account_is_not_gone_on_with(
    machines: tuple[Program, Program], service: FaultServer, tmp_path: Path
) -> None:
    """Resuming a run of another account exits with 2 and names its account."""
    one, two = machines
    assert one("sale", "--from-csv", sales(tmp_path, range(2)), "--yes", "--limit", "1").code == 0
    (run,) = one("runs", "list", "--json").json

    for other in ({"CMS_ACCOUNT": "other"}, {"CMS_BEARER_TOKEN": jwt(iss="cms", sub="u1")}):
        refused = two("runs", "resume", run["run"], "--yes", env=other)
        assert refused.code == 2
        assert "belongs to the account shop" in refused.stderr
    assert len(service.requests) == 1


def test_a_database_that_is_not_there(online: Program, service: FaultServer) -> None:
    """An unreachable database exits with 3; nothing is sent, no local state is made, no password shown."""
    path = sales(online.home, range(2))
    env = {"CMS_STATE_URL": NOWHERE, "CMS_ACCOUNT": "shop"}
    for command in (
        ("sale", "--from-csv", path, "--yes"),
        ("runs", "resume", "--all"),
        ("runs", "list"),
        ("state", "init"),
        ("state", "status"),
        ("state", "upgrade"),
    ):
        result = online(*command, env=env)
        assert result.code == 3, command
        assert "PostgreSQL at 127.0.0.1" in result.stderr
        assert "a-secret-password" not in result.stderr + result.stdout
    assert not service.requests
    assert not online.state.exists()


def test_what_needs_no_database(online: Program, service: FaultServer) -> None:
    """A dry run, a single event and the sandbox work without the database; the dry run warns."""
    path = sales(online.home, range(2))
    env = {"CMS_STATE_URL": NOWHERE}
    event = "--click-id c --event-name e --customer-external-id u --invoice-id i --amount 1 --currency eur"

    rehearsed = online("sale", "--from-csv", path, "--dry-run", "--json", env={**env, "CMS_ACCOUNT": "shop"})
    assert rehearsed.code == 0
    assert any("were not checked: PostgreSQL at 127.0.0.1" in each for each in rehearsed.json["warnings"])
    assert online("sale", "--from-csv", path, "--dry-run", env={**env, "CMS_BEARER_TOKEN": ""}).code == 0
    assert online("sale", *event.split(), env=env).code == 0
    assert online("sale", "--from-csv", path, "--sandbox", "--yes", env=env).code == 0


def test_a_dry_run_decides_by_what_other_machines_sent(machines: tuple[Program, Program], tmp_path: Path) -> None:
    """A dry run counts other machines' sales as duplicates and writes nothing into the database."""
    one, two = machines
    one("sale", "--from-csv", sales(tmp_path, range(3)), "--yes")

    rehearsed = two("sale", "--from-csv", sales(tmp_path, range(2, 6), "more.csv"), "--dry-run", "--json")

    assert (rehearsed.json["counts"]["duplicate"], rehearsed.json["counts"]["pending"]) == (1, 3)
    assert one("state", "status", "--json").json["runs"] == 1


def test_the_tables_are_made_once_and_by_init_only(online: Program, service: FaultServer, database: str) -> None:
    """Only ``cms state init`` creates the tables, once; before that a replay exits with 3 and names it."""
    path = sales(online.home, range(2))
    env = {"CMS_STATE_URL": database, "CMS_ACCOUNT": "shop"}

    refused = online("sale", "--from-csv", path, "--yes", env=env)
    assert refused.code == 3
    assert "cms state init" in refused.stderr
    assert not online("state", "status", "--json", env=env).json["initialised"]
    assert not service.requests

    assert online("state", "init", "--json", env=env).json["new"]
    assert not online("state", "init", "--json", env=env).json["new"]
    assert online("sale", "--from-csv", path, "--yes", env={**env, "CMS_STATE_REQUIRED": "1"}).code == 0
    found = online("state", "status", "--json", env=env).json
    assert (found["initialised"], found["runs"], found["sales"]) == (True, 1, 2)
    upgraded = online("state", "upgrade", "--json", env=env).json
    assert upgraded["format_before"] == upgraded["format"]


def test_a_database_administrator_may_make_the_tables(online: Program, database: str) -> None:
    """``--print`` shows the SQL for the tables and the grants, which suffice for replays."""
    import psycopg

    script = online("state", "init", "--print").stdout
    role = f"sender_{urlsplit(database).path[-12:]}"
    granted = script.partition("-- GRANT")[1:]
    grants = "".join(granted).replace("-- GRANT", "GRANT").replace("sender", role)
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(script)
        db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'a long password'")
        try:
            parts = urlsplit(database)
            url = parts._replace(netloc=f"{role}:a%20long%20password@{parts.hostname}:{parts.port}").geturl()
            env = {"CMS_STATE_URL": url, "CMS_ACCOUNT": "shop"}
            path = sales(online.home, range(2))
            refused = online("sale", "--from-csv", path, "--yes", env=env)
            assert refused.code == 3
            assert "USAGE on the schema cms" in refused.stderr

            db.execute(grants)
            assert online("sale", "--from-csv", path, "--yes", env=env).code == 0
            assert online("runs", "prune", env=env).code == 0
            assert online("state", "init", env=env).code == 0  # the tables exist already
        finally:
            db.execute(f"DROP OWNED BY {role}")
            db.execute(f"DROP ROLE {role}")


def test_init_without_the_right_to_make_tables(online: Program, database: str) -> None:
    """``init`` without the right to create tables exits with 3 and suggests ``--print`` for an administrator."""
    import psycopg

    role = f"guest_{urlsplit(database).path[-12:]}"
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(f"CREATE ROLE {role} LOGIN")
        try:
            parts = urlsplit(database)
            url = parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl()
            refused = online("state", "init", env={"CMS_STATE_URL": url})
        finally:
            db.execute(f"DROP ROLE {role}")
    assert refused.code == 3
    assert "cms state init --print" in refused.stderr


def test_prune_keeps_other_accounts(
    machines: tuple[Program, Program], service: FaultServer, tmp_path: Path
) -> None:
    """``prune --ledger`` removes runs and ledger of its own account and keeps those of others."""
    one, two = machines
    two.env["CMS_ACCOUNT"] = "other"
    path = sales(tmp_path, range(2))
    for machine in machines:
        assert machine("sale", "--from-csv", path, "--yes").code == 0

    assert "1 run removed" in one("runs", "prune", "--ledger", "--yes").stderr
    assert len(one("runs", "list", "--json").json) == 1
    assert one("sale", "--from-csv", path, "--yes").code == 0
    assert len(service.requests) == 6  # sent again, since the ledger of "shop" is gone

    assert two("runs", "prune").code == 0
    assert two("sale", "--from-csv", path, "--yes", "--json").json["counts"]["duplicate"] == 2
    assert len(service.requests) == 6


def with_state_url(online: Program, service: FaultServer, value: str) -> Result:
    """Return the result of a replay with a state URL that cannot be used, which sends nothing."""
    result = online("sale", "--from-csv", sales(online.home, range(1)), "--yes", env={"CMS_STATE_URL": value})
    assert not service.requests
    return result


@pytest.mark.parametrize("value", ["mysql://host/db", "host", "postgresql"])
def test_a_url_that_is_none(online: Program, service: FaultServer, value: str) -> None:
    """An invalid CMS_STATE_URL exits with 2 and names the variable."""
    result = with_state_url(online, service, value)

    assert result.code == 2
    assert "CMS_STATE_URL must be the URL of a PostgreSQL database" in result.stderr


@pytest.mark.parametrize("value", ["postgresql://u:p@s3cret@h/d", "postgresql://u:s3cret/p@h/d"])
def test_a_password_that_is_not_encoded(online: Program, service: FaultServer, value: str) -> None:
    """An @ or a / in a password exits with 2 and names its code; libpq would show the rest as a host."""
    result = with_state_url(online, service, value)

    assert result.code == 2
    assert "CMS_STATE_URL must have %40 for an @, and %2F for a /" in result.stderr
    assert "cret" not in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no bytes in its environment")
@pytest.mark.parametrize("value", ["postgresql://u:s3cret@h/d\udcff", "postgresql://u:s3%zzcret@h/d"])
def test_a_url_that_the_driver_cannot_read(online: Program, service: FaultServer, value: str) -> None:
    """A URL that the driver rejects exits with 3, and its password is not shown."""
    result = with_state_url(online, service, value)

    assert result.code == 3
    assert "the URL of the shared state cannot be read" in result.stderr
    assert "cret" not in result.stderr


def test_the_config_file_names_the_database(machines: tuple[Program, Program], shared: str, tmp_path: Path) -> None:
    """``state_url`` in the config file is used; its password is masked, and a readable file gets a warning."""
    one, _ = machines
    del one.env["CMS_STATE_URL"], one.env["CMS_ACCOUNT"]
    with_password = shared.replace("cms@", "cms:p%C3%A4ss?word#of-mine@")

    shown = one("config", "set", "state_url", with_password)
    assert shown.code == 2
    assert "on stdin" in shown.stderr
    assert one("config", "set", "state_url", "-", stdin=with_password).code == 0
    assert one("config", "set", "account", "shop").code == 0
    for command in (("config", "list"), ("config", "get", "state_url"), ("config", "list", "--json")):
        said = one(*command)
        assert "cms:***@" in said.stdout
        assert "of-mine" not in said.stdout + said.stderr
    one.config.chmod(0o644)
    result = one("sale", "--from-csv", sales(tmp_path, range(2)), "--yes")
    assert result.code == 0
    assert "holds a password and can be read by others" in result.stderr
    assert one("state", "status", "--json").json["sales"] == 2
    assert stat.S_IMODE(one.config.stat().st_mode) == 0o644


def test_a_plain_line_to_another_machine_gets_a_warning(online: Program, service: FaultServer) -> None:
    """``sslmode=disable`` with a remote database is obeyed and gets a warning."""
    url = "postgresql://cms@db.invalid/cms?sslmode=disable"
    result = online(
        "sale",
        "--from-csv",
        sales(online.home, range(1)),
        "--yes",
        env={"CMS_STATE_URL": url, "CMS_ACCOUNT": "shop"},
    )

    assert result.code == 3
    assert "the connection is not encrypted" in result.stderr
    assert not service.requests


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_whose_machine_died_is_waited_for_visibly(
    machines: tuple[Program, Program], service: FaultServer, shared: str, terminal: bool
) -> None:
    """A replay says that it waits for the lease of a killed machine, and then sends the rest."""
    import psycopg

    one, two = machines
    path = sales(one.home, range(2))
    service.script(HANG)
    with one.start("sale", "--from-csv", path, "--yes") as process:
        service.wait_for(lambda: len(service.requests) == 1)
        process.kill()
    with psycopg.connect(shared) as db:  # shortens the lease, which would last 30 s
        db.execute("UPDATE cms.leases SET until = extract(epoch FROM clock_timestamp()) + 4")

    command = ("sale", "--from-csv", path, "--yes")
    if terminal:
        screen = two.on_terminal(*command)
        code, said = screen.code, screen.text
    else:
        result = two(*command)
        code, said = result.code, result.stderr
        assert said.count("waiting for another cms that holds this run") == 1
    assert code == 0
    assert "waiting for another cms that holds this run" in said
    assert {request.json["invoiceId"] for request in service.requests} == {"inv0", "inv1"}


@pytest.mark.slow
def test_ctrl_c_while_the_database_is_gone(
    machines: tuple[Program, Program], service: FaultServer, postgres: Postgres
) -> None:
    """Ctrl-C during a database outage exits with 130, and the same command sends the rest later."""
    if not isinstance(postgres, OwnPostgres):
        pytest.skip("the server is not ours to stop")
    one, two = machines
    path = sales(one.home, range(40))
    with one.start("sale", "--from-csv", path, "--yes", "--rate", "5/s", "--concurrency", "1") as process:
        service.wait_for(lambda: len(service.requests) >= 8)
        postgres.stop()
        try:
            assert process.stderr is not None
            assert any("does not answer" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            postgres.start()
    assert process.returncode == 130
    assert "run the same command" in said

    assert two("sale", "--from-csv", path, "--yes", "--rate", "none").code == 0
    invoices = Counter(request.json["invoiceId"] for request in service.requests)
    assert len(invoices) == 40
    assert sum(invoices.values()) <= 41  # a sale whose answer was not stored is sent again
