"""Encodes an answer, and sends it as its faults require."""

from __future__ import annotations

import socket
import struct
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

from cms_cli.sandbox.answers import Answer
from cms_cli.sandbox.fault_injection import Injection

_PIECES = 10


def render_head(answer: Answer, *, keep_alive: bool, http_1_0: bool = False) -> bytes:
    """Return the status line and headers of an answer, with the empty line at the end."""
    phrase, _ = BaseHTTPRequestHandler.responses.get(answer.status, ("Unknown", ""))
    lines = [
        f"HTTP/1.1 {answer.status} {phrase}",
        f"Date: {formatdate(usegmt=True)}",
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


def send_answer(
    sock: socket.socket, head: bytes, body: bytes, injection: Injection, closing: threading.Event
) -> bool:
    """Send an answer as its faults require.

    Args:
        sock: The connection.
        head: The status line and headers.
        body: The body.
        injection: The faults.
        closing: The event that ends pauses when it is set.

    Returns:
        True if the connection may be used again.
    """
    if injection.drops:
        if injection.reset:
            # Closing with a linger time of 0 sends RST. The server's own way of closing would send FIN first.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        return False
    if injection.kind == "half":
        # At least the status line, and never the whole answer.
        sock.sendall((head + body)[: len(head) + len(body) // 2] if body else head[: len(head) // 2])
        return False
    if injection.body_seconds and body:
        sock.sendall(head)
        _send_slowly(sock, body, injection.body_seconds, closing)
    else:
        sock.sendall(head + body)
    return True


def _send_slowly(sock: socket.socket, body: bytes, seconds: float, closing: threading.Event) -> None:
    step = -(-len(body) // _PIECES)
    for start in range(0, len(body), step):
        closing.wait(seconds / _PIECES)
        sock.sendall(body[start : start + step])
