"""What both ways to the service share: connect and read by a point in time, and name what went wrong."""

from __future__ import annotations

import os
import socket
import ssl
import time
from typing import NamedTuple, Protocol

from cms_python._answer import NoAnswer, Silence

LONGEST_IDLE = 2.0
"""Seconds after which an idle connection is not used again.

A server that closes it just as the event leaves makes a lead's fate unknown; a new connection costs less than that.
"""

LARGEST_ANSWER = 1024 * 1024
"""Bytes of an answer that are read. What is longer is not the API's."""

POOL_SIZE = 64
"""Idle connections kept. More threads than that still work; their connections are not kept."""


class Headers(Protocol):
    """Headers of an answer, found by name in any case."""

    def get(self, name: str, default: str, /) -> str:
        """Give a header's value."""


class Reply(NamedTuple):
    """An HTTP answer, headers as they came.

    Attributes:
        status: The HTTP status.
        headers: The headers; names in any case.
        body: The body, unpacked, its first :data:`LARGEST_ANSWER` bytes.
    """

    status: int
    headers: Headers
    body: bytes


def seconds_until(deadline: float) -> float:
    """Give the seconds left.

    Raises:
        TimeoutError: There are none (``socket.timeout`` before Python 3.10).
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def connect(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of a host that answers. All of them share the time.

    Args:
        host: A name in ASCII, or an address.
        port: The port.
        deadline: The :func:`time.monotonic` by which the connection must have come about.

    Raises:
        OSError: None did.
        ValueError: The name cannot be one.
    """
    # As bytes, since text is first put through the codec for names in other scripts, which takes 1 ms to load.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    addresses = [*dict.fromkeys((family, address) for family, _, _, _, address in found)]
    for left, (family, address) in zip(range(len(addresses), 0, -1), addresses):
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(seconds_until(deadline) / left)
            sock.connect(address)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if left > 1 and isinstance(error, OSError):
                continue
            raise
        return sock
    raise ConnectionError(f"{host} has no address")


def tls_context(bundle: str) -> ssl.SSLContext:
    """Make the context that checks the service's certificate.

    Reading a bundle takes 10 to 20 ms, so that it is done once for all connections.

    Args:
        bundle: The file or folder with the certificates of the authorities that are trusted.

    Raises:
        ssl.SSLError: There is no such bundle, or it is none.
    """
    try:
        folder = os.path.isdir(bundle)  # noqa: PTH112 - pathlib would be loaded for this alone
        context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        return context
    except OSError as error:
        why = error.strerror or str(error)
    raise ssl.SSLError(0, f"{bundle}: {why}")


def no_answer(error: BaseException, *, sent: bool) -> NoAnswer:
    """Say why an attempt got no answer.

    Args:
        error: What was raised.
        sent: Whether a byte of the request may have left.
    """
    inner = innermost(error)
    return NoAnswer(_silence_of(inner, sent), sent, str(inner) or type(inner).__name__)


def innermost(error: BaseException) -> BaseException:
    """Give the error at the bottom, which says it shortest; libraries wrap errors in errors."""
    while True:
        nested = [arg for arg in error.args if isinstance(arg, BaseException)]
        inner = nested[-1] if nested else error.__cause__ or error.__context__
        if inner is None:
            return error
        error = inner


def _silence_of(error: BaseException, sent: bool) -> Silence:
    if isinstance(error, socket.timeout):
        return Silence.READ_TIMEOUT if sent else Silence.CONNECT_TIMEOUT
    if sent:
        return Silence.DROPPED
    if isinstance(error, socket.gaierror):
        # What a resolver answers with "not just now" may work in a minute; "no such name" will not.
        return Silence.DNS if error.errno == socket.EAI_AGAIN else Silence.HOST_NOT_FOUND
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Silence.REFUSED  # hung up amid the handshake, as a server does that restarts
    if isinstance(error, ssl.SSLError):
        return Silence.TLS
    if isinstance(error, UnicodeError):
        return Silence.HOST_NOT_FOUND  # a name with a label that is empty or too long
    return Silence.REFUSED if isinstance(error, OSError) else Silence.SETTINGS
