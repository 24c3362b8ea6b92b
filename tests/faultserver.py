"""A small HTTP/1.1 server with scripted answers and faults, which records all requests.

    with FaultServer() as server:
        server.script(DROP, json_reply(503, {}, ("Retry-After", "1")), json_reply(200, {"success": True}))
        ...                                      # talk to server.url
        assert [r.path for r in server.requests] == [...]

Each request (for DROP_UNREAD, each attempt) uses up one step of the script; afterwards every request gets
``server.default``. A step is one of

* a :class:`Reply` (``json_reply`` and ``html_reply`` make the usual ones): any status, headers and body, and how
  it is sent: late, byte by byte, cut short, with a connection that closes afterwards or later while idle;
* ``DROP``: reads the request and hangs up; ``DROP_UNREAD``: hangs up before reading;
* ``HANG``: reads the request and never answers;
* ``RELAY``: acts as a proxy: forwards the request, or opens the tunnel that a CONNECT asks for;
* a function that takes the :class:`Received` and returns one of these.

``FaultServer(tls=context)`` speaks TLS, ``handshake="drop"`` or ``"hang"`` breaks it, ``default=RELAY`` is a proxy.
``FaultServer(on_request=look)`` calls ``look`` with each request before it is answered; an exception from it closes
the connection and fails the ``with`` block. ``server.requests`` holds all requests, ``server.connections`` all
connections, and ``server.wait_for(condition)`` waits until a condition on them holds.
``refusing_port()`` and ``silent_port()`` yield ports at which nothing answers. The module uses only the standard
library and imports nothing of the project.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPMessage, parse_headers
from typing import Any, Callable, Union
from urllib.parse import urlsplit

Pair = tuple[str, str]


@dataclass(frozen=True)
class Received:
    """A request as it was received."""

    method: str
    target: str  # as on the request line: a path, a whole URL (forward proxy) or host:port (CONNECT)
    headers: HTTPMessage  # names in any letter case; get_all() for repeated ones
    body: bytes
    connection: int  # the number of its connection, from 1
    at: float  # time.monotonic() once it was read

    @property
    def path(self) -> str:
        """Return the target without a host."""
        return urlsplit(self.target).path if "://" in self.target else self.target

    @property
    def json(self) -> Any:
        """Return the body, parsed as JSON."""
        return jsonlib.loads(self.body)


@dataclass
class Connection:
    """A connection and how it ended."""

    number: int
    opened: float
    ended_by: str = ""  # "" while open, then "client" or "server"


@dataclass(frozen=True)
class Reply:
    """An answer, and how it is sent."""

    status: int = 200
    body: bytes = b""
    headers: tuple[Pair, ...] = ()
    length: int | None = None  # a Content-Length other than the body's own
    framed: bool = True  # False: no Content-Length; the body ends with the connection
    chunked: bool = False
    after: float = 0.0  # seconds before the first byte
    drip: float = 0.0  # seconds between one byte and the next
    drip_from: str = "start"  # or "body": the headers come at once
    cut: int | None = None  # send this many bytes of the whole answer, then hang up
    close: bool = False  # hang up afterwards
    idle_close: float | None = None  # hang up when the connection was idle for this long
    raw: bytes | None = None  # send this instead of all of the above

    def encode(self) -> tuple[bytes, bytes]:
        """Return head and body as bytes."""
        if self.raw is not None:
            return self.raw, b""
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = ""
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in self.headers)]
        body = self.body
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        elif self.framed and (self.status != 204 or self.length is not None):
            lines.append(f"Content-Length: {len(body) if self.length is None else self.length}")
        if self.ends_connection:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1"), body

    @property
    def ends_connection(self) -> bool:
        """True if the connection cannot be used again."""
        spoilt = any(value is not None for value in (self.raw, self.cut, self.length))
        return self.close or spoilt or not (self.framed or self.chunked or self.status == 204)


@dataclass(frozen=True)
class Fault:
    name: str


DROP = Fault("drop")
DROP_UNREAD = Fault("drop unread")
HANG = Fault("hang")
RELAY = Fault("relay")

Answer = Union[Reply, Fault]
Step = Union[Answer, Callable[[Received], Answer]]


def json_reply(status: int, value: object, *headers: Pair, **how: Any) -> Reply:
    """Return an answer in JSON; ``how`` sets further fields of :class:`Reply`."""
    body = jsonlib.dumps(value).encode()
    return Reply(status, body, (("Content-Type", "application/json"), *headers), **how)


def html_reply(status: int, text: str = "<!doctype html><title>Welcome</title>", *headers: Pair) -> Reply:
    """Return a web page as the answer."""
    return Reply(status, text.encode(), (("Content-Type", "text/html; charset=utf-8"), *headers))


SUCCESS = json_reply(200, {"success": True, "message": "Event tracked successfully", "data": {"id": "evt_1"}})


@dataclass
class _Line:
    """An accepted connection that is being served."""

    sock: socket.socket
    record: Connection
    reader: Any  # of the socket, buffered


class FaultServer:
    """The server, a context manager: inside the block it listens, and afterwards all its threads have ended."""

    def __init__(
        self,
        *,
        default: Step = SUCCESS,
        on_request: Callable[[Received], object] | None = None,
        tls: ssl.SSLContext | None = None,
        handshake: str = "",
        name: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.default = default
        self.on_request = on_request
        self.requests: list[Received] = []
        self.connections: list[Connection] = []
        self.dropped_unread = 0
        self._tls = tls
        self._handshake = handshake
        self._name = name
        self._failure: Exception | None = None
        self._steps: deque[Step] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._socks: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"{'https' if self._tls else 'http'}://{self._name}:{self.port}"

    @property
    def open_connections(self) -> int:
        """Return the number of open connections."""
        return sum(not connection.ended_by for connection in self.connections)

    def script(self, *steps: Step) -> None:
        """Append steps to the script."""
        with self._changed:
            self._steps.extend(steps)

    def wait_for(self, condition: Callable[[], bool], timeout: float = 30.0) -> None:
        """Wait until a condition on the recorded requests or connections holds; fail when it never does."""
        with self._changed:
            held = self._changed.wait_for(condition, timeout)
        assert held, f"after {timeout} s: {len(self.requests)} requests, {self.open_connections} connections"

    def __enter__(self) -> FaultServer:
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changed:
            socks = list(self._socks.values())
        for sock in socks:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket.shutdown() breaks concurrent reads
        for thread in self._threads:
            thread.join(10)
        if self._failure is not None:
            raise RuntimeError("the fault server itself failed") from self._failure

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                record = Connection(len(self.connections) + 1, time.monotonic())
                self.connections.append(record)
                self._socks[record.number] = sock
                self._changed.notify_all()
            self._start(self._serve, sock, record)

    def _serve(self, sock: socket.socket, record: Connection) -> None:
        by = "server"
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = self._secured(sock, record)
            if line is not None:
                with line.sock, line.reader:
                    by = ""
                    while not by:
                        by = self._exchange(line)
        except OSError:
            by = "client"
        except Exception as error:
            self._failure = error
        finally:
            sock.close()
            with self._changed:
                record.ended_by = by
                self._socks.pop(record.number, None)
                self._changed.notify_all()

    def _secured(self, sock: socket.socket, record: Connection) -> _Line | None:
        if self._handshake:
            sock.recv(1)  # waits until the client has begun the handshake
            if self._handshake == "hang":
                self._hang(sock)
            return None
        if self._tls is None:
            return _Line(sock, record, sock.makefile("rb"))
        secure = self._tls.wrap_socket(sock, server_side=True)
        with self._changed:
            self._socks[record.number] = secure
        return _Line(secure, record, secure.makefile("rb"))

    def _exchange(self, line: _Line) -> str:
        """Serve one request; return who ended the connection, or "" if it stays open."""
        if self._hangs_up_unread(line):
            # Turns the following close into a reset.
            line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return "server"
        received = self._read(line)
        if received is None:
            return "client"
        with self._changed:
            self.requests.append(received)
            step: Step = self._steps.popleft() if self._steps else self.default
            self._changed.notify_all()
        if self.on_request is not None:
            self.on_request(received)
        answer = step if isinstance(step, (Reply, Fault)) else step(received)
        if isinstance(answer, Reply):
            if received.headers.get("Connection", "").lower() == "close":
                answer = replace(answer, close=True)
            return self._answer(line, answer)
        if answer is HANG:
            return self._hang(line.sock)
        if answer is RELAY:
            self._relay(line, received)
        return "server"

    def _hangs_up_unread(self, line: _Line) -> bool:
        if not line.reader.peek(1):
            return False
        with self._changed:
            if not self._steps or self._steps[0] is not DROP_UNREAD:
                return False
            self._steps.popleft()
            self.dropped_unread += 1
            self._changed.notify_all()
        return True

    def _read(self, line: _Line) -> Received | None:
        # A TLS hello has no line end, so readline() would block.
        first = line.reader.readline() if line.reader.peek(1)[:1].isalpha() else b""
        words = first.decode("latin-1").split(" ", 2)
        if len(words) != 3 or not first.endswith(b"\n"):  # half a request, or no HTTP at all
            with contextlib.suppress(OSError):
                line.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return None
        method, target, _ = words
        headers = parse_headers(line.reader)
        length = int(headers.get("Content-Length") or 0)
        body = line.reader.read(length)
        if len(body) < length:
            return None
        return Received(method, target, headers, body, line.record.number, time.monotonic())

    def _answer(self, line: _Line, reply: Reply) -> str:
        self._stopping.wait(reply.after)
        head, body = reply.encode()
        whole = (head + body)[: reply.cut]
        at_once = 0 if reply.drip and reply.drip_from == "start" else len(head if reply.drip else whole)
        line.sock.sendall(whole[:at_once])
        for byte in whole[at_once:]:
            if self._stopping.wait(reply.drip):
                break
            line.sock.sendall(bytes([byte]))
        if reply.ends_connection:
            return "server"
        if reply.idle_close is not None:
            readable, _, _ = select.select([line.sock], [], [], reply.idle_close)
            return "" if readable else "server"
        return ""

    def _hang(self, sock: socket.socket) -> str:
        while not self._stopping.is_set() and sock.recv(4096):
            pass  # until the client hangs up or the server stops
        return "client"

    def _relay(self, line: _Line, received: Received) -> None:
        tunnel = received.method == "CONNECT"
        there = urlsplit("//" + received.target if tunnel else received.target)
        try:
            onward = socket.create_connection((there.hostname or "", there.port or 80), 10)
        except OSError:
            line.sock.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with onward:
            if tunnel:
                line.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                del received.headers["Connection"]
                lines = [f"{received.method} {there.path} HTTP/1.1"]
                lines += [f"{name}: {value}" for name, value in received.headers.items()]
                lines += ["Connection: close", "", ""]
                onward.sendall("\r\n".join(lines).encode("latin-1") + received.body)
            self._pump(line.sock, onward)

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        """Forward bytes both ways until either side closes."""
        while not self._stopping.is_set():
            readable, _, _ = select.select([one, other], [], [], 0.1)
            for sock in readable:
                data = sock.recv(65536)
                if not data:
                    return
                (other if sock is one else one).sendall(data)


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port of 127.0.0.1 that refuses connections: bound, but not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Yield a port of 127.0.0.1 that never completes a connection, because its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            sock = fillers.enter_context(socket.socket())
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.connect(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]
