"""Reads an HTTP/1.1 answer off a connection, every byte of it by a point in time (RFC 9112).

http.client does the same, and reads headers as if they were an e-mail's, which took half the time of a thread that
sends (`benchmarks/README.md`). Where this is stricter than it has to be, it is to call an answer lost rather than
half an answer a whole one.
"""

from __future__ import annotations

import socket

from cms_python._exchange import LARGEST_ANSWER, Reply, seconds_until

_LARGEST_HEAD = 64 * 1024  # bytes of a status line with its headers, or of one line within a body
_MOST_HEADERS = 100  # both as http.client has them
_PIECE = 16 * 1024  # bytes asked for at once

_HEX_DIGITS = b"0123456789ABCDEFabcdef"
_PACKED = ("gzip", "x-gzip", "deflate")


class BrokenAnswerError(Exception):
    """What came back is no whole HTTP answer."""


class AnswerHeaders:
    """The headers of an answer. What came several times stands behind a comma (RFC 9110, 5.2)."""

    __slots__ = ("_values",)

    def __init__(self, lines: list[str]) -> None:
        """Read them.

        Args:
            lines: A header each, without the line end; what begins with a blank goes on with the one before.
        """
        values = self._values = dict[str, str]()
        name = ""
        for line in lines:
            if line[:1] in (" ", "\t"):
                values[name] = f"{values.get(name, '')} {line.strip()}"
                continue
            key, colon, value = line.partition(":")
            # Without a colon it says nothing to anybody; it is kept where nobody will ask for it.
            name = key.strip().lower() if colon else ""
            value = value.strip()
            values[name] = f"{values[name]}, {value}" if name in values else value

    def get(self, name: str, default: str, /) -> str:
        """Give a header's value; names in any case."""
        return self._values.get(name.lower(), default)


def read_answer(sock: socket.socket, deadline: float) -> tuple[Reply, bool]:
    """Read the answer to a POST, and unpack it.

    Args:
        sock: The connection on which the request left.
        deadline: The :func:`time.monotonic` by which the whole answer must be there.

    Returns:
        The answer, and whether another request may go over the connection.

    Raises:
        BrokenAnswerError: It is none, or not a whole one.
        OSError: The connection broke, or the time is over (:exc:`TimeoutError`; ``socket.timeout`` before 3.10).
    """
    stream = _Stream(sock, deadline)
    while True:
        stays, status, headers = _head(stream.head())
        if status >= 200:
            break
        if status == 101:
            raise BrokenAnswerError("the answer changes to a protocol that nobody asked for")
    body, whole = _body(stream, status, headers)
    words = headers.get("Connection", "").lower()
    keeps = "close" not in words if stays else "keep-alive" in words
    # Whatever is left over is an answer to nothing that was asked.
    return Reply(status, headers, _unpacked(body, headers)), whole and keeps and not stream.left


class _Stream:
    """The bytes of a connection, by a point in time."""

    __slots__ = ("_deadline", "_sock", "left")

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self.left = bytearray()  # came, and was not asked for yet

    def more(self) -> bool:
        """Wait for more bytes; tells whether there are any before the end."""
        # A socket's own timeout starts anew with every byte, so an answer that drips in would never time out.
        self._sock.settimeout(seconds_until(self._deadline))
        piece = self._sock.recv(_PIECE)
        self.left += piece
        return bool(piece)

    def head(self) -> str:
        """Read up to the empty line."""
        looked_at = 0
        while (end := _end_of_head(self.left, looked_at)) < 0:
            if len(self.left) > _LARGEST_HEAD:
                raise BrokenAnswerError("the answer's headers do not end")
            looked_at = max(0, len(self.left) - 2)
            if not self.more():
                where = "within the answer's headers" if self.left else "without an answer"
                raise BrokenAnswerError(f"the connection ended {where}")
        # Latin-1 has a character for every byte; what is looked for is ASCII.
        return self._cut(end).decode("latin-1")

    def line(self) -> bytes:
        """Read a line within a body; gives it without its end."""
        looked_at = 0
        while (end := self.left.find(b"\n", looked_at)) < 0:
            if len(self.left) > _LARGEST_HEAD:
                raise BrokenAnswerError("a line within the answer does not end")
            looked_at = len(self.left)
            self._need_more()
        return self._cut(end + 1)[:-1].rstrip(b"\r")

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        while len(self.left) < size:
            self._need_more()
        return self._cut(size)

    def take_all(self, limit: int) -> bytes:
        """Read to the end of the connection, or so many bytes."""
        while len(self.left) < limit and self.more():
            pass
        return self._cut(limit)

    def _need_more(self) -> None:
        if not self.more():
            raise BrokenAnswerError("the connection ended within the answer")

    def _cut(self, size: int) -> bytes:
        piece = bytes(self.left[:size])
        del self.left[:size]
        return piece


def _end_of_head(data: bytearray, start: int) -> int:
    """Find where the body begins; -1 where the head has no end yet. Some servers end lines with LF alone."""
    ends = [place + len(end) for end in (b"\n\r\n", b"\n\n") if (place := data.find(end, start)) >= 0]
    return min(ends, default=-1)


def _head(text: str) -> tuple[bool, int, AnswerHeaders]:
    """Tell whether connections stay open unasked, and give the status and the headers."""
    # splitlines() would end lines at more than line ends.
    first, *lines = [line.rstrip("\r") for line in text.split("\n")[:-2]]
    version, status, *_ = *first.split(None, 2), "", ""
    known = version in ("HTTP/1.0", "HTTP/1.1") and len(status) == 3 and status.isascii() and status.isdigit()
    if not known or status < "100":
        # No more than a hint: whoever answers like this may well repeat the token, of which a part is not masked.
        raise BrokenAnswerError(f"what came is no HTTP answer, but {first[:12]!r}")
    if len(lines) > _MOST_HEADERS:
        raise BrokenAnswerError(f"the answer has more than {_MOST_HEADERS} headers")
    return version == "HTTP/1.1", int(status), AnswerHeaders(lines)


def _body(stream: _Stream, status: int, headers: AnswerHeaders) -> tuple[bytes, bool]:
    """Read what RFC 9112, 6.3, makes the body; tells as well whether the next answer can begin behind it."""
    coding = headers.get("Transfer-Encoding", "").strip().lower()
    length = headers.get("Content-Length", "")
    if status in (204, 304):
        return b"", True
    if coding:
        if coding != "chunked":
            raise BrokenAnswerError(f"the answer has a transfer coding that nobody asked for: {coding[:20]}")
        body, whole = _chunks(stream)
        return body, whole and not length
    lengths = {part.strip() for part in length.split(",")} - {""}
    if not lengths:
        return stream.take_all(LARGEST_ANSWER), False
    size = lengths.pop()
    if lengths or not (size.isascii() and size.isdigit()):
        raise BrokenAnswerError(f"the answer's length is unclear: {length[:20]}")
    whole = len(size) < 16 and int(size) <= LARGEST_ANSWER
    return stream.take(int(size) if whole else LARGEST_ANSWER), whole


def _chunks(stream: _Stream) -> tuple[bytes, bool]:
    body = bytearray()
    while True:
        digits = stream.line().split(b";", 1)[0].rstrip()
        if not 0 < len(digits) < 16 or digits.strip(_HEX_DIGITS):
            raise BrokenAnswerError("a chunk of the answer has no size")
        size = int(digits, 16)
        if not size:
            while stream.line():  # trailers
                pass
            return bytes(body), True
        if len(body) + size > LARGEST_ANSWER:
            return bytes(body + stream.take(LARGEST_ANSWER - len(body))), False
        body += stream.take(size)
        if stream.line():
            raise BrokenAnswerError("a chunk of the answer is longer than it says")


def _unpacked(body: bytes, headers: AnswerHeaders) -> bytes:
    # Nothing but plain bytes is asked for, and not everybody heeds that.
    if headers.get("Content-Encoding", "").strip().lower() not in _PACKED:
        return body
    import zlib

    try:
        # 32: gzip or zlib, whichever it is.
        return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(body, LARGEST_ANSWER)
    except zlib.error as error:
        raise BrokenAnswerError(f"the answer cannot be unpacked: {error}") from error
