"""Large files: checked, staged and resumed after a kill; and a journal with a long history."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from measure import Cost, in_turn, median, ratio, run
from setting import Setting
from table import Row

MILLION = 1_000_000


def check(setting: Setting, pairs: int) -> Iterator[Row]:
    """Check 300,000 rows and stage 60,000, compared with csv.reader; compare memory with 20,000 rows."""
    rows, staged = 300_000, 60_000
    with setting.sales(rows) as large, setting.sales(staged) as middle, setting.sales(20_000) as small:
        costs = in_turn(
            {
                "cms": lambda: _dry_run(setting, large),
                "csv": lambda: _read_alone(setting, large),
                "small": lambda: _dry_run(setting, small),
                "staged": lambda: _stage(setting, middle),
                "csv of the staged": lambda: _read_alone(setting, middle),
            },
            min(pairs, 5),
        )
    ours, reader = costs["cms"], costs["csv"]
    peak, less = median(ours).peak, median(costs["small"]).peak
    yield Row(
        "`--dry-run` of 300,000 rows",
        f"{median(ours).wall:.2f} s",
        f"`csv.reader` alone, {median(reader).wall:.2f} s",
        f"{ratio(ours, reader):.1f}x",
        f"{ratio(ours, reader, 'cpu'):.1f}x of CPU; {peak:.0f} MiB; {less:.0f} for 20,000 rows",
    )
    ours, reader = costs["staged"], costs["csv of the staged"]
    yield Row(
        f"{staged:,} rows staged, and the first one sent",
        f"{median(ours).wall:.2f} s",
        f"`csv.reader` alone, {median(reader).wall:.2f} s",
        f"{ratio(ours, reader):.1f}x",
        f"{median(ours).cpu:.2f} s of CPU",
    )


def growth(setting: Setting, pairs: int) -> Iterator[Row]:
    """Measure the time per row from 1,000 rows to a million, less what a single row costs."""
    for what, job, largest in (
        ("checking", _dry_run, MILLION),
        ("staging", _stage, MILLION),
        ("sending", _send_all, 100_000),
    ):
        for rows in (1000, 10_000, 100_000, MILLION):
            if rows > largest:
                continue
            times = {1000: min(pairs, 11), 10_000: min(pairs, 5)}.get(rows, 1)
            with setting.sales(1) as one, setting.sales(rows) as many:
                costs = in_turn({"one": partial(job, setting, one), "many": partial(job, setting, many)}, times)
            each = median([Cost(*(b - a for a, b in zip(*pair))) for pair in zip(costs["one"], costs["many"])])
            yield Row(
                f"{what} {rows:,} rows",
                f"{each.wall / rows * 1e6:.1f} µs a row",
                "",
                "",
                f"{each.cpu / rows * 1e6:.1f} µs of CPU; {median(costs['many']).peak:.0f} MiB",
            )


def million(setting: Setting, pairs: int) -> Iterator[Row]:
    """Stage a million rows, kill the process, and measure the time of a resume to its first answer."""
    del pairs
    with setting.sales(MILLION) as file, setting.sandbox() as url, setting.state() as state:
        command = [setting.program("cms", "cms"), "sale", "--from-csv", str(file), "--yes", "--json"]
        command += ["--rate", "none", "--host", url, "--state-dir", state]
        begin = time.perf_counter()
        staged = _killed_at_first_request(setting, command, Path(state)) - begin
        size = sum(each.stat().st_size for each in Path(state).rglob("*")) / MILLION
        yield Row("1,000,000 rows read, checked and staged", f"{staged:.1f} s", "", "", f"{size:.0f} bytes a row")
        name = _read(state, "SELECT name FROM runs")[0]
        resume = [command[0], "runs", "resume", name, "--json", "--rate", "none", "--state-dir", state]
        for what, again in (("`cms runs resume`", resume), ("the same command", command)):
            begin = time.perf_counter()
            first = _killed_at_first_request(setting, again, Path(state)) - begin
            yield Row(f"{what} after a kill, to the first answer", f"{first:.2f} s")


def history(setting: Setting, pairs: int) -> Iterator[Row]:
    """Use a journal with a finished run of a million sales, compared with an empty one."""
    with setting.sales(100) as file, tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        empty, full = Path(folder, "empty"), Path(folder, "full")
        with setting.sandbox() as url:
            _send(setting, file, url, full)
        _grow(full)
        for what, listing in (("a new run of 100 rows", False), ("`cms runs list`", True)):

            def new(state: Path, listing: bool = listing) -> Cost:
                if listing:
                    command = [setting.program("cms", "cms"), "runs", "list", "--json", "--state-dir", str(state)]
                    return run(command, setting.env, cwd=setting.folder)
                with setting.sandbox() as url:
                    return _send(setting, file, url, state, "--fresh")

            costs = in_turn({"full": lambda: new(full), "empty": lambda: new(empty)}, min(pairs, 7))
            full_cost, empty_cost = costs["full"], costs["empty"]
            yield Row(
                f"{what}, a million sales in the journal",
                f"{median(full_cost).wall * 1000:.0f} ms",
                f"an empty journal, {median(empty_cost).wall * 1000:.0f} ms",
                f"{ratio(full_cost, empty_cost):.2f}x",
            )


def _dry_run(setting: Setting, file: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=setting.folder) as state:
        command = [setting.program("cms", "cms"), "sale", "--from-csv", str(file), "--dry-run", "--json"]
        return run([*command, "--state-dir", state], setting.env, cwd=setting.folder)


def _read_alone(setting: Setting, file: Path) -> Cost:
    return run([*setting.peer("cms", "csv_reader.py"), str(file)], setting.env, cwd=setting.folder)


def _send(setting: Setting, file: Path, url: str, state: Path, *flags: str) -> Cost:
    command = [setting.program("cms", "cms"), "sale", "--from-csv", str(file), "--yes", "--json", "--rate", "none"]
    return run([*command, "--host", url, "--state-dir", str(state), *flags], setting.env, cwd=setting.folder)


def _stage(setting: Setting, file: Path) -> Cost:
    """Stage a file and send its first row."""
    with setting.sandbox() as url, setting.state() as state:
        return _send(setting, file, url, Path(state), "--limit", "1")


def _send_all(setting: Setting, file: Path) -> Cost:
    with setting.sandbox() as url, setting.state() as state:
        return _send(setting, file, url, Path(state))


def _killed_at_first_request(setting: Setting, command: list[str], state: Path) -> float:
    """Run a command, kill it once its first request is answered, and return the time of the kill."""
    before = _accepted(state)
    with subprocess.Popen(
        command, env=setting.env, cwd=setting.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while _accepted(state) == before:
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
            time.sleep(0.01)
        at = time.perf_counter()
        os.kill(process.pid, signal.SIGKILL)
    return at


def _accepted(state: Path) -> int:
    try:
        return int(_read(str(state), "SELECT count(*) FROM accepted_sales")[0])
    except sqlite3.OperationalError:  # no journal yet
        return 0


def _read(state: str, query: str) -> tuple[str, ...]:
    with sqlite3.connect(f"file:{state}/journal.sqlite3?mode=ro", uri=True) as db:
        return tuple(str(value) for (value,) in db.execute(query))


def _grow(state: Path) -> None:
    """Copy rows until the journal's finished run and its ledger have a million each."""
    with sqlite3.connect(state / "journal.sqlite3", isolation_level=None) as db:
        db.execute("BEGIN")
        _multiply(db, "rows", {"row": "n", "line": "n + 1"})
        _multiply(db, "accepted_sales", {"invoice": "CAST(printf('%016d', n) AS BLOB)"})
        db.execute("COMMIT")
    db.close()


def _multiply(db: sqlite3.Connection, table: str, made: dict[str, str]) -> None:
    names = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(made.get(name, name) for name in names)
    db.execute(
        f"WITH RECURSIVE count(n) AS (SELECT 101 UNION ALL SELECT n + 1 FROM count WHERE n < {MILLION})"
        f" INSERT INTO {table} SELECT {values} FROM count, (SELECT * FROM {table} LIMIT 1)"
    )
