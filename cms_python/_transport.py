"""One HTTP attempt, and the only module that imports requests.

The request goes through the urllib3 pool that a requests adapter holds, not through a requests session: requests
knows how to read proxies and CA bundles from the environment and builds the pool accordingly; its session would
read the environment again for every request, follow redirects, let ``~/.netrc`` replace the token, and cost more
than the rest of the attempt.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Timeout

from cms_python._answer import Answer, NoAnswer, Silence
from cms_python._version import __version__

LONGEST_IDLE = 2.0
"""Seconds after which an idle connection is not used again.

A server that closes it just as the event leaves makes a lead's fate unknown; a new connection costs less than that.
"""

LARGEST_ANSWER = 1024 * 1024
"""Bytes of an answer that are read. What is longer is not the API's."""

POOL_SIZE = 64
"""Idle connections kept. More threads than that still work; their connections are not kept."""


class _Attempt(threading.local):
    """What the connection under an attempt needs to know of it, and tells of it; one per thread."""

    deadline = 0.0  # time.monotonic() at which the answer must be there
    sent = False  # whether bytes may have left


_attempt = _Attempt()


class _ReaderWithDeadline(io.RawIOBase):
    """Reads from a socket until a point in time.

    A socket's own timeout starts anew with every byte, so an answer that drips in would never time out.
    """

    def __init__(self, raw: Any, sock: Any, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer whose every byte, headers included, must be there by the attempt's deadline."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_ReaderWithDeadline(raw, sock, _attempt.deadline))


class _Watched:
    """What both kinds of connection add: marks what was sent, and goes stale when it was idle."""

    _last_used = 0.0

    def send(self, data: Any) -> None:
        if getattr(self, "sock", None) is None:
            self.connect()  # type: ignore[attr-defined]
        _attempt.sent = True
        super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            self._last_used = time.monotonic()

    @property
    def is_connected(self) -> bool:
        connected: bool = super().is_connected  # type: ignore[misc]
        return connected and time.monotonic() - self._last_used <= LONGEST_IDLE


class _PlainConnection(_Watched, HTTPConnection):
    response_class = _Response


class _SecureConnection(_Watched, HTTPSConnection):
    response_class = _Response


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Makes pools of watched connections, directly and through proxies."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return _watch(super().proxy_manager_for(proxy, **kwargs))


def _watch(manager: PoolManager) -> PoolManager:
    if not type(manager).__name__.startswith("SOCKS"):  # whose pools bring their own connections
        manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


class Transport:
    """Sends events to one host. Many threads may use one at the same time."""

    def __init__(self, host: str, token: str) -> None:
        """Read the environment (proxies, CA bundles), once.

        Args:
            host: The base URL, without a trailing slash.
            token: The bearer token; stays inside.
        """
        self._host = host
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"cms-python-client/{__version__}",
        }
        self._adapter = _Adapter(pool_maxsize=POOL_SIZE)
        # Only asked for the environment's settings; nothing is ever sent through it.
        with requests.Session() as session:
            settings = session.merge_environment_settings(host, {}, stream=False, verify=None, cert=None)
        self._proxies: dict[str, str] = dict(settings["proxies"])
        self._verify: bool | str = settings["verify"]
        self._routes: dict[str, tuple[HTTPConnectionPool, str, dict[str, str]]] = {}

    def close(self) -> None:
        """Close every idle connection."""
        self._adapter.close()

    def post(self, path: str, body: bytes, *, connect_timeout: float, deadline: float) -> Answer | NoAnswer:
        """Make one attempt.

        Args:
            path: Below the host, ``/track/lead``.
            body: The request's JSON.
            connect_timeout: Seconds for each address of the host to take the connection.
            deadline: The :func:`time.monotonic` by which the whole answer must be there.

        Returns:
            What came back. Nothing that the network does raises.
        """
        _attempt.deadline = deadline
        _attempt.sent = False
        try:
            pool, target, headers = self._route(path)
            response = pool.urlopen(
                "POST",
                target,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(connect=connect_timeout, read=max(0.001, deadline - time.monotonic())),
                preload_content=False,
                decode_content=False,
            )
            try:
                content = response.read(LARGEST_ANSWER + 1)
                if len(content) > LARGEST_ANSWER:
                    response.close()
                    content = content[:LARGEST_ANSWER]
            finally:
                response.release_conn()
        except (HTTPError, HTTPException, OSError, requests.RequestException, ValueError) as error:
            return NoAnswer(_silence_of(error, _attempt.sent), _attempt.sent, _words_of(error))
        return _answer_of(response.status, response.headers, content)

    def _route(self, path: str) -> tuple[HTTPConnectionPool, str, dict[str, str]]:
        route = self._routes.get(path)
        if route is None:
            request = requests.Request("POST", self._host + path).prepare()
            pool = self._adapter.get_connection_with_tls_context(request, self._verify, proxies=self._proxies)
            target = self._adapter.request_url(request, self._proxies)
            route = self._routes[path] = (pool, target, self._headers)
        return route


def _silence_of(error: BaseException, sent: bool) -> Silence:
    if isinstance(error, (ReadTimeoutError, socket.timeout)) or isinstance(error.__context__, socket.timeout):
        return Silence.READ_TIMEOUT if sent else Silence.CONNECT_TIMEOUT
    if sent:
        return Silence.DROPPED
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return Silence.CONNECT_TIMEOUT
    if isinstance(error, NameResolutionError):
        # What a resolver answers with "not just now" may work in a minute; "no such name" will not.
        cause = error.__cause__ or error.__context__
        temporary = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
        return Silence.REFUSED if temporary else Silence.HOST_NOT_FOUND
    if isinstance(error, (SSLError, ssl.SSLError)):
        return Silence.TLS
    if isinstance(error, (ProxyError, requests.exceptions.ProxyError)):
        return Silence.PROXY
    if isinstance(error, (requests.RequestException, ValueError)) or type(error) is OSError:
        return Silence.SETTINGS
    return Silence.REFUSED


def _words_of(error: BaseException) -> str:
    # urllib3 wraps errors in errors; the innermost says it shortest.
    while True:
        inner = error.__cause__ or error.__context__
        nested = [arg for arg in error.args if isinstance(arg, BaseException)]
        if nested:
            error = nested[-1]
        elif inner is not None:
            error = inner
        else:
            return str(error) or type(error).__name__


def _answer_of(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    return Answer(
        status,
        headers.get("Content-Type", "").lower(),
        body,
        _seconds_to_wait(headers.get("Retry-After")),
        headers.get("Location", ""),
    )


def _seconds_to_wait(retry_after: str | None) -> float | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())
