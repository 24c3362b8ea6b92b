"""Every field rule of the contract, one row each, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from cms_cli.sandbox import SandboxServer

from .talk import FOLLOW_UP, LEAD, SALE, Wire

MISSING = object()
FULL = {
    "customerName": "Zoë Ölund",
    "customerEmail": "zoe@example.com",
    "customerAvatar": "https://cdn.example.com/a.png?s=1#x",
    "timestamp": "2026-04-10T12:34:56.000Z",
}


def with_field(event: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    changed = {**event, name: value}
    if value is MISSING:
        del changed[name]
    return changed


GOOD = [
    ("clickId", "c"),
    ("clickId", "c" * 255),
    ("clickId", "é" * 255),
    ("eventName", "😀" * 255),
    ("eventName", " "),
    ("eventName", "a\x00b\x1b[0m"),
    ("customerExternalId", "x" * 255),
    ("customerName", ""),
    ("customerName", "n" * 255),
    ("customerEmail", "first.last+tag@sub.example.co.uk"),
    ("customerEmail", "zoë@exämple.org"),
    ("customerEmail", "o'brien@example.com"),
    ("customerEmail", f"{'l' * 64}@{'d' * 63}.{'e' * 63}.{'f' * 58}.com"),
    ("customerAvatar", "http://localhost:8000/a"),
    ("customerAvatar", "HTTPS://EXAMPLE.COM"),
    ("customerAvatar", "https://[::1]:80/a"),
    ("customerAvatar", "https://user:pw@example.com/ä?q=1"),
    ("customerAvatar", f"https://example.com/{'a' * 3000}"),
    ("timestamp", "2026-04-10T12:34:56Z"),
    ("timestamp", "2024-02-29T23:59:59.123456Z"),
    ("timestamp", "1970-01-01T00:00:00.000Z"),
    ("timestamp", "2999-12-31T00:00:00.000Z"),
]
GOOD_SALE = [
    ("invoiceId", "i" * 255),
    ("amount", 0),
    ("amount", 2**53 - 1),
    ("currency", "JPY"),
    ("currency", "XXX"),
]
TEXT = [None, 5, True, 1.5, [], {}, ["a"], "x" * 256, "\ud800"]
NON_EMPTY_TEXT = [*TEXT, ""]
BAD = {
    "clickId": NON_EMPTY_TEXT,
    "eventName": [MISSING, *NON_EMPTY_TEXT],
    "customerExternalId": [MISSING, *NON_EMPTY_TEXT],
    "customerName": TEXT,
    "customerEmail": [
        *NON_EMPTY_TEXT,
        "nobody",
        "@example.com",
        "a@",
        "a@b",
        "a b@example.com",
        " a@example.com",
        "a@example.com ",
        "a@example.com\n",
        "a@@example.com",
        "a@b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "a@.example.com",
        "a@example..com",
        "a@example.com.",
        "a@-example.com",
        "a@example-.com",
        "a@exam_ple.com",
        "Zoe <zoe@example.com>",
        "a\x00@example.com",
        "a,b@example.com",
        f"{'l' * 65}@example.com",
        f"a@{'d' * 64}.com",
        f"{'a' * 60}@{'d' * 60}.{'e' * 60}.{'f' * 60}.{'g' * 20}.com",
    ],
    "customerAvatar": [
        None,
        5,
        "",
        "example.com/a.png",
        "//example.com/a.png",
        "ftp://example.com/a.png",
        "javascript:alert(1)",
        "https:/example.com",
        "https://",
        "https:///a",
        "https://:80/",
        "https://a b/",
        "https://example.com/a b",
        " https://example.com",
        "https://example.com\n",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa<mple.com/",
        "https://user@/a",
        "https://example.com/\ud800",
        "https://example.com/\x00",
    ],
    "timestamp": [
        None,
        1744288496,
        1744288496.5,
        "",
        "now",
        "2026-04-10",
        "2026-04-10T12:34Z",
        "2026-04-10T12:34:56",
        "2026-04-10T12:34:56+00:00",
        "2026-04-10T12:34:56.000+02:00",
        "2026-04-10T12:34:56.000-00:00",
        "2026-04-10 12:34:56Z",
        "2026-04-10t12:34:56z",
        "2026-04-10T12:34:56.Z",
        "2026-04-10T12:34:56,5Z",
        "2026-04-10T12:34:56.0000000000Z",
        "2026-02-29T12:00:00Z",
        "2026-04-31T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-04-10T24:00:00Z",
        "2026-04-10T12:60:00Z",
        "2026-04-10T12:34:60Z",
        "0000-01-01T00:00:00Z",
        "20260410T123456Z",
        "2026-W15-5T12:34:56Z",
        " 2026-04-10T12:34:56Z",
        "2026-04-10T12:34:56Z\n",
        "٢٠٢٦-04-10T12:34:56Z",
    ],
}
BAD_LEAD = {
    **BAD,
    "mode": [None, "", "Deferred", "immediate", True, 1, ["deferred"]],
    "invoiceId": ["inv_1", None],
    "amount": [1],
    "currency": ["USD"],
}
BAD_SALE = {
    **BAD,
    "clickId": [MISSING, *NON_EMPTY_TEXT],
    "invoiceId": [MISSING, *NON_EMPTY_TEXT],
    "amount": [MISSING, None, -1, 1.0, 99.99, "4999", "", True, False, [], {}, 2**53, 10**400, -(10**30)],
    "currency": [
        MISSING,
        None,
        "",
        "usd",
        "Usd",
        "US",
        "USDD",
        "U5D",
        "US ",
        "USD\n",
        "ÜSD",
        "\uff35\uff33\uff24",
        840,
        ["USD"],
    ],
    "mode": ["deferred", None],
}
UNKNOWN = ["click_id", "ClickId", "customer", "idempotencyKey", "", "__proto__", "metadata", "\ud800", "clickId "]


def rows(table: dict[str, list[object]]) -> list[tuple[str, object]]:
    return [(name, value) for name, values in table.items() for value in values]


def short(value: object) -> str:
    return "missing" if value is MISSING else ascii(value)[:40]


@pytest.fixture
def wire(sandbox: SandboxServer) -> Any:
    with Wire(sandbox) as connection:
        yield connection


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a sandbox for events that it refuses, and a connection to it; nothing is ever recorded there."""
    with SandboxServer(tmp_path_factory.mktemp("refusing") / "sandbox.db") as server, Wire(server) as connection:
        yield server, connection


def test_an_event_with_every_field_is_accepted(sandbox: SandboxServer, wire: Wire) -> None:
    assert wire.lead({**LEAD, **FULL}).status == 200
    assert wire.sale({**SALE, **FULL}).status == 200
    assert [event.event for event in sandbox.events()] == [{**LEAD, **FULL}, {**SALE, **FULL}]


@pytest.mark.parametrize(("name", "value"), GOOD, ids=short)
def test_a_good_value_is_accepted_in_both_kinds(
    sandbox: SandboxServer, wire: Wire, name: str, value: object
) -> None:
    assert wire.lead({**LEAD, name: value}).status == 200
    assert wire.sale({**SALE, name: value}).status == 200
    assert [event.event[name] for event in sandbox.events()] == [value, value]


@pytest.mark.parametrize(("name", "value"), GOOD_SALE, ids=short)
def test_a_good_value_is_accepted_in_a_sale(sandbox: SandboxServer, wire: Wire, name: str, value: object) -> None:
    assert wire.sale({**SALE, name: value}).status == 200
    assert [event.event[name] for event in sandbox.events()] == [value]


@pytest.mark.parametrize(("name", "value"), rows(BAD_LEAD), ids=short)
def test_a_bad_value_in_a_lead_is_422_and_named(
    refusing: tuple[SandboxServer, Wire], name: str, value: object
) -> None:
    sandbox, wire = refusing
    answer = wire.lead(with_field({**LEAD, **FULL}, name, value))
    assert (answer.status, list(answer.json["details"])) == (422, [name])
    assert sandbox.events() == []


@pytest.mark.parametrize(("name", "value"), rows(BAD_SALE), ids=short)
def test_a_bad_value_in_a_sale_is_422_and_named(
    refusing: tuple[SandboxServer, Wire], name: str, value: object
) -> None:
    sandbox, wire = refusing
    answer = wire.sale(with_field({**SALE, **FULL}, name, value))
    assert (answer.status, list(answer.json["details"])) == (422, [name])
    assert sandbox.events() == []


@pytest.mark.parametrize("name", UNKNOWN, ids=ascii)
def test_an_undocumented_field_is_422_and_named(refusing: tuple[SandboxServer, Wire], name: str) -> None:
    _, wire = refusing
    for answer in (wire.lead({**LEAD, name: "x"}), wire.sale({**SALE, name: "x"})):
        assert (answer.status, list(answer.json["details"])) == (422, [name])


def test_every_problem_is_named_at_once_in_the_contracts_shape(wire: Wire) -> None:
    answer = wire.sale({"clickId": None, "amount": "1", "currency": "usd", "mode": "deferred", "extra": 1})
    body = answer.json
    assert answer.status == 422
    assert set(body) == {"success", "error", "type", "statusCode", "details"}
    assert (body["success"], body["error"], body["statusCode"]) == (False, "Validation failed", 422)
    assert set(body["details"]) == {
        *("clickId", "eventName", "customerExternalId", "invoiceId", "amount", "currency", "mode", "extra")
    }
    assert all(isinstance(message, str) and message for message in body["details"].values())


def test_a_null_is_told_apart_from_a_wrong_type(wire: Wire) -> None:
    assert "left out" in wire.lead({**LEAD, "customerName": None}).json["details"]["customerName"]


def test_mode_deferred_needs_a_click_id(wire: Wire) -> None:
    answer = wire.lead({**FOLLOW_UP, "mode": "deferred"})
    assert (answer.status, list(answer.json["details"])) == (422, ["clickId"])
