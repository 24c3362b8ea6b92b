"""HTTP/1.1 on a socket: bytes to requests, answers to bytes. Strict and bounded, because it is what clients meet.

Not ``http.server``: that spends more time on parsing headers with the e-mail package than the sandbox needs for a
whole request, and has no answer to a client that stalls.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from typing import NamedTuple

from cms_cli.sandbox.answers import Answer

LINE_LIMIT = 8 * 1024
HEAD_LIMIT = 16 * 1024
HEADER_LIMIT = 100
BODY_LIMIT = 64 * 1024
_CHUNK_LINE_LIMIT = 256

_REQUEST_LINE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/([0-9])\.([0-9])")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_ABSOLUTE = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")

# Given twice, these mean that client and server may disagree about the request.
_SINGLE = frozenset(
    ("host", "content-length", "content-type", "content-encoding", "authorization", "transfer-encoding", "expect")
)

REASONS: Mapping[int, str] = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class WireError(Exception):
    """A request that cannot be read; it gets ``status``, and its connection is closed.

    Attributes:
        status: 400, 408, 413, 414, 417, 431, 501 or 505.
        method, path: What is known of the request, else empty.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.method = ""
        self.path = ""


class Request(NamedTuple):
    """One HTTP request.

    Attributes:
        method: As sent; methods are case-sensitive.
        path: As sent, percent signs and all; of an absolute target, its path.
        query: What follows the first ``?``.
        headers: By lower-case name; several of one name are joined by commas.
        body: Without transfer coding.
        keep_alive: Whether the client lets the connection go on.
        http_1_0: Whether it speaks HTTP/1.0, which must be told of a connection that goes on.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    http_1_0: bool


class Reader:
    """Reads requests from a connected socket, one after the other, pipelined ones too."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._timeout: float | None = None

    def wait(self, seconds: float) -> bool:
        """Wait for the first byte of a request; ``False`` when the client closes, or stays idle for ``seconds``.

        Raises:
            OSError: The connection broke.
        """
        deadline = time.monotonic() + seconds
        while True:
            # RFC 9112, section 2.2: empty lines before a request are to be ignored.
            while self._buffer.startswith(b"\r\n"):
                del self._buffer[:2]
            if self._buffer and self._buffer != b"\r":
                return True
            try:
                if not self._fill(deadline, seconds):
                    return False
            except WireError:
                return False

    def read(self, seconds: float) -> Request:
        """Read a request whose first byte has come, within ``seconds`` in all.

        Raises:
            WireError: It is not a request, too large, or too slow.
            OSError: The connection broke.
        """
        deadline = time.monotonic() + seconds
        lines = self._head(deadline, seconds)
        match = _REQUEST_LINE.fullmatch(lines[0])
        if match is None:
            raise WireError(400, "The request line is not METHOD TARGET HTTP/1.1")
        path, _, query = _ABSOLUTE.sub("", match[2], count=1).partition("?")
        path = path or "/"
        try:
            if match[3] != "1":
                raise WireError(505, "Only HTTP/1.1 is spoken here")
            http_1_0 = match[4] == "0"
            headers = _headers(lines, http_1_0)
            body = self._body(headers, http_1_0, deadline, seconds)
        except WireError as problem:
            problem.method, problem.path = match[1], path
            raise
        options = headers.get("connection", "").lower()
        keep_alive = "keep-alive" in options if http_1_0 else "close" not in options
        return Request(match[1], path, query, headers, body, keep_alive, http_1_0)

    def drain(self, seconds: float, most: int) -> None:
        """Read and forget what still comes, so that closing does not reset the answer away from the client."""
        deadline = time.monotonic() + seconds
        try:
            while most > 0:
                most -= len(self._buffer)
                self._buffer.clear()
                if not self._fill(deadline, seconds):
                    return
        except (OSError, WireError):
            return

    def allow(self, seconds: float) -> None:
        """Give the socket's next operation so many seconds. Setting them is a system call, so not without need."""
        if seconds != self._timeout:
            self._socket.settimeout(seconds)
            self._timeout = seconds

    def allow_at_least(self, seconds: float) -> None:
        """As :meth:`allow`, and content with more."""
        if self._timeout is None or self._timeout < seconds:
            self.allow(seconds)

    def _fill(self, deadline: float, budget: float) -> bool:
        """Receive once; ``False`` at the end of the stream. ``budget`` is what the deadline was made from."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise WireError(408, "The request did not come in time")
        self.allow(budget if left > budget * 0.9 else left)
        try:
            data = self._socket.recv(65536)
        except (TimeoutError, socket.timeout):  # one and the same from Python 3.10 on
            raise WireError(408, "The request did not come in time") from None
        self._buffer += data
        return bool(data)

    def _need(self, deadline: float, budget: float) -> None:
        if not self._fill(deadline, budget):
            raise WireError(400, "The request ended early")

    def _head(self, deadline: float, budget: float) -> list[str]:
        buffer = self._buffer
        while True:
            end = buffer.find(b"\r\n\r\n")
            head = bytes(buffer if end < 0 else buffer[:end])
            if len(head) > LINE_LIMIT and head.find(b"\r\n", 0, LINE_LIMIT + 2) < 0:
                raise WireError(414, f"The request line is longer than {LINE_LIMIT} bytes")
            if len(head) > HEAD_LIMIT:
                raise WireError(431, f"The headers are longer than {HEAD_LIMIT} bytes")
            if _CONTROL.search(head) or _BARE_LF.search(head):
                raise WireError(400, "A control character or bare line feed in the request's head")
            if end >= 0:
                break
            self._need(deadline, budget)
        del buffer[: end + 4]
        lines = head.decode("latin-1").split("\r\n")
        if any("\r" in line for line in lines):
            raise WireError(400, "A bare carriage return in the request's head")
        return lines

    def _body(self, headers: Mapping[str, str], http_1_0: bool, deadline: float, budget: float) -> bytes:
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if length is not None or http_1_0:
                raise WireError(400, "Transfer-Encoding is not for HTTP/1.0, nor together with Content-Length")
            if coding.lower() != "chunked":
                raise WireError(501, "The only transfer coding known here is chunked")
        elif length is not None:
            if not _LENGTH.fullmatch(length):
                raise WireError(400, "Content-Length is not a number")
            if int(length) > BODY_LIMIT:
                raise WireError(413, f"The body is longer than {BODY_LIMIT} bytes")
        self._continue(headers, http_1_0)
        if coding is not None:
            return self._chunks(deadline, budget)
        return self._take(int(length or 0), deadline, budget)

    def _continue(self, headers: Mapping[str, str], http_1_0: bool) -> None:
        expect = headers.get("expect")
        if expect is None or http_1_0:
            return
        if expect.lower() != "100-continue":
            raise WireError(417, "The only expectation known here is 100-continue")
        if not self._buffer:
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _take(self, size: int, deadline: float, budget: float) -> bytes:
        while len(self._buffer) < size:
            self._need(deadline, budget)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _line(self, deadline: float, budget: float) -> bytes:
        while True:
            end = self._buffer.find(b"\r\n", 0, _CHUNK_LINE_LIMIT + 2)
            if end >= 0:
                line = self._take(end + 2, deadline, budget)[:-2]
                break
            if len(self._buffer) > _CHUNK_LINE_LIMIT:
                raise WireError(400, "A line of the chunked body is too long")
            self._need(deadline, budget)
        if b"\n" in line or b"\r" in line:
            raise WireError(400, "A bare line break in the chunked body")
        return line

    def _chunks(self, deadline: float, budget: float) -> bytes:
        body = bytearray()
        while True:
            match = _CHUNK.fullmatch(self._line(deadline, budget))
            if match is None:
                raise WireError(400, "A chunk has no size")
            size = int(match[1], 16)
            if len(body) + size > BODY_LIMIT:
                raise WireError(413, f"The body is longer than {BODY_LIMIT} bytes")
            if size == 0:
                break
            body += self._take(size, deadline, budget)
            if self._take(2, deadline, budget) != b"\r\n":
                raise WireError(400, "A chunk is longer than its size")
        for _ in range(HEADER_LIMIT):
            if not self._line(deadline, budget):
                return bytes(body)
        raise WireError(431, "Too many trailers")


def _headers(lines: list[str], http_1_0: bool) -> dict[str, str]:
    if len(lines) - 1 > HEADER_LIMIT:
        raise WireError(431, f"More than {HEADER_LIMIT} headers")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise WireError(400, "A header is not NAME: VALUE")
        name, value = name.lower(), value.strip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in _SINGLE:
            raise WireError(400, f"The header {name} is given twice")
        else:
            headers[name] += f", {value}"
    if "host" not in headers and not http_1_0:
        raise WireError(400, "The Host header is missing")
    return headers


def http_date(seconds: float) -> str:
    """Unix seconds as HTTP writes them, whatever the locale: ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    at = time.gmtime(seconds)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04}"
        f" {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )


def render_head(answer: Answer, *, keep_alive: bool, http_1_0: bool) -> bytes:
    """Status line and headers of an answer, up to and including the empty line."""
    lines = [
        f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}",
        f"Date: {http_date(time.time())}",
        "Server: cms-sandbox",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
    ]
    if answer.body:
        lines.append(f"Content-Type: {answer.content_type}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if not keep_alive:
        lines.append("Connection: close")
    elif http_1_0:
        lines.append("Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
