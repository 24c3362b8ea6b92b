"""The faults that a sandbox can inject, and the language in which they are written.

``--fault '5xx:0.1,drop-after:0.02'`` has two faults, separated by a comma. A fault is written as::

    [ROUTE.]KIND[:RATE][@VALUE[~JITTER]][xTIMES]

``ROUTE`` is ``lead`` or ``sale`` (default: both). ``RATE`` is from 0 to 1 (default: 1, always). The meaning of
``VALUE`` depends on the kind. With ``xTIMES``, a fault that strikes a request also strikes its following attempts,
up to so many in all.

=================== ======================================================= ========================
kind                what happens                                            VALUE
=================== ======================================================= ========================
latency             recorded at once, answered late                         milliseconds, ~ jitter
400 401 403 404 409 nothing recorded, this status in the contract's shape   Retry-After, seconds
422 429 500 502 503 (alike; 429 without VALUE asks for 1 second)            (alike)
504                 (alike)                                                 (alike)
5xx                 one of 500, 502, 503, 504                               Retry-After, seconds
5xx-after 500-after recorded, and a 5xx all the same                        Retry-After, seconds
502-after 503-after (alike)                                                 (alike)
504-after           (alike)                                                 (alike)
drop-before         nothing recorded, connection closed or reset            -
drop-after          recorded, connection closed or reset without an answer  -
half                recorded, half of the answer, connection closed         -
garbled             recorded, the answer's JSON is cut short                -
slow-body           recorded, the answer trickles in                        seconds in all (1)
html                nothing recorded, a web page                            status (200)
blank               nothing recorded, no body                               status (502)
redirect            nothing recorded, a redirect to a web page              status (301, 302 or 308)
soft-error          nothing recorded, a 200 whose body says no              statusCode in it (422)
idle-close          answered; later the idle connection is closed           seconds idle (1)
=================== ======================================================= ========================

Apart from ``latency`` and ``idle-close``, at most one fault strikes a request. So rates add up: with
``5xx:0.1,drop-after:0.02``, 88 of 100 requests have no fault, and a sum above 1 is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cms_cli.sandbox.errors import OptionError
from cms_cli.sandbox.rules import ROUTES

SERVER_ERRORS = (500, 502, 503, 504)
REDIRECTS = (301, 302, 308)
_STATUSES = (400, 401, 403, 404, 409, 422, 429, *SERVER_ERRORS)
_DAY = 86_400.0  # seconds


class Kind(NamedTuple):
    """A kind of fault: when it acts, and the values that it takes.

    Attributes:
        group: ``"instead"`` of the rules, ``"after"`` them, or ``"beside"`` either.
        default: The default value; ``None`` for no value.
        low, high: The bounds of the value; with ``high`` 0 the kind takes no value.
        is_status: Whether the value is a status, and so a whole number.
        never: Statuses within the bounds that are not allowed.
        why: The reason why they are not allowed.
    """

    group: str
    default: float | None = None
    low: float = 0.0
    high: float = 0.0
    is_status: bool = False
    never: tuple[int, ...] = ()
    why: str = ""

    def check(self, value: float) -> str | None:
        """Return the problem of a value, or ``None``."""
        if self.high == 0:
            return "it takes no value"
        if not self.low <= value <= self.high:
            return f"its value is from {self.low:g} to {self.high:g}"
        if self.is_status and not value.is_integer():
            return "a status is a whole number"
        if value in self.never:
            return self.why
        return None


KINDS: Mapping[str, Kind] = {
    "latency": Kind("beside", 100.0, 0.0, _DAY * 1000),
    "idle-close": Kind("beside", 1.0, 0.0, _DAY),
    **{str(status): Kind("instead", 1.0 if status == 429 else None, 0.0, _DAY) for status in _STATUSES},
    "5xx": Kind("instead", None, 0.0, _DAY),
    "drop-before": Kind("instead"),
    "html": Kind("instead", 200.0, 200.0, 599.0, True, (204, 205, 304), "an answer with it has no body"),
    "blank": Kind("instead", 502.0, 400.0, 599.0, True),
    "redirect": Kind("instead", None, 301.0, 308.0, True, (304, 305, 306), "it is not a redirect"),
    "soft-error": Kind("instead", 422.0, 400.0, 599.0, True),
    "5xx-after": Kind("after", None, 0.0, _DAY),
    **{f"{status}-after": Kind("after", None, 0.0, _DAY) for status in SERVER_ERRORS},
    "drop-after": Kind("after"),
    "half": Kind("after"),
    "garbled": Kind("after"),
    "slow-body": Kind("after", 1.0, 0.0, _DAY),
}
"""The kinds of faults in the table above, by name."""

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9}"
_FAULT = re.compile(
    rf"(?:(?P<route>[a-z]+)\.)?(?P<kind>[0-9a-z-]+?)(?::(?P<rate>{_NUMBER}))?"
    rf"(?:@(?P<value>{_NUMBER})(?:~(?P<jitter>{_NUMBER}))?)?(?:x(?P<times>[0-9]{{1,6}}))?"
)


@dataclass(frozen=True)
class Fault:
    """One fault of the language above.

    Attributes:
        kind: A key of :data:`KINDS`.
        rate: The rate of requests that it strikes, from 0 to 1.
        value: The value in the kind's own unit; ``None`` for the kind's default.
        jitter: The most by which a latency differs from ``value``, in milliseconds.
        times: The number of consecutive attempts at a request that it strikes.
        route: ``"lead"``, ``"sale"``, or ``None`` for both.

    Raises:
        OptionError: A part has a bad value; the message says which values are allowed.
    """

    kind: str
    rate: float = 1.0
    value: float | None = None
    jitter: float = 0.0
    times: int = 1
    route: str | None = None

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise OptionError(f"no such fault: {self.kind!r}; there are {', '.join(KINDS)}")
        if self.value is None:
            object.__setattr__(self, "value", kind.default)
        elif problem := kind.check(self.value):
            raise OptionError(f"{self.kind} cannot have the value {self.value:g}: {problem}")
        if self.route not in (None, *ROUTES.values()):
            raise OptionError(f"no such route: {self.route!r}; there are {', '.join(ROUTES.values())}")
        if not 0 <= self.rate <= 1:
            raise OptionError(f"a rate is from 0 to 1, not {self.rate:g}")
        if self.times < 1:
            raise OptionError(f"a fault goes on for 1 attempt or more, not {self.times}")
        if self.jitter and self.kind != "latency":
            raise OptionError("only latency takes a jitter")

    @property
    def group(self) -> str:
        """``"instead"``, ``"after"`` or ``"beside"``."""
        return KINDS[self.kind].group

    def concerns(self, route: str) -> bool:
        """Return True if the fault may strike requests of a route (``"lead"`` or ``"sale"``)."""
        return self.route in (None, route)


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Parse faults in the language above; blank text means no faults.

    Raises:
        OptionError: A fault cannot be parsed, or the rates of exclusive faults add up to more than 1.
    """
    parts = [part.strip() for part in text.split(",")]
    faults = tuple(parse_fault(part) for part in parts if part)
    check_rates(faults)
    return faults


def parse_fault(text: str) -> Fault:
    """Parse one fault.

    Raises:
        OptionError: The fault cannot be parsed.
    """
    match = _FAULT.fullmatch(text)
    if match is None:
        raise OptionError(f"not a fault: {text!r}; write KIND:RATE, like 5xx:0.1 or lead.latency@200~50")
    try:
        return Fault(
            match["kind"],
            rate=float(match["rate"] or 1),
            value=None if match["value"] is None else float(match["value"]),
            jitter=float(match["jitter"] or 0),
            times=int(match["times"] or 1),
            route=match["route"],
        )
    except OptionError as problem:
        raise OptionError(f"in the fault {text!r}: {problem}") from None


def check_rates(faults: tuple[Fault, ...]) -> None:
    """Refuse exclusive faults whose rates add up to more than 1 on a route.

    Raises:
        OptionError: The rates add up to more than 1.
    """
    for route in ROUTES.values():
        total = sum(fault.rate for fault in faults if fault.group != "beside" and fault.concerns(route))
        if total > 1 + 1e-9:
            raise OptionError(f"the fault rates of {route}s add up to {total:g}, which is more than 1")
