"""Straight to the service, over connections of our own.

Nearly every event goes this way. urllib3 would do as well; it takes longer to import than all else that `cms lead`
imports together, and half again as long for each request (`benchmarks/README.md` has the numbers).
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from urllib.parse import quote, urlsplit

from cms_python import _exchange
from cms_python._answer import NoAnswer
from cms_python._exchange import POOL_SIZE, Reply, no_answer, seconds_until
from cms_python._reading import BrokenAnswerError, read_answer

_DEFAULT_PORTS = {"http": 80, "https": 443}
_KEPT_IN_PATHS = "!#$%&'()*+,/:;=?@[]~"  # left as they are in a path; a % is taken for the beginning of an escape


class _Connection:
    """A connection that may carry one request after the other."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._last_used = 0.0
        self._process = os.getpid()

    def __del__(self) -> None:
        self.close()  # where nobody closed the client: Python would warn of a socket that was left open

    def usable(self) -> bool:
        """Tell whether the next request may go over it: ours, not idle for long, and nothing came unasked."""
        if self._process != os.getpid():
            return False  # our parent's, from before the fork: each would read the other's answers
        return time.monotonic() - self._last_used <= _exchange.LONGEST_IDLE and not _readable(self._sock)

    def exchange(self, request: bytes, deadline: float) -> tuple[Reply, bool]:
        """Send a request and read its answer; tells as well whether the connection can be used again."""
        self._sock.settimeout(seconds_until(deadline))
        self._sock.sendall(request)
        if not self._last_used and hasattr(socket, "TCP_QUICKACK"):
            # After the handshake a TLS server sends session tickets. If it leaves Nagle's algorithm on, as Python's
            # own http.server does, it holds its answer back until they are acknowledged, and Linux delays that
            # acknowledgement by 40 ms, a fifth of a whole `cms lead`.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        found = read_answer(self._sock, deadline)
        self._last_used = time.monotonic()
        return found

    def close(self) -> None:
        self._sock.close()


class Direct:
    """The way to a host that no proxy is in front of. Many threads may use it at the same time."""

    def __init__(self, host: str, headers: dict[str, str], bundle: str) -> None:
        """Prepare what every request begins with.

        Args:
            host: The base URL, in ASCII, without a trailing slash.
            headers: Sent with every request.
            bundle: The authorities that are trusted; "" where it is plain http.
        """
        parts = urlsplit(host)
        self._name = parts.hostname or ""
        self._port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        name = f"[{self._name}]" if ":" in self._name else self._name
        authority = name if self._port == _DEFAULT_PORTS[parts.scheme] else f"{name}:{self._port}"
        self._path = quote(parts.path, safe=_KEPT_IN_PATHS)
        lines = [f"{key}: {value}\r\n" for key, value in {"Host": authority, **headers}.items()]
        self._head = "".join(lines).encode("ascii")
        self._bundle = bundle
        self._context: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []
        self._closed = False

    def close(self) -> None:
        """Close every idle connection; those in use close when their answer is there."""
        self._closed = True
        while (connection := self._idle_connection()) is not None:
            connection.close()

    def post(self, path: str, body: bytes, *, connect_timeout: float, deadline: float) -> Reply | NoAnswer:
        """Make one attempt; as :meth:`cms_python._transport.Transport.post`."""
        request = b"POST %s HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (
            (self._path + path).encode("ascii"),
            self._head,
            len(body),
            body,
        )
        try:
            connection = self._connection(min(deadline, time.monotonic() + connect_timeout))
        except (OSError, ValueError) as error:
            return no_answer(error, sent=False)
        reusable = False
        try:
            reply, reusable = connection.exchange(request, deadline)
            return reply
        except (BrokenAnswerError, OSError) as error:
            return no_answer(error, sent=True)
        finally:
            self._put_back(connection) if reusable else connection.close()

    def _connection(self, deadline: float) -> _Connection:
        while (idle := self._idle_connection()) is not None:
            if idle.usable():
                return idle
            idle.close()
        sock = _exchange.connect(self._name, self._port, deadline)
        if not self._bundle:
            return _Connection(sock)
        try:
            if self._context is None:
                self._context = _exchange.tls_context(self._bundle)
            sock.settimeout(seconds_until(deadline))
            return _Connection(self._context.wrap_socket(sock, server_hostname=self._name.rstrip(".").encode()))
        except BaseException:
            sock.close()
            raise

    def _idle_connection(self) -> _Connection | None:
        try:
            return self._idle.pop()  # the one used last: the others may grow old
        except IndexError:
            return None

    def _put_back(self, connection: _Connection) -> None:
        if len(self._idle) >= POOL_SIZE:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:  # meanwhile, by another thread
            self.close()


def _readable(sock: socket.socket) -> bool:
    """Tell whether an idle connection was hung up, or says something nobody asked for."""
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()  # select() cannot take a file descriptor above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
