"""To the service through a proxy, with urllib3's pools; and the only module that imports requests.

requests knows how to read proxies, their passwords and their exceptions from the environment and the system, and
builds the pool accordingly. The request goes through that pool, not through a requests session, which would read
the environment again for every request, follow redirects, and let ``~/.netrc`` replace the token.
"""

from __future__ import annotations

import functools
import io
import os
import socket
import ssl
import threading
import time
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError, ProxyError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout

from cms_python import _exchange
from cms_python._answer import NoAnswer, Silence
from cms_python._exchange import LARGEST_ANSWER, POOL_SIZE, Reply, innermost, no_answer, seconds_until

_PIECE = 64 * 1024

_NOT_AN_ADDRESS = "one of them is no address; in a password, / ? # and @ are written %2F %3F %23 and %40"


class _Attempt(threading.local):
    """What the connection under an attempt needs to know of it, and tells of it; one per thread."""

    deadline = 0.0  # time.monotonic() at which the answer must be there
    sent = False  # whether bytes may have left


_attempt = _Attempt()


class _ReaderWithDeadline(io.RawIOBase):
    """Reads from a socket until a point in time.

    A socket's own timeout starts anew with every byte, so an answer that drips in would never time out.
    """

    at_end = False  # whether the other side has hung up

    def __init__(self, raw: Any, sock: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(seconds_until(self._deadline))
        count: int | None = self._raw.readinto(buffer)
        self.at_end = count == 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _ResponseByDeadline(HTTPResponse):
    """An answer whose every byte, headers included, must be there by a point in time."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        """Get ready to read.

        Args:
            sock: The connection on which the request left.
            deadline: The :func:`time.monotonic` by which the whole answer must be there.
        """
        super().__init__(sock, method="POST")
        self._reader = _ReaderWithDeadline(self.fp.detach(), sock, deadline)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        """Read the status and the headers."""
        super().begin()
        if self._reader.at_end:
            # http.client takes the end of the connection for the end of the headers, and so half an answer for
            # a whole one without a body.
            raise RemoteDisconnected("the connection ended within the answer's headers")


class _Watched:
    """What every kind of connection adds: marks what was sent, and goes stale when it was idle.

    Mixed into one of urllib3's classes by :func:`_watched`; until then mypy knows of nothing that ``super()`` has.
    """

    _last_used = 0.0
    _process = 0

    @staticmethod
    def response_class(sock: socket.socket, **_: Any) -> _ResponseByDeadline:
        return _ResponseByDeadline(sock, _attempt.deadline)

    def connect(self) -> None:
        self._process = os.getpid()
        try:
            super().connect()  # type: ignore[misc]
        finally:
            # A CONNECT that asks a proxy for a tunnel is sent as well, and is not the event.
            _attempt.sent = False

    def send(self, data: Any) -> None:
        if getattr(self, "sock", None) is None:
            self.connect()
        _attempt.sent = True
        super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            self._last_used = time.monotonic()

    @property
    def is_connected(self) -> bool:
        if self._process != os.getpid():
            return False  # our parent's, from before the fork: each would read the other's answers
        connected: bool = super().is_connected  # type: ignore[misc]
        return connected and time.monotonic() - self._last_used <= _exchange.LONGEST_IDLE


class _Plain:
    """Connects as :func:`cms_python._exchange.connect` does: urllib3 gives each address the whole time limit."""

    def _new_conn(self: Any) -> socket.socket:
        sock = _exchange.connect(self._dns_host, self.port, time.monotonic() + self.timeout)
        sock.settimeout(self.timeout)
        return sock


@functools.cache
def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Make the kind of pool whose connections are watched."""
    plain: Any = pool.ConnectionCls
    # Connections through a SOCKS proxy have their own way to connect.
    own = (_Watched, _Plain) if plain in (HTTPConnection, HTTPSConnection) else (_Watched,)
    connection = type("Watched" + plain.__name__, (*own, plain), {})
    return type("Watched" + pool.__name__, (pool,), {"ConnectionCls": connection})


class _Adapter(HTTPAdapter):
    """Makes pools of watched connections that share one TLS context."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(pool_maxsize=POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = self._context
        return _watch(super().proxy_manager_for(proxy, **kwargs))

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {**pool, "ssl_context": self._context}


def _watch(manager: PoolManager) -> PoolManager:
    pools: dict[str, Any] = manager.pool_classes_by_scheme
    if not any(issubclass(pool.ConnectionCls, _Watched) for pool in pools.values()):
        manager.pool_classes_by_scheme = {scheme: _watched(pool) for scheme, pool in pools.items()}
    return manager


class Proxied:
    """The way to a host whose proxies requests knows. Many threads may use it at the same time."""

    def __init__(self, host: str, headers: dict[str, str], bundle: str) -> None:
        """Read the environment's and the system's proxies, once.

        Args:
            host: The base URL, without a trailing slash.
            headers: Sent with every request.
            bundle: The authorities that are trusted.
        """
        self._host = host
        self._headers = headers
        self._bundle = bundle
        self._proxies: dict[str, str] = get_environ_proxies(host, no_proxy=None)
        self._routes: dict[str, tuple[HTTPConnectionPool, str]] = {}

    @functools.cached_property
    def _adapter(self) -> _Adapter:
        urls = (self._host, *self._proxies.values())
        tls = any(url.lower().startswith("https:") for url in urls)
        return _Adapter(_exchange.tls_context(self._bundle) if tls else None)

    def close(self) -> None:
        """Close every idle connection; those in use close when their answer is there."""
        for pool, _ in list(self._routes.values()):
            pool.close()

    def post(self, path: str, body: bytes, *, connect_timeout: float, deadline: float) -> Reply | NoAnswer:
        """Make one attempt; as :meth:`cms_python._transport.Transport.post`."""
        _attempt.deadline = deadline
        _attempt.sent = False
        try:
            pool, target = self._route(path)
            response = pool.urlopen(
                "POST",
                target,
                body=body,
                headers=self._headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(connect=connect_timeout, read=max(0.001, deadline - time.monotonic())),
                preload_content=False,
                decode_content=True,  # nothing but plain bytes is asked for, and not everybody heeds that
            )
            try:
                content = _read(response)
            finally:
                response.release_conn()
        except (HTTPError, HTTPException, OSError, requests.RequestException, ValueError) as error:
            return _no_answer(error, _attempt.sent)
        return Reply(response.status, response.headers, content)

    def _route(self, path: str) -> tuple[HTTPConnectionPool, str]:
        route = self._routes.get(path)
        if route is None:
            request = requests.Request("POST", self._host + path).prepare()
            pool = self._adapter.get_connection_with_tls_context(request, True, proxies=self._proxies)
            route = self._routes[path] = (pool, self._adapter.request_url(request, self._proxies))
        return route


def _read(response: BaseHTTPResponse) -> bytes:
    content = b""
    while len(content) <= LARGEST_ANSWER:
        piece = response.read(_PIECE)
        if not piece:  # only here does urllib3 find that an answer is shorter than announced
            return content
        content += piece
    response.close()
    return content[:LARGEST_ANSWER]


def _no_answer(error: BaseException, sent: bool) -> NoAnswer:
    found = no_answer(error, sent=sent)
    if sent:
        return found
    if isinstance(error, LocationParseError):
        # Its words quote what stands before the first slash, be it half a password.
        return found._replace(silence=Silence.SETTINGS, detail=_NOT_AN_ADDRESS)
    if isinstance(error, requests.RequestException):
        return found._replace(silence=Silence.SETTINGS)
    inner = innermost(error)
    refused = isinstance(error, ProxyError) and found.silence in (
        Silence.REFUSED,
        Silence.HOST_NOT_FOUND,
        Silence.DNS,
    )
    # Nobody but a proxy answers before the event is sent.
    if isinstance(inner, HTTPException) or (refused and not isinstance(inner, ssl.SSLError)):
        return found._replace(silence=Silence.PROXY)
    return found
