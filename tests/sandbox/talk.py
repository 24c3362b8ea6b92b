"""HTTP requests to a sandbox, down to raw bytes, without a client that would normalise them."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass, field
from typing import Any

from cms_cli.sandbox import SandboxServer

# Far more than any test takes, so that reaching it means a hang.
PATIENCE = 30.0

LEAD = {"clickId": "clk_1", "eventName": "signup", "customerExternalId": "cus_1"}
SALE = {
    "clickId": "clk_1",
    "eventName": "purchase",
    "customerExternalId": "cus_1",
    "invoiceId": "inv_1",
    "amount": 4999,
    "currency": "USD",
}
SET_UP = {**LEAD, "mode": "deferred"}
FOLLOW_UP = {"eventName": "activated", "customerExternalId": "cus_1"}
HOST = "Host: 127.0.0.1:PORT"
HEADERS = {"Authorization": "Bearer tok_1", "Content-Type": "application/json"}


@dataclass
class Response:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A keep-alive connection."""

    def __init__(self, server: SandboxServer) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return Response(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})

    def lead(self, event: object = LEAD, **headers: str) -> Response:
        return self.send("POST", "/track/lead", as_json(event), **{**HEADERS, **headers})

    def sale(self, event: object = SALE, **headers: str) -> Response:
        return self.send("POST", "/track/sale", as_json(event), **{**HEADERS, **headers})

    @property
    def sock(self) -> socket.socket | None:
        return self._connection.sock

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def as_json(event: object) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event).encode()


def send(server: SandboxServer, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
    with Wire(server) as wire:
        return wire.send(method, path, body, **headers)


def lead(server: SandboxServer, event: object = LEAD, **headers: str) -> Response:
    with Wire(server) as wire:
        return wire.lead(event, **headers)


def sale(server: SandboxServer, event: object = SALE, **headers: str) -> Response:
    with Wire(server) as wire:
        return wire.sale(event, **headers)


def addressed(server: SandboxServer, data: bytes) -> bytes:
    """Replace ``PORT`` in a request by the server's port, as in :data:`HOST`."""
    return data.replace(b":PORT", b":%d" % server.port)


def raw(server: SandboxServer, data: bytes, *, half_close: bool = True) -> bytes:
    """Send bytes with the port filled in, and return everything received until the server closes."""
    data = addressed(server, data)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The server has refused and closed; its answer can still be read.
        return receive_all(sock)


def receive_all(sock: socket.socket) -> bytes:
    received = bytearray()
    while True:
        try:
            data = sock.recv(65536)
        except ConnectionError:
            return bytes(received)
        if not data:
            return bytes(received)
        received += data


def status_of(answer: bytes) -> int:
    """Return the status of the first answer in the bytes from :func:`raw`, or 0."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def post_bytes(path: str, body: bytes, *extra: str, length: bool = True) -> bytes:
    """Return a POST request as bytes."""
    lines = [
        f"POST {path} HTTP/1.1",
        HOST,
        "Authorization: Bearer tok_1",
        "Content-Type: application/json",
        *([f"Content-Length: {len(body)}"] if length else []),
        *extra,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
