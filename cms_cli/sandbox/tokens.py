"""Checks bearer tokens, and identifies their users."""

from __future__ import annotations

import base64
import json
import re
import threading
from dataclasses import dataclass
from hashlib import sha256
from typing import Callable

from cms_cli.sandbox.answers import Answer, error
from cms_cli.sandbox.errors import OptionError

# Opaque keys may have characters that RFC 6750 does not allow, but no blanks or control characters.
_BEARER = re.compile(r"Bearer ([!-~]+)")
_LONGEST_SECONDS = 1e9  # some thirty years
_MANY_TOKENS = 10_000
_NS = 1_000_000_000


@dataclass(frozen=True)
class Caller:
    """The user and token of a request as hashes, since the store must not contain tokens.

    Attributes:
        user: The hash of the JWT's ``iss`` and ``sub``, which a renewed token has as well; else of the token.
        token: The hash of the token.
    """

    user: str
    token: str


class TokenGate:
    """Checks ``Authorization: Bearer <token>``.

    Args:
        accept: The only token that is accepted; ``None`` to accept any.
        max_requests: The number of requests for which a token is accepted; ``None`` for no limit.
        max_seconds: The seconds for which a token is accepted, from its first request; ``None`` for no limit.
        clock_ns: A monotonic clock in nanoseconds.

    Raises:
        OptionError: The token cannot be sent in a header, or a number is out of its range.
    """

    def __init__(
        self,
        accept: str | None,
        max_requests: int | None,
        max_seconds: float | None,
        clock_ns: Callable[[], int],
    ) -> None:
        if accept is not None and not _BEARER.fullmatch(f"Bearer {accept}"):
            raise OptionError("a token is one or more printable ASCII characters, without blanks")
        if max_requests is not None and max_requests < 0:
            raise OptionError("a token is good for 0 requests or more")
        # Written so that nan is refused: every comparison with it is false.
        if max_seconds is not None and not 0 <= max_seconds <= _LONGEST_SECONDS:
            raise OptionError(f"a token is good for 0 to {_LONGEST_SECONDS:.0f} seconds")
        self._accept = accept
        self._max_requests = max_requests
        self._max_ns = None if max_seconds is None else int(max_seconds * _NS)
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._callers: dict[str, Caller] = {}
        self._used: dict[str, tuple[int, int]] = {}

    def admit(self, authorization: str | None) -> Caller | Answer:
        """Return the caller of a request, or the answer 401.

        Args:
            authorization: The ``Authorization`` header, or ``None``.
        """
        if authorization is None:
            return _unauthorized("The Authorization header is missing")
        match = _BEARER.fullmatch(authorization)
        if match is None:
            return _unauthorized("The Authorization header must be: Bearer <token>")
        token = match[1]
        if self._accept is not None and token != self._accept:
            return _unauthorized("The token is not valid")
        caller = self._callers.get(token)
        if caller is None:
            if len(self._callers) >= _MANY_TOKENS:
                self._callers.clear()
            caller = self._callers[token] = Caller(_short_hash(_user_of(token)), _short_hash(token))
        if self._expired(caller.token):
            return _unauthorized("The token has expired")
        return caller

    def _expired(self, token: str) -> bool:
        if self._max_requests is None and self._max_ns is None:
            return False
        with self._lock:
            now = self._clock_ns()
            since, used = self._used.get(token, (now, 0))
            if self._max_requests is not None and used >= self._max_requests:
                return True
            if self._max_ns is not None and now - since >= self._max_ns:
                return True
            self._used[token] = (since, used + 1)
            return False


def _unauthorized(why: str) -> Answer:
    return error(401, why, headers=(("WWW-Authenticate", "Bearer"),))


def _short_hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _user_of(token: str) -> str:
    """Return a JWT's issuer and subject as JSON, else the token itself. The signature is not checked."""
    parts = token.split(".")
    if len(parts) != 3:
        return token
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return token
    if not isinstance(claims, dict) or not isinstance(claims.get("sub"), str):
        return token
    return json.dumps([claims.get("iss"), claims["sub"]])
