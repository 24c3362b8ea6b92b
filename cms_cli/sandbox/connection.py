"""One connection of a client: requests read, handed to the service, and replies sent in the manner asked for."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Protocol

from cms_cli.sandbox.play import DROP, HALF, RESET
from cms_cli.sandbox.service import Reply
from cms_cli.sandbox.wire import Reader, Request, WireError, render_head

# A client that is still sending when its connection ends gets this long, and this much, before the line is cut.
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 8 * 1024 * 1024
_DRIBS = 10


class Handler(Protocol):
    """What answers requests: :class:`cms_cli.sandbox.service.Service`."""

    def handle(self, request: Request) -> Reply:
        """Answer a request."""

    def refuse(self, problem: WireError) -> Reply:
        """Answer what could not be read."""


class Connection:
    """Serves one accepted socket until either side closes it.

    Attributes:
        busy: Whether a request has come and is being answered; a connection that is not may be cut.

    Args:
        sock: Owned from here on.
        handler: Answers.
        closing: Set when the server closes: delays end at once, and no further request is read.
        idle_timeout: Seconds that the client may stay silent between requests.
        request_timeout: Seconds that a request may take from its first byte to its last.
    """

    def __init__(
        self,
        sock: socket.socket,
        handler: Handler,
        closing: threading.Event,
        *,
        idle_timeout: float,
        request_timeout: float,
    ) -> None:
        self._socket = sock
        self._handler = handler
        self._closing = closing
        self._idle_timeout = idle_timeout
        self._request_timeout = request_timeout
        self._reader = Reader(sock)
        self.busy = False

    def serve(self) -> None:
        """Run until the connection is closed. Never raises for what a client or the network does."""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            idle = self._idle_timeout
            while not self._closing.is_set() and self._reader.wait(idle):
                reply = self._exchange()
                self.busy = False
                if reply is None:
                    break
                idle = self._idle_timeout if reply.idle is None else reply.idle
        except OSError:
            pass  # The client is gone, or the server is closing: either way there is nobody to tell.
        finally:
            self._socket.close()

    def cut(self) -> None:
        """End the connection from another thread."""
        with contextlib.suppress(OSError):  # It may have ended by itself.
            self._socket.shutdown(socket.SHUT_RDWR)

    def _exchange(self) -> Reply | None:
        """Read and answer one request; ``None`` when the connection is not to go on."""
        try:
            request = self._reader.read(self._request_timeout)
        except WireError as problem:
            refusal = self._handler.refuse(problem)
            head = render_head(refusal.answer, keep_alive=False, http_1_0=False)
            self._send(head + (b"" if problem.method == "HEAD" else refusal.answer.body))
            self._linger()
            return None
        self.busy = True
        reply = self._handler.handle(request)
        if reply.delay:
            self._closing.wait(reply.delay)
        return reply if self._reply(request, reply) else None

    def _reply(self, request: Request, reply: Reply) -> bool:
        """Send a reply; whether the connection goes on."""
        if reply.ending in (DROP, RESET):
            if reply.ending == RESET:
                # Lingering for no time at all makes close() send RST instead of FIN.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        keep_alive = request.keep_alive and not self._closing.is_set()
        head = render_head(reply.answer, keep_alive=keep_alive, http_1_0=request.http_1_0)
        body = b"" if request.method == "HEAD" else reply.answer.body
        if reply.ending == HALF:
            message = head + body
            # At least the status line, and never all of it.
            self._send(message[: len(head) + len(body) // 2] if body else message[: len(head) // 2])
            return False
        if reply.dribble and body:
            self._send(head)
            self._dribble(body, reply.dribble)
        else:
            self._send(head + body)
        if not keep_alive:
            self._linger()
        return keep_alive

    def _linger(self) -> None:
        """Say that this was all, and hear the client out: closing on unread bytes would reset the answer away."""
        self.busy = False
        self._socket.shutdown(socket.SHUT_WR)
        self._reader.drain(_LINGER_SECONDS, _LINGER_BYTES)

    def _dribble(self, body: bytes, seconds: float) -> None:
        step = -(-len(body) // _DRIBS)
        for start in range(0, len(body), step):
            self._closing.wait(seconds / _DRIBS)
            self._send(body[start : start + step])

    def _send(self, data: bytes) -> None:
        self._reader.allow_at_least(self._request_timeout)
        self._socket.sendall(data)
