"""Fixtures: sandboxes that are closed and checked for internal failures, and a clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from clock import Clock

from cms_cli.sandbox import SandboxServer

StartSandbox = Callable[..., SandboxServer]


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[StartSandbox]:
    """Return a function that starts sandboxes on one store; each is closed, and must not have failed internally."""
    servers: list[SandboxServer] = []

    def start(**options: Any) -> SandboxServer:
        server = SandboxServer(options.pop("db", tmp_path / "sandbox.db"), **options)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.close()
        assert server.failure is None


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> SandboxServer:
    return start_sandbox()


@pytest.fixture
def clock() -> Clock:
    return Clock()
