"""One HTTP attempt, and the only module that imports requests.

The request goes through the urllib3 pool that a requests adapter holds, not through a requests session: requests
knows how to read proxies and CA bundles from the environment and builds the pool accordingly; its session would
read the environment again for every request, follow redirects, let ``~/.netrc`` replace the token, and cost more
than the rest of the attempt.
"""

from __future__ import annotations

import functools
import io
import os
import socket
import ssl
import threading
import time
from datetime import timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, extract_zipped_paths
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout
from urllib3.util.connection import allowed_gai_family

from cms_python._answer import Answer, NoAnswer, Silence
from cms_python._version import __version__

LONGEST_IDLE = 2.0
"""Seconds after which an idle connection is not used again.

A server that closes it just as the event leaves makes a lead's fate unknown; a new connection costs less than that.
"""

LARGEST_ANSWER = 1024 * 1024
"""Bytes of an answer that are read. What is longer is not the API's."""

_PIECE = 64 * 1024

SHORTEST_SECRET = 8
"""Characters of a token that is masked in what comes back; a shorter one would be masked out of plain words."""

_MASK = "[token]"

_FOR_EVER = 1e9
"""Seconds that stand for a ``Retry-After`` nobody will see the end of."""

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

    at_end = False  # whether the other side has hung up

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
        self.at_end = count == 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An answer whose every byte, headers included, must be there by the attempt's deadline."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._reader = _ReaderWithDeadline(self.fp.detach(), sock, _attempt.deadline)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        if self._reader.at_end:
            # http.client takes the end of the connection for the end of the headers, and so half an answer for
            # a whole one without a body.
            raise RemoteDisconnected("the connection ended within the answer's headers")


class _Watched:
    """What every kind of connection adds: marks what was sent, and goes stale when it was idle."""

    _last_used = 0.0

    def connect(self) -> None:
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
        connected: bool = super().is_connected  # type: ignore[misc]
        return connected and time.monotonic() - self._last_used <= LONGEST_IDLE


class _Direct:
    """Connects to the first address of a host that answers.

    urllib3 gives every address the whole time limit, one after the other; here they share it.
    """

    def _new_conn(self: Any) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        addresses = [*dict.fromkeys((family, address) for family, _, _, _, address in found)]
        end = time.monotonic() + self.timeout
        for left, (family, address) in zip(range(len(addresses), 0, -1), addresses):
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(max(0.001, (end - time.monotonic()) / left))
                sock.connect(address)
            except OSError as error:
                sock.close()
                if left > 1:
                    continue
                if isinstance(error, socket.timeout):
                    raise ConnectTimeoutError(self, f"no connection to {self.host} in time") from error
                raise NewConnectionError(self, f"no connection to {self.host}: {error}") from error
            sock.settimeout(self.timeout)
            return sock
        raise NewConnectionError(self, f"{self.host} has no address")


@functools.cache
def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Make the kind of pool whose connections are watched."""
    plain: Any = pool.ConnectionCls
    # Connections through a SOCKS proxy have their own way to connect.
    own = (_Watched, _Direct) if plain in (HTTPConnection, HTTPSConnection) else (_Watched,)
    connection = type("Watched" + plain.__name__, (*own, plain), {"response_class": _Response})
    return type("Watched" + pool.__name__, (pool,), {"ConnectionCls": connection})


class _Adapter(HTTPAdapter):
    """Makes pools of watched connections, directly and through proxies."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return _watch(super().proxy_manager_for(proxy, **kwargs))


def _watch(manager: PoolManager) -> PoolManager:
    pools: dict[str, Any] = manager.pool_classes_by_scheme
    if not any(issubclass(pool.ConnectionCls, _Watched) for pool in pools.values()):
        manager.pool_classes_by_scheme = {scheme: _watched(pool) for scheme, pool in pools.items()}
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
        self._secret = token if len(token) >= SHORTEST_SECRET else ""
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
        # With no bundle named, requests would set its own on the connections; urllib3 alone would look for the
        # system's, which not every system has where OpenSSL looks.
        self._verify: bool | str = settings["verify"]
        if self._verify is True:
            self._verify = os.environ.get("SSL_CERT_FILE") or extract_zipped_paths(DEFAULT_CA_BUNDLE_PATH)
        self._routes: dict[str, tuple[HTTPConnectionPool, str, dict[str, str]]] = {}

    def close(self) -> None:
        """Close every idle connection; those in use close when their answer is there."""
        for pool, _, _ in list(self._routes.values()):
            pool.close()
        self._adapter.close()

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
                decode_content=True,  # nothing but plain bytes is asked for, and not everybody heeds that
            )
            try:
                content = _read(response)
            finally:
                response.release_conn()
        except (HTTPError, HTTPException, OSError, requests.RequestException, ValueError) as error:
            silence = _silence_of(error, _attempt.sent)
            return NoAnswer(silence, _attempt.sent, self._without_token(_words_of(error)))
        if response.status == 407:  # a proxy's, never the service's
            return NoAnswer(Silence.PROXY, sent=False, detail="it wants a user name and password")
        return Answer(
            response.status,
            response.headers.get("Content-Type", "").lower(),
            content.replace(self._secret.encode(), _MASK.encode()) if self._secret else content,
            _seconds_to_wait(response.headers.get("Retry-After")),
            self._without_token(response.headers.get("Location", "")),
        )

    def _without_token(self, text: str) -> str:
        """Mask the token where something echoes it; errors and logs show what came back."""
        return text.replace(self._secret, _MASK) if self._secret else text

    def _route(self, path: str) -> tuple[HTTPConnectionPool, str, dict[str, str]]:
        route = self._routes.get(path)
        if route is None:
            request = requests.Request("POST", self._host + path).prepare()
            pool = self._adapter.get_connection_with_tls_context(request, self._verify, proxies=self._proxies)
            target = self._adapter.request_url(request, self._proxies)
            route = self._routes[path] = (pool, target, self._headers)
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
        return Silence.DNS if temporary else Silence.HOST_NOT_FOUND
    if isinstance(_innermost(error), (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Silence.REFUSED  # hung up amid the handshake, as a server does that restarts
    if isinstance(error, (SSLError, ssl.SSLError)):
        return Silence.TLS
    if isinstance(error, ProxyError) or isinstance(_innermost(error), HTTPException):
        return Silence.PROXY  # nobody but a proxy answers before the event is sent
    if isinstance(error, (requests.RequestException, ValueError)) or type(error) is OSError:
        return Silence.SETTINGS
    return Silence.REFUSED


def _innermost(error: BaseException) -> BaseException:
    # urllib3 wraps errors in errors.
    while True:
        nested = [arg for arg in error.args if isinstance(arg, BaseException)]
        inner = nested[-1] if nested else error.__cause__ or error.__context__
        if inner is None:
            return error
        error = inner


def _words_of(error: BaseException) -> str:
    innermost = _innermost(error)  # says it shortest
    return str(innermost) or type(innermost).__name__


def _seconds_to_wait(retry_after: str | None) -> float | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _FOR_EVER)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)  # asctime's form names no zone, and means GMT
    return min(max(0.0, moment.timestamp() - time.time()), _FOR_EVER)
