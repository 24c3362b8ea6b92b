"""An answer as bytes, and the ways of sending them that faults ask for."""

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
    """Write the status line and headers of an answer, up to and including the empty line."""
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
    """Send head and body in the manner that the fault asks for; pauses end when ``closing`` is set.

    Returns:
        Whether the connection may go on.
    """
    if injection.drops:
        if injection.reset:
            # With no time to linger, closing sends RST; the server's own way of closing would send FIN before it.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        return False
    if injection.kind == "half":
        # At least the status line, and never all of it.
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
