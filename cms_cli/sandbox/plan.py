"""Which fault strikes which request: a plan, and dice that are thrown from a seed.

What happens to the n-th attempt at a request depends on the seed, the request and n, and on nothing else: not on
the order in which threads come through, nor on how long anything takes. So the same client with the same file and
the same seed meets the same faults, however many connections it uses. Steps of a scenario are the exception: they
begin and end by the clock or by the number of requests, since that is what they are for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Callable

from cms_cli.sandbox.errors import OptionError
from cms_cli.sandbox.faults import KINDS, REDIRECTS, SERVER_ERRORS, Fault, check_rates

_NS = 1_000_000_000


@dataclass(frozen=True)
class Step:
    """Faults for a while.

    Seconds count from the first request that gets past the token and the rate limit, and that request is number 1.
    The beginning is part of the step, the end is not; ``None`` is open.
    """

    faults: tuple[Fault, ...]
    from_seconds: float | None = None
    until_seconds: float | None = None
    from_request: int | None = None
    until_request: int | None = None

    def active(self, seconds: float, number: int) -> bool:
        """Whether the step is on."""
        return (
            (self.from_seconds is None or seconds >= self.from_seconds)
            and (self.until_seconds is None or seconds < self.until_seconds)
            and (self.from_request is None or number >= self.from_request)
            and (self.until_request is None or number < self.until_request)
        )


@dataclass(frozen=True)
class Poison:
    """An event that always meets its fault: one whose fields equal all of ``match`` (wire name to value)."""

    match: Mapping[str, object]
    fault: Fault = field(default_factory=lambda: Fault("500"))

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether this event is the one. ``True`` is not ``1`` here."""
        return all(
            name in event and event[name] == value and isinstance(event[name], bool) == isinstance(value, bool)
            for name, value in self.match.items()
        )


@dataclass(frozen=True)
class FaultPlan:
    """Everything that is to go wrong. The first of these that applies wins: poison, steps in their order, faults.

    Attributes:
        seed: Of the dice.
        faults: On at all times.
        steps: On for a while.
        poison: On for some events.
    """

    seed: int = 0
    faults: tuple[Fault, ...] = ()
    steps: tuple[Step, ...] = ()
    poison: tuple[Poison, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.faults or self.steps or self.poison)

    def plus(self, faults: tuple[Fault, ...]) -> FaultPlan:
        """The same plan with more faults that are on at all times.

        Raises:
            OptionError: The rates add up to more than 1.
        """
        together = self.faults + faults
        check_rates(together)
        return FaultPlan(self.seed, together, self.steps, self.poison)


@dataclass(frozen=True)
class Injection:
    """What the dice said about one attempt.

    Attributes:
        fault: What strikes instead of the answer or after it, if anything.
        status: For faults with a status: the one to send.
        reset: For drops: reset the connection (RST) rather than close it (FIN); either happens in the wild.
        delay: Seconds by which the answer is late.
        idle: Seconds after which the connection is closed when idle; ``None`` leaves that to the server.
    """

    fault: Fault | None = None
    status: int = 0
    reset: bool = False
    delay: float = 0.0
    idle: float | None = None


NOTHING = Injection()


def request_key(route: str, event: Mapping[str, Any] | None, raw: bytes) -> str:
    """What makes two requests attempts at the same thing: a sale's invoice, else all fields but the timestamp.

    The timestamp is left out because it may be the time of sending, which is another one in every run.
    """
    if event is None:
        return blake2b(raw, digest_size=16).hexdigest()
    if route == "sale" and isinstance(event.get("invoiceId"), str):
        return json.dumps(event["invoiceId"])
    return json.dumps({name: value for name, value in event.items() if name != "timestamp"}, sort_keys=True)


class Dice:
    """Decides for every attempt, and counts attempts to do so. Safe to use from many threads."""

    def __init__(self, plan: FaultPlan, clock_ns: Callable[[], int]) -> None:
        self._plan = plan
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._attempts: dict[bytes, int] = {}
        self._requests = 0
        self._started_ns = 0
        all_faults = plan.faults + tuple(fault for step in plan.steps for fault in step.faults)
        self._longest = max((fault.times for fault in all_faults), default=1)

    def throw(self, route: str, event: Mapping[str, Any] | None, raw: bytes) -> Injection:
        """What happens to this attempt.

        Args:
            route: ``"lead"`` or ``"sale"``.
            event: The body's JSON object, if it has one.
            raw: The body.
        """
        if not self._plan:
            return NOTHING
        key = f"{self._plan.seed}|{route}|{request_key(route, event, raw)}"
        number, seconds, attempt = self._count(key)
        faults = self._active(route, number, seconds)
        fault = self._poison(route, event) or self._strike(faults, key, attempt)
        delay = sum(
            max(0.0, (hit.value or 0) + hit.jitter * (2 * _draw(key, attempt, f"jitter{hit.value}") - 1)) / 1000
            for hit in self._beside("latency", faults, key, attempt)
        )
        idle = [hit.value or 0.0 for hit in self._beside("idle-close", faults, key, attempt)]
        return Injection(
            fault,
            status=_status_of(fault, _draw(key, attempt, "status")) if fault else 0,
            reset=fault is not None and fault.kind.startswith("drop") and _draw(key, attempt, "reset") < 0.5,
            delay=delay,
            idle=min(idle, default=None),
        )

    def _count(self, key: str) -> tuple[int, float, int]:
        short = blake2b(key.encode(), digest_size=12).digest()
        with self._lock:
            now = self._clock_ns()
            if not self._requests:
                self._started_ns = now
            self._requests += 1
            attempt = self._attempts[short] = self._attempts.get(short, 0) + 1
            return self._requests, (now - self._started_ns) / _NS, attempt

    def _active(self, route: str, number: int, seconds: float) -> list[Fault]:
        found = [fault for step in self._plan.steps if step.active(seconds, number) for fault in step.faults]
        return [fault for fault in (*found, *self._plan.faults) if fault.concerns(route)]

    def _poison(self, route: str, event: Mapping[str, Any] | None) -> Fault | None:
        if event is None:
            return None
        faults = (poison.fault for poison in self._plan.poison if poison.matches(event))
        return next((fault for fault in faults if fault.concerns(route)), None)

    def _strike(self, faults: list[Fault], key: str, attempt: int) -> Fault | None:
        """The fault that this attempt's throw hits, or that an earlier attempt's hit and that goes on."""
        exclusive = [fault for fault in faults if fault.group != "beside"]
        for age in range(min(self._longest, attempt)):
            thrown = _draw(key, attempt - age, "strike")
            for fault in exclusive:
                if thrown < fault.rate:
                    if age < fault.times:
                        return fault
                    break
                thrown -= fault.rate
        return None

    def _beside(self, kind: str, faults: list[Fault], key: str, attempt: int) -> list[Fault]:
        return [
            fault
            for fault in faults
            if fault.kind == kind
            and any(_draw(key, attempt - age, kind) < fault.rate for age in range(min(fault.times, attempt)))
        ]


def _draw(key: str, attempt: int, purpose: str) -> float:
    """A number from 0 up to 1, the same for the same arguments on every machine."""
    digest = blake2b(f"{purpose}|{attempt}|{key}".encode(), digest_size=7).digest()
    # 53 bits: all that a float holds, so that no draw is rounded up to 1.
    return (int.from_bytes(digest, "big") >> 3) / 2.0**53


def _status_of(fault: Fault, thrown: float) -> int:
    kind = fault.kind.replace("-after", "")
    if kind == "5xx":
        return SERVER_ERRORS[int(thrown * len(SERVER_ERRORS))]
    if kind.isdigit():
        return int(kind)
    if kind == "redirect" and fault.value is None:
        return REDIRECTS[int(thrown * len(REDIRECTS))]
    if kind == "soft-error":
        return 200
    return int(fault.value or 0)


def plan_faults(
    plan: FaultPlan,
    *,
    faults: tuple[Fault, ...] = (),
    latency_ms: float = 0.0,
    fail: float = 0.0,
    drop: float = 0.0,
    seed: int | None = None,
) -> FaultPlan:
    """A plan (from a scenario, or an empty one) with the flags' faults on top.

    Args:
        plan: To start from.
        faults: More of them.
        latency_ms: Every answer is late by so many milliseconds.
        fail: The rate of 5xx answers.
        drop: The rate of dropped connections, half of them after recording: a client cannot tell which.
        seed: Of the dice; ``None`` keeps the plan's.

    Raises:
        OptionError: A number is out of its range, or the rates add up to more than 1.
    """
    longest = KINDS["latency"].high
    # Not the other way round: every comparison with nan is false.
    if not (0 <= latency_ms <= longest and 0 <= fail <= 1 and 0 <= drop <= 1):
        raise OptionError(f"a latency is from 0 to {longest:.0f} milliseconds, and a rate is from 0 to 1")
    extra: list[Fault] = []
    if latency_ms:
        extra.append(Fault("latency", value=latency_ms))
    if fail:
        extra.append(Fault("5xx", rate=fail))
    if drop:
        extra += [Fault("drop-before", rate=drop / 2), Fault("drop-after", rate=drop / 2)]
    together = plan.plus((*extra, *faults))
    return together if seed is None else FaultPlan(seed, together.faults, together.steps, together.poison)
