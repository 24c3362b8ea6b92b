"""One HTTP attempt through requests: the only way to the service.

requests' adapter is used without a session. A session would follow redirects, let ``~/.netrc`` replace the token,
and read the environment again for every request.
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
"""Seconds that a connection may take to come about, for each address of the host."""

LONGEST_IDLE = 2.0
"""Seconds after which an idle connection is not used again.

A server that closes it just as the event leaves makes a lead's fate unknown; a new connection costs less than that.
"""

MOST_IDLE = 64
"""Idle connections that are kept. More threads than that still work."""

LARGEST_ANSWER = 1024 * 1024
"""Bytes of an answer that are read. A longer one is not the API's."""

_REST_OF_ANSWER = 0.05  # seconds to read a body that has already arrived, whatever the deadline

_USER_AGENT = f"cms-python-client/{__version__} Python/{sys.version.split()[0]} ({sys.platform})"


class _Event(io.BytesIO):
    """A request's body that notes when it is sent.

    It is read once the connection stands, its certificate is checked and the headers are written. Until then the
    event cannot have left.
    """

    sent_at: float | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.sent_at is None:
            self.sent_at = time.monotonic()
        return super().read(size)


class Transport:
    """Sends events to one host. Many threads may use one at the same time."""

    def __init__(self, host: str, token: str) -> None:
        """Read proxies and CA bundles from the environment, once, through requests.

        Args:
            host: The base URL, without a trailing slash.
            token: The bearer token; stays inside.
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
        # Each adapter holds one connection; idle ones are kept here with the time since which they are idle.
        self._idle: list[tuple[HTTPAdapter, float]] = []
        self._process = os.getpid()
        self._closed = False

    def close(self) -> None:
        """Close every idle connection; those in use close when their answer is there."""
        self._closed = True
        self._close_idle()

    def post(self, path: str, body: bytes, timeout: float) -> Answer | NoAnswer:
        """Make one attempt.

        Args:
            path: Below the host, ``/track/lead``.
            body: The request's JSON.
            timeout: Seconds that the answer may take once the event was sent. The time is checked whenever a part
                of the body comes; silence amid the answer may take as long again.

        Returns:
            The result. Nothing that the network does raises.
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
        # Leaving the block closes a connection on which more bytes may arrive.
        with adapter.send(request, timeout=limits, **self._settings) as response:
            status, headers = response.status_code, response.headers
            if status < 200:
                return NoAnswer(Reason.DROPPED, True, f"an interim answer came as if it were the last ({status})")
            if status == 407:  # a proxy's, never the service's
                return NoAnswer(Reason.PROXY, False, "it wants a user name and password")
            # If this process was stopped past the deadline, the whole answer may have arrived already.
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
            self._close_idle()  # idle for longer still
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
            # The error quotes the proxy's address up to the first slash, which may include half a password.
            detail = "the proxy's address cannot be used; in its password, write / ? # @ as %2F %3F %23 %40"
        return NoAnswer(reason, sent, self._mask.in_text(detail))


def _is_framed(headers: Mapping[str, str]) -> bool:
    # A head that was cut off may end amid these.
    return headers.get("Content-Length", "").isdigit() or headers.get("Transfer-Encoding", "").lower() == "chunked"


def _read(raw: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """Read a body, as far as it is not too large, and unpack it.

    Raises:
        OSError, urllib3.exceptions.HTTPError: It does not come whole, or not by the deadline.
    """
    content = bytearray()
    while len(content) < LARGEST_ANSWER:
        if time.monotonic() >= deadline:
            raise socket.timeout("timed out")
        # Unpack only afterwards: urllib3 would wait past the deadline for data to unpack.
        piece = raw.read1(LARGEST_ANSWER, decode_content=False)
        if not piece:
            break
        content += piece
    if "Content-Encoding" not in raw.headers:
        return bytes(content)
    # Servers may compress although only the identity encoding was accepted.
    packed = urllib3.HTTPResponse(io.BytesIO(content), raw.headers, preload_content=False)
    return packed.read(LARGEST_ANSWER, decode_content=True)


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost error, which has the shortest message; libraries wrap errors in errors."""
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
    if isinstance(inner, ssl.SSLError) or type(error) is OSError:  # the latter for a CA bundle that is not there
        return Reason.TLS
    if isinstance(error, requests.exceptions.ProxyError) or isinstance(inner, HTTPException):
        return Reason.PROXY  # nobody else answers before the event was sent
    if isinstance(inner, socket.gaierror):
        # A resolver's temporary failure may pass within a minute; "no such name" will not.
        return Reason.DNS if inner.errno == socket.EAI_AGAIN else Reason.HOST_NOT_FOUND
    return Reason.REFUSED if isinstance(error, requests.ConnectionError) else Reason.SETTINGS
