from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from clock import Clock
from faultserver import FaultServer
from sdk_events import TOKEN

from cms_python import CMSClient


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Remove proxies, CA bundles, token and ~/.netrc from the environment; return the home folder."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in (
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "NETRC",
        "CMS_BEARER_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    return home


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def make_client(server: FaultServer) -> Iterator[Callable[..., CMSClient]]:
    """Return a function that makes clients of the server, or of another host; they are closed afterwards."""
    made = []

    def make(host: str | None = None, **settings: Any) -> CMSClient:
        client = CMSClient(TOKEN, server.url if host is None else host, **settings)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., CMSClient]) -> CMSClient:
    return make_client()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the client's clock, so that its pauses take no time."""
    stand_in = Clock()
    monkeypatch.setattr("cms_python.client.time", stand_in)
    return stand_in
