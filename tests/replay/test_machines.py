"""Several machines that share an account: real processes, a state folder each, one real database.

A server of its own keeps the book: what was sent twice, what is missing, and how often the limit was passed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from moving import paused
from pooler import Pooler, installed
from postgres import OwnPostgres, Postgres
from program import TOKEN, Program
from replays import leads_csv, sales_csv
from services import served
from test_crash import FAULTS, SURELY_NOT, by_subject

from cms_cli.sandbox import read_attempts, read_events

KILLS = int(os.environ.get("CMS_TEST_KILLS", "3"))
"""Number of kills; set CMS_TEST_KILLS=60 for a long run."""

# The real program, except for a lease of two seconds instead of thirty and a clock that may be wrong.
_SHORT_LEASE = """
from cms_cli.replay.journal import leases
leases.SECONDS, leases.RENEWED_AFTER = 2.0, 0.5
"""
_LAUNCH = f"""
import sys, time
{_SHORT_LEASE}
wrong, real = float(sys.argv.pop(1)), time.time
time.time = lambda: real() + wrong
sys.argv[0] = "cms"
from cms_cli.__main__ import run
run()
"""

_STATE_COMMANDS = ("init", "status", "upgrade", "import")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="no SIGKILL and SIGSTOP on Windows")]


class Machine(Program):
    """A machine of the account, with a home and a clock of its own."""

    clock = 0.0

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:  # type: ignore[override]
        return self.launch("-c", _LAUNCH, str(self.clock), *arguments, env=env)

    def finish(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            stdout, stderr = process.communicate(timeout=600)
        return process.returncode, stdout, stderr


class Fleet:
    """Machines, and the server that they send to.

    Attributes:
        machines: The machines.
        book: The server's store.
    """

    def __init__(self, home: Path, url: str, count: int) -> None:
        self.book = home / "book.db"
        self.machines = []
        for number in range(count):
            folder = home / f"machine{number}"
            folder.mkdir()
            machine = Machine(folder)
            machine.env.update(CMS_BEARER_TOKEN=TOKEN, CMS_STATE_URL=url, CMS_ACCOUNT="shop")
            self.machines.append(machine)

    def serve(self, *flags: str) -> Iterator[str]:
        """Serve a sandbox to all machines."""
        with served(self.machines[0], self.book, *flags) as url:
            for machine in self.machines:
                machine.env["CMS_HOST"] = url
            yield url

    def sent(self) -> dict[str, list[int]]:
        """Return the statuses that each customer's attempts were answered with."""
        return {subject: [each.status for each in attempts] for subject, attempts in by_subject(self.book).items()}


@pytest.fixture
def fleet(tmp_path: Path, shared: str, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(tmp_path, shared, getattr(request, "param", 2))


def files(fleet: Fleet, kind: str, each: int) -> list[str]:
    """Write a file for each machine that shares half of its rows with the next one's."""
    rows = sales_csv if kind == "sale" else leads_csv
    found = []
    for number, machine in enumerate(fleet.machines):
        path = machine.home / "in.csv"
        path.write_text(rows(range(number * each // 2, number * each // 2 + each)))
        found.append(str(path))
    return found


def at_once(fleet: Fleet, commands: Sequence[Sequence[str]]) -> list[dict[str, object]]:
    """Run a command on each machine at the same time and return the reports."""
    processes = [machine.start(*command) for machine, command in zip(fleet.machines, commands)]
    said = [process.communicate(timeout=600) for process in processes]
    for process, (_, stderr) in zip(processes, said):
        assert process.returncode == 0, stderr
    return [json.loads(stdout) for stdout, _ in said]


def wait_for_attempts(fleet: Fleet, enough: int, processes: Sequence[subprocess.Popen[str]]) -> None:
    """Wait until the server has had that many requests, while all processes are still running."""
    while sum(1 for _ in read_attempts(fleet.book)) < enough:
        time.sleep(0.02)
        assert all(process.poll() is None for process in processes)


@pytest.mark.parametrize("kind", ["sale", "lead"])
@pytest.mark.parametrize(("fleet", "clocks"), [(2, "right"), (4, "wrong")], indirect=["fleet"])
def test_machines_share_the_limit_and_send_nothing_twice(fleet: Fleet, kind: str, clocks: str) -> None:
    """Machines with overlapping files send every event once within the limit, even if their clocks are wrong."""
    if clocks == "wrong":
        for machine, wrong in zip(fleet.machines, (-1.2, 1.2, 3 * 3600.0, -26 * 3600.0)):
            machine.clock = wrong
    each = 30
    distinct = each // 2 * (len(fleet.machines) + 1)
    paths = files(fleet, kind, each)
    for _ in fleet.serve("--rate-limit", "10/1s", "--latency", "5"):
        commands = [(kind, "--from-csv", path, "--yes", "--json", "--rate", "10/1s") for path in paths]
        reports = at_once(fleet, commands)
    assert Counter(attempt.status for attempt in read_attempts(fleet.book)) == {200: distinct}
    assert {tuple(made) for made in fleet.sent().values()} == {(200,)}
    counts = [report["counts"] for report in reports]
    assert [sum(count.values()) for count in counts] == [each] * len(counts)  # type: ignore[attr-defined]
    assert sum(count["accepted"] for count in counts) == distinct  # type: ignore[index]


@pytest.mark.parametrize("kind", ["sale", "lead"])
@pytest.mark.parametrize("fleet", [3], indirect=True)
def test_machines_that_are_killed(fleet: Fleet, kind: str) -> None:
    """A machine that takes over the file of a killed one loses nothing and sends no lead twice."""
    dice = random.Random(11)
    rows = 60 * KILLS
    (path,) = files(fleet, kind, rows)[:1]
    command = (kind, "--from-csv", path, "--yes", "--json", "--rate", "none", "--concurrency", "6")
    for _ in fleet.serve("--rate-limit", "none", "--fault", FAULTS, "--seed", "5"):
        kills = 0
        while kills < KILLS:
            process = dice.choice(fleet.machines).start(*command)
            with suppress(subprocess.TimeoutExpired):
                process.wait(dice.uniform(2.5, 4.0))  # a dead machine's lease may take two of these to expire
            process.kill()
            process.communicate()
            if process.returncode >= 0:
                break
            kills += 1
        code, stdout, stderr = fleet.machines[0].finish(*command)
        assert code in (0, 6), stderr
        counts = json.loads(stdout)["counts"]
    assert sum(counts.values()) == rows
    recorded = Counter(event.event["customerExternalId"] for event in read_events(fleet.book))
    assert set(recorded.values()) == {1}
    attempts = by_subject(fleet.book)
    print("machines killed:", kind, kills, sum(map(len, attempts.values())), counts)
    if kind == "sale":
        assert len(recorded) == rows
        assert counts["accepted"] + counts["duplicate"] == rows
        return
    for made in attempts.values():
        assert all(attempt.status in SURELY_NOT for attempt in made[:-1])
    assert counts["accepted"] + counts["unknown"] == rows
    assert counts["accepted"] <= len(recorded)


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_machine_that_is_stopped_past_its_lease(fleet: Fleet, kind: str) -> None:
    """A machine that wakes after its lease sends nothing new and still records the answers that it got."""
    first, second = fleet.machines
    (path,) = files(fleet, kind, 40)[:1]
    command = (kind, "--from-csv", path, "--yes", "--json", "--rate", "none", "--concurrency", "3")
    for _ in fleet.serve("--rate-limit", "none", "--latency", "150"):
        asleep = first.start(*command)
        while sum(1 for _ in read_attempts(fleet.book)) < 8:
            time.sleep(0.02)
            assert asleep.poll() is None
        asleep.send_signal(signal.SIGSTOP)
        code, stdout, stderr = second.finish(*command)
        assert code in (0, 6), stderr
        assert json.loads(stdout)["counts"]["pending"] == 0
        before = sum(1 for _ in read_attempts(fleet.book))
        asleep.send_signal(signal.SIGCONT)
        _, stderr = asleep.communicate(timeout=60)
        assert asleep.returncode == 5, stderr
        assert "another cms is at work on this run" in stderr
        # A machine stopped while it writes a request to its connection still sends the rest of it.
        assert sum(1 for _ in read_attempts(fleet.book)) - before <= 3
        _, stdout, _ = second.finish(*command)
        arrived = len(fleet.sent())
        code, again, _ = second.finish(*command, "--retry-unknown")
        assert code == 0
    counts, sent = json.loads(stdout)["counts"], fleet.sent()
    assert len(sent) == 40
    if kind == "lead":
        # The first machine recorded the answers that the second one lacked; what it had not sent stayed unknown.
        assert (counts["accepted"], counts["unknown"]) == (arrived, 40 - arrived)
        assert json.loads(again)["counts"]["accepted"] == 40
        assert {tuple(made) for made in sent.values()} == {(200,)}
    else:
        assert counts["accepted"] + counts["duplicate"] == 40
        assert all(made[0] == 200 and set(made[1:]) <= {409} for made in sent.values())


@pytest.mark.parametrize("kind", ["sale", "lead"])
@pytest.mark.parametrize("shared_state", [True, False], ids=["shared", "alone"])
def test_a_machine_that_is_stopped_before_a_request_leaves(fleet: Fleet, kind: str, shared_state: bool) -> None:
    """A request does not leave once another machine may have taken its run over; its run is completed."""
    first, second = fleet.machines
    (path,) = files(fleet, kind, 6)[:1]
    command = (kind, "--from-csv", path, "--yes", "--json", "--rate", "none")
    if not shared_state:
        del first.env["CMS_STATE_URL"]
    for _ in fleet.serve("--rate-limit", "none"):
        with paused(first, "sending.workers", "Workers.give", *command, first=_SHORT_LEASE) as asleep:
            asleep.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            if shared_state:
                code, stdout, _ = second.finish(*command, "--retry-unknown")
                assert (code, json.loads(stdout)["counts"]["accepted"]) == (0, 6)
            asleep.process.send_signal(signal.SIGCONT)
            asleep.go_on()
    assert asleep.code == (5 if shared_state else 0), asleep.stderr
    assert {tuple(made) for made in fleet.sent().values()} == {(200,)}
    assert len(fleet.sent()) == 6


def test_a_clock_that_is_a_day_ahead_does_not_make_a_sale_unknown(fleet: Fleet) -> None:
    """The age of an unanswered sale is measured by the database's clock, not the machine's."""
    first, second = fleet.machines
    second.clock = 30 * 3600.0
    (path,) = files(fleet, "sale", 10)[:1]
    command = ("sale", "--from-csv", path, "--yes", "--json", "--rate", "none")
    for _ in fleet.serve("--rate-limit", "none", "--latency", "400"):
        killed = first.start(*command)
        while not any(read_attempts(fleet.book)):
            time.sleep(0.02)
        killed.kill()
        killed.communicate()
        code, stdout, stderr = second.finish(*command)
    assert code == 0, stderr
    counts = json.loads(stdout)["counts"]
    assert counts["accepted"] + counts["duplicate"] == 10


@pytest.mark.skipif(installed() is None, reason="PgBouncer is not installed")
@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_machines_behind_a_pooler(fleet: Fleet, kind: str) -> None:
    """Replays and every command work through PgBouncer in transaction mode."""
    paths = files(fleet, kind, 40)
    direct = fleet.machines[0].env["CMS_STATE_URL"]
    with Pooler(direct) as pooler:
        for machine in fleet.machines:
            machine.env["CMS_STATE_URL"] = pooler.url
        for _ in fleet.serve("--rate-limit", "20/1s", "--latency", "20"):
            commands = [(kind, "--from-csv", path, "--yes", "--json", "--rate", "20/1s") for path in paths]
            reports = at_once(fleet, commands)
            for command in (("runs", "list"), ("runs", "prune"), *(("state", each) for each in _STATE_COMMANDS)):
                code, _, stderr = fleet.machines[0].finish(*command)
                assert code == 0, stderr
    assert {tuple(made) for made in fleet.sent().values()} == {(200,)}
    assert sum(report["counts"]["accepted"] for report in reports) == 60  # type: ignore[index]


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_database_that_crashes_under_machines_at_work(fleet: Fleet, kind: str, postgres: Postgres) -> None:
    """Answers that arrive while the database is down are recorded once it is back, and nothing is sent twice."""
    if not isinstance(postgres, OwnPostgres):
        pytest.skip("the server is not ours to restart")
    paths = files(fleet, kind, 40)
    for _ in fleet.serve("--rate-limit", "none", "--latency", "150"):
        processes = [
            machine.start(kind, "--from-csv", path, "--yes", "--json", "--rate", "none", "--concurrency", "2")
            for machine, path in zip(fleet.machines, paths)
        ]
        for enough, how in ((5, signal.SIGQUIT), (25, signal.SIGINT)):
            wait_for_attempts(fleet, enough, processes)
            postgres.stop(how)
            time.sleep(0.5)  # longer than a request, so that answers arrive while the database is down
            postgres.start()
        said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum(json.loads(stdout)["counts"]["accepted"] for stdout, _ in said) == 60
    sent = fleet.sent()
    assert len(sent) == 60
    assert {tuple(made) for made in sent.values()} == {(200,)}


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_a_database_that_takes_no_more_writes(fleet: Fleet, kind: str, postgres: Postgres) -> None:
    """A database that turns read-only is exit 3, and the same command continues once it is repaired."""
    import psycopg

    machine, url = fleet.machines[0], fleet.machines[0].env["CMS_STATE_URL"]
    (path,) = files(fleet, kind, 30)[:1]
    command = (kind, "--from-csv", path, "--yes", "--json", "--rate", "none", "--concurrency", "2")
    name = urlsplit(url).path[1:]
    for _ in fleet.serve("--rate-limit", "none", "--latency", "150"):
        process = machine.start(*command)
        wait_for_attempts(fleet, 8, [process])
        with psycopg.connect(postgres.url, autocommit=True) as db:
            db.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            _, stderr = process.communicate(timeout=120)
            assert process.returncode == 3, stderr
            assert "read-only" in stderr
            db.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        code, stdout, stderr = fleet.machines[1].finish(*command)
    assert code in (0, 6), stderr
    sent, counts = fleet.sent(), json.loads(stdout)["counts"]
    assert len(sent) == 30
    assert sum(counts.values()) == 30
    if kind == "lead":
        assert {tuple(made) for made in sent.values()} == {(200,)}
        assert counts["accepted"] + counts["unknown"] == 30
    else:
        assert counts["accepted"] + counts["duplicate"] == 30
        assert all(made[0] == 200 and set(made[1:]) <= {409} for made in sent.values())
