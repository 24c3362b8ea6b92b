"""Unusual requests: methods, paths, types, bodies and framing are answered cleanly and at once."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest

from cms_cli.sandbox import SandboxServer

from .conftest import StartSandbox
from .talk import (
    HEADERS,
    HOST,
    LEAD,
    PATIENCE,
    SALE,
    Wire,
    addressed,
    lead,
    post_bytes,
    raw,
    receive_all,
    send,
    status_of,
)

LEAD_BYTES = json.dumps(LEAD).encode()
GOOD = post_bytes("/track/lead", LEAD_BYTES)
LAST = post_bytes("/track/lead", LEAD_BYTES, "Connection: close")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "post", "BREW"])
@pytest.mark.parametrize("path", ["/track/lead", "/track/sale"])
def test_another_method_is_405_and_names_post(sandbox: SandboxServer, method: str, path: str) -> None:
    answer = send(sandbox, method, path, **HEADERS)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.body == b"" if method == "HEAD" else answer.json["statusCode"] == 405


PATHS = [
    "/nowhere",
    "/track",
    "/track/",
    "/track/lead/",
    "//track/lead",
    "/Track/Lead",
    "/track%2Flead",
    "/api/track/lead",
]


@pytest.mark.parametrize("path", PATHS)
def test_another_path_is_a_404_in_the_contracts_shape(sandbox: SandboxServer, path: str) -> None:
    answer = send(sandbox, "POST", path, LEAD_BYTES, **HEADERS)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json["success"] is False
    assert answer.json["statusCode"] == 404


def test_a_query_is_400(sandbox: SandboxServer) -> None:
    assert send(sandbox, "POST", "/track/lead?clickId=1", LEAD_BYTES, **HEADERS).status == 400


def test_an_absolute_target_is_understood(sandbox: SandboxServer) -> None:
    assert status_of(raw(sandbox, post_bytes("http://127.0.0.1:PORT/track/lead", LEAD_BYTES))) == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=UTF-8", 200),
        ('application/json; charset="utf-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("text/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/vnd.api+json", 415),
        ("application/jsonx", 415),
        ("", 415),
    ],
)
def test_the_content_type_must_be_json(sandbox: SandboxServer, content_type: str, status: int) -> None:
    assert lead(sandbox, **{"Content-Type": content_type}).status == status


def test_a_missing_content_type_is_415(sandbox: SandboxServer) -> None:
    answer = send(sandbox, "POST", "/track/lead", LEAD_BYTES, Authorization="Bearer tok_1")
    assert answer.status == 415


def test_a_content_encoding_is_415(sandbox: SandboxServer) -> None:
    assert lead(sandbox, **{"Content-Encoding": "gzip"}).status == 415


def test_an_idempotency_key_changes_nothing(sandbox: SandboxServer) -> None:
    assert [lead(sandbox, **{"Idempotency-Key": "k"}).status for _ in range(2)] == [200, 200]
    assert len(sandbox.events()) == 2


BODIES = {
    "nothing": b"",
    "blank": b"  ",
    "cut short": b'{"clickId": "c"',
    "trailing": LEAD_BYTES + b" x",
    "two": LEAD_BYTES + LEAD_BYTES,
    "single quotes": b"{'clickId': 'c'}",
    "trailing comma": b'{"eventName": "e",}',
    "comment": b'{"eventName": "e" /* no */}',
    "given twice": b'{"eventName": "e", "eventName": "e"}',
    "given twice inside": b'{"eventName": {"a": 1, "a": 2}}',
    "NaN": b'{"amount": NaN}',
    "Infinity": b'{"amount": Infinity}',
    "minus Infinity": b'{"amount": -Infinity}',
    "control character": b'{"eventName": "a\nb"}',
    "BOM": b"\xef\xbb\xbf" + LEAD_BYTES,
    "not UTF-8": b'{"eventName": "\xff"}',
    "a surrogate in UTF-8": b'{"eventName": "\xed\xa0\x80"}',
    "UTF-16": LEAD_BYTES.decode().encode("utf-16"),
    "array": b"[]",
    "string": b'"lead"',
    "number": b"1",
    "null": b"null",
    "deep arrays": b"[" * 60_000,
    "deep objects": b'{"a":' * 12_000,
    "deep and closed": b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "leading zero": b'{"amount": 01}',
    "plus": b'{"amount": +1}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_json_object_is_400(sandbox: SandboxServer, body: bytes) -> None:
    answer = lead(sandbox, body)
    assert answer.status == 400
    assert answer.json["type"] == "bad_request"
    assert "body" in answer.json["details"]
    assert sandbox.events() == []


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1" * 4000, b"9" * 60_000, b"1E5", b"-0.0"])
def test_an_unusual_number_is_not_an_amount(sandbox: SandboxServer, number: bytes) -> None:
    body = json.dumps(SALE).encode().replace(b"4999", number)
    answer = send(sandbox, "POST", "/track/sale", body, **HEADERS)
    # Python refuses to parse a number of more than some thousand digits.
    assert answer.status == (400 if len(number) > 5000 else 422)


def head(*lines: str) -> bytes:
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"5\r\n" + LEAD_BYTES[:5] + b"\r\n" + b"%x;ext=1\r\n" % len(LEAD_BYTES[5:]) + LEAD_BYTES[5:] + b"\r\n"
FRAMING = {
    "nothing": (b"", 0),
    "empty lines": (b"\r\n\r\n\r\n", 0),
    "noise": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "noise, long": (b"\xff" * 100_000, 414),
    "zeros": (b"\x00" * 5000, 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.2": (head("GET /track/lead HTTP/1.2", HOST), 405),
    "HTTP/1.0": (head("GET /track/lead HTTP/1.0", HOST), 405),
    "no host": (head("GET /track/lead HTTP/1.1"), 421),
    "lower-case http": (head("GET / http/1.1", HOST), 400),
    "asterisk": (head("OPTIONS * HTTP/1.1", HOST), 404),
    "authority": (head("CONNECT example.com:443 HTTP/1.1", HOST), 404),
    "no target": (head("POST HTTP/1.1", HOST), 400),
    "two hosts": (head("GET / HTTP/1.1", HOST, HOST), 400),
    "two authorizations": (post_bytes("/track/lead", LEAD_BYTES, "Authorization: Bearer other"), 400),
    "long target": (head(f"GET /{'a' * 9000} HTTP/1.1", HOST), 414),
    "long header": (head("GET / HTTP/1.1", HOST, f"A: {'a' * 70_000}"), 431),
    "endless header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 300_000, 431),
    "many headers": (head("GET / HTTP/1.1", HOST, *(f"A{number}: 1" for number in range(101))), 431),
    "repeated header": (head("GET /track/lead HTTP/1.1", HOST, "Accept: a", "Accept: b"), 405),
    "body cut short": (GOOD[:-3], 400),
    "no length": (post_bytes("/track/lead", b"", length=False), 400),
    "length is a word": (post_bytes("/track/lead", b"", "Content-Length: many", length=False), 400),
    "length is negative": (post_bytes("/track/lead", b"", "Content-Length: -1", length=False), 400),
    "length has a plus": (post_bytes("/track/lead", b"", "Content-Length: +5", length=False), 400),
    "length is in other digits": (post_bytes("/track/lead", b"", "Content-Length: \xb2", length=False), 400),
    "length is huge": (post_bytes("/track/lead", b"", f"Content-Length: {'9' * 40}", length=False), 400),
    "two lengths": (post_bytes("/track/lead", LEAD_BYTES, "Content-Length: 1"), 400),
    "body too long": (post_bytes("/track/lead", b"x" * 65537), 413),
    "body far too long": (post_bytes("/track/lead", b"x" * 5_000_000), 413),
    "body too long, not sent": (post_bytes("/track/lead", b"", "Content-Length: 65537", length=False), 413),
    "chunked": (post_bytes("/track/lead", CHUNKS + b"0\r\n\r\n", CHUNKED, length=False), 200),
    "chunked with trailers": (post_bytes("/track/lead", CHUNKS + b"0\r\nA: b\r\n\r\n", CHUNKED, length=False), 200),
    "chunked with endless trailers": (
        post_bytes("/track/lead", CHUNKS + b"0\r\n" + b"A: b\r\n" * 200, CHUNKED, length=False),
        431,
    ),
    "chunked and cut short": (post_bytes("/track/lead", CHUNKS, CHUNKED, length=False), 400),
    "chunked and length": (post_bytes("/track/lead", CHUNKS + b"0\r\n\r\n", CHUNKED), 400),
    "chunk without size": (post_bytes("/track/lead", b"zz\r\n", CHUNKED, length=False), 400),
    "chunk of negative size": (post_bytes("/track/lead", b"-5\r\n", CHUNKED, length=False), 400),
    "chunk longer than its size": (post_bytes("/track/lead", b"1\r\nab\r\n", CHUNKED, length=False), 400),
    "chunk too long": (post_bytes("/track/lead", b"fffff\r\n", CHUNKED, length=False), 413),
    "chunk size too long": (post_bytes("/track/lead", b"0" * 5000, CHUNKED, length=False), 400),
    "chunk line with a bare line feed": (post_bytes("/track/lead", b"1;\n\r\n", CHUNKED, length=False), 400),
    "another transfer coding": (
        post_bytes("/track/lead", b"", "Transfer-Encoding: gzip, chunked", length=False),
        501,
    ),
}


@pytest.mark.parametrize(("data", "status"), FRAMING.values(), ids=FRAMING)
def test_any_framing_is_answered_or_refused(sandbox: SandboxServer, data: bytes, status: int) -> None:
    answer = raw(sandbox, data)
    assert status_of(answer) == status
    if status >= 400:
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (body["success"], body["statusCode"]) == (False, status)
    # The next client must still be served.
    assert lead(sandbox).status == 200


def test_pipelined_requests_are_answered_in_order(sandbox: SandboxServer) -> None:
    sale = post_bytes("/track/sale", json.dumps(SALE).encode())
    answers = raw(sandbox, GOOD + sale + head("GET /nowhere HTTP/1.1", HOST) + sale + LAST + GOOD)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"404", b"409", b"200"]


def test_a_request_may_come_in_single_bytes(sandbox: SandboxServer) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in addressed(sandbox, LAST):
            sock.sendall(bytes([byte]))
        assert status_of(receive_all(sock)) == 200


def test_expect_100_continue_is_answered_before_the_body(sandbox: SandboxServer) -> None:
    request = post_bytes("/track/lead", LEAD_BYTES, "Expect: 100-continue", "Connection: close")
    request_head, _, body = request.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) as sock:
        sock.sendall(addressed(sandbox, request_head) + b"\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert status_of(receive_all(sock)) == 200


def test_connections_stay_open_unless_the_client_says_otherwise(sandbox: SandboxServer) -> None:
    with Wire(sandbox) as wire:
        wire.lead()
        kept = wire.sock
        assert wire.lead({"bad": 1}).status == 422
        assert wire.sock is kept
        assert wire.lead(Connection="close").headers["connection"] == "close"
        assert wire.sock is None
    http_1_0 = post_bytes("/track/lead", LEAD_BYTES).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    assert b"\r\nConnection: close\r\n" in raw(sandbox, http_1_0, half_close=False)
    kept_1_0 = http_1_0.replace(b"Host", b"Connection: keep-alive\r\nHost", 1)
    assert raw(sandbox, kept_1_0 + http_1_0, half_close=False).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "data", [b"G", GOOD[:60], GOOD[:-3], post_bytes("/track/lead", b"5\r\n", CHUNKED, length=False)]
)
def test_a_request_that_stalls_is_cut_with_408(start_sandbox: StartSandbox, data: bytes) -> None:
    sandbox = start_sandbox(request_timeout=0.1)
    assert status_of(raw(sandbox, data, half_close=False)) == 408


@pytest.mark.parametrize("start", [b"", GOOD[:-60]], ids=["head", "body"])
def test_a_request_that_trickles_in_has_no_longer_than_one_that_stalls(
    start_sandbox: StartSandbox, start: bytes
) -> None:
    """The time limit covers the whole request, so that single bytes do not extend it."""
    sandbox = start_sandbox(request_timeout=0.2)
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) as sock:
        sock.sendall(addressed(sandbox, start))
        sock.settimeout(0.02)
        answer = b""
        give_up = time.monotonic() + PATIENCE
        while not answer:
            assert time.monotonic() < give_up
            sock.sendall(b"a")
            with contextlib.suppress(socket.timeout):
                answer = sock.recv(1000)
    assert status_of(answer) == 408


def test_clients_that_stall_keep_nobody_waiting(sandbox: SandboxServer) -> None:
    """A hundred stalled connections do not delay the next client."""
    with contextlib.ExitStack() as stalled:
        for data in (b"", GOOD[:-3], GOOD) * 33:
            sock = stalled.enter_context(socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE))
            sock.sendall(addressed(sandbox, data))
        assert lead(sandbox, {**LEAD, "customerExternalId": "the next"}).status == 200


def test_a_client_that_sends_too_much_is_told_so(sandbox: SandboxServer) -> None:
    """A client that is still sending receives the 413 instead of a reset."""
    answer = lead(sandbox, {**LEAD, "eventName": "e" * 3_000_000})
    assert (answer.status, answer.json["type"]) == (413, "payload_too_large")


def test_a_silent_connection_is_closed(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(idle_timeout=0.1)
    assert raw(sandbox, b"", half_close=False) == b""
    assert raw(sandbox, GOOD, half_close=False).count(b"HTTP/1.1") == 1


def test_requests_that_could_not_be_read_are_recorded(sandbox: SandboxServer) -> None:
    raw(sandbox, b"\x00\r\n\r\n")
    raw(sandbox, post_bytes("/track/lead", b"", "Transfer-Encoding: gzip", length=False))
    assert [(attempt.method, attempt.path, attempt.status) for attempt in sandbox.attempts()] == [
        ("", "", 400),
        ("POST", "/track/lead", 501),
    ]
