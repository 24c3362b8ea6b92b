"""The API contract's table of fields: which fields an event has, and which values are allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Callable, NamedTuple, Optional

LEAD = "lead"
SALE = "sale"

MAX_TEXT = 255
MAX_AMOUNT = 2**53 - 1
"""The largest integer that all JSON implementations represent exactly (RFC 8259, section 6).

The contract has no upper bound. A service written in JavaScript might round a larger amount, so the sandbox refuses
it.
"""

Check = Callable[[object], Optional[str]]
"""Returns the problem of a value, or ``None``."""


class Need(Enum):
    """Whether a kind of event has a field."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    ABSENT = "absent"


class Field(NamedTuple):
    """One row of the table."""

    name: str
    lead: Need
    sale: Need
    check: Check


_SURROGATE = re.compile("[\ud800-\udfff]")
_CURRENCY = re.compile(r"[A-Z]{3}")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:\.[0-9]{1,9})?Z"
)
# An unquoted mailbox name: the atext of RFC 5322, and non-ASCII characters (RFC 6531) except blanks.
_MAILBOX = r"[^\s\x00-\x20\x7f-\xa0\"(),.:;<>@\[\\\]]+"
_LABEL = r"[^\W_](?:[^\W_]|-){0,62}"
_EMAIL = re.compile(rf"(?P<local>{_MAILBOX}(?:\.{_MAILBOX})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})+)")
_HTTP_URL = re.compile(
    r"https?://(?:[^\s/?#@\\]*@)?(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]<>\"\\^`{|}]+)(?::(?P<port>[0-9]{1,5}))?(?:[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
_BLANK_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\s]")


def _text(shortest: int) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        if _SURROGATE.search(value):
            return "must be valid Unicode"
        if not shortest <= len(value) <= MAX_TEXT:
            return f"must be {shortest} to {MAX_TEXT} characters long, not {len(value)}"
        return None

    return check


def _email(value: object) -> str | None:
    problem = _text(1)(value)
    if problem is not None:
        return problem
    match = _EMAIL.fullmatch(str(value))
    # RFC 5321 limits the part before the @ to 64 characters.
    if match is None or len(match["local"]) > 64 or any(part.endswith("-") for part in match["domain"].split(".")):
        return "must be an e-mail address"
    return None


def _http_url(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    if _SURROGATE.search(value):
        return "must be valid Unicode"
    match = None if _BLANK_OR_CONTROL.search(value) else _HTTP_URL.fullmatch(value)
    if match is None or int(match["port"] or 0) > 65535:
        return "must be an http or https URL"
    return None


def _amount(value: object) -> str | None:
    # A bool is an int in Python, but not a number in JSON.
    if isinstance(value, bool) or not isinstance(value, int):
        return "must be an integer of minor units (cents)"
    if value < 0:
        return "must be 0 or more"
    if value > MAX_AMOUNT:
        return f"must be at most {MAX_AMOUNT}"
    return None


def _currency(value: object) -> str | None:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        return "must be three upper-case letters (ISO 4217)"
    return None


def _timestamp(value: object) -> str | None:
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return "must be ISO 8601 in UTC with a Z, like 2026-04-10T12:34:56.000Z"
    try:
        datetime.fromisoformat(match[1])
    except ValueError:
        return "must be a date that exists"
    return None


def _mode(value: object) -> str | None:
    return None if value == "deferred" else 'must be "deferred" or left out'


_REQUIRED, _OPTIONAL, _ABSENT = Need.REQUIRED, Need.OPTIONAL, Need.ABSENT

FIELDS: tuple[Field, ...] = (
    Field("clickId", _OPTIONAL, _REQUIRED, _text(1)),
    Field("eventName", _REQUIRED, _REQUIRED, _text(1)),
    Field("customerExternalId", _REQUIRED, _REQUIRED, _text(1)),
    Field("invoiceId", _ABSENT, _REQUIRED, _text(1)),
    Field("amount", _ABSENT, _REQUIRED, _amount),
    Field("currency", _ABSENT, _REQUIRED, _currency),
    Field("customerName", _OPTIONAL, _OPTIONAL, _text(0)),
    Field("customerEmail", _OPTIONAL, _OPTIONAL, _email),
    Field("customerAvatar", _OPTIONAL, _OPTIONAL, _http_url),
    Field("timestamp", _OPTIONAL, _OPTIONAL, _timestamp),
    Field("mode", _OPTIONAL, _ABSENT, _mode),
)
"""The table, in the contract's order."""

_BY_KIND: Mapping[str, tuple[tuple[str, bool, Check], ...]] = {
    kind: tuple(
        (field.name, need is _REQUIRED, field.check)
        for field in FIELDS
        for need in (field.lead if kind == LEAD else field.sale,)
        if need is not _ABSENT
    )
    for kind in (LEAD, SALE)
}
_NAMES: Mapping[str, frozenset[str]] = {
    kind: frozenset(name for name, _, _ in fields) for kind, fields in _BY_KIND.items()
}


def problems(kind: str, event: Mapping[str, object]) -> dict[str, str]:
    """Return all problems of an event by wire name; an empty dict if it is valid."""
    found: dict[str, str] = {}
    for name, required, check in _BY_KIND[kind]:
        if name not in event:
            if required:
                found[name] = "is required"
        elif event[name] is None:
            found[name] = "must be left out, not null"
        else:
            problem = check(event[name])
            if problem is not None:
                found[name] = problem
    for name in event:
        if name not in _NAMES[kind]:
            found[name] = f"is not a field of a {kind}"
    if kind == LEAD and "mode" in event and "clickId" not in event:
        found["clickId"] = "is required with mode deferred"
    return found
