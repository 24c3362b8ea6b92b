"""The HTTP server: that of the standard library with a thread for each connection, deadlines and faults."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from cms_cli.sandbox.answers import Answer
from cms_cli.sandbox.body import RequestError, read_body
from cms_cli.sandbox.service import Reply, Request, Service
from cms_cli.sandbox.wire import render_head, send_answer

HOST = "127.0.0.1"
LINE_LIMIT = 8 * 1024
MOST_CONNECTIONS = 512  # each needs a file descriptor, of which a process may often have only 1024
_GRACE_SECONDS = 1.0
_END_SECONDS = 2.0
# A client that is refused while it is still sending may send for this long and this much until it is cut off.
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 8 * 1024 * 1024
_BUSY = Answer(503, headers=(("Retry-After", "1"),))
_SINGLE = ("host", "content-length", "content-type", "content-encoding", "authorization", "transfer-encoding")
_ABSOLUTE = re.compile(r"https?://[^/?#]+", re.IGNORECASE)


class HttpServer(ThreadingHTTPServer):
    """Accepts connections on this machine. The port is bound at once; set :attr:`service` before :meth:`start`.

    Args:
        port: The port; 0 for a free one.
        idle_timeout: The seconds that a client may be silent between requests.
        request_timeout: The seconds that a request may take from its first byte to its last.
    """

    service: Service
    request_queue_size = 512
    # On Windows, the option would allow two servers on the same port.
    allow_reuse_address = sys.platform != "win32"

    def __init__(self, port: int, idle_timeout: float, request_timeout: float) -> None:
        self.idle_timeout = idle_timeout
        self.request_timeout = request_timeout
        self.closing = threading.Event()
        self.connections: set[Connection] = set()
        self._thread: threading.Thread | None = None
        super().__init__((HOST, port), Connection)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def start(self) -> None:
        """Start to answer requests, in threads of its own."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cms-sandbox", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop accepting, close connections without a complete request, and wait a second for other answers."""
        self.closing.set()
        if self._thread is not None:
            with contextlib.suppress(OSError):  # this connection only wakes the thread that accepts
                socket.create_connection((HOST, self.server_port), _END_SECONDS).close()
            self._thread.join(_END_SECONDS)
        self.server_close()
        give_up = time.monotonic() + _GRACE_SECONDS
        while self.connections and time.monotonic() < give_up + _END_SECONDS:
            late = time.monotonic() >= give_up
            for connection in tuple(self.connections):
                if late or not connection.answering:
                    connection.cut()
            time.sleep(0.005)

    def _run(self) -> None:
        while not self.closing.is_set():
            self.handle_request()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base class's
        """Refuse a client with 503 if there are too many connections."""
        if len(self.connections) < MOST_CONNECTIONS:
            return True
        with contextlib.suppress(OSError):
            request.settimeout(0.1)
            request.send(render_head(_BUSY, keep_alive=False))
        return False


class Connection(BaseHTTPRequestHandler):
    """One client's connection.

    Attributes:
        answering: Whether a request is being answered; if not, the connection may be cut.
    """

    server: HttpServer
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # so that an unreadable request line is answered with a status line
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Read through deadlines instead of the base class's time limit for each read."""
        super().setup()
        threading.current_thread().name = "cms-sandbox-connection"
        self.rfile.close()
        self._source = _DeadlineReader(self.connection)
        self.rfile = self._reader = io.BufferedReader(self._source)
        self._idle_timeout = self.server.idle_timeout
        self.answering = False
        self.server.connections.add(self)

    def finish(self) -> None:
        """Remove the connection from the server's list."""
        self.server.connections.discard(self)
        super().finish()

    def handle(self) -> None:
        """Answer requests until either side closes."""
        # A socket error means that the client is gone or the server is closing.
        with contextlib.suppress(OSError):
            super().handle()

    def handle_one_request(self) -> None:
        """Read and answer a request with any method; the base class would answer 501 to unknown methods."""
        self.close_connection = True
        self.answering = False
        if self.server.closing.is_set() or not self._wait():
            return
        self.command, self.requestline, self.request_version = "", "", self.default_request_version
        try:
            self.raw_requestline = self._reader.readline(LINE_LIMIT + 1)
            if len(self.raw_requestline) > LINE_LIMIT:
                raise RequestError(414, f"The request line is longer than {LINE_LIMIT} bytes")
            if not self.parse_request():
                return
            headers = self._single_headers()
            body = read_body(headers, self._reader)
        except socket.timeout:
            self.send_error(408, "The request did not come in time")
        except RequestError as problem:
            self.send_error(problem.status, str(problem))
        else:
            self._answer(headers, body)

    def handle_expect_100(self) -> bool:
        """Send the interim answer 100, for which the client waits before it sends the body."""
        self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that cannot be read, in the contract's shape. The base class calls this as well."""
        self.close_connection = True
        path, _ = self._target() if self.command else ("", "")
        self._send(self.server.service.refuse(self.command or "", path, int(code), message or explain or ""))
        # Closing with unread bytes would reset the connection, and the client might not receive the answer.
        self.answering = False
        self.connection.shutdown(socket.SHUT_WR)
        self._source.allow(_LINGER_SECONDS)
        left = _LINGER_BYTES
        while left > 0 and (dropped := len(self._reader.read1(64 * 1024))):
            left -= dropped

    def cut(self) -> None:
        """End the connection from another thread."""
        with contextlib.suppress(OSError):  # it may have ended already
            self.connection.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> bool:
        """Wait for the first byte of a request; return False if none comes in time."""
        self._source.allow(self._idle_timeout)
        try:
            came = bool(self._reader.peek(1))
        except socket.timeout:
            return False
        self._source.allow(self.server.request_timeout)
        return came

    def _target(self) -> tuple[str, str]:
        """Return path and query as they were sent; the base class would remove a double slash at the beginning."""
        path, _, query = _ABSOLUTE.sub("", self.requestline.split()[1], count=1).partition("?")
        return path or "/", query

    def _single_headers(self) -> dict[str, str]:
        """Return the headers by lower-case name; refuse one that is used here and given twice."""
        headers: dict[str, str] = {}
        for given, value in self.headers.items():
            name = given.lower()
            if name in headers and name in _SINGLE:
                raise RequestError(400, f"The header {name} is given twice")
            headers[name] = value.strip()
        return headers

    def _answer(self, headers: dict[str, str], body: bytes) -> None:
        self.answering = True
        path, query = self._target()
        reply = self.server.service.handle(Request(self.command, path, query, headers, body))
        injection = reply.injection
        self._idle_timeout = self.server.idle_timeout if injection.idle is None else injection.idle
        if injection.delay:
            self.server.closing.wait(injection.delay)
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.close_connection |= self.server.closing.is_set()
        head = render_head(
            reply.answer, keep_alive=not self.close_connection, http_1_0=self.request_version == "HTTP/1.0"
        )
        body = b"" if self.command == "HEAD" else reply.answer.body
        if (self.connection.gettimeout() or 0.0) < self.server.request_timeout:
            self.connection.settimeout(self.server.request_timeout)
        if not send_answer(self.connection, head, body, reply.injection, self.server.closing):
            self.close_connection = True


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline, so that a request that trickles in has a time limit as a whole."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.allow(0.0)

    def allow(self, seconds: float) -> None:
        """Set the deadline, in seconds from now."""
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive bytes once.

        Raises:
            socket.timeout: The deadline is over.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout
        # Setting a timeout is a system call, so it is not done during the first tenth of the time.
        timeout = self._seconds if left > 0.9 * self._seconds else left
        if timeout != self._socket.gettimeout():
            self._socket.settimeout(timeout)
        return self._socket.recv_into(buffer)
