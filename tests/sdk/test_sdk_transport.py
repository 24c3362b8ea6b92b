"""Answers as bytes: however they are framed, compressed and split, they are read completely or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest
from faultserver import SUCCESS, FaultServer, Reply
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sdk_events import TOKEN

from cms_python._answer import Answer, NoAnswer, Reason
from cms_python._transport import LARGEST_ANSWER, Transport

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH_2 = OK + b"Content-Length: 2\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[FaultServer, Transport]]:
    with FaultServer() as server:
        transport = Transport(server.url, TOKEN)
        yield server, transport
        transport.close()


@pytest.fixture
def transport(server: FaultServer) -> Iterator[Transport]:
    made = Transport(server.url, TOKEN)
    yield made
    made.close()


def post(transport: Transport, timeout: float = 20.0) -> Answer | NoAnswer:
    return transport.post("/track/lead", b"{}", timeout)


def answer_to(server: FaultServer, transport: Transport, data: bytes) -> Answer | NoAnswer:
    """Return what the client reads if the server sends these bytes and hangs up."""
    server.script(Reply(raw=data))
    found = post(transport)
    server.wait_for(lambda: bool(server.connections[-1].ended_by))
    return found


def in_chunks(body: bytes, size: int) -> bytes:
    pieces = [body[begin : begin + size] for begin in range(0, len(body), size)]
    return b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@st.composite
def answers(draw: st.DrawFn) -> tuple[int, bytes, bytes, bytes]:
    """Generate a status and a body, with head and body as they are sent."""
    status = draw(st.sampled_from([200, 201, 302, 404, 409, 422, 429, 500, 503]))
    body = draw(st.binary(max_size=3000))
    packing = draw(st.sampled_from(["", "gzip", "deflate"]))
    sent = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[packing](body)
    lines = [b"HTTP/1.1 %d %b" % (status, draw(st.sampled_from([b"OK", b"", b"Not  Found"])))]
    lines += [b"Content-Encoding: " + packing.encode()] if packing else []
    if draw(st.booleans()):
        lines.append(b"content-length: %d" % len(sent))
    else:
        lines.append(b"Transfer-Encoding: Chunked")
        sent = in_chunks(sent, draw(st.integers(1, 2000)))
    return status, body, b"\r\n".join([*lines, b"", b""]), sent


@MANY
@given(answer=answers())
def test_whatever_its_form(shared: tuple[FaultServer, Transport], answer: tuple[int, bytes, bytes, bytes]) -> None:
    """Status and body are read correctly for any framing and compression."""
    server, transport = shared
    status, body, head, sent = answer
    found = answer_to(server, transport, head + sent)
    assert isinstance(found, Answer)
    assert (found.status, found.body, found.says_its_end) == (status, body, True)


@MANY
@given(answer=answers(), cut=st.integers(0, 10_000))
def test_half_a_body(
    shared: tuple[FaultServer, Transport], answer: tuple[int, bytes, bytes, bytes], cut: int
) -> None:
    """An answer cut off before its announced end is no answer."""
    server, transport = shared
    *_, head, sent = answer
    assume(sent)
    # The empty chunk ends the body, with or without the empty line after it.
    whole = len(sent) - len(b"\r\n\r\n") if b"Chunked" in head else len(sent)
    found = answer_to(server, transport, head + sent[: cut % whole])
    assert isinstance(found, NoAnswer)
    assert (found.reason, found.sent) == (Reason.DROPPED, True)


@MANY
@given(
    head=st.sampled_from([b"", b"HTTP/1.1 200", OK, LENGTH_2 + b"\r\n", CHUNKED + b"\r\n"]),
    rest=st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"\r\n", b"\n", b":", b" ", b"0", b"5", b"Content-Length", b"\xff", b"close", b";", b"-"]),
        max_size=40,
    ).map(b"".join),
)
def test_any_bytes(shared: tuple[FaultServer, Transport], head: bytes, rest: bytes) -> None:
    """Any bytes are an answer or none, never an exception, and the next event is unaffected."""
    server, transport = shared
    found = answer_to(server, transport, head + rest)
    assert isinstance(found, NoAnswer) or 200 <= found.status <= 999
    assert isinstance(post(transport), Answer)


WHOLE = {
    "after a 100": (b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH_2 + b"\r\n{}", b"{}"),
    "no body at 204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b""),
    "one length twice": (LENGTH_2 + b"Content-Length: 2\r\n\r\n{}", b"{}"),
    "a length and chunks": (LENGTH_2 + b"Transfer-Encoding: chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n", b"{ }"),
    "trailers": (CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n", b"{}"),
    "a folded header": (LENGTH_2 + b"X: a\r\n b\r\n\r\n{}", b"{}"),
    "more than announced": (LENGTH_2 + b"\r\n{}HTTP/1.1 200 OK\r\n", b"{}"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    "packed": (OK + b"Content-Encoding: GZip\r\n\r\n" + gzip.compress(b"{}"), b"{}"),
    "packed twice": (OK + b"Content-Encoding: gzip, gzip\r\n\r\n" + gzip.compress(gzip.compress(b"{}")), b"{}"),
    "packed in two parts": (
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{") + gzip.compress(b"}"),
        b"{}",
    ),
    "deflated": (OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"{}"), b"{}"),
    "deflated without a header": (OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"{}")[2:-4], b"{}"),
    "not packed, and it says so": (LENGTH_2 + b"Content-Encoding: identity\r\n\r\n{}", b"{}"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole(server: FaultServer, transport: Transport, name: str) -> None:
    """Every form that RFC 9112 allows is read completely, and the next answer begins after it."""
    data, body = WHOLE[name]
    found = answer_to(server, transport, data)
    assert isinstance(found, Answer)
    assert found.body == body
    following = post(transport)
    assert isinstance(following, Answer)
    assert following.body == SUCCESS.body


BROKEN = {
    "early hints and no more": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    "early hints before an answer": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + LENGTH_2 + b"\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "lengths that differ": LENGTH_2 + b"Content-Length: 3\r\n\r\n{}",
    "a chunk below zero": CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk's size without end": CHUNKED + b"\r\n" + b"0" * 70_000,
    "no bytes": b"",
    "called packed": OK + b"Content-Encoding: gzip\r\n\r\n{}",
    "half of something packed twice": OK + b"Content-Encoding: gzip, gzip\r\n\r\n" + gzip.compress(b"{}"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(server: FaultServer, transport: Transport, name: str) -> None:
    """An answer that may be partial or belong to another request is no answer, and the event may have arrived."""
    found = answer_to(server, transport, BROKEN[name])
    assert isinstance(found, NoAnswer)
    assert (found.reason, found.sent) == (Reason.DROPPED, True)
    following = post(transport)
    assert isinstance(following, Answer)
    assert following.body == SUCCESS.body


def test_early_hints_leave_their_connection(server: FaultServer, transport: Transport) -> None:
    """A connection with a 103 is closed, since the next event would read the answer that follows."""
    server.script(Reply(103, headers=(("Link", "</x>"),)), Reply(204))
    assert isinstance(post(transport), NoAnswer)
    server.wait_for(lambda: server.connections[0].ended_by == "client")
    following = post(transport)
    assert isinstance(following, Answer)
    assert following.status == 204
    assert [request.connection for request in server.requests] == [1, 2]


def test_packed_and_dripping(server: FaultServer, transport: Transport) -> None:
    """A slow compressed answer ends at the deadline, even while it yields no output."""
    body = gzip.compress(b'{"success": true, "message": "' + bytes(range(48, 122)) * 2 + b'"}')
    server.script(Reply(200, body, (("Content-Encoding", "gzip"),), drip=0.1, drip_from="body"))
    found = post(transport, timeout=0.5)
    assert isinstance(found, NoAnswer)
    assert found.reason is Reason.READ_TIMEOUT
    server.wait_for(lambda: server.connections[0].ended_by == "client"), "it hangs up before the whole came"


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
def test_too_large(server: FaultServer, transport: Transport, framing: str) -> None:
    """An oversized answer is read up to a limit, and its connection is closed."""
    body = b"x" * (8 * LARGEST_ANSWER)
    server.script(Reply(200, body, chunked=framing == "chunks", framed=framing == "length"))
    found = post(transport)
    assert isinstance(found, Answer)
    assert LARGEST_ANSWER <= len(found.body) <= 2 * LARGEST_ANSWER
    server.wait_for(lambda: bool(server.connections[0].ended_by))


def test_the_deadline_is_that_of_the_attempt(server: FaultServer, transport: Transport) -> None:
    """The deadline covers the whole answer, not the time between its bytes."""
    server.script(Reply(200, b" " * 20, drip=0.05, drip_from="body"))
    found = post(transport, timeout=0.5)
    assert isinstance(found, NoAnswer)
    assert found.reason is Reason.READ_TIMEOUT


def test_request_headers(server: FaultServer, transport: Transport) -> None:
    """A request names SDK, Python and system in User-Agent and accepts only uncompressed answers."""
    post(transport)
    assert server.requests[0].headers["Accept-Encoding"] == "identity"
    agent = server.requests[0].headers["User-Agent"]
    assert agent.startswith("cms-python-client/")
    assert "Python/3." in agent
    assert agent.endswith(")")
