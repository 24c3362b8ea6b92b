"""The two kinds of events, checked when they are built. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from cms_python.fields import LEAD_FIELDS, LEAD_REQUIRED, SALE_FIELDS, SALE_REQUIRED, Field

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class EventKind(str, Enum):
    """The kind of an event; the value is the last part of its path, ``/track/lead``."""

    LEAD = "lead"
    SALE = "sale"


class WireEvent(NamedTuple):
    """An event encoded for a request.

    Attributes:
        kind: Lead or sale.
        body: The request's JSON as UTF-8.
    """

    kind: EventKind
    body: bytes


class InvalidEventError(ValueError):
    """Raised instead of building an event whose values break a rule of the service.

    Attributes:
        problems: By Python name of each offending field, what its value must be.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("; ".join(f"{name} {problem}" for name, problem in self.problems.items()))

    def __reduce__(self) -> tuple[type[InvalidEventError], tuple[dict[str, str]]]:
        # By default an exception is unpickled from its message, which would break a pool of processes.
        return type(self), (self.problems,)


@dataclass(frozen=True)
class LeadEvent:
    """A lead: a customer did something other than pay, such as sign up.

    Attributes:
        event_name: What happened, ``signup_started``; 1 to 255 characters.
        customer_external_id: Your id of the customer, the same on all their events; 1 to 255 characters.
        click_id: The click that brought them, from the URL parameter ``cms_rf``; 1 to 255 characters. Needed for
            the standard flow and to set up deferred attribution; left out in follow-ups, where sending it again
            is an error.
        customer_name: Up to 255 characters.
        customer_email: An e-mail address, up to 255 characters.
        customer_avatar: An http or https URL.
        timestamp: When it happened. A time without a zone is taken as UTC. The service dates a lead without one.
        mode: ``"deferred"`` on the lead that ties a click to a customer for later leads, else None.

    Raises:
        InvalidEventError: Values break these rules. The error names all of them.
    """

    event_name: str
    customer_external_id: str
    click_id: str | None = None
    customer_name: str | None = None
    customer_email: str | None = None
    customer_avatar: str | None = None
    timestamp: datetime | None = None
    mode: str | None = None

    def __post_init__(self) -> None:
        wire, problems = check(LEAD_FIELDS, LEAD_REQUIRED, vars(self))
        if "mode" in wire and self.click_id is None:
            problems["click_id"] = 'is needed with mode "deferred"'
        _keep_wire(self, wire, problems)

    def to_wire(self) -> dict[str, object]:
        """Return the request's JSON object: wire names, absent fields left out."""
        return dict(_wire_of(self))

    def encode(self) -> WireEvent:
        """Return the event as it is sent."""
        return WireEvent(EventKind.LEAD, encode_wire(_wire_of(self)))


@dataclass(frozen=True)
class SaleEvent:
    """A sale: a customer paid.

    Attributes:
        click_id: The click that brought them, from the URL parameter ``cms_rf``; 1 to 255 characters.
        event_name: What happened, ``purchase_completed``; 1 to 255 characters.
        customer_external_id: Your id of the customer, the same on all their events; 1 to 255 characters.
        invoice_id: Your id of the invoice; 1 to 255 characters. The service keeps one sale per invoice.
        amount: What they paid in minor units of the currency (cents; 4999 for 49.99 USD, 4999 for 4999 JPY);
            an int, 0 or more.
        currency: Three letters, ISO 4217; sent in upper case.
        customer_name: Up to 255 characters.
        customer_email: An e-mail address, up to 255 characters.
        customer_avatar: An http or https URL.
        timestamp: When it happened. A time without a zone is taken as UTC. The service dates a sale without one.

    Raises:
        InvalidEventError: Values break these rules. The error names all of them.
    """

    click_id: str
    event_name: str
    customer_external_id: str
    invoice_id: str
    amount: int
    currency: str
    customer_name: str | None = None
    customer_email: str | None = None
    customer_avatar: str | None = None
    timestamp: datetime | None = None

    def __post_init__(self) -> None:
        _keep_wire(self, *check(SALE_FIELDS, SALE_REQUIRED, vars(self)))

    def to_wire(self) -> dict[str, object]:
        """Return the request's JSON object: wire names, absent fields left out."""
        return dict(_wire_of(self))

    def encode(self) -> WireEvent:
        """Return the event as it is sent."""
        return WireEvent(EventKind.SALE, encode_wire(_wire_of(self)))


def check(
    fields: Mapping[str, Field], required: tuple[str, ...], values: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, str]]:
    """Check values against the rules of their fields.

    Args:
        fields: The event's fields by Python name.
        required: The Python names of the required fields.
        values: The values by Python name; None means that a field is left out.

    Returns:
        The request's JSON object without the fields that have problems, and the problems by Python name.
    """
    wire: dict[str, object] = {}
    problems: dict[str, str] = {}
    for name, field in fields.items():
        value = values.get(name)
        if value is None:
            if name in required:
                problems[name] = "is required"
            continue
        try:
            wire[field.wire] = field.check(value)
        except ValueError as problem:
            problems[name] = str(problem)
    return wire, problems


def encode_wire(wire: Mapping[str, object]) -> bytes:
    """Encode a request's JSON object as compact UTF-8."""
    return _JSON.encode(wire).encode()


def _keep_wire(event: object, wire: dict[str, object], problems: dict[str, str]) -> None:
    if problems:
        raise InvalidEventError(problems)
    # The event is frozen, so its wire form stays valid.
    object.__setattr__(event, "_wire", wire)


def _wire_of(event: LeadEvent | SaleEvent) -> dict[str, object]:
    wire: dict[str, object] = vars(event)["_wire"]
    return wire
