"""Helpers for tests in which machines move their state into a shared database."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from faultserver import FaultServer
from program import Program

SALES = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
LEADS = "event_name,customer_external_id,click_id\n"
TIMED = "event_name,customer_external_id,click_id,timestamp\n"


def write(home: Path, name: str, text: str) -> str:
    path = home / name
    path.write_text(text)
    return str(path)


def sales(home: Path, numbers: range, name: str = "sales.csv", amount: int = 499) -> str:
    return write(home, name, SALES + "".join(f"c{n},buy,u{n},inv{n},{amount},EUR\n" for n in numbers))


def leads(home: Path, text: str, name: str = "leads.csv") -> str:
    return write(home, name, LEADS + "".join(f"signup,{each},c{each}\n" for each in text))


def customers(service: FaultServer) -> Counter[str]:
    return Counter(request.json["customerExternalId"] for request in service.requests)


def shared_of(machine: Program) -> dict[str, str]:
    found: dict[str, str] = machine.shared  # type: ignore[attr-defined]
    return found


def imported(machine: Program, *flags: str) -> dict[str, object]:
    result = machine("state", "import", "--json", *flags, env=shared_of(machine))
    assert result.code == 0, result.stderr
    found: dict[str, object] = result.json
    return found


_PAUSED = """
import sys, time
from importlib import import_module
from pathlib import Path

module, names, folder = sys.argv[1:4]
owner = import_module(f"cms_cli.replay.{module}")
*path, name = names.split(".")
for each in path:
    owner = getattr(owner, each)
real = getattr(owner, name)


def paused(*given, **named):
    setattr(owner, name, real)
    Path(folder, "reached").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.01)
    return real(*given, **named)


setattr(owner, name, paused)
sys.argv[1:] = sys.argv[4:]
from cms_cli.__main__ import run

run()
"""


class Paused:
    """The program as a process that is paused.

    Attributes:
        process: The process.
        code: Its exit code, once it was resumed.
        stderr: Its output to stderr, once it was resumed.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self._folder = folder
        self.code = -1
        self.stderr = ""

    def go_on(self) -> None:
        """Resume the process and wait for its end."""
        (self._folder / "go").touch()
        _, self.stderr = self.process.communicate(timeout=60)
        self.code = self.process.returncode


@contextmanager
def paused(
    machine: Program,
    module: str,
    names: str,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    first: str = "",
) -> Iterator[Paused]:
    """Run the program and pause it at its first call of a function in a module of the replay.

    Args:
        machine: The machine that runs it.
        module: The module, below ``cms_cli.replay``.
        names: The function, or a class and its method with a dot between.
        arguments: Those of the command line.
        env: Additional variables.
        first: Python code to run before.
    """
    folder = machine.home / f"paused-at-{names}"
    folder.mkdir()
    process = machine.launch("-c", first + _PAUSED, module, names, str(folder), *arguments, env=env)
    try:
        give_up = time.monotonic() + 60
        while not (folder / "reached").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.01)
        yield Paused(process, folder)
    finally:
        process.kill()
        process.communicate()
