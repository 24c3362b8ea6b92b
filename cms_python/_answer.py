"""The result of one attempt on the wire, before it is read as the outcome of an event."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Reason(str, Enum):
    """Why no answer came; the values are what the documented dict calls ``type``."""

    REFUSED = "connection_error"
    HOST_NOT_FOUND = "host_not_found"
    DNS = "dns_error"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls_error"
    PROXY = "proxy_error"
    SETTINGS = "settings_error"
    READ_TIMEOUT = "timeout"
    DROPPED = "connection_lost"


class NoAnswer(NamedTuple):
    """An attempt that got no whole answer.

    Attributes:
        reason: Why.
        sent: Whether a byte of the event may have left: if not, it surely did not arrive.
        detail: The underlying error's words, without headers.
    """

    reason: Reason
    sent: bool
    detail: str


class Answer(NamedTuple):
    """A whole HTTP answer.

    Attributes:
        status: The HTTP status.
        content_type: The ``Content-Type`` header, lower case, or "".
        body: The body, as it came.
        retry_after: Seconds from now that ``Retry-After`` asks for, or None.
        location: Where a redirect points, or "".
        says_its_end: Whether the head says where the body ends. An answer that was cut off within its head looks
            like an empty one that does not.
    """

    status: int
    content_type: str
    body: bytes
    retry_after: float | None = None
    location: str = ""
    says_its_end: bool = True

    @property
    def is_web_page(self) -> bool:
        """True if this is HTML, by its type or its first character."""
        return "html" in self.content_type or self._first_byte == b"<"

    @property
    def says_json(self) -> bool:
        """True if the answer claims to be JSON, or begins like it: PHP labels everything as HTML by default."""
        first = self._first_byte
        return first in (b"{", b"[") or ("json" in self.content_type and first != b"<")

    @property
    def _first_byte(self) -> bytes:
        return self.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]

    def text_excerpt(self, longest: int) -> str:
        """Return the beginning of a body that is plain text, "" for a web page."""
        return "" if self.is_web_page else self.body[:longest].decode("utf-8", "replace").strip()
