"""The faults that a sandbox can play, and the short language that names them.

``--fault '5xx:0.1,drop-after:0.02'``: faults with commas between. One fault is::

    [ROUTE.]KIND[:RATE][@VALUE[~JITTER]][xTIMES]

``ROUTE`` is ``lead`` or ``sale`` (default: both); ``RATE`` is from 0 to 1 (default 1: always); what ``VALUE`` means
depends on the kind; with ``xTIMES`` a fault that strikes a request goes on for so many attempts at that request.

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
slow-body           recorded, the answer comes in dribs                     seconds in all (1)
html                nothing recorded, a web page                            status (200)
blank               nothing recorded, no body                               status (502)
redirect            nothing recorded, a redirect to a web page              status (301, 302 or 308)
soft-error          nothing recorded, a 200 whose body says no              statusCode in it (422)
idle-close          answered; later the idle connection is closed           seconds idle (1)
=================== ======================================================= ========================

At most one fault strikes a request, ``latency`` and ``idle-close`` aside, which come on top. So rates add up:
``5xx:0.1,drop-after:0.02`` leaves 88 of 100 requests alone, and a sum over 1 is an error.
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


class Kind(NamedTuple):
    """What a kind's ``VALUE`` may be, and where the kind belongs.

    Attributes:
        group: ``"instead"`` of the rules, ``"after"`` them, or ``"beside"`` either.
        default: The value when none is written.
        low, high: The bounds of a value; ``high`` 0 means that the kind takes none.
    """

    group: str
    default: float | None = None
    low: float = 0.0
    high: float = 0.0


_DAY = 86_400.0

KINDS: Mapping[str, Kind] = {
    "latency": Kind("beside", 100.0, 0.0, _DAY * 1000),
    "idle-close": Kind("beside", 1.0, 0.0, _DAY),
    **{str(status): Kind("instead", 1.0 if status == 429 else None, 0.0, _DAY) for status in _STATUSES},
    "5xx": Kind("instead", None, 0.0, _DAY),
    "drop-before": Kind("instead"),
    "html": Kind("instead", 200.0, 200.0, 599.0),
    "blank": Kind("instead", 502.0, 400.0, 599.0),
    "redirect": Kind("instead", None, 301.0, 308.0),
    "soft-error": Kind("instead", 422.0, 400.0, 599.0),
    "5xx-after": Kind("after", None, 0.0, _DAY),
    **{f"{status}-after": Kind("after", None, 0.0, _DAY) for status in SERVER_ERRORS},
    "drop-after": Kind("after"),
    "half": Kind("after"),
    "garbled": Kind("after"),
    "slow-body": Kind("after", 1.0, 0.0, _DAY),
}
"""Every kind of fault, as the table above has them."""

_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9}"
_FAULT = re.compile(
    rf"(?:(?P<route>[a-z]+)\.)?(?P<kind>[0-9a-z-]+?)(?::(?P<rate>{_NUMBER}))?"
    rf"(?:@(?P<value>{_NUMBER})(?:~(?P<jitter>{_NUMBER}))?)?(?:x(?P<times>[0-9]{{1,6}}))?"
)


@dataclass(frozen=True)
class Fault:
    """One fault of the language above, with its kind's default filled in.

    Attributes:
        kind: A key of :data:`KINDS`.
        rate: From 0 to 1.
        value: As the kind has it, or ``None`` where it has no default.
        jitter: Half the width of the range that a latency is drawn from, in milliseconds.
        times: For how many attempts at one request it goes on.
        route: ``"lead"``, ``"sale"``, or ``None`` for both.
    """

    kind: str
    rate: float = 1.0
    value: float | None = None
    jitter: float = 0.0
    times: int = 1
    route: str | None = None

    @property
    def group(self) -> str:
        """``"instead"``, ``"after"`` or ``"beside"``."""
        return KINDS[self.kind].group

    def concerns(self, route: str) -> bool:
        """Whether it may strike a request of this route (``"lead"`` or ``"sale"``)."""
        return self.route is None or self.route == route


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Faults from the language above; none from blank text.

    Raises:
        OptionError: A fault cannot be read, or the rates that exclude each other add up to more than 1.
    """
    parts = [part.strip() for part in text.split(",")]
    faults = tuple(parse_fault(part) for part in parts if part)
    check_rates(faults)
    return faults


def check_rates(faults: tuple[Fault, ...]) -> None:
    """Refuse rates that exclude each other and add up to more than 1 on some route.

    Raises:
        OptionError: They do.
    """
    for route in ROUTES.values():
        total = sum(fault.rate for fault in faults if fault.group != "beside" and fault.concerns(route))
        if total > 1 + 1e-9:
            raise OptionError(f"the fault rates of {route}s add up to {total:g}, which is more than 1")


def parse_fault(text: str) -> Fault:
    """One fault from the language above.

    Raises:
        OptionError: It cannot be read.
    """
    match = _FAULT.fullmatch(text)
    if match is None:
        raise OptionError(f"not a fault: {text!r}; write KIND:RATE, like 5xx:0.1 or lead.latency@200~50")
    name, route = match["kind"], match["route"]
    if name not in KINDS:
        raise OptionError(f"no such fault: {name!r}; there are {', '.join(KINDS)}")
    if route is not None and route not in ROUTES.values():
        raise OptionError(f"no such route: {route!r} in {text!r}; there are {', '.join(ROUTES.values())}")
    fault = Fault(
        name,
        rate=float(match["rate"] or 1),
        value=_value_of(name, match["value"], text),
        jitter=float(match["jitter"] or 0),
        times=int(match["times"] or 1),
        route=route,
    )
    if fault.rate > 1:
        raise OptionError(f"a rate is from 0 to 1, not {fault.rate:g} in {text!r}")
    if fault.times < 1:
        raise OptionError(f"a fault goes on for 1 attempt or more, not {fault.times} in {text!r}")
    if match["jitter"] and name != "latency":
        raise OptionError(f"only latency takes a jitter: {text!r}")
    return fault


def _value_of(name: str, written: str | None, text: str) -> float | None:
    kind = KINDS[name]
    if written is None:
        return kind.default
    value = float(written)
    if kind.high == 0:
        raise OptionError(f"{name} takes no value: {text!r}")
    if not kind.low <= value <= kind.high:
        raise OptionError(f"the value of {name} is from {kind.low:g} to {kind.high:g}: {text!r}")
    if name == "redirect" and value not in (301, 302, 303, 307, 308):
        raise OptionError(f"not a redirect's status: {text!r}")
    if kind.high in (599.0, 308.0) and not value.is_integer():
        raise OptionError(f"a status is a whole number: {text!r}")
    return value
