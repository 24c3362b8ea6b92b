"""Decides which requests get a fault, and how the fault changes the answer.

The fault of the n-th attempt at a request depends only on the seed, the request and n, not on the order of threads
or on durations. So a client with the same file and the same seed gets the same faults, with any number of
connections. Only the steps of a plan begin and end by the clock or the number of requests.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Callable

from cms_cli.sandbox.answers import Answer, Headers, error, error_body, json_answer, redirect, web_page
from cms_cli.sandbox.fault_plan import FaultPlan
from cms_cli.sandbox.faults import REDIRECTS, SERVER_ERRORS, Fault

REDIRECTED = "/redirected"
"""The path of redirects' targets. A client that follows one gets a web page, and its attempt is recorded."""

_NS = 1_000_000_000


@dataclass(frozen=True)
class Injection:
    """The faults of one attempt.

    Attributes:
        fault: The fault that replaces the rules or follows them, or ``None``.
        status: The status that the fault sends; 0 if it has none.
        reset: Whether a drop resets the connection (RST) instead of closing it (FIN); both happen in practice.
        delay: The delay of the answer in seconds.
        idle: The seconds after which the idle connection is closed; ``None`` for the server's own limit.
    """

    fault: Fault | None = None
    status: int = 0
    reset: bool = False
    delay: float = 0.0
    idle: float | None = None

    @property
    def kind(self) -> str:
        """The fault's kind; "" if there is none."""
        return self.fault.kind if self.fault else ""

    @property
    def skips_rules(self) -> bool:
        """True if the rules are not applied and nothing is recorded."""
        return self.fault is not None and self.fault.group == "instead"

    @property
    def drops(self) -> bool:
        """True if the connection is ended without an answer."""
        return self.kind.startswith("drop")

    @property
    def body_seconds(self) -> float:
        """The seconds over which the answer's body is sent."""
        return self.fault.value or 0.0 if self.fault and self.kind == "slow-body" else 0.0

    def answer_instead(self, path: str) -> Answer:
        """Return the answer of a fault that skips the rules."""
        if self.kind == "html":
            return web_page(self.status)
        if self.kind in ("blank", "drop-before"):
            return Answer(self.status)
        if self.kind == "redirect":
            return redirect(self.status, f"{REDIRECTED}{path}")
        if self.kind == "soft-error" and self.fault:
            return json_answer(200, error_body(int(self.fault.value or 0), "Refused by the sandbox's faults"))
        return self._error()

    def change(self, answer: Answer) -> Answer:
        """Return the rules' answer as the fault changes it."""
        if self.kind.endswith("-after") and self.status:
            return self._error()
        if self.kind == "garbled":
            return replace(answer, body=answer.body[: len(answer.body) // 2] or b"{")
        return answer

    def _error(self) -> Answer:
        seconds = self.fault.value if self.fault else None
        retry_after: Headers = () if seconds is None else (("Retry-After", str(math.ceil(seconds))),)
        return error(self.status, f"Status {self.status} from the sandbox's faults", headers=retry_after)


NO_FAULT = Injection()


def request_key(route: str, event: Mapping[str, Any] | None, raw: bytes) -> str:
    """Return the key that all attempts at a request share: a sale's invoice, else all fields except the timestamp.

    The timestamp may be the time of sending, which differs between runs.
    """
    if event is None:
        return blake2b(raw, digest_size=16).hexdigest()
    if route == "sale" and isinstance(event.get("invoiceId"), str):
        return json.dumps(event["invoiceId"])
    return json.dumps({name: value for name, value in event.items() if name != "timestamp"}, sort_keys=True)


class FaultInjector:
    """Decides the faults of every attempt. Thread-safe."""

    def __init__(self, plan: FaultPlan, clock_ns: Callable[[], int]) -> None:
        self._plan = plan
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._attempts: dict[bytes, int] = {}
        self._requests = 0
        self._started_ns = 0
        all_faults = plan.faults + tuple(fault for step in plan.steps for fault in step.faults)
        self._longest = max((fault.times for fault in all_faults), default=1)

    def decide(self, route: str, event: Mapping[str, Any] | None, raw: bytes) -> Injection:
        """Count an attempt and return its faults.

        Args:
            route: ``"lead"`` or ``"sale"``.
            event: The JSON object in the body, or ``None``.
            raw: The body.
        """
        if not self._plan:
            return NO_FAULT
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
        """Return the fault that this attempt draws, or one that an earlier attempt drew for several attempts."""
        exclusive = [fault for fault in faults if fault.group != "beside"]
        for age in range(min(self._longest, attempt)):
            drawn = _draw(key, attempt - age, "strike")
            for fault in exclusive:
                if drawn < fault.rate:
                    if age < fault.times:
                        return fault
                    break
                drawn -= fault.rate
        return None

    def _beside(self, kind: str, faults: list[Fault], key: str, attempt: int) -> list[Fault]:
        return [
            fault
            for fault in faults
            if fault.kind == kind
            and any(_draw(key, attempt - age, kind) < fault.rate for age in range(min(fault.times, attempt)))
        ]


def _draw(key: str, attempt: int, purpose: str) -> float:
    """Return a number in [0, 1), which depends only on the arguments."""
    digest = blake2b(f"{purpose}|{attempt}|{key}".encode(), digest_size=7).digest()
    # Use 53 bits, the precision of a float; more could be rounded up to 1.
    return (int.from_bytes(digest, "big") >> 3) / 2.0**53


def _status_of(fault: Fault, drawn: float) -> int:
    kind = fault.kind.replace("-after", "")
    if kind == "5xx":
        return SERVER_ERRORS[int(drawn * len(SERVER_ERRORS))]
    if kind.isdigit():
        return int(kind)
    if kind == "redirect" and fault.value is None:
        return REDIRECTS[int(drawn * len(REDIRECTS))]
    if kind == "soft-error":
        return 200
    return int(fault.value or 0)
