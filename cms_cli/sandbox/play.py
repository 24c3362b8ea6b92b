"""What a fault makes of an answer: pure functions of what the dice said."""

from __future__ import annotations

import math
from dataclasses import replace

from cms_cli.sandbox.answers import Answer, Headers, error, error_body, json_answer, redirect, web_page
from cms_cli.sandbox.plan import Injection

WHOLE = "whole"
HALF = "half"
DROP = "drop"
RESET = "reset"

# Where redirects lead to: a client that follows one gets a web page, and the book shows that it came.
REDIRECTED = "/redirected"


def instead(injection: Injection, path: str) -> Answer:
    """The answer of a fault that keeps the rules from being asked."""
    fault, status = injection.fault, injection.status
    if fault is None or fault.kind == "drop-before":
        return Answer(200)  # never sent
    if fault.kind == "html":
        return web_page(status)
    if fault.kind == "blank":
        return Answer(status)
    if fault.kind == "redirect":
        return redirect(status, f"{REDIRECTED}{path}")
    if fault.kind == "soft-error":
        return json_answer(200, error_body(int(fault.value or 422), "Refused by the sandbox's faults"))
    return error(status, f"Status {status} from the sandbox's faults", headers=_retry_after(injection))


def afterwards(injection: Injection, answer: Answer) -> Answer:
    """What is left of the rules' answer."""
    kind = injection.fault.kind if injection.fault else ""
    if kind.endswith("-after") and injection.status:
        status = injection.status
        return error(status, f"Status {status} from the sandbox's faults", headers=_retry_after(injection))
    if kind == "garbled":
        return replace(answer, body=answer.body[: len(answer.body) // 2] or b"{")
    return answer


def ending_of(injection: Injection) -> str:
    """How sending goes: whole, half, drop (closed without an answer) or reset (likewise, by RST)."""
    kind = injection.fault.kind if injection.fault else ""
    if kind.startswith("drop"):
        return RESET if injection.reset else DROP
    return HALF if kind == "half" else WHOLE


def dribble_of(injection: Injection) -> float:
    """Seconds over which the body is spread."""
    fault = injection.fault
    return fault.value or 0.0 if fault is not None and fault.kind == "slow-body" else 0.0


def _retry_after(injection: Injection) -> Headers:
    value = injection.fault.value if injection.fault else None
    return () if value is None else (("Retry-After", str(math.ceil(value))),)
