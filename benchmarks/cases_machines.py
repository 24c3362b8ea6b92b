"""Several machines that share an account through a database; each is a process with its own state folder."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from measure import Cost, in_turn, median, ratio, run
from setting import Setting
from slow_line import SlowLine
from table import Row

MACHINES = (2, 4)
LINES = (0.0, 0.01, 0.05)  # seconds for a round trip to the database
STAGED = 100_000


class Sent(NamedTuple):
    """Requests sent by the machines of one run.

    Attributes:
        together: Seconds from the start of the processes to the end of the last one.
        sending: Seconds from the first request to the last.
        requests: Number of requests that the service received.
        twice: Requests for events that it had accepted before.
        lost: Events that it never received.
        refused: Answers of 429.
        round_trips: Round trips to the database, of all machines.
    """

    together: float
    sending: float
    requests: int
    twice: int
    lost: int
    refused: int
    round_trips: int


def machines(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send overlapping files from 2 and 4 machines, 0 to 50 ms from the database: 60 in 6 s, over 10 windows."""
    del pairs
    for number in MACHINES:
        for line in LINES:
            yield _shared(setting, number, line, 600, "60/6s", 6.0)


def machine_minutes(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send from several machines at the documented limit: 60 a minute, over 4 minutes."""
    del pairs
    for number in MACHINES:
        yield _shared(setting, number, 0.01, 240, "60/m", 60.0)


def shared_staging(setting: Setting, pairs: int) -> Iterator[Row]:
    """Stage 100,000 rows in the database, compared with the state folder."""
    with _database(setting) as database, setting.sales(STAGED) as file:
        costs = in_turn(
            {"shared": lambda: _stage(setting, file, database), "folder": lambda: _stage(setting, file)},
            min(pairs, 5),
        )
    ours, folder = costs["shared"], costs["folder"]
    yield Row(
        f"{STAGED:,} rows read, checked and staged in PostgreSQL",
        f"{median(ours).wall:.1f} s",
        f"in the state folder, {median(folder).wall:.1f} s",
        f"{ratio(ours, folder):.2f}x",
        f"of its own CPU {median(ours).cpu:.1f} s, {median(folder).cpu:.1f} s",
    )


def _shared(setting: Setting, number: int, line: float, rows: int, limit: str, window: float) -> Row:
    sent = _send(setting, number, line, rows, limit)
    ideal = (rows - 1) // 60 * window
    return Row(
        f"{number} machines, {line * 1000:.0f} ms to the database, {rows} sales at {limit}",
        f"{sent.sending:.1f} s",
        f"ideal, {ideal:.0f} s",
        f"{ideal / sent.sending:.1%} of it",
        f"{sent.together - sent.sending:.1f} s to start and end; {sent.requests} requests, {sent.twice} twice,"
        f" {sent.lost} lost, {sent.refused} answers of 429; {sent.round_trips / rows:.1f} round trips an event",
    )


def _send(setting: Setting, number: int, line: float, rows: int, limit: str) -> Sent:
    """Send the rows of one file from several machines, each of which has two thirds of them."""
    with ExitStack() as stack:
        database = stack.enter_context(_database(setting))
        server = urlsplit(database)
        relay = stack.enter_context(SlowLine(server.hostname or "", server.port or 5432, line))
        env = _environment(setting, relay.url(database))
        store = Path(stack.enter_context(setting.state())) / "store.sqlite3"
        url = stack.enter_context(setting.sandbox(limit=limit, store=store))
        lines = stack.enter_context(setting.sales(rows)).read_text(encoding="utf-8").splitlines(keepends=True)
        commands = []
        for each in range(number):
            state = Path(stack.enter_context(setting.state()))
            begin = 1 + rows // 3 * each // (number - 1)
            file = state / "sales.csv"
            file.write_text("".join([lines[0], *lines[begin : begin + rows * 2 // 3]]), encoding="utf-8")
            command = [setting.program("machines", "cms"), "sale", "--from-csv", str(file), "--yes", "--json"]
            commands.append([*command, "--host", url, "--rate", limit, "--state-dir", str(state)])
        before, began = relay.round_trips, time.perf_counter()
        _run_together(setting, commands, env)
        together = time.perf_counter() - began
        return _what_was_sent(store, rows, together, relay.round_trips - before)


def _run_together(setting: Setting, commands: list[list[str]], env: dict[str, str]) -> None:
    with ExitStack() as stack:
        started = []
        for command in commands:
            stderr = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                command, env=env, cwd=setting.folder, stdout=subprocess.DEVNULL, stderr=stderr
            )
            started.append((stack.enter_context(process), stderr))
        for process, stderr in started:
            if process.wait():
                stderr.seek(0)
                raise RuntimeError(f"a machine ended with {process.returncode}\n{stderr.read().decode()[-2000:]}")


def _what_was_sent(store: Path, rows: int, together: float, round_trips: int) -> Sent:
    with closing(sqlite3.connect(store)) as db:
        counts = dict(db.execute("SELECT status, count(*) FROM attempts GROUP BY status"))
        first, last = db.execute("SELECT min(at_ns), max(at_ns) FROM attempts").fetchone()
        (there,) = db.execute("SELECT count(DISTINCT invoice_id) FROM events").fetchone()
    twice, refused, sending = counts.get(409, 0), counts.get(429, 0), (last - first) / 1e9
    return Sent(together, sending, sum(counts.values()), twice, rows - there, refused, round_trips)


def _stage(setting: Setting, file: Path, database: str | None = None) -> Cost:
    """Stage a file and send its first row, which the shared ledger does not have yet."""
    env = setting.env if database is None else _environment(setting, database)
    with setting.sandbox() as url, setting.state() as state:
        command = [setting.program("machines", "cms"), "sale", "--from-csv", str(file), "--yes", "--json"]
        command += ["--rate", "none", "--host", url, "--state-dir", state, "--limit", "1"]
        return run(command, env, cwd=setting.folder)


def _environment(setting: Setting, database: str) -> dict[str, str]:
    return {**setting.env, "CMS_STATE_URL": database, "CMS_ACCOUNT": "benchmark"}


@contextmanager
def _database(setting: Setting) -> Iterator[str]:
    """Run a server with the tables in one of its databases, and yield that database's URL."""
    setting.prepare_machines()
    named = {name: os.environ[name] for name in ("CMS_TEST_POSTGRES",) if name in os.environ}
    with setting.server(setting.peer("machines", "postgres_server.py"), **named) as url:
        command = [setting.program("machines", "cms"), "state", "init"]
        subprocess.run(command, env=_environment(setting, url), check=True, cwd=setting.folder, capture_output=True)
        yield url
