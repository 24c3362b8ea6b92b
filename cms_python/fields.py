"""The fields of an event: their names here and on the wire, and the rule that each value has to keep.

The rules are those of CutMeShort's API reference and of the package page of ``cms-python-client`` 1.0.0. Each check
takes a value of any type and returns what goes on the wire, or raises :class:`ValueError` with one line that
says what the value must be.
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
"""The longest text the service takes, in characters; a URL may be longer."""

MAX_AMOUNT = 2**53 - 1
"""The largest amount, in minor units: beyond it a JSON number loses cents in readers that use doubles."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
_WEB_URL = re.compile(r"https?://[^\s/?#]\S*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_WIRE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Field(NamedTuple):
    """One field of an event.

    Attributes:
        name: Its Python name, ``click_id``.
        wire: Its name in the request's JSON, ``clickId``.
        check: Turns a value into what goes on the wire, or raises ValueError saying what it must be.
    """

    name: str
    wire: str
    check: Callable[[object], object]


def _is(value: object, kind: type[T]) -> TypeGuard[T]:
    # isinstance() would accept mocks and proxies, which JSON writers do not.
    return issubclass(type(value), kind)


def _text_of(shortest: int, longest: int, value: object) -> str:
    if type(value) is not str:
        if not _is(value, str):
            raise ValueError(f"must be a string, not {type(value).__name__}")
        value = str.__str__(value)  # a plain one, whatever a kind of str makes of its methods
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
    # The only text without a length limit: signed URLs of pictures may exceed a thousand characters.
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
        # NumPy's and pandas' integers. A mock has an index as well, and does not equal it.
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
    """Write an instant as the service documents it: ``2026-04-10T12:34:56.000Z``.

    Args:
        instant: Any time. One without a zone is taken as UTC. What is finer than a millisecond is cut off.

    Returns:
        The time in UTC, with ``Z``: parsers of the service's own SDKs refuse ``+00:00``.

    Raises:
        ValueError: The time lies outside the years 1 to 9999 once it is turned into UTC, or is none.
    """
    try:
        # Without an offset from the zone, astimezone() would use the machine's own zone.
        if instant.utcoffset() is not None:
            instant = instant.astimezone(timezone.utc)
        text = instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    except OverflowError:
        raise ValueError("must lie within the years 1 to 9999 in UTC") from None
    except Exception as error:
        # Zones and subclasses of datetime may raise anything.
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
"""A lead's fields by Python name, in the order in which ``track_lead`` takes them."""

SALE_FIELDS = _by_name(
    _CLICK_ID,
    _EVENT_NAME,
    _CUSTOMER,
    Field("invoice_id", "invoiceId", _required_text),
    Field("amount", "amount", _amount),
    Field("currency", "currency", _currency),
    *_ABOUT_THE_CUSTOMER,
)
"""A sale's fields by Python name, in the order in which ``track_sale`` takes them."""

LEAD_REQUIRED = ("event_name", "customer_external_id")
"""The fields that every lead has."""

SALE_REQUIRED = ("click_id", "event_name", "customer_external_id", "invoice_id", "amount", "currency")
"""The fields that every sale has."""

PYTHON_NAMES = {field.wire: field.name for field in (*LEAD_FIELDS.values(), *SALE_FIELDS.values())}
"""Wire names to Python names, for both kinds."""
