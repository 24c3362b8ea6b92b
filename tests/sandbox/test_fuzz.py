"""The sandbox answers any input as the contract says, without a 500, a hang, or a lost thread or request.

A hang appears as a socket timeout (``PATIENCE``), a 500 as a status or as the server's ``failure``, which the
fixture checks.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms_cli.sandbox import SandboxServer, read_events

from .talk import LEAD, SALE, SET_UP, Wire, lead, post_bytes, raw

RELAXED = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
quick = settings(max_examples=40, derandomize=True, **RELAXED)
thorough = settings(max_examples=600, **RELAXED)

# --- events: nearly valid ones, and each without one of its fields ---

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
SURROGATES = st.text(st.characters(categories=["Cs", "Lu"]), max_size=5)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "clickId": st.sampled_from(["clk_1", "clk_2"]) | st.text(max_size=260),
    "eventName": st.sampled_from(["signup", "purchase"]) | st.text(max_size=260),
    "customerExternalId": st.sampled_from(["cus_1", "cus_2", "cus_3"]) | st.text(max_size=260),
    "invoiceId": st.sampled_from(["inv_1", "inv_2"]) | st.text(max_size=20),
    "amount": st.integers(0, 10**6) | st.integers() | st.floats() | st.integers(10**300, 10**301),
    "currency": st.sampled_from(["USD", "JPY"]) | st.text(max_size=4),
    "customerName": st.text(max_size=260),
    "customerEmail": st.emails() | st.text(max_size=20),
    "customerAvatar": st.sampled_from(["https://example.com/a"]) | st.text(max_size=20).map("http://".__add__),
    "timestamp": st.datetimes().map(lambda at: f"{at.isoformat()}Z") | st.text(max_size=25),
    "mode": st.just("deferred") | st.text(max_size=10),
}
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        **{name: values | JSON_VALUES | SURROGATES for name, values in VALUES.items()},
        "unknown": JSON_VALUES,
    },
) | st.fixed_dictionaries(
    {name: VALUES[name] for name in ("eventName", "customerExternalId")},
    optional={name: VALUES[name] for name in ("clickId", "mode", "customerEmail", "timestamp")},
)


class Fuzzed:
    """A sandbox and the number of events that it should hold."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.recorded = 0

    def check_event(self, event: dict[str, Any]) -> None:
        """Send an event, and variants without one field, as lead and sale; a 200, and only it, is stored."""
        full = {**SALE, **event}
        variants = [event, full, *({key: full[key] for key in full if key != name} for name in full)]
        accepted = []
        with Wire(self.server) as wire:
            for variant in variants:
                for answer in (wire.lead(variant), wire.sale(variant)):
                    assert answer.status in (200, 400, 404, 409, 422)
                    assert answer.json["success"] is (answer.status == 200)
                    if answer.status == 200:
                        accepted.append(variant)
        kept = list(read_events(self.server.db, since_id=self.recorded))
        assert [event.event for event in kept] == accepted
        self.recorded += len(accepted)

    def check_bytes(self, data: bytes) -> None:
        """Send any bytes and check that the answer is one of the contract's; a blank first line needs none."""
        answer = raw(self.server, data)
        blank = not data.decode("latin-1").partition("\n")[0].strip()
        assert answer.startswith(b"HTTP/1.1 ") or (answer == b"" and blank), answer[:200]
        assert {int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)} <= EXPECTED, answer

    def check_at_the_end(self) -> None:
        """Check that the sandbox still accepts a lead and has not failed internally."""
        assert lead(self.server, {**LEAD, "customerExternalId": "the last"}).status == 200
        assert self.server.failure is None


@pytest.fixture
def fuzzed(sandbox: SandboxServer) -> Iterator[Fuzzed]:
    fuzzed = Fuzzed(sandbox)
    yield fuzzed
    fuzzed.check_at_the_end()


@quick
@given(event=EVENTS)
def test_any_event_is_answered_by_the_rules(fuzzed: Fuzzed, event: dict[str, Any]) -> None:
    fuzzed.check_event(event)


@pytest.mark.slow
@thorough
@given(event=EVENTS)
def test_very_many_events_are_answered_by_the_rules(fuzzed: Fuzzed, event: dict[str, Any]) -> None:
    fuzzed.check_event(event)


# --- bytes: noise, and edited requests ---

EXPECTED = frozenset((200, 400, 401, 404, 405, 408, 409, 413, 414, 415, 417, 421, 422, 431, 501, 505, 100))
CHUNKED = b"8\r\n" + b'{"a": 1}' + b"\r\n0\r\n\r\n"
REQUESTS = [
    post_bytes("/track/lead", json.dumps(LEAD).encode()),
    post_bytes("/track/lead", json.dumps(SET_UP).encode()) * 2,
    post_bytes("/track/sale", json.dumps(SALE).encode(), "Connection: close"),
    post_bytes("/track/sale", CHUNKED, "Transfer-Encoding: chunked", length=False),
    post_bytes("/track/lead", json.dumps(LEAD).encode(), "Expect: 100-continue"),
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n",
]
TOKENS = [
    *(b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: y\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"HTTP/1.0", b"HTTP/9.9", b"POST ", b"0\r\n\r\n"),
    *(b"{", b"}", b"[" * 2000, b'"', b"null", b"NaN", b"1e999", b"9" * 5000, b"\\ud800", b"\\u0000", b"A" * 9000),
]
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(TOKENS) | st.binary(max_size=20)), max_size=4
)


def edited(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Return the data with bytes replaced at each place, given as a share of its length."""
    for place, removed, added in edits:
        start = int(place * len(data))
        data = data[:start] + added + data[start + removed :]
    return data


@quick
@given(noise=st.binary(max_size=200), edits=EDITS)
def test_any_bytes_are_answered(fuzzed: Fuzzed, noise: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    fuzzed.check_bytes(noise)
    for request in REQUESTS:
        fuzzed.check_bytes(edited(request, edits))


@pytest.mark.slow
@thorough
@given(noise=st.binary(max_size=2000), edits=EDITS)
def test_very_many_bytes_are_answered(fuzzed: Fuzzed, noise: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    fuzzed.check_bytes(noise)
    for request in REQUESTS:
        fuzzed.check_bytes(edited(request, edits))


@pytest.mark.slow
def test_thousands_of_mangled_requests_are_answered(fuzzed: Fuzzed) -> None:
    chance = random.Random(20_260_410)
    for _ in range(8000):
        edits = [
            (chance.random(), chance.randrange(30), chance.choice([*TOKENS, chance.randbytes(chance.randrange(8))]))
            for _ in range(chance.randrange(1, 6))
        ]
        fuzzed.check_bytes(edited(chance.choice(REQUESTS), edits))
