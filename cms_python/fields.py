"""The fields of an event: their names in Python and on the wire, and the rule for each value.

The rules are those of CutMeShort's API reference and of the package page of ``cms-python-client`` 1.0.0. Each check
takes a value of any type and returns its wire form, or raises :class:`ValueError` with one line that says what the
value must be.
"""

from __future__ import annotations

import operator
import re
import sys
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Callable, NamedTuple, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeGuard

T = TypeVar("T")

MAX_LENGTH = 255
"""The longest text that the service accepts, in characters. URLs may be longer."""

MAX_AMOUNT = 2**53 - 1
"""The largest amount, in minor units. JSON parsers that use doubles would round larger ones."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
_WEB_URL = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Field(NamedTuple):
    """One field of an event.

    Attributes:
        name: Its Python name: ``click_id``.
        wire: Its name in the request's JSON: ``clickId``.
        check: Returns a value's wire form, or raises ValueError with what the value must be.
    """

    name: str
    wire: str
    check: Callable[[object], object]


def _is(value: object, kind: type[T]) -> TypeGuard[T]:
    # isinstance() would accept mocks and proxies, which json cannot encode.
    return issubclass(type(value), kind)


def _text_of(shortest: int, longest: int, value: object) -> str:
    if type(value) is not str:
        if not _is(value, str):
            raise ValueError(f"must be a string, not {type(value).__name__}")
        value = str.__str__(value)  # a plain str: a subclass may override any method
    if not shortest <= len(value) <= longest:
        raise ValueError(
            f"must be at most {longest} characters, not {len(value)}" if value else "must not be empty"
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must be text that can be written as UTF-8") from None
    return value


_text = partial(_text_of, 0, MAX_LENGTH)
_required_text = partial(_text_of, 1, MAX_LENGTH)


def _email(value: object) -> str:
    text = _text(value)
    if not _EMAIL.fullmatch(text) or _CONTROL.search(text):
        raise ValueError("must be an e-mail address")
    return text


def _web_url(value: object) -> str:
    # The only text without a limit: signed URLs of pictures may be longer than a thousand characters.
    text = _text_of(0, sys.maxsize, value)
    if not _WEB_URL.fullmatch(text) or _CONTROL.search(text):
        raise ValueError("must be an http or https URL")
    return text


def _amount(value: object) -> int:
    number = _whole_number(value)
    if number is None:
        raise ValueError(f"must be an int of minor units (4999 for 49.99), not {type(value).__name__}")
    if number < 0:
        raise ValueError("must be 0 or more")
    if number > MAX_AMOUNT:
        raise ValueError(f"must be at most {MAX_AMOUNT}")
    return number


def _whole_number(value: object) -> int | None:
    if _is(value, bool):  # a bool is an int in Python, but never an amount
        return None
    if _is(value, int):
        return int.__int__(value)
    try:
        # For the integers of NumPy and pandas. A mock has an __index__ as well, but does not equal its result.
        number = operator.index(value)  # type: ignore[arg-type]
        return number if value == number else None
    except Exception:  # may raise anything
        return None


def _currency(value: object) -> str:
    if not _is(value, str) or not _CURRENCY.fullmatch(value):
        raise ValueError("must be a three-letter ISO 4217 code such as USD")
    return str.__str__(value).upper()


def _timestamp(value: object) -> str:
    if not _is(value, datetime):
        raise ValueError(f"must be a datetime, not {type(value).__name__}")
    return wire_time(value)


def wire_time(instant: datetime) -> str:
    """Format a time as the service documents it: ``2026-04-10T12:34:56.000Z``.

    Args:
        instant: The time; without a zone, it is taken as UTC. It is truncated to milliseconds.

    Returns:
        The time in UTC, with ``Z``: parsers of the service's own SDKs refuse ``+00:00``.

    Raises:
        ValueError: The time is outside the years 1 to 9999 in UTC, or is no point in time (pandas' ``NaT``).
    """
    try:
        # astimezone() would take a time without an offset as the machine's local time.
        if instant.utcoffset() is not None:
            instant = instant.astimezone(timezone.utc)
        text = instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    except OverflowError:
        raise ValueError("must lie within the years 1 to 9999 in UTC") from None
    except Exception as error:
        # Subclasses of tzinfo and datetime may raise anything.
        raise ValueError(f"must be a datetime that can be turned into UTC ({type(error).__name__})") from None
    if not _WIRE_TIME.fullmatch(text):
        raise ValueError("must be a point in time")  # pandas' NaT is a datetime, too
    return text


def _mode(value: object) -> str:
    if not _is(value, str) or value != "deferred":
        raise ValueError('must be "deferred" or left out')
    return "deferred"


def _by_name(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in fields}


_CLICK_ID = Field("click_id", "clickId", _required_text)
_EVENT_NAME = Field("event_name", "eventName", _required_text)
_CUSTOMER = Field("customer_external_id", "customerExternalId", _required_text)
_ABOUT_THE_CUSTOMER = (
    Field("customer_name", "customerName", _text),
    Field("customer_email", "customerEmail", _email),
    Field("customer_avatar", "customerAvatar", _web_url),
    Field("timestamp", "timestamp", _timestamp),
)

LEAD_FIELDS = _by_name(_EVENT_NAME, _CUSTOMER, _CLICK_ID, *_ABOUT_THE_CUSTOMER, Field("mode", "mode", _mode))
"""The fields of a lead by Python name, in the order of the arguments of ``track_lead``."""

SALE_FIELDS = _by_name(
    _CLICK_ID,
    _EVENT_NAME,
    _CUSTOMER,
    Field("invoice_id", "invoiceId", _required_text),
    Field("amount", "amount", _amount),
    Field("currency", "currency", _currency),
    *_ABOUT_THE_CUSTOMER,
)
"""The fields of a sale by Python name, in the order of the arguments of ``track_sale``."""

LEAD_REQUIRED = ("event_name", "customer_external_id")
"""The Python names of a lead's required fields."""

SALE_REQUIRED = ("click_id", "event_name", "customer_external_id", "invoice_id", "amount", "currency")
"""The Python names of a sale's required fields."""

PYTHON_NAMES = {field.wire: field.name for field in (*LEAD_FIELDS.values(), *SALE_FIELDS.values())}
"""The Python name by wire name, for the fields of both kinds."""
