"""Masks the token in errors and logs, which quote what a server or a library says."""

from __future__ import annotations

import re

SHORTEST_SECRET = 8
"""Characters of a token that is masked; a shorter one would be masked out of plain words."""

_MASK = b"[token]"


class TokenMask:
    """Replaces one token, in clear or escaped as JSON and URLs may escape it."""

    def __init__(self, token: str) -> None:
        self._token = token.encode() if len(token) >= SHORTEST_SECRET else b""
        self._escaped: re.Pattern[bytes] | None = None

    def in_bytes(self, echo: bytes) -> bytes:
        """Return bytes that came back, without the token."""
        if not self._token:
            return echo
        echo = echo.replace(self._token, _MASK)
        if b"\\" not in echo and b"%" not in echo:
            return echo
        if self._escaped is None:
            letters = self._token.decode()
            self._escaped = re.compile("".join(c if c.isalnum() else _either_way(c) for c in letters).encode())
        return self._escaped.sub(_MASK, echo)

    def in_text(self, text: str) -> str:
        """Return text that came back, without the token, and such that it can be printed."""
        # Text that cannot be encoded as UTF-8, such as a file's name in another encoding, could not be printed.
        return self.in_bytes(text.encode("utf-8", "backslashreplace")).decode()


def _either_way(letter: str) -> str:
    return rf"(?:\\?{re.escape(letter)}|(?i:\\u00{ord(letter):02x}|%{ord(letter):02x}))"
