"""The result of one HTTP attempt: an answer or the reason why there is none, before it is interpreted."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Reason(str, Enum):
    """The reasons for getting no answer. The values are those of ``type`` in the documented dict."""

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
    """An attempt that got no complete answer.

    Attributes:
        reason: The reason.
        sent: Whether part of the event may have been sent. If not, it surely did not arrive.
        detail: The message of the underlying error, with the token masked.
    """

    reason: Reason
    sent: bool
    detail: str


class Answer(NamedTuple):
    """A complete HTTP answer.

    Attributes:
        status: The HTTP status.
        content_type: The ``Content-Type`` header in lower case, or "".
        body: The body, uncompressed.
        retry_after: Seconds to wait, counted from the answer (``Retry-After``), or None.
        location: The target of a redirect (``Location``), or "".
        says_its_end: Whether the headers state the body's length or that it is chunked. Without either, an empty
            answer cannot be told from one that was cut off within its headers.
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
        """True if this is JSON, by its first character or its type; PHP labels everything as HTML by default."""
        first = self._first_byte
        return first in (b"{", b"[") or ("json" in self.content_type and first != b"<")

    @property
    def _first_byte(self) -> bytes:
        return self.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]

    def text_excerpt(self, longest: int) -> str:
        """Return the beginning of a body that is plain text, "" for a web page."""
        return "" if self.is_web_page else self.body[:longest].decode("utf-8", "replace").strip()
