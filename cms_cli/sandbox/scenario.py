"""A scenario: faults by time and by event, in a TOML file.

::

    seed = 7
    faults = "5xx:0.05"               # on at all times; the language of cms_cli.sandbox.faults

    [[step]]                          # on from the 10th second to the 25th
    from_seconds = 10
    until_seconds = 25
    faults = "429@5"

    [[step]]                          # on for requests 100 to 119
    from_request = 100
    until_request = 120
    faults = "lead.drop-after:0.5"

    [[poison]]                        # always on for an event that has all of these values, by wire name
    match = { invoiceId = "inv_13" }
    fault = "500"                     # the default; its rate is not used
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cms_cli.sandbox.errors import OptionError
from cms_cli.sandbox.faults import parse_fault, parse_faults
from cms_cli.sandbox.fields import FIELDS
from cms_cli.sandbox.plan import FaultPlan, Poison, Step

_TOP = {"seed": int, "faults": str, "step": list, "poison": list}
_STEP = {
    "from_seconds": (int, float),
    "until_seconds": (int, float),
    "from_request": int,
    "until_request": int,
    "faults": str,
}
_POISON = {"match": dict, "fault": str}
_NAMES = tuple(field.name for field in FIELDS)


def load_scenario(path: Path) -> FaultPlan:
    """Read a scenario file.

    Raises:
        OptionError: It cannot be read, is not TOML, or has a key or value not as above; the message says where.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise OptionError(f"cannot read the scenario {path}: {problem.strerror or problem}") from problem
    except ValueError as problem:
        raise OptionError(f"the scenario {path} is not TOML: {problem}") from problem
    with _saying(f"the scenario {path}"):
        return _plan(table)


def _plan(table: Mapping[str, Any]) -> FaultPlan:
    _check("the file", table, _TOP)
    return FaultPlan(
        seed=table.get("seed", 0),
        faults=parse_faults(table.get("faults", "")),
        steps=tuple(_step(f"step {number}", step) for number, step in enumerate(table.get("step", []), 1)),
        poison=tuple(_poison(f"poison {number}", row) for number, row in enumerate(table.get("poison", []), 1)),
    )


def _step(where: str, table: Any) -> Step:
    _check(where, table, _STEP)
    with _saying(where):
        faults = parse_faults(table.get("faults", ""))
    if not faults:
        raise OptionError(f"{where} names no faults")
    for unit in ("seconds", "request"):
        first, end = table.get(f"from_{unit}"), table.get(f"until_{unit}")
        if first is not None and end is not None and not first < end:
            raise OptionError(f"{where} is never on: from_{unit} is {first} and until_{unit} is {end}")
    return Step(faults, **{name: table[name] for name in _STEP if name in table and name != "faults"})


def _poison(where: str, table: Any) -> Poison:
    _check(where, table, _POISON)
    match: dict[str, Any] | None = table.get("match")
    if not match:
        raise OptionError(f"{where} has no match, which would poison every event")
    for name, value in match.items():
        # Either would never match, and a test that waits for the fault would pass without having met it.
        if name not in _NAMES:
            raise OptionError(f"{where}: no event has a field {name!r}; there are {', '.join(_NAMES)}")
        if not isinstance(value, (str, int, float)):
            raise OptionError(f"{where}: {name} is text in quotes or a number")
    with _saying(where):
        fault = parse_fault(table.get("fault", "500"))
    if fault.group == "beside":
        raise OptionError(f"{where}: {fault.kind} alone makes nothing fail")
    return Poison(match, fault)


@contextmanager
def _saying(where: str) -> Iterator[None]:
    try:
        yield
    except OptionError as problem:
        raise OptionError(f"{where}: {problem}") from problem


def _check(where: str, table: Any, known: Mapping[str, Any]) -> None:
    if not isinstance(table, dict):
        raise OptionError(f"{where} is not a table")
    for name, value in table.items():
        if name not in known:
            raise OptionError(f"{where} has no {name!r}; there are {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, known[name]):
            raise OptionError(f"{where}: {name} cannot be {value!r}")
