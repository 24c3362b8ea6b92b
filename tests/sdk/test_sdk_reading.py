"""Answers as bytes on a line: whatever way they are framed and cut up, they are read whole or not at all."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from http.client import HTTPResponse

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cms_python._exchange import LARGEST_ANSWER, Reply
from cms_python._reading import AnswerHeaders, BrokenAnswerError, read_answer

PATIENCE = 20.0
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH_2 = OK + b"Content-Length: 2\r\n"

names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,15}", fullmatch=True).map(lambda name: "X-" + name)
values = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f\x85\xa0")).map(
    str.strip
)
bodies = st.binary(max_size=3000)


def read(*pieces: bytes, ends: bool = True) -> tuple[Reply, bool]:
    """Read what comes over a real socket in these pieces; then the connection ends, or stays open."""
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def write() -> None:
            for piece in pieces:
                try:
                    theirs.sendall(piece)
                except OSError:  # the reader has had enough
                    return
            if ends:
                theirs.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            return read_answer(ours, time.monotonic() + PATIENCE)
        finally:
            ours.close()
            writer.join(PATIENCE)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in zip(places, places[1:])]


def in_chunks(body: bytes, cuts: list[int], extension: bytes) -> bytes:
    chunks = b"".join(b"%X%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in cut_up(body, cuts))
    return chunks + b"0\r\n\r\n"


@st.composite
def answers(draw: st.DrawFn) -> tuple[int, dict[str, str], bytes, bytes, bool]:
    """Give a status, headers, a body, all of them as bytes on the line, and whether they say their own end."""
    status = draw(st.sampled_from([200, 201, 302, 404, 409, 422, 429, 500, 503]))
    headers = draw(st.dictionaries(names, values, max_size=5))
    headers = {
        name: value for name, value in headers.items() if list(map(str.lower, headers)).count(name.lower()) == 1
    }
    body = draw(bodies)
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    lines = [b"HTTP/1.1 %d %b" % (status, draw(st.sampled_from([b"OK", b"", b"Not  Found"])))]
    lines += [
        f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{value}".encode("latin-1")
        for name, value in headers.items()
    ]
    sent = body
    if framing == "length":
        lines.append(b"content-length: %d" % len(body))
    elif framing == "chunks":
        lines.append(b"Transfer-Encoding: Chunked")
        sent = in_chunks(
            body, draw(st.lists(st.integers(0, 5000), max_size=5)), draw(st.sampled_from([b"", b";a=b"]))
        )
    return status, headers, body, end.join([*lines, b"", b""]) + sent, framing != "end"


@given(answer=answers(), cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_whatever_its_form(answer: tuple[int, dict[str, str], bytes, bytes, bool], cuts: list[int]) -> None:
    """Status, headers and body are what was sent, in whatever pieces it came; and as http.client reads them."""
    status, headers, body, data, framed = answer
    reply, reusable = read(*cut_up(data, cuts), ends=not framed)
    assert (reply.status, reply.body, reusable) == (status, body, framed)
    assert {name: reply.headers.get(name.upper(), "none") for name in headers} == headers

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        with HTTPResponse(ours, method="POST") as response:
            response.begin()
            assert (reply.status, reply.body) == (response.status, response.read())


@given(answer=answers(), cut=st.integers(0, 10_000))
def test_half_of_it(answer: tuple[int, dict[str, str], bytes, bytes, bool], cut: int) -> None:
    """An answer that says its own end is never read where it was cut off before that."""
    *_, data, framed = answer
    assume(framed)
    with pytest.raises(BrokenAnswerError):
        read(data[: cut % len(data)])


@settings(max_examples=300)
@given(
    head=st.sampled_from(
        [b"", b"HTTP/1.1 200", OK, LENGTH_2 + b"\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n"]
    ),
    rest=st.binary(max_size=300)
    | st.lists(
        st.sampled_from([b"\r\n", b"\n", b":", b" ", b"0", b"5", b"Content-Length", b"\xff", b"close", b";", b"-"]),
        max_size=40,
    ).map(b"".join),
    cuts=st.lists(st.integers(0, 400), max_size=3),
)
def test_any_bytes(head: bytes, rest: bytes, cuts: list[int]) -> None:
    """Bytes are an answer or none; nothing else is raised."""
    try:
        reply, _ = read(*cut_up(head + rest, cuts))
    except BrokenAnswerError:
        return
    assert 200 <= reply.status <= 999


WHOLE = {
    "after a 100": (b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH_2 + b"\r\n{}", b"{}", True),
    "after hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + LENGTH_2 + b"\r\n{}", b"{}", True),
    "no body at 204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", b"", True),
    "one length twice": (LENGTH_2 + b"Content-Length: 2\r\n\r\n{}", b"{}", True),
    "one length twice in a line": (OK + b"Content-Length: 2, 2\r\n\r\n{}", b"{}", True),
    "a length and chunks": (LENGTH_2 + b"Transfer-Encoding: chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n", b"{ }", False),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n", b"{}", True),
    "a line without a colon": (LENGTH_2 + b"nonsense\r\n\r\n{}", b"{}", True),
    "a folded header": (LENGTH_2 + b"X: a\r\n b\r\n\r\n{}", b"{}", True),
    "closes": (LENGTH_2 + b"Connection: Close\r\n\r\n{}", b"{}", False),
    "more than announced": (LENGTH_2 + b"\r\n{}HTTP/1.1 200 OK\r\n", b"{}", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", False),
    "HTTP/1.0 that stays": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
        b"{}",
        True,
    ),
    "packed": (OK + b"Content-Encoding: GZip\r\n\r\n" + gzip.compress(b"{}"), b"{}", False),
    "deflated": (OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"{}"), b"{}", False),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole(name: str) -> None:
    """What RFC 9112 allows is read, and the connection used again only where the next answer's begin is known."""
    data, body, reusable = WHOLE[name]
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        reply, found = read(*pieces)
        assert reply.body == body
        if name != "more than announced" or len(pieces) == 1:
            assert found is reusable


BROKEN = {
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "protocol"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", "no HTTP answer"),
    "lengths that differ": (LENGTH_2 + b"Content-Length: 3\r\n\r\n{}", "length"),
    "a length below zero": (OK + b"Content-Length: -2\r\n\r\n{}", "length"),
    "a length in words": (OK + b"Content-Length: two\r\n\r\n{}", "length"),
    "another coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "coding"),
    "a chunk below zero": (OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", "chunk"),
    "a chunk too long": (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", "chunk"),
    "a chunk's size without end": (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 70_000, "does not end"),
    "no end of trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n", "ended"),
    "no bytes": (b"", "without an answer"),
    "called packed": (OK + b"Content-Encoding: gzip\r\n\r\n{}", "unpacked"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str) -> None:
    """What cannot be told apart from half an answer, or from another one, is no answer; it says why."""
    data, why = BROKEN[name]
    with pytest.raises(BrokenAnswerError, match=why):
        read(data)


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
def test_too_large(framing: str) -> None:
    """Of an answer without end the first megabyte is read, and its connection is left."""
    body = b"x" * (LARGEST_ANSWER + 1000)
    head = {
        "length": b"Content-Length: %d\r\n" % len(body),
        "chunks": b"Transfer-Encoding: chunked\r\n",
        "end": b"",
    }
    data = OK + head[framing] + b"\r\n" + (in_chunks(body, [5], b"") if framing == "chunks" else body)
    reply, reusable = read(data)
    assert (len(reply.body), reusable) == (LARGEST_ANSWER, False)


def test_headers_that_come_twice() -> None:
    """They are read as one list, as RFC 9110 has it."""
    headers = AnswerHeaders(["Via: a", "VIA:b", "Retry-After: 3"])
    assert (headers.get("via", ""), headers.get("retry-after", ""), headers.get("x", "none")) == (
        "a, b",
        "3",
        "none",
    )
