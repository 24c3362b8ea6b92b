"""Proxies and CA bundles come from the environment; passwords from ~/.netrc do not."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme
from faultserver import DROP, HANG, RELAY, FaultServer, Reply, Step, refusing_port
from sdk_events import TOKEN, track

from cms_python import CMSClient, EventKind, Status, WireEvent, may_resend

MakeClient = Callable[..., CMSClient]
ONCE = {"retries": 0, "total_wait": 0}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def proxy() -> Iterator[FaultServer]:
    with FaultServer(default=RELAY) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a CA bundle; the server's certificate is beside it."""
    folder = tmp_path_factory.mktemp("authority")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder / "ca.pem"


@pytest.fixture
def secure(authority: Path) -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.with_name("server.pem"))
    with FaultServer(tls=context) as running:
        yield running


# Authorities


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_bundle_of_the_environment(
    secure: FaultServer, authority: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A CA named by an environment variable is trusted by clients created afterwards."""
    assert track(make_client(secure.url), "sale")["success"] is False
    monkeypatch.setenv(name, str(authority))
    assert track(make_client(secure.url), "sale")["success"] is True
    assert len(secure.requests) == 1


def test_requests_bundle_comes_first(
    secure: FaultServer, authority: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE wins over SSL_CERT_FILE, as in requests."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    assert track(make_client(secure.url), "lead")["success"] is True


def test_bundle_of_requests_is_the_default(secure: FaultServer, authority: Path) -> None:
    """Without a variable the CA bundle of requests is used, not OpenSSL's default."""
    code = (
        "import sys, certifi; certifi.where = lambda: sys.argv[1]; import cms_python;"
        "print(cms_python.CMSClient('cms_live_0123', sys.argv[2]).track_lead('a', 'b')['success'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(authority), secure.url],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "True", done.stderr


def test_bundle_that_is_not_there(
    secure: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing or invalid CA bundle is an error dict, and nothing is sent."""
    (tmp_path / "none.pem").write_text("this is no certificate")
    for path in (tmp_path / "missing.pem", tmp_path / "none.pem"):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        answer = track(make_client(secure.url), "lead")
        assert (answer["success"], answer["status_code"], answer["type"]) == (False, None, "tls_error")
    assert not secure.requests


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_bundle_whose_name_is_not_utf8(
    secure: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error about a missing CA bundle is printable, whatever the encoding of its name."""
    monkeypatch.setenv("SSL_CERT_FILE", os.fsdecode(b"/nowhere/caf\xe9.pem"))
    answer = track(make_client(secure.url), "lead")
    assert answer["type"] == "tls_error"
    assert "caf" in answer["error"].encode().decode()


# Proxies


def test_forward_proxy(
    server: FaultServer, proxy: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY forwards plain http requests, including the token."""
    monkeypatch.setenv("HTTP_PROXY" if os.name == "nt" else "http_proxy", proxy.url)
    client = make_client(server.url)
    assert track(client, "lead")["success"] is True
    assert track(client, "sale")["success"] is True
    assert [request.target for request in proxy.requests] == [
        server.url + "/track/lead",
        server.url + "/track/sale",
    ]
    assert [request.headers["Authorization"] for request in server.requests] == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_tunnel(
    secure: FaultServer,
    proxy: FaultServer,
    authority: Path,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """HTTPS_PROXY only opens a tunnel and sees neither token nor event."""
    monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    client = make_client(secure.url)
    assert track(client, "lead")["success"] is True
    assert track(client, "sale")["success"] is True
    (connect,) = proxy.requests
    assert (connect.method, connect.target) == ("CONNECT", f"127.0.0.1:{secure.port}")
    assert "Authorization" not in connect.headers
    assert [request.target for request in secure.requests] == ["/track/lead", "/track/sale"]


@pytest.mark.parametrize("exception", ["127.0.0.1", "127.0.0.0/8", "x.example,127.0.0.1", "*"])
def test_no_proxy(
    server: FaultServer,
    proxy: FaultServer,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    exception: str,
) -> None:
    """Hosts in NO_PROXY bypass the proxy."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", exception)
    assert track(make_client(server.url), "lead")["success"] is True
    assert not proxy.connections


def test_environment_is_read_once(
    server: FaultServer, proxy: FaultServer, client: CMSClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing the environment does not change an existing client."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert track(client, "lead")["success"] is True
    assert not proxy.connections


def with_password(url: str) -> str:
    return url.replace("://", "://joe:pass%20word@")


@pytest.mark.parametrize("tunnel", [False, True])
def test_password_of_a_proxy(
    server: FaultServer,
    secure: FaultServer,
    proxy: FaultServer,
    authority: Path,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    tunnel: bool,
) -> None:
    """A proxy's credentials are sent to the proxy, and the token to the service."""
    monkeypatch.setenv("ALL_PROXY", with_password(proxy.url))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    target = secure if tunnel else server
    assert track(make_client(target.url), "lead")["success"] is True
    expected = "Basic " + base64.b64encode(b"joe:pass word").decode()
    assert proxy.requests[0].headers["Proxy-Authorization"] == expected
    assert target.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("step", [Reply(407), Reply(403), Reply(502), DROP, Reply(raw=b"nonsense\r\n")])
def test_tunnel_that_is_refused(
    secure: FaultServer, proxy: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """A proxy that opens no tunnel is a ``proxy_error``: the event did not arrive and may be sent again."""
    monkeypatch.setenv("HTTPS_PROXY", with_password(proxy.url))
    proxy.default = step
    client = make_client(secure.url, **ONCE)
    answer = track(client, "lead")
    assert (answer["success"], answer["status_code"], answer["type"]) == (False, None, "proxy_error")
    assert "pass" not in answer["error"]
    outcome = client.attempt(WireEvent(EventKind.LEAD, b"{}"))
    assert outcome.status is Status.UNSENT
    assert may_resend(EventKind.LEAD, outcome)
    assert not secure.connections


def test_tunnel_that_hangs(
    secure: FaultServer, proxy: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that does not answer in time is a ``connect_timeout``, and nothing was sent."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    proxy.default = HANG
    client = make_client(secure.url, timeout=0.3, **ONCE)
    outcome = client.attempt(WireEvent(EventKind.LEAD, b"{}"))
    assert (outcome.status, outcome.type) == (Status.UNSENT, "connect_timeout")


def test_fault_behind_a_tunnel(
    secure: FaultServer,
    proxy: FaultServer,
    authority: Path,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of the service behind a tunnel leaves it open whether the request arrived."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    secure.script(DROP, DROP)
    client = make_client(secure.url, **ONCE)
    assert track(client, "lead")["type"] == "connection_lost"
    assert client.attempt(WireEvent(EventKind.LEAD, b"{}")).may_have_arrived


def test_unknown_authority_behind_a_tunnel(
    secure: FaultServer, proxy: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An untrusted certificate behind a tunnel is a ``tls_error``, and nothing was sent."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    outcome = make_client(secure.url, **ONCE).attempt(WireEvent(EventKind.LEAD, b"{}"))
    assert (outcome.status, outcome.type) == (Status.UNSENT, "tls_error")


def test_forward_proxy_that_wants_a_password(
    server: FaultServer, proxy: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 407 of a forward proxy is a ``proxy_error``."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    proxy.default = Reply(407)
    answer = track(make_client(server.url, **ONCE), "lead")
    assert (answer["status_code"], answer["type"]) == (None, "proxy_error")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_is_not_there(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """An unreachable proxy is a ``proxy_error`` without its password, and nothing was sent."""
    with refusing_port() as port:
        monkeypatch.setenv("ALL_PROXY", f"http://joe:password@127.0.0.1:{port}")
        client = make_client(f"{scheme}://x.example", **ONCE)
        answer = track(client, "lead")
        assert (answer["status_code"], answer["type"]) == (None, "proxy_error")
        assert "password" not in answer["error"]
        assert client.attempt(WireEvent(EventKind.LEAD, b"{}")).status is Status.UNSENT


@pytest.mark.parametrize(
    "value", ["http://", "http://:80", "gopher://x.example:70", "socks5://127.0.0.1:1", "::::"]
)
def test_proxy_that_makes_no_sense(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """An unusable proxy variable is an error dict, and nothing was sent."""
    monkeypatch.setenv("HTTP_PROXY", value)
    client = make_client("http://127.0.0.1:9", **ONCE)
    answer = track(client, "lead")
    assert (answer["success"], answer["status_code"]) == (False, None)
    assert client.attempt(WireEvent(EventKind.LEAD, b"{}")).status is Status.UNSENT


class SocksProxy(socketserver.StreamRequestHandler):
    """A minimal SOCKS 5 proxy that connects every host name to this machine."""

    def handle(self) -> None:
        count = self.rfile.read(2)[1]
        self.rfile.read(count)
        self.wfile.write(b"\x05\x00")  # no password
        self.rfile.read(4)
        name = self.rfile.read(self.rfile.read(1)[0])
        port = int.from_bytes(self.rfile.read(2), "big")
        self.server.asked.append((name.decode(), port))  # type: ignore[attr-defined]
        try:
            onward = socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            self.wfile.write(b"\x05\x05\x00\x01" + bytes(6))  # refused
            return
        with onward:
            self.wfile.write(b"\x05\x00\x00\x01" + bytes(6))
            back = threading.Thread(target=self.pass_on, args=(onward, self.connection))
            back.start()
            self.pass_on(self.connection, onward)
            back.join()

    @staticmethod
    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def socks() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), SocksProxy) as running:
        running.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_socks_proxy(
    server: FaultServer, socks: Any, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SOCKS proxy from the environment is used; what it refuses was not sent."""
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{socks.server_address[1]}")
    assert track(make_client(f"http://api.example:{server.port}"), "lead")["success"] is True
    assert socks.asked == [("api.example", server.port)]
    with refusing_port() as port:
        outcome = make_client(f"http://api.example:{port}", **ONCE).attempt(WireEvent(EventKind.LEAD, b"{}"))
    assert (outcome.status, may_resend(EventKind.LEAD, outcome)) == (Status.UNSENT, True)


def test_socks_proxy_without_pysocks() -> None:
    """Without PySocks the error says what to install, and shows no password."""
    code = (
        "import sys; sys.modules['socks'] = None; import cms_python;"
        "print(cms_python.CMSClient('cms_live_0123', 'http://api.example').track_lead('a', 'b')['error'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ALL_PROXY": "socks5://joe:secret@127.0.0.1:1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 'pip install "requests[socks]"' in done.stdout, done.stderr
    assert "secret" not in done.stdout


# Passwords


@pytest.mark.parametrize("password", ["se/cret", "se#cret", "se?cret", "se@cret", "se:cret", "se cret", "se%cret"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_password_that_is_not_escaped(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, scheme: str, password: str
) -> None:
    """An unescaped proxy password is not shown in the error about the unusable address."""
    with refusing_port() as port:
        monkeypatch.setenv("ALL_PROXY", f"http://joe:{password}@127.0.0.1:{port}")
        answer = track(make_client(f"{scheme}://x.example", **ONCE), "lead")
    assert answer["type"] in ("settings_error", "proxy_error")
    assert not any(half in answer["error"] for half in ("joe", ":se", "cret"))


@pytest.mark.parametrize("where", [".netrc", "_netrc", "NETRC"])
def test_netrc(
    server: FaultServer,
    make_client: MakeClient,
    plain_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """A ~/.netrc entry for the host does not replace the token."""
    text = "".join(
        f"{who}\nlogin joe\npassword secret\n" for who in ("machine 127.0.0.1", "machine localhost", "default")
    )
    path = plain_environment / where
    path.write_text(text)
    path.chmod(0o600)
    if where == "NETRC":
        monkeypatch.setenv("NETRC", str(path))
    for host in (server.url, server.url.replace("127.0.0.1", "localhost")):
        assert track(make_client(host), "lead")["success"] is True
    tokens: list[Any] = [request.headers.get_all("Authorization") for request in server.requests]
    assert tokens == [[f"Bearer {TOKEN}"]] * 2
