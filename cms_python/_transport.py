"""One HTTP attempt: which way it goes, what it carries, and what came back with the token masked."""

from __future__ import annotations

import functools
import os
import re
import sys
import time
from datetime import timezone
from typing import TYPE_CHECKING

from cms_python._answer import Answer, NoAnswer, Silence
from cms_python._direct import Direct
from cms_python._version import __version__

if TYPE_CHECKING:
    from cms_python._proxied import Proxied

SHORTEST_SECRET = 8
"""Characters of a token that is masked in what comes back; a shorter one would be masked out of plain words."""

_MASK = b"[token]"

_FOR_EVER = 1e9
"""The longest ``Retry-After`` that is passed on, in seconds: thirty years, so that no time overflows."""


class Transport:
    """Sends events to one host. Many threads may use one at the same time."""

    def __init__(self, host: str, token: str) -> None:
        """Read the environment (proxies, CA bundles), once.

        Args:
            host: The base URL, without a trailing slash.
            token: The bearer token; stays inside.
        """
        self._made_of = host, token
        self._secret = token if len(token) >= SHORTEST_SECRET else ""
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"cms-python-client/{__version__}",
        }
        self._way = _way_to(host, self._headers)

    def __reduce__(self) -> tuple[type[Transport], tuple[str, str]]:
        # A copy, or one in another process, has connections of its own.
        return type(self), self._made_of

    def close(self) -> None:
        """Close every idle connection; those in use close when their answer is there."""
        self._way.close()

    def post(self, path: str, body: bytes, *, connect_timeout: float, deadline: float) -> Answer | NoAnswer:
        """Make one attempt.

        Args:
            path: Below the host, ``/track/lead``.
            body: The request's JSON.
            connect_timeout: Seconds for the connection to come about, all addresses of the host together.
            deadline: The :func:`time.monotonic` by which the whole answer must be there.

        Returns:
            What came back. Nothing that the network does raises.
        """
        reply = self._way.post(path, body, connect_timeout=connect_timeout, deadline=deadline)
        if isinstance(reply, NoAnswer):
            return reply._replace(detail=self._without_token(reply.detail))
        if reply.status == 407:  # a proxy's, never the service's
            return NoAnswer(Silence.PROXY, sent=False, detail="it wants a user name and password")
        return Answer(
            reply.status,
            reply.headers.get("Content-Type", "").lower(),
            self._masked(reply.body),
            _seconds_to_wait(reply.headers.get("Retry-After", "")),
            self._without_token(reply.headers.get("Location", "")),
        )

    def _masked(self, echo: bytes) -> bytes:
        """Mask the token where something echoes it; errors and logs show what came back."""
        if not self._secret:
            return echo
        echo = echo.replace(self._secret.encode(), _MASK)
        return self._escaped_secret.sub(_MASK, echo) if b"\\" in echo or b"%" in echo else echo

    def _without_token(self, text: str) -> str:
        # What has no form in UTF-8, such as a file's name in another encoding, could be neither printed nor kept.
        return self._masked(text.encode("utf-8", "backslashreplace")).decode()

    @functools.cached_property
    def _escaped_secret(self) -> re.Pattern[bytes]:
        """What finds the token as JSON and URLs may write it: whoever reads those gets it in clear."""
        letters = (letter if letter.isalnum() else _escaped(letter) for letter in self._secret)
        return re.compile("".join(letters).encode())


def _escaped(letter: str) -> str:
    return rf"(?:\\?{re.escape(letter)}|(?i:\\u00{ord(letter):02x}|%{ord(letter):02x}))"


def _way_to(host: str, headers: dict[str, str]) -> Direct | Proxied:
    # requests knows best what to make of proxies, and of names in other scripts than ASCII. Where there is
    # neither it would have nothing to say, and is not even loaded: it takes longer than a whole `cms lead`.
    if host.isascii() and not _proxies_are_named():
        return Direct(host, headers, _bundle() if host.lower().startswith("https:") else "")
    from cms_python._proxied import Proxied

    return Proxied(host, headers, _bundle())


def _proxies_are_named() -> bool:
    if sys.platform in ("win32", "cygwin", "darwin"):
        from urllib.request import getproxies

        return bool(getproxies().keys() - {"no"})  # those of the system's settings as well
    return any(
        value and name.lower().endswith("_proxy") and name.lower() != "no_proxy"
        for name, value in os.environ.items()
    )


def _bundle() -> str:
    """Find the authorities to trust: what requests would take, before that of OpenSSL's own variable."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if path := os.environ.get(name):
            return path
    # Not the system's, which not every system has where OpenSSL looks.
    import certifi

    return certifi.where()


def _seconds_to_wait(retry_after: str) -> float | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _FOR_EVER)
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)  # asctime's form names no zone, and means GMT
    return min(max(0.0, moment.timestamp() - time.time()), _FOR_EVER)
