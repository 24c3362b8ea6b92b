"""Sends an event in one HTTP request. All traffic to the service goes through here.

Only the adapter of requests is used, without a session. A session would follow redirects, let ``~/.netrc`` replace
the token, and read the environment again for every request.
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException

import requests
import urllib3
from requests.adapters import HTTPAdapter

from cms_python._answer import Answer, NoAnswer, Reason
from cms_python._masking import TokenMask
from cms_python._retry import read_retry_after
from cms_python._version import __version__

CONNECT_TIMEOUT = 5.0
"""Seconds that connecting may take, for each address of the host."""

LONGEST_IDLE = 2.0
"""Seconds after which an idle connection is no longer used.

If the server closed it just as a lead is sent, the lead would be unknown. A new connection costs less than that.
"""

MOST_IDLE = 64
"""The most idle connections to keep. More threads than that may still use the client."""

LARGEST_ANSWER = 1024 * 1024
"""The most bytes to read of an answer. The API's own answers are far shorter."""

_REST_OF_ANSWER = 0.05  # seconds to read a body that has already arrived, whatever the deadline

_USER_AGENT = f"cms-python-client/{__version__} Python/{sys.version.split()[0]} ({sys.platform})"


class _Event(io.BytesIO):
    """A request's body that records when it begins to be sent.

    urllib3 reads it after connecting, checking the certificate and writing the headers. Until then, no part of the
    event can have been sent.
    """

    sent_at: float | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.sent_at is None:
            self.sent_at = time.monotonic()
        return super().read(size)


class Transport:
    """Sends events to one host. Threads may share it."""

    def __init__(self, host: str, token: str) -> None:
        """Read the proxies and CA bundles of the environment, once, as requests reads them.

        Args:
            host: The base URL, without a trailing slash.
            token: The bearer token. It is masked in everything that :meth:`post` returns.
        """
        self._host = host
        self._mask = TokenMask(token)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": _USER_AGENT,
        }
        with requests.Session() as session:
            self._settings = session.merge_environment_settings(host, {}, True, None, None)
        if self._settings["verify"] is True:
            self._settings["verify"] = os.environ.get("SSL_CERT_FILE") or True
        # Each adapter has one connection. Idle ones are kept with the time at which they became idle.
        self._idle: list[tuple[HTTPAdapter, float]] = []
        self._process = os.getpid()
        self._closed = False

    def close(self) -> None:
        """Close the idle connections now, and those in use once they have their answer."""
        self._closed = True
        self._close_idle()

    def post(self, path: str, body: bytes, timeout: float) -> Answer | NoAnswer:
        """Make one attempt.

        Args:
            path: The path below the host: ``/track/lead``.
            body: The request's JSON.
            timeout: Seconds that the answer may take once the event was sent. The limit is checked whenever a part
                of the body arrives, so a pause within the answer may add up to the same time again.

        Returns:
            The answer, or why there is none. Failures of the network are returned, not raised.
        """
        event = _Event(body)
        adapter = self._take_adapter()
        try:
            return self._exchange(adapter, path, event, timeout)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return self._no_answer(error, event.sent_at is not None)
        finally:
            self._put_back(adapter)

    def _exchange(self, adapter: HTTPAdapter, path: str, event: _Event, timeout: float) -> Answer | NoAnswer:
        request = requests.Request("POST", self._host + path, self._headers, data=event).prepare()
        limits = (min(timeout, CONNECT_TIMEOUT), timeout)
        # Leaving the block closes the connection if the answer was not read to its end.
        with adapter.send(request, timeout=limits, **self._settings) as response:
            status, headers = response.status_code, response.headers
            if status < 200:
                return NoAnswer(Reason.DROPPED, True, f"an interim answer came as if it were the last ({status})")
            if status == 407:  # a proxy's, never the service's
                return NoAnswer(Reason.PROXY, False, "it requires a user name and password")
            # This process may have been suspended past the deadline while the answer arrived.
            latest = max((event.sent_at or 0.0) + timeout, time.monotonic() + _REST_OF_ANSWER)
            content = _read(response.raw, latest)
        return Answer(
            status,
            headers.get("Content-Type", "").lower(),
            self._mask.in_bytes(content),
            read_retry_after(headers.get("Retry-After", ""), time.time()),
            self._mask.in_text(headers.get("Location", "")),
            says_its_end=status == 204 or _is_framed(headers),
        )

    def _take_adapter(self) -> HTTPAdapter:
        if self._process != os.getpid():
            # After a fork, parent and child would read each other's answers on a shared connection.
            self._close_idle()
            self._process = os.getpid()
        with suppress(IndexError):
            adapter, since = self._idle.pop()  # the one used last
            if time.monotonic() - since <= LONGEST_IDLE:
                return adapter
            adapter.close()
            self._close_idle()  # the others have been idle for even longer
        return HTTPAdapter(pool_connections=1, pool_maxsize=1)

    def _put_back(self, adapter: HTTPAdapter) -> None:
        if len(self._idle) >= MOST_IDLE:
            adapter.close()
            return
        self._idle.append((adapter, time.monotonic()))
        if self._closed:  # meanwhile, by another thread
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop()[0].close()

    def _no_answer(self, error: Exception, sent: bool) -> NoAnswer:
        inner = _innermost(error)
        reason = _reason_for(error, inner, sent)
        detail = str(inner) or type(inner).__name__
        if isinstance(error, requests.exceptions.InvalidSchema):
            detail = 'a SOCKS proxy needs: pip install "requests[socks]"'
        elif reason is Reason.SETTINGS and self._settings["proxies"]:
            # The error would quote the proxy's address up to the first slash, which may include part of a password.
            detail = "the proxy's address cannot be used; in its password, write / ? # @ as %2F %3F %23 %40"
        return NoAnswer(reason, sent, self._mask.in_text(detail))


def _is_framed(headers: Mapping[str, str]) -> bool:
    # Headers that were cut off may end within one of these values.
    return headers.get("Content-Length", "").isdigit() or headers.get("Transfer-Encoding", "").lower() == "chunked"


def _read(raw: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """Read and uncompress a body, up to ``LARGEST_ANSWER`` bytes.

    Raises:
        OSError, urllib3.exceptions.HTTPError: The body is incomplete, or does not arrive by the deadline.
    """
    content = bytearray()
    while len(content) < LARGEST_ANSWER:
        if time.monotonic() >= deadline:
            raise socket.timeout("timed out")
        # Uncompress afterwards: urllib3 would wait past the deadline for enough data to uncompress.
        piece = raw.read1(LARGEST_ANSWER, decode_content=False)
        if not piece:
            break
        content += piece
    if "Content-Encoding" not in raw.headers:
        return bytes(content)
    # Some servers compress although the request accepts only the identity encoding.
    packed = urllib3.HTTPResponse(io.BytesIO(content), raw.headers, preload_content=False)
    return packed.read(LARGEST_ANSWER, decode_content=True)


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost of nested errors, whose message is the shortest."""
    while True:
        nested = [arg for arg in error.args if isinstance(arg, BaseException)]
        inner = nested[-1] if nested else error.__cause__ or error.__context__
        if inner is None:
            return error
        error = inner


def _reason_for(error: Exception, inner: BaseException, sent: bool) -> Reason:
    if isinstance(inner, (socket.timeout, urllib3.exceptions.TimeoutError)):
        return Reason.READ_TIMEOUT if sent else Reason.CONNECT_TIMEOUT
    if sent:
        return Reason.DROPPED
    if isinstance(inner, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Reason.REFUSED  # closed during the handshake, as by a server that restarts
    if isinstance(inner, ssl.SSLError) or type(error) is OSError:  # requests raises OSError for a missing CA bundle
        return Reason.TLS
    if isinstance(error, requests.exceptions.ProxyError) or isinstance(inner, HTTPException):
        return Reason.PROXY  # nobody else answers before the event was sent
    if isinstance(inner, socket.gaierror):
        # A resolver's temporary failure may pass within a minute; "no such name" will not.
        return Reason.DNS if inner.errno == socket.EAI_AGAIN else Reason.HOST_NOT_FOUND
    return Reason.REFUSED if isinstance(error, requests.ConnectionError) else Reason.SETTINGS
