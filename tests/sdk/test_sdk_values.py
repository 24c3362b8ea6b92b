"""Field rules: a valid value is sent as documented, an invalid one is a 422 and not sent."""

from __future__ import annotations

# ruff: noqa: DTZ001, DTZ901, ARG002 - times without a zone are what is tested
import copy
import enum
import json
import multiprocessing
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest import mock

import pytest
from faultserver import FaultServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sdk_events import LEAD, SALE, TOKEN, track

from cms_python import (
    LEAD_FIELDS,
    LEAD_REQUIRED,
    SALE_FIELDS,
    SALE_REQUIRED,
    CMSClient,
    InvalidEventError,
    LeadEvent,
    SaleEvent,
)

TEXTS = ["event_name", "customer_external_id", "click_id", "invoice_id", "customer_name"]
WIRE_NAMES = {
    "click_id": "clickId",
    "event_name": "eventName",
    "customer_external_id": "customerExternalId",
    "invoice_id": "invoiceId",
    "amount": "amount",
    "currency": "currency",
    "customer_name": "customerName",
    "customer_email": "customerEmail",
    "customer_avatar": "customerAvatar",
    "timestamp": "timestamp",
    "mode": "mode",
}


class Text(str):
    """A str subclass."""


class Level(enum.IntEnum):
    GOLD = 3


class Currency(str, enum.Enum):
    EUR = "EUR"


class WholeNumber:
    """An integer type that is not an int, as NumPy's are."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value

    def __eq__(self, other: object) -> bool:
        return self._value == other

    __hash__ = None  # type: ignore[assignment]


class Hostile:
    """An object that raises on any access."""

    def __getattribute__(self, name: str) -> Any:
        raise KeyError(name)

    def __eq__(self, other: object) -> bool:
        raise KeyError("eq")

    __hash__ = None  # type: ignore[assignment]


class NowhereZone(tzinfo):
    """A time zone without an offset, so that its times are naive."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None


class BrokenZone(tzinfo):
    """A time zone that raises."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        raise RuntimeError("no tables")


class NotATime(datetime):
    """A datetime by class only, as pandas' NaT."""

    def isoformat(self, *args: Any, **kwargs: Any) -> str:
        return "NaT"


GOOD = [
    *[
        (name, text, text)
        for name in TEXTS
        for text in ("x", "x" * 255, "é" * 255, "日本語 🎉", " x ", " ", "\t\n", Text("x"))
    ],
    ("customer_name", "", ""),
    ("amount", 0, 0),
    ("amount", 4999, 4999),
    ("amount", 2**53 - 1, 2**53 - 1),
    ("amount", Level.GOLD, 3),
    ("amount", WholeNumber(4999), 4999),
    ("currency", "usd", "USD"),
    ("currency", "Eur", "EUR"),
    ("currency", "XYZ", "XYZ"),
    ("currency", Currency.EUR, "EUR"),
    ("customer_email", "jane@example.com", "jane@example.com"),
    ("customer_email", "jäne+tag@bücher.example", "jäne+tag@bücher.example"),
    ("customer_avatar", "https://example.com/a.png?x=1#y", "https://example.com/a.png?x=1#y"),
    ("customer_avatar", "HTTP://example.com", "HTTP://example.com"),
    (
        "customer_avatar",
        "https://cdn.example/a?signature=" + "y" * 1500,
        "https://cdn.example/a?signature=" + "y" * 1500,
    ),
    ("mode", "deferred", "deferred"),
    *[(name, None, None) for name in ("customer_name", "customer_email", "customer_avatar", "timestamp", "mode")],
]


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_good_value(server: FaultServer, client: CMSClient, name: str, value: object, expected: object) -> None:
    """A valid value is sent under its wire name, and None is left out."""
    kind = "lead" if name in LEAD_FIELDS and name != "click_id" else "sale"
    assert track(client, kind, **{name: value})["success"] is True
    sent = server.requests[0].json
    assert sent.get(WIRE_NAMES[name]) == expected
    assert (WIRE_NAMES[name] in sent) == (expected is not None)


ANY_TEXT_BREAKS: list[Any] = ["x" * 256, 5, b"x", ["x"], {}, True, 1.5, "\ud800", object(), Hostile()]
BAD = [
    *[(name, value) for name in TEXTS for value in ANY_TEXT_BREAKS],
    *[(name, "") for name in TEXTS if name != "customer_name"],
    *[
        ("amount", value)
        for value in (-1, 49.99, 4999.0, "4999", True, False, Decimal(49), 2**53, 10**400, b"1", [1], Fraction(5))
    ],
    *[("amount", WholeNumber(value)) for value in (-1, 2**53)],
    *[("amount", value) for value in (mock.MagicMock(), Hostile())],
    *[("currency", value) for value in ("", "US", "USDX", "U$D", "ÉUR", "us ", "USD\n", 840, True, b"USD")],
    *[
        ("customer_email", value)
        for value in ("", "jane", "@x.y", "j@x", "j @x.y", "j@x.y\n", "a@b@c.d", "é" * 300)
    ],
    *[("customer_avatar", value) for value in ("", "/a.png", "ftp://x/y", "javascript:x", "https://", "http:// x")],
    ("customer_avatar", "https://x" + "y" * 1_000_000 + " "),
    *[("timestamp", value) for value in ("2026-04-10", 1_700_000_000, 1.5, date(2026, 4, 10), True, Hostile())],
    ("timestamp", datetime(2026, 1, 1, tzinfo=BrokenZone())),
    ("timestamp", NotATime(2026, 1, 1)),
    ("timestamp", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    ("timestamp", datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2)))),
    *[("mode", value) for value in ("", "Deferred", "standard", True, 1, b"deferred", ["deferred"], Hostile())],
    *[(name, mock.Mock(spec=str)) for name in (*TEXTS, "currency", "customer_email", "mode")],
    ("amount", mock.MagicMock(spec=int)),
    ("timestamp", mock.MagicMock(spec=datetime)),
]


# By number, since pytest would access a hostile value for its id.
@pytest.mark.parametrize("number", range(len(BAD)), ids=lambda number: f"{BAD[number][0]}-{number}")
def test_bad_value(server: FaultServer, client: CMSClient, number: int) -> None:
    """An invalid value is a 422 with its field in ``details``, and nothing is sent."""
    name, value = BAD[number]
    for kind, fields in (("lead", LEAD_FIELDS), ("sale", SALE_FIELDS)):
        if name in fields:
            answer = track(client, kind, **{name: value})
            assert {key: answer[key] for key in ("success", "error", "status_code", "type")} == {
                "success": False,
                "error": "Validation failed",
                "status_code": 422,
                "type": "validation_error",
            }
            assert list(answer["details"]) == [name]
            assert isinstance(answer["details"][name], str)
            assert set(answer) == {"success", "error", "status_code", "type", "details"}
            json.dumps(answer)
    assert not server.connections


def test_every_problem_is_named(server: FaultServer, client: CMSClient) -> None:
    """All invalid and missing fields are named at once."""
    lead = client.track_lead(None, "", 5, 5, "x", "x", "x", "x")  # type: ignore[arg-type]
    assert set(lead["details"]) == set(LEAD_FIELDS)  # type: ignore[call-overload]
    sale = client.track_sale(*[None] * 5, 5, 5, "x", "x", "x")  # type: ignore[arg-type,misc]
    assert set(sale["details"]) == set(SALE_FIELDS)  # type: ignore[call-overload]
    assert not server.connections


def test_deferred_needs_a_click(server: FaultServer, client: CMSClient) -> None:
    """A deferred lead without a click id is a problem of ``click_id`` and not sent."""
    answer = track(client, "lead", click_id=None, mode="deferred")
    assert list(answer["details"]) == ["click_id"]
    assert not server.connections


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=300),
    st.text(st.characters(), min_size=250, max_size=260),
    st.binary(max_size=5),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from([object(), mock.Mock(), mock.Mock(spec=str), str, len, NotImplemented, ..., 1j]),
    st.sampled_from(["deferred", "usd", "a@b.example", "https://x.example/", "\x00", "\ud800"]),
)
FORMS = {
    "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "currency": re.compile(r"[A-Z]{3}"),
    "customerEmail": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "customerAvatar": re.compile(r"(?i)https?://\S+"),
    "mode": re.compile("deferred"),
}


def check_sent(body: dict[str, Any], fields: Any, required: tuple[str, ...]) -> None:
    """Check a sent body against the contract's rules."""
    assert set(body) <= {WIRE_NAMES[name] for name in fields}
    assert {WIRE_NAMES[name] for name in required} <= set(body)
    for name, value in body.items():
        if name == "amount":
            assert type(value) is int
            assert value >= 0
            continue
        assert isinstance(value, str)
        assert len(value) <= 255 or name == "customerAvatar"
        assert len(value) >= (0 if name == "customerName" else 1)
        if name in FORMS:
            assert FORMS[name].fullmatch(value)
    assert "mode" not in body or "clickId" in body


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[FaultServer, CMSClient]]:
    with FaultServer() as server, CMSClient(TOKEN, server.url) as client:
        yield server, client


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["lead", "sale"]),
    st.dictionaries(st.sampled_from(sorted(WIRE_NAMES)), anything, max_size=11),
)
def test_anything_at_all(shared: tuple[FaultServer, CMSClient], kind: str, changed: dict[str, Any]) -> None:
    """A call with any values never raises: it sends a valid body, or nothing and returns a 422."""
    server, client = shared
    fields, required = (LEAD_FIELDS, LEAD_REQUIRED) if kind == "lead" else (SALE_FIELDS, SALE_REQUIRED)
    usual: dict[str, Any] = LEAD if kind == "lead" else SALE
    values = {name: value for name, value in {**usual, **changed}.items() if name in fields}
    before = len(server.requests)
    answer = track(client, kind, **values)
    if answer["success"]:
        assert len(server.requests) == before + 1
        body = server.requests[-1].json
        check_sent(body, fields, required)
        assert set(body) == {WIRE_NAMES[name] for name, value in values.items() if value is not None}
    else:
        assert len(server.requests) == before
        assert answer["status_code"] == 422
        assert set(answer["details"]) <= set(fields)
        assert answer["details"]
        for name in answer["details"]:
            if name != "click_id":
                alone = track(client, kind, **{name: values.get(name)})
                assert not alone["success"], f"{name} was named and is good"


TIMES = [
    (datetime(2026, 4, 10, 12, 34, 56), "2026-04-10T12:34:56.000Z"),
    (datetime(2026, 4, 10, 12, 34, 56, 789_999), "2026-04-10T12:34:56.789Z"),
    (datetime(2026, 4, 10, 12, 34, 56, tzinfo=timezone.utc), "2026-04-10T12:34:56.000Z"),
    (datetime(2026, 4, 10, 14, 34, 56, tzinfo=timezone(timedelta(hours=2))), "2026-04-10T12:34:56.000Z"),
    (datetime(2026, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=5, minutes=45))), "2025-12-31T18:15:00.000Z"),
    (datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=1))), "2025-12-31T23:59:59.000Z"),
    (datetime(2026, 1, 1, tzinfo=NowhereZone()), "2026-01-01T00:00:00.000Z"),
    (datetime.min, "0001-01-01T00:00:00.000Z"),
    (datetime.max, "9999-12-31T23:59:59.999Z"),
    (datetime(987, 1, 1, tzinfo=timezone.utc), "0987-01-01T00:00:00.000Z"),
    (datetime(2026, 10, 25, 2, 30, fold=1), "2026-10-25T02:30:00.000Z"),
]


@pytest.mark.parametrize(("moment", "expected"), TIMES)
def test_timestamp(server: FaultServer, client: CMSClient, moment: datetime, expected: str) -> None:
    """An aware time is converted to UTC, a naive one is taken as UTC."""
    assert track(client, "sale", timestamp=moment)["success"] is True
    assert server.requests[0].json["timestamp"] == expected


def test_timestamp_on_a_machine_elsewhere(
    server: FaultServer, client: CMSClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's time zone does not affect naive times."""
    import time

    monkeypatch.setenv("TZ", "America/Lima")
    if hasattr(time, "tzset"):
        time.tzset()
    try:
        track(client, "sale", timestamp=datetime(2026, 1, 1))
        track(client, "sale", timestamp=datetime(2026, 1, 1, tzinfo=NowhereZone()))
    finally:
        monkeypatch.undo()
        if hasattr(time, "tzset"):
            time.tzset()
    assert {request.json["timestamp"] for request in server.requests} == {"2026-01-01T00:00:00.000Z"}


@given(st.datetimes(timezones=st.one_of(st.none(), st.timezones())))
def test_timestamp_of_any_kind(moment: datetime) -> None:
    """A sent time equals the given one to the millisecond, or is refused."""
    try:
        event = LeadEvent("e", "c", timestamp=moment)
    except InvalidEventError:
        assert moment.year in (1, 9999)
        return
    sent = datetime.strptime(str(event.to_wire()["timestamp"]), "%Y-%m-%dT%H:%M:%S.%fZ").replace(
        tzinfo=timezone.utc
    )
    meant = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    assert timedelta(0) <= meant - sent < timedelta(milliseconds=1)


def test_positions(server: FaultServer, client: CMSClient) -> None:
    """Both methods take positional arguments in the order of 1.0.0."""
    moment = datetime(2026, 1, 1)
    client.track_lead("ev", "cu", "cl", "na", "e@m.il", "https://a.va", moment, "deferred")
    client.track_sale("cl", "ev", "cu", "in", 1, "EUR", "na", "e@m.il", "https://a.va", moment)
    lead, sale = (request.json for request in server.requests)
    about = {
        "clickId": "cl",
        "eventName": "ev",
        "customerExternalId": "cu",
        "customerName": "na",
        "customerEmail": "e@m.il",
        "customerAvatar": "https://a.va",
        "timestamp": "2026-01-01T00:00:00.000Z",
    }
    assert lead == {**about, "mode": "deferred"}
    assert sale == {**about, "invoiceId": "in", "amount": 1, "currency": "EUR"}


def test_text_arrives_as_it_was(server: FaultServer, client: CMSClient) -> None:
    """Text of any script is sent unchanged in UTF-8, including blanks."""
    text = ' Zoë "日本" 🎉\u2028\\ '
    track(client, "lead", customer_name=text)
    assert server.requests[0].json["customerName"] == text
    assert "Zoë".encode() in server.requests[0].body


def test_events_are_frozen_and_typed() -> None:
    """An event is immutable, and building an invalid one names every problem."""
    event = SaleEvent(**SALE)
    with pytest.raises(AttributeError):
        event.amount = 5  # type: ignore[misc]
    with pytest.raises(InvalidEventError) as caught:
        SaleEvent("", "", "", "", -1, "")
    assert set(caught.value.problems) == set(SALE_REQUIRED)
    assert isinstance(caught.value, ValueError)
    assert event == SaleEvent(**SALE)


def _no_event() -> None:
    LeadEvent("", "user_42", mode="later")


def test_what_is_wrong_with_an_event_comes_back_from_another_process() -> None:
    """An InvalidEventError from another process keeps its problems, and the pool stays usable."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(InvalidEventError) as caught:
            pool.submit(_no_event).result()
        assert pool.submit(abs, -1).result() == 1
    assert set(caught.value.problems) == {"event_name", "mode"}
    assert "event_name must not be empty" in str(caught.value)
    assert copy.copy(caught.value).problems == caught.value.problems
