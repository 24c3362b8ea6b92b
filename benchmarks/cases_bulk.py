"""Files of sales: sent as fast as possible, to a slow service, and under a rate limit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from measure import Cost, in_turn, median, ratio, run
from setting import Setting
from table import Row


def bulk(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send 5,000 sales with the journal on, compared with bare loops that keep no record."""
    rows = 5000
    with setting.sales(rows) as file:
        costs = in_turn(
            {
                "cms": lambda: _replay(setting, file),
                "requests.Session": lambda: _loop(setting, "cms", "session_loop.py", file),
                "the published client": lambda: _loop(setting, "published", "published_loop.py", file),
                "one at a time": lambda: _replay(setting, file, "--concurrency", "1"),
            },
            pairs,
        )
    ours = costs.pop("cms")
    for name in ("requests.Session", "the published client"):
        yield Row(
            "5,000 sales, no limit",
            _per_second(ours, rows),
            f"a loop with {name}, {_per_second(costs[name], rows)}",
            f"{1 / ratio(ours, costs[name]):.2f}x as fast",
            f"{_cpu(ours, rows)} of CPU an event, the loop {_cpu(costs[name], rows)}",
        )
    alone = costs["one at a time"]
    yield Row(
        "the same, default concurrency",
        _cpu(ours, rows),
        f"`--concurrency 1`, {_cpu(alone, rows)}",
        f"{ratio(ours, alone, 'cpu'):.2f}x",
        "CPU an event",
    )


def slow(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send 4,000 sales to a service that takes 50 ms, 16 requests in flight."""
    rows, late, flights = 4000, 0.05, 16
    ideal = rows / flights * late
    with setting.sales(rows) as file:
        flags = ("--concurrency", str(flights))
        costs = [_replay(setting, file, *flags, sandbox=("--latency", str(late * 1000))) for _ in range(pairs)]
    took = median(costs)
    yield Row(
        "4,000 sales at 50 ms, 16 in flight",
        f"{took.wall:.1f} s",
        f"ideal, {ideal:.2f} s",
        f"{ideal / took.wall:.0%} of it",
        f"{_cpu(costs, rows)} of CPU an event",
    )


def pace(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send under a scaled-down limit: 60 in 6 seconds, over 4 windows."""
    yield _paced(setting, min(pairs, 3), 240, "60/6s", 6.0)


def minutes(setting: Setting, pairs: int) -> Iterator[Row]:
    """Send at the documented limit: 60 a minute, over 3 minutes."""
    del pairs
    yield _paced(setting, 1, 240, "60/m", 60.0)


def _paced(setting: Setting, times: int, rows: int, limit: str, window: float) -> Row:
    ideal = (rows - 1) // 60 * window
    with setting.sales(rows) as file:
        unpaced = [_replay(setting, file) for _ in range(times)]
        paced = [_replay(setting, file, limit=limit) for _ in range(times)]
    beyond = (median(paced).cpu - median(unpaced).cpu) / rows * 1000
    return Row(
        f"{rows} sales at {limit}",
        f"{median(paced).wall:.2f} s",
        f"ideal, {ideal:.0f} s",
        f"{median(paced).wall / ideal:.3f}x",
        f"no 429; {beyond:.2f} ms of CPU an event beyond sending",
    )


def _loop(setting: Setting, environment: str, script: str, file: Path) -> Cost:
    with setting.sandbox() as url:
        return run([*setting.peer(environment, script), url, str(file)], setting.env, cwd=setting.folder)


def _replay(setting: Setting, file: Path, *flags: str, limit: str = "none", sandbox: tuple[str, ...] = ()) -> Cost:
    with setting.sandbox(*sandbox, limit=limit) as url, setting.state() as state:
        command = [setting.program("cms", "cms"), "sale", "--from-csv", str(file), "--yes", "--json"]
        command += ["--host", url, "--rate", limit, "--state-dir", state, *flags]
        cost = run(command, setting.env, cwd=setting.folder)
        with closing(sqlite3.connect(Path(state) / "journal.sqlite3")) as db:
            if db.execute("SELECT max(attempts) FROM rows").fetchone() != (1,):
                raise RuntimeError("a row took more than one attempt: the limit was not kept")
        return cost


def _per_second(costs: list[Cost], rows: int) -> str:
    return f"{rows / median(costs).wall:,.0f}/s"


def _cpu(costs: list[Cost], rows: int) -> str:
    return f"{median(costs).cpu / rows * 1000:.2f} ms"
