"""CMSClient: its settings, threads and connections, closing, and the package's public names."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable

import pytest
from faultserver import (
    DROP,
    FaultServer,
    Received,
    Reply,
    html_reply,
    json_reply,
)
from sdk_events import LEAD, SALE, TOKEN, track

import cms_python
from cms_python import DEFAULT_HOST, DOCUMENTED_HOSTS, CMSClient, LeadEvent

MakeClient = Callable[..., CMSClient]
ROOT = Path(cms_python.__file__).parent.parent


def test_public_names() -> None:
    """The package exports exactly these names."""
    names = [
        "Answer",
        "CMSClient",
        "DEFAULT_HOST",
        "DOCUMENTED_HOSTS",
        "EventKind",
        "Field",
        "InvalidEventError",
        "LEAD_FIELDS",
        "LEAD_REQUIRED",
        "LeadEvent",
        "Outcome",
        "SALE_FIELDS",
        "SALE_REQUIRED",
        "SaleEvent",
        "Status",
        "TrackResult",
        "WireEvent",
        "__version__",
        "backoff",
        "encode_wire",
        "may_resend",
    ]
    assert sorted(cms_python.__all__) == sorted(names)
    assert len(set(cms_python.__all__)) == len(cms_python.__all__)
    assert all(hasattr(cms_python, name) for name in names)
    modules = {"client", "events", "fields", "outcome"}
    assert {name for name in vars(cms_python) if not name.startswith("_")} == {*names, *modules} - {"__version__"}


def test_hosts() -> None:
    """The default host is that of 1.0.0, and the documented hosts are these three."""
    assert DEFAULT_HOST == "https://www.cutmeshort.com"
    assert DOCUMENTED_HOSTS == ("https://www.cutmeshort.com", "https://app.cutmeshort.com", "https://api.cme.sh")
    with CMSClient(TOKEN) as client:
        assert client.host == DEFAULT_HOST


def test_signatures() -> None:
    """Both methods have the documented parameters in the order of 1.0.0, typed and documented."""
    about = ["customer_name", "customer_email", "customer_avatar", "timestamp"]
    ids = ["event_name", "customer_external_id"]
    expected: dict[Any, list[str]] = {
        CMSClient.track_lead: [*ids, "click_id", *about, "mode"],
        CMSClient.track_sale: ["click_id", *ids, "invoice_id", "amount", "currency", *about],
    }
    for method, names in expected.items():
        parameters = list(inspect.signature(method).parameters.values())[1:]
        assert [parameter.name for parameter in parameters] == names
        assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters)
        assert all(parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        assert all(f"{name}: " in (method.__doc__ or "") for name in names)
    init = inspect.signature(CMSClient).parameters
    assert list(init)[:2] == ["token", "host"]
    assert all(init[name].kind is inspect.Parameter.KEYWORD_ONLY for name in list(init)[2:])


def test_typed_marker() -> None:
    """The package contains a py.typed marker."""
    assert (Path(cms_python.__file__).parent / "py.typed").is_file()


@pytest.mark.imports
def test_import_is_light() -> None:
    """Importing the package and building an event loads neither requests nor the command line's packages."""
    code = (
        "import sys, cms_python; cms_python.LeadEvent('a', 'b').encode();"
        "print(sorted({name.split('.')[0] for name in sys.modules}"
        " & {'typer', 'rich', 'click', 'requests', 'urllib3', 'cms_cli', 'sqlite3', 'pydantic', 'platformdirs'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.imports
def test_client_loads_no_command_line() -> None:
    """Creating a client loads neither typer nor rich nor the command line."""
    code = (
        "import sys, cms_python; cms_python.CMSClient('token').close();"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'typer', 'rich', 'click', 'cms_cli'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "token",
    [
        "",
        " ",
        "\n",
        "a\nb",
        "a\r\nX-Header: b",
        "secret0\n",
        "\tsecret0",
        " secret0",
        "tökén",
        "a\x00b",
        "Bearer secret0",
        "bearer  secret0",
        "secret0 secret1",
        "secret0\xa0secret1",
        None,
        b"x",
        5,
    ],
)
def test_bad_token(token: Any) -> None:
    """An invalid token raises ValueError when the client is created, and is not quoted."""
    with pytest.raises(ValueError, match="token") as caught:
        CMSClient(token)
    if isinstance(token, str) and token.strip() and len(token) > 3:
        assert token.strip() not in str(caught.value)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (None, "is missing"),
        ("", "is empty"),
        (" ", "is empty"),
        (b"cms_live_0123", "must be a str, not bytes"),
        (5, "not int"),
        ("Bearer cms_live_0123", 'must not begin with "Bearer"'),
        ("BEARER cms_live_0123", 'must not begin with "Bearer"'),
        ("cms_live 0123", "has a space"),
        ("cms_live_0123\n", "has a space"),
    ],
)
def test_what_is_wrong_with_a_token_is_said(token: Any, why: str) -> None:
    """The error about a token says whether it is missing, empty, not a str or malformed."""
    with pytest.raises(ValueError, match=f"the token .*{why}"):
        CMSClient(token)


def test_token_of_the_environment(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without a token uses CMS_BEARER_TOKEN; an explicit token wins, even an empty one."""
    monkeypatch.setenv("CMS_BEARER_TOKEN", "cms_live_0123")
    for client in (CMSClient(host=server.url), CMSClient(None, server.url), CMSClient(TOKEN, server.url)):
        with client:
            assert track(client, "lead")["success"] is True
    tokens = [request.headers["Authorization"] for request in server.requests]
    assert tokens == ["Bearer cms_live_0123", "Bearer cms_live_0123", f"Bearer {TOKEN}"]
    for useless, why in (("", "is empty"), ("Bearer cms_live_0123", "Bearer")):
        monkeypatch.setenv("CMS_BEARER_TOKEN", useless)
        with pytest.raises(ValueError, match=why):
            CMSClient()
    with pytest.raises(ValueError, match="is empty"):
        CMSClient("")


@pytest.mark.parametrize("token", ["abc", "cms_live_0123", TOKEN, "a" * 4000, "~+/=._-"])
def test_good_token(server: FaultServer, token: str) -> None:
    """A JWT and an opaque key are sent unchanged."""
    with CMSClient(token, server.url) as client:
        assert track(client, "lead")["success"] is True
    assert server.requests[0].headers["Authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "www.cutmeshort.com",
        "ftp://x.example",
        "https://",
        "https:///track",
        "https://user:secret@x.example",
        "https://@x.example",
        "https://x.example/?a=b",
        "https://x.example?",
        "https://x.example/#a",
        "https://x.example#",
        "https://x.example:port",
        "https://x.example:99999",
        "https://[::1",
        "https://x.exa\nmple",
        "https://x.example/a b",
        "https://x.example/\x00",
        "javascript:alert(1)",
        None,
        5,
        b"https://x.example",
    ],
)
def test_bad_host(host: Any) -> None:
    """An invalid host raises ValueError when the client is created, without showing a password."""
    with pytest.raises(ValueError, match=r"host|URL|IPv6") as caught:
        CMSClient(TOKEN, host)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        ("https://x.example/", "https://x.example"),
        (" https://x.example:8443 ", "https://x.example:8443"),
        ("http://localhost:8000/api//", "http://localhost:8000/api"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("HTTPS://X.example", "HTTPS://X.example"),
    ],
)
def test_good_host(host: str, kept: str) -> None:
    """Surrounding blanks and trailing slashes are removed from a host."""
    with CMSClient(TOKEN, host=host) as client:
        assert client.host == kept


def test_scheme_in_capitals(server: FaultServer) -> None:
    """A host's scheme may be in capitals."""
    with CMSClient(TOKEN, server.url.replace("http", "HTTP")) as client:
        assert track(client, "lead")["success"] is True


NO_NUMBERS = ("10", b"10", True, None, [1], float("nan"), timedelta(seconds=5), object(), 10**400)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("timeout", value) for value in (0, -1, float("inf"), 1e300, *NO_NUMBERS)],
        *[("retries", value) for value in (-1, 1.5, -0.5, float("-inf"), *NO_NUMBERS)],
        *[("total_wait", value) for value in (-1, -0.1, *NO_NUMBERS)],
    ],
)
def test_bad_settings(name: str, value: Any) -> None:
    """A setting that is not a number or out of range raises ValueError and is named."""
    settings: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"^{name} must be"):
        CMSClient(TOKEN, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 1, "retries": 0, "total_wait": 0},
        {"timeout": Decimal("0.5"), "retries": 2.0, "total_wait": Fraction(1, 2)},
        {"timeout": 86_400, "retries": float("inf"), "total_wait": float("inf")},
    ],
)
def test_good_settings(server: FaultServer, make_client: MakeClient, settings: dict[str, Any]) -> None:
    """Settings take any kind of number."""
    assert track(make_client(**settings), "lead")["success"] is True


def test_settings_are_keyword_only() -> None:
    """Optional settings are keyword-only."""
    with pytest.raises(TypeError):
        CMSClient(TOKEN, DEFAULT_HOST, 5.0)  # type: ignore[misc]


def test_no_limit_of_time(server: FaultServer, make_client: MakeClient) -> None:
    """``total_wait`` may be infinite."""
    server.script(Reply(503))
    assert track(make_client(total_wait=float("inf")), "sale")["success"] is True


# Connections


def test_connection_is_reused(server: FaultServer, client: CMSClient) -> None:
    """Consecutive events share a connection, whatever the answers."""
    server.script(json_reply(200, {"success": True}), json_reply(422, {"error": "x"}), Reply(204), html_reply(200))
    for _ in range(5):
        track(client, "sale")
        track(client, "lead")
    assert {request.connection for request in server.requests} == {1}


def test_connection_idle_for_long_is_not_reused(
    server: FaultServer, client: CMSClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection idle for longer than the limit is closed and not reused; a younger one is reused."""
    monkeypatch.setattr("cms_python._transport.LONGEST_IDLE", 0.5)
    track(client, "lead")
    track(client, "lead")
    time.sleep(0.8)
    track(client, "lead")
    assert [request.connection for request in server.requests] == [1, 1, 2]
    server.wait_for(lambda: server.connections[0].ended_by == "client")


def test_all_connections_idle_for_long_are_closed(
    server: FaultServer, client: CMSClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst and a pause, all idle connections are closed and none is reused."""
    monkeypatch.setattr("cms_python._transport.LONGEST_IDLE", 0.5)

    def together(request: Received) -> Reply:
        server.wait_for(lambda: len(server.requests) >= 3)
        return json_reply(200, {"success": True})

    server.default = together
    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(lambda _: track(client, "lead")["success"], range(3)))
    assert server.open_connections == 3
    time.sleep(0.8)
    track(client, "lead")
    assert server.requests[-1].connection == 4
    server.wait_for(lambda: server.open_connections == 1)


def test_idle_limit() -> None:
    """The idle limit is two seconds."""
    from cms_python import _transport

    assert _transport.LONGEST_IDLE == 2.0


def test_connection_closed_while_idle(server: FaultServer, client: CMSClient) -> None:
    """A lead succeeds after the server closed the idle connection."""
    server.script(json_reply(200, {"success": True}, idle_close=0.05))
    track(client, "lead")
    server.wait_for(lambda: server.connections[0].ended_by == "server")
    assert track(client, "lead")["success"] is True
    assert [request.connection for request in server.requests] == [1, 2]


def test_server_that_closes_every_connection(server: FaultServer, client: CMSClient) -> None:
    """A server that closes after every answer gets one connection per event."""
    server.default = json_reply(200, {"success": True}, close=True)
    assert all(track(client, "lead")["success"] for _ in range(5))
    assert [request.connection for request in server.requests] == [1, 2, 3, 4, 5]


def test_close(server: FaultServer, client: CMSClient) -> None:
    """``close()`` closes idle connections; later calls raise RuntimeError and send nothing."""
    track(client, "lead")
    track(client, "sale")
    assert server.open_connections == 1
    client.close()
    server.wait_for(lambda: server.open_connections == 0)
    assert server.connections[0].ended_by == "client"
    client.close()
    for kind in ("lead", "sale"):
        with pytest.raises(RuntimeError, match="closed"):
            track(client, kind)
    with pytest.raises(RuntimeError, match="closed"):
        client.send(LeadEvent("a", "b"))
    assert len(server.requests) == 2


def test_context_manager(server: FaultServer) -> None:
    """The context manager returns the client, closes it at the end and lets exceptions through."""
    client = CMSClient(TOKEN, server.url)

    def use() -> None:
        with client as entered:
            assert entered is client
            track(client, "lead")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        use()
    server.wait_for(lambda: server.open_connections == 0)
    with pytest.raises(RuntimeError):
        track(client, "lead")


def test_close_while_in_use(server: FaultServer, client: CMSClient) -> None:
    """An answer in flight when the client is closed still arrives, and its connection is closed afterwards."""
    server.script(json_reply(200, {"success": True}, after=0.3))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(track, client, "lead")
        server.wait_for(lambda: len(server.requests) == 1)
        client.close()
        assert answer.result()["success"] is True
    server.wait_for(lambda: server.open_connections == 0)


def test_many_threads(server: FaultServer, client: CMSClient) -> None:
    """Threads sharing a client send every event once, get their own answers and share connections."""
    server.default = lambda request: json_reply(
        200, {"success": True, "data": {"you": request.json["customerExternalId"]}}
    )
    count, threads = 400, 16

    def one(number: int) -> bool:
        answer = track(client, "lead" if number % 2 else "sale", customer_external_id=f"user_{number}")
        return bool(answer["data"]["you"] == f"user_{number}")

    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(one, range(count)))
    assert sorted(request.json["customerExternalId"] for request in server.requests) == sorted(
        f"user_{number}" for number in range(count)
    )
    assert len(server.connections) <= threads
    client.close()
    server.wait_for(lambda: server.open_connections == 0)


def test_more_threads_than_connections(server: FaultServer, client: CMSClient) -> None:
    """More threads than pooled connections work; surplus connections are closed."""
    threads = 80
    together = threading.Barrier(threads)
    server.default = json_reply(200, {"success": True}, after=0.2)

    def one(number: int) -> Any:
        together.wait(30)
        return track(client, "lead", customer_external_id=str(number))["success"]

    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(one, range(threads)))
    assert len(server.requests) == threads
    server.wait_for(lambda: server.open_connections <= 64)


def test_threads_and_faults(server: FaultServer, client: CMSClient, clock: Any) -> None:
    """Under faults, threads get their own answers and no lead is sent twice."""
    server.default = lambda request: (
        DROP if request.json["eventName"] == "bad" else json_reply(200, {"success": True})
    )

    def one(number: int) -> bool:
        bad = number % 3 == 0
        answer = track(client, "lead", event_name="bad" if bad else "good", customer_external_id=str(number))
        return bool(answer["success"] is not bad)

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(150)))
    sent = [request.json["customerExternalId"] for request in server.requests]
    assert len(sent) == len(set(sent)) == 150


def test_usual_events_are_whole() -> None:
    """The events of these tests have the fields of the contract."""
    assert set(LEAD) < set(cms_python.LEAD_FIELDS)
    assert set(SALE) == set(cms_python.SALE_REQUIRED)
