"""Network faults of one attempt: each is a distinct error dict, never an exception or a false success."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any, Callable

import pytest
import trustme
from faultserver import (
    DROP,
    DROP_UNREAD,
    HANG,
    SUCCESS,
    FaultServer,
    Reply,
    Step,
    json_reply,
    refusing_port,
    silent_port,
)
from sdk_events import track

from cms_python import CMSClient, EventKind, Outcome, Status, WireEvent, may_resend

MakeClient = Callable[..., CMSClient]
ONCE = {"retries": 0, "total_wait": 0}


def error_of(client: CMSClient) -> dict[str, Any]:
    """Track a lead that gets no answer, check the error dict's shape and return it."""
    answer = track(client, "lead")
    assert set(answer) == {"success", "error", "status_code", "type"}
    assert answer["success"] is False
    assert answer["status_code"] is None
    assert client.host in answer["error"]
    return answer


def attempt(client: CMSClient) -> Outcome:
    return client.attempt(WireEvent(EventKind.LEAD, b"{}"))


LOST: dict[str, Step] = {
    "dropped after reading": DROP,
    "dropped before reading": DROP_UNREAD,
    "nothing but a line end": Reply(raw=b"\r\n"),
    "not HTTP": Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a TLS alert": Reply(raw=b"\x15\x03\x01\x00\x02\x02\x50"),
    "half a status line": Reply(raw=b"HTTP/1.1 20"),
    "a status that is no number": Reply(raw=b"HTTP/1.1 OK OK\r\n\r\n"),
    "headers without an end": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"),
    "a status line and no more": Reply(raw=b"HTTP/1.1 200 OK\r\n"),
    "a header line without end": Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000),
    "too many headers": Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n"),
    "two lengths": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}"),
    "an empty body where one was announced": Reply(length=50),
    "half a body": Reply(body=b'{"success":true}', length=50),
    "a body whose JSON is whole and length is not": json_reply(200, {"success": True}, length=500),
    "half an error": json_reply(422, {"success": False, "error": "x"}, length=500),
    "chunks that do not end": Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "chunks that are none": Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "broken JSON": Reply(200, b'{"success": tru', (("Content-Type", "application/json"),)),
    "broken JSON called HTML": Reply(200, b'{"success": tru', (("Content-Type", "text/html"),), framed=False),
    "broken JSON called nothing": Reply(200, b'\n{"success": tru', framed=False),
    "JSON in broken UTF-8": Reply(200, b'{"success": "\xff"}', (("Content-Type", "application/json"),)),
    "JSON too deep": Reply(200, b"[" * 200_000, (("Content-Type", "application/json"),)),
}


@pytest.mark.parametrize("name", LOST)
def test_lost(server: FaultServer, make_client: MakeClient, name: str) -> None:
    """A request without a complete answer is ``connection_lost`` and may have arrived."""
    server.script(LOST[name], SUCCESS, LOST[name])
    client = make_client(**ONCE)
    assert error_of(client)["type"] == "connection_lost"
    assert track(client, "lead")["success"] is True, "the next event is not hurt"
    outcome = attempt(client)
    assert (outcome.status, outcome.may_have_arrived) == (Status.UNANSWERED, True)


@pytest.mark.parametrize("how", [{}, {"chunked": True}], ids=["length", "chunked"])
def test_cut_anywhere(server: FaultServer, make_client: MakeClient, how: dict[str, Any]) -> None:
    """An answer cut off after any byte is never read as a success."""
    reply = json_reply(200, {"success": True, "message": "m", "data": {}}, **how)
    size = sum(map(len, reply.encode()))
    client = make_client(**ONCE)
    for cut in range(size):
        server.script(json_reply(200, {"success": True, "message": "m", "data": {}}, cut=cut, **how))
        assert error_of(client)["type"] == "connection_lost", f"cut after {cut} bytes"


SLOW: dict[str, Step] = {
    "never answers": HANG,
    "answers late": Reply(after=3.0),
    "drips its headers": json_reply(200, {"success": True}, drip=0.02),
    "drips its body": json_reply(200, {"success": True, "data": {"a": "b" * 99}}, drip=0.1, drip_from="body"),
    "drips its chunks": json_reply(200, {"a": "b" * 99}, chunked=True, drip=0.1, drip_from="body"),
    "stops in its body": json_reply(200, {"success": True, "data": {"a": "b"}}, drip=3.0, drip_from="body"),
}


@pytest.mark.parametrize("name", SLOW)
def test_too_slow(server: FaultServer, make_client: MakeClient, name: str) -> None:
    """An answer that is incomplete at the deadline is a ``timeout``, however steadily its bytes arrive."""
    server.script(SLOW[name])
    client = make_client(timeout=0.4, **ONCE)
    assert error_of(client)["type"] == "timeout"
    assert track(client, "lead")["success"] is True, "the next event is not hurt"


def test_slow_in_time(server: FaultServer, make_client: MakeClient) -> None:
    """A slow answer that is complete by the deadline is accepted."""
    server.script(json_reply(200, {"success": True}, drip=0.002))
    assert track(make_client(timeout=20, **ONCE), "lead")["success"] is True


def test_nothing_listens(make_client: MakeClient) -> None:
    """A refused connection is a ``connection_error``, and nothing was sent."""
    with refusing_port() as port:
        client = make_client(f"http://127.0.0.1:{port}", **ONCE)
        assert error_of(client)["type"] == "connection_error"
        outcome = attempt(client)
        assert (outcome.status, outcome.may_have_arrived) == (Status.UNSENT, False)
        assert may_resend(EventKind.LEAD, outcome)


def test_no_connection_in_time(make_client: MakeClient) -> None:
    """A connection that takes too long is a ``connect_timeout``, and nothing was sent."""
    with silent_port() as port:
        client = make_client(f"http://127.0.0.1:{port}", timeout=0.3, **ONCE)
        assert error_of(client)["type"] == "connect_timeout"
        assert attempt(client).status is Status.UNSENT


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int], error: int = 0) -> None:
    """Make every name resolve to the given addresses, or fail."""

    def getaddrinfo(*args: Any, **kwargs: Any) -> list[Any]:
        if error:
            raise socket.gaierror(error, "as the test wants it")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_many_silent_addresses(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose addresses are all silent is a ``connect_timeout``, and nothing was sent."""
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(silent_port()) for _ in range(3)]
        client = make_client("http://many.example", timeout=0.2, **ONCE)
        resolve(monkeypatch, *[("127.0.0.1", port) for port in ports])
        assert error_of(client)["type"] == "connect_timeout"
        assert attempt(client).status is Status.UNSENT


def test_second_address(server: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host is reached at its last address if the earlier ones are silent or refuse."""
    with silent_port() as silent, refusing_port() as refusing:
        client = make_client("http://many.example", timeout=3, **ONCE)
        resolve(monkeypatch, ("127.0.0.1", silent), ("127.0.0.1", refusing), ("127.0.0.1", server.port))
        assert track(client, "lead")["success"] is True


def test_no_such_host(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown host is ``host_not_found`` and not retried; a failing resolver is retried."""
    client = make_client("http://misspelt.example", **ONCE)
    resolve(monkeypatch, error=socket.EAI_NONAME)
    assert error_of(client)["type"] == "host_not_found"
    assert not may_resend(EventKind.SALE, attempt(client))
    resolve(monkeypatch, error=socket.EAI_AGAIN)
    assert error_of(client)["type"] == "dns_error"
    assert may_resend(EventKind.LEAD, attempt(client))


@pytest.mark.parametrize("host", ["http://a..b", "http://" + "a" * 80 + ".example", "http://*.example:0"])
def test_impossible_host(make_client: MakeClient, host: str) -> None:
    """A host that cannot be resolved at all is an error dict."""
    error_of(make_client(host, **ONCE))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_unknown_authority(authority: trustme.CA, make_client: MakeClient) -> None:
    """A certificate of an unknown authority is a ``tls_error``, and nothing was sent."""
    with FaultServer(tls=tls_for(authority, "127.0.0.1")) as server:
        client = make_client(server.url, **ONCE)
        assert error_of(client)["type"] == "tls_error"
        assert attempt(client).status is Status.UNSENT
        assert not server.requests


def test_wrong_name(
    authority: trustme.CA, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A certificate for another name is a ``tls_error``, and nothing was sent."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with FaultServer(tls=tls_for(authority, "other.example")) as server:
        assert error_of(make_client(server.url, **ONCE))["type"] == "tls_error"
        assert not server.requests


def test_tls_to_a_plain_port(server: FaultServer, make_client: MakeClient) -> None:
    """https to a port that speaks plain http is a ``tls_error``, and nothing was sent."""
    client = make_client(server.url.replace("http:", "https:"), **ONCE)
    answer = error_of(client)
    assert answer["type"] == "tls_error"
    assert attempt(client).status is Status.UNSENT


@pytest.mark.parametrize(("handshake", "kind"), [("drop", "connection_error"), ("hang", "connect_timeout")])
def test_broken_handshake(make_client: MakeClient, handshake: str, kind: str) -> None:
    """A TLS handshake that is dropped or hangs sent nothing and may be retried."""
    with FaultServer(handshake=handshake) as server:
        client = make_client(server.url.replace("http:", "https:"), timeout=0.4, **ONCE)
        assert error_of(client)["type"] == kind
        outcome = attempt(client)
        assert outcome.status is Status.UNSENT
        assert may_resend(EventKind.LEAD, outcome)


@pytest.mark.parametrize("step", [DROP, DROP_UNREAD, HANG, Reply(raw=b"HTTP/1.1 200 OK\r\n")])
def test_faults_under_tls(
    authority: trustme.CA,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    step: Step,
) -> None:
    """A fault after the TLS handshake is no TLS error, since the request may have arrived."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with FaultServer(tls=tls_for(authority, "127.0.0.1")) as server:
        server.script(step)
        client = make_client(server.url, timeout=1.0, **ONCE)
        assert error_of(client)["type"] == ("timeout" if step is HANG else "connection_lost")
        assert track(client, "lead")["success"] is True


@pytest.mark.parametrize("kind", ["lead", "sale"])
@pytest.mark.parametrize("body", [{"success": False}, {"status": False}, {"success": True, "status": False}])
def test_a_no_without_a_reason(server: FaultServer, client: CMSClient, kind: str, body: dict[str, bool]) -> None:
    """A 2xx that reports a failure without a reason gets a message that does not sound like a success."""
    server.script(json_reply(200, body))
    answer = track(client, kind)
    assert answer["success"] is False
    assert answer["status_code"] == 200
    assert "the service refused this event" in answer["error"]
