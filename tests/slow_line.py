"""A slow line to a server: a relay between two sockets that delays every byte.

with SlowLine("127.0.0.1", 5432, round_trip=0.05) as line:
    ...                                   # talk to 127.0.0.1, line.port
    assert line.round_trips < 10
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit


class SlowLine:
    """A relay on a port of its own.

    Attributes:
        port: Its port on 127.0.0.1.
        round_trips: Number of times a client sent after it had received, over all connections.
    """

    def __init__(self, host: str, port: int, round_trip: float) -> None:
        """Listen on a free port.

        Args:
            host: The server's host.
            port: The server's port.
            round_trip: Seconds from sending a byte until its answer is back.
        """
        self._server = (host, port)
        self._delay = round_trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.round_trips = 0
        self._ends = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def url(self, server: str) -> str:
        """Return a server's URL with this line's address in it."""
        parts = urlsplit(server)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def __enter__(self) -> SlowLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for end in self._ends:
            with suppress(OSError):  # already closed by its peer
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self._server)
                self._ends += (ours, theirs)
                for end in (ours, theirs):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                received = threading.Event()
                received.set()
                self._carry(ours, theirs, received, there=True)
                self._carry(theirs, ours, received, there=False)

    def _carry(
        self, source: socket.socket, target: socket.socket, received: threading.Event, *, there: bool
    ) -> None:
        """Relay bytes one way: one thread reads them, another delivers each when it is due."""
        under_way: deque[tuple[float, bytes]] = deque()
        some = threading.Condition()

        def read() -> None:
            data = b"x"
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                if there and data and received.is_set():
                    received.clear()
                    self.round_trips += 1
                with some:
                    under_way.append((time.monotonic() + self._delay, data))
                    some.notify()

        def deliver() -> None:
            while True:
                with some:
                    while not under_way:
                        some.wait()
                    due, data = under_way.popleft()
                time.sleep(max(0.0, due - time.monotonic()))
                if not there:
                    received.set()
                with suppress(OSError):
                    if data:
                        target.sendall(data)
                    else:
                        target.shutdown(socket.SHUT_WR)
                if not data:
                    return

        for work in (read, deliver):
            self._start(work)
