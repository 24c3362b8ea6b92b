"""The plan of when faults are on: always, for a while, or for some events. It is built from options, code or TOML.

The file of ``--scenario`` may have any of these::

    seed = 7
    faults = "5xx:0.05"               # always on; in the language of cms_cli.sandbox.faults

    [[step]]                          # on from the 10th second to the 25th
    from_seconds = 10
    until_seconds = 25
    faults = "429@5"

    [[step]]                          # on for requests 100 to 119
    from_request = 100
    until_request = 120
    faults = "lead.drop-after:0.5"

    [[poison]]                        # always on for events that have all of these values, by wire name
    match = { invoiceId = "inv_13" }
    fault = "500"                     # the default; its rate is ignored
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cms_cli.sandbox.errors import OptionError
from cms_cli.sandbox.faults import KINDS, Fault, check_rates, parse_fault, parse_faults
from cms_cli.sandbox.fields import FIELDS


@dataclass(frozen=True)
class Step:
    """Faults that are on for a while.

    Seconds and requests are counted from the first request that passes the checks of token and rate limit; its
    number is 1. A step includes its beginning but not its end; ``None`` means without a limit.

    Raises:
        OptionError: The rates of its faults add up to more than 1.
    """

    faults: tuple[Fault, ...]
    from_seconds: float | None = None
    until_seconds: float | None = None
    from_request: int | None = None
    until_request: int | None = None

    def __post_init__(self) -> None:
        check_rates(self.faults)

    def active(self, seconds: float, number: int) -> bool:
        """Return True if the step is on at a time and for the request with a number."""
        return (
            (self.from_seconds is None or seconds >= self.from_seconds)
            and (self.until_seconds is None or seconds < self.until_seconds)
            and (self.from_request is None or number >= self.from_request)
            and (self.until_request is None or number < self.until_request)
        )


@dataclass(frozen=True)
class Poison:
    """A fault for every event whose fields equal all of ``match`` (wire name to value).

    Raises:
        OptionError: The fault is one that only accompanies others (``latency``, ``idle-close``).
    """

    match: Mapping[str, object]
    fault: Fault = field(default_factory=lambda: Fault("500"))

    def __post_init__(self) -> None:
        if self.fault.group == "beside":
            raise OptionError(f"{self.fault.kind} alone makes nothing fail")

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Return True if an event has all values; ``True`` does not equal ``1`` here."""
        return all(
            name in event and event[name] == value and isinstance(event[name], bool) == isinstance(value, bool)
            for name, value in self.match.items()
        )


@dataclass(frozen=True)
class FaultPlan:
    """All faults of a sandbox. In order of precedence: poison, steps in their order, faults.

    Attributes:
        seed: The seed of all random choices.
        faults: The faults that are always on.
        steps: The faults that are on for a while.
        poison: The faults that are on for some events.

    Raises:
        OptionError: The rates of the faults that are always on add up to more than 1.
    """

    seed: int = 0
    faults: tuple[Fault, ...] = ()
    steps: tuple[Step, ...] = ()
    poison: tuple[Poison, ...] = ()

    def __post_init__(self) -> None:
        check_rates(self.faults)

    def __bool__(self) -> bool:
        return bool(self.faults or self.steps or self.poison)

    def with_options(
        self,
        *,
        faults: tuple[Fault, ...] = (),
        latency_ms: float = 0.0,
        fail: float = 0.0,
        drop: float = 0.0,
        seed: int | None = None,
    ) -> FaultPlan:
        """Return the plan with the options of a :class:`cms_cli.sandbox.SandboxServer` added to it.

        Args:
            faults: Further faults that are always on.
            latency_ms: The delay of every answer in milliseconds.
            fail: The rate of 5xx answers, from 0 to 1.
            drop: The rate of dropped connections, from 0 to 1.
            seed: The seed, or ``None`` to keep the plan's.

        Raises:
            OptionError: A number is out of its range, or rates add up to more than 1.
        """
        longest = KINDS["latency"].high
        # Written so that nan is refused: every comparison with it is false.
        if not (0 <= latency_ms <= longest and 0 <= fail <= 1 and 0 <= drop <= 1):
            raise OptionError(f"a latency is from 0 to {longest:.0f} milliseconds, and a rate is from 0 to 1")
        added: list[Fault] = []
        if latency_ms:
            added.append(Fault("latency", value=latency_ms))
        if fail:
            added.append(Fault("5xx", rate=fail))
        if drop:
            # Half of the drops come after recording the event, which a client cannot tell.
            added += [Fault("drop-before", rate=drop / 2), Fault("drop-after", rate=drop / 2)]
        return replace(self, seed=self.seed if seed is None else seed, faults=(*self.faults, *added, *faults))


_TOP = {"seed": int, "faults": str, "step": list, "poison": list}
_STEP = {
    "from_seconds": (int, float),
    "until_seconds": (int, float),
    "from_request": int,
    "until_request": int,
    "faults": str,
}
_POISON = {"match": dict, "fault": str}
_NAMES = tuple(each.name for each in FIELDS)


def load_scenario(path: Path) -> FaultPlan:
    """Read a plan from a TOML file.

    Raises:
        OptionError: The file cannot be read, is not TOML, or has a bad key or value; the message says where.
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
    with _naming(f"the scenario {path}"):
        _check_keys("the file", table, _TOP)
        return FaultPlan(
            seed=table.get("seed", 0),
            faults=parse_faults(table.get("faults", "")),
            steps=tuple(_step(f"step {number}", step) for number, step in enumerate(table.get("step", []), 1)),
            poison=tuple(_poison(f"poison {number}", row) for number, row in enumerate(table.get("poison", []), 1)),
        )


def _step(where: str, table: Any) -> Step:
    _check_keys(where, table, _STEP)
    with _naming(where):
        faults = parse_faults(table.get("faults", ""))
    if not faults:
        raise OptionError(f"{where} names no faults")
    for unit in ("seconds", "request"):
        first, end = table.get(f"from_{unit}"), table.get(f"until_{unit}")
        if first is not None and end is not None and not first < end:
            raise OptionError(f"{where} is never on: from_{unit} is {first} and until_{unit} is {end}")
    return Step(**{**table, "faults": faults})


def _poison(where: str, table: Any) -> Poison:
    _check_keys(where, table, _POISON)
    match: dict[str, Any] | None = table.get("match")
    if not match:
        raise OptionError(f"{where} has no match, which would poison every event")
    for name, value in match.items():
        # Such a condition would never match, and a test would pass without the fault.
        if name not in _NAMES:
            raise OptionError(f"{where}: no event has a field {name!r}; there are {', '.join(_NAMES)}")
        if not isinstance(value, (str, int, float)):
            raise OptionError(f"{where}: {name} is text in quotes or a number")
    with _naming(where):
        return Poison(match, parse_fault(table.get("fault", "500")))


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Prefix the messages of errors with their place."""
    try:
        yield
    except OptionError as problem:
        raise OptionError(f"{where}: {problem}") from problem


def _check_keys(where: str, table: Any, known: Mapping[str, Any]) -> None:
    if not isinstance(table, dict):
        raise OptionError(f"{where} is not a table")
    for name, value in table.items():
        if name not in known:
            raise OptionError(f"{where} has no {name!r}; there are {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, known[name]):
            raise OptionError(f"{where}: {name} cannot be {value!r}")
