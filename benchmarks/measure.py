"""The cost of whole processes, measured from outside, in pairs with a baseline."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """The cost of a process.

    Attributes:
        wall: Seconds from its start to its end.
        cpu: Seconds of processor time, its own and the system's for it.
        peak: Peak memory in MiB.
    """

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str], env: Mapping[str, str], *, cwd: Path, output: Path = Path(os.devnull)) -> Cost:
    """Run a command to its end and return its cost.

    Args:
        command: The program and its arguments.
        env: Its environment.
        cwd: The folder it runs in.
        output: Where its stdout goes.

    Raises:
        RuntimeError: The command failed, so its cost means nothing.
    """
    with output.open("wb") as stdout, tempfile.TemporaryFile() as stderr:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            stderr.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {process.returncode}\n{stderr.read().decode()[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(contestants: Mapping[str, Callable[[], Cost]], times: int) -> dict[str, list[Cost]]:
    """Run contestants in turn, several times, after a first round that does not count.

    Taking turns spreads a slowdown of the machine over all of them.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for number in range(times + 1):
        for name, contestant in contestants.items():
            cost = contestant()
            if number:
                costs[name].append(cost)
    return costs


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(*(statistics.median(values) for values in zip(*costs)))


def ratio(ours: Sequence[Cost], theirs: Sequence[Cost], figure: str = "wall") -> float:
    """Return the median over the pairs of ours divided by theirs."""
    return statistics.median(getattr(a, figure) / getattr(b, figure) for a, b in zip(ours, theirs))
