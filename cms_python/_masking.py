"""Masks the token in errors and logs, which quote servers and libraries."""

from __future__ import annotations

import re

SHORTEST_SECRET = 8
"""Characters that a token needs to be masked; a shorter one might be part of ordinary words."""

_MASK = b"[token]"


class TokenMask:
    """Replaces a token in data that came back, also where JSON or a URL has escaped it."""

    def __init__(self, token: str) -> None:
        self._token = token.encode() if len(token) >= SHORTEST_SECRET else b""
        self._escaped: re.Pattern[bytes] | None = None

    def in_bytes(self, echo: bytes) -> bytes:
        """Return the bytes with ``[token]`` in place of the token."""
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
        """Return the text with ``[token]`` in place of the token, and lone surrogates escaped."""
        # A file's name in another encoding has lone surrogates, which cannot be printed.
        return self.in_bytes(text.encode("utf-8", "backslashreplace")).decode()


def _either_way(letter: str) -> str:
    return rf"(?:\\?{re.escape(letter)}|(?i:\\u00{ord(letter):02x}|%{ord(letter):02x}))"
