"""SandboxServer as an object: when it binds and closes, how many clients it serves, what it imports."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import cms_cli.sandbox
from cms_cli.sandbox import SandboxServer

from .conftest import StartSandbox
from .talk import LEAD, PATIENCE, Wire, addressed, as_json, lead, post_bytes, receive_all, status_of

ROOT = Path(__file__).parents[2]
PACKAGE = Path(cms_cli.sandbox.__file__).parent


def test_the_public_names() -> None:
    assert cms_cli.sandbox.__all__ == [
        *("KINDS", "SUCCESS_SHAPES", "Attempt", "ClickReport", "EventFilter", "Fault", "FaultPlan", "OptionError"),
        *("Poison", "Rate", "Report", "Revenue", "SandboxError", "SandboxEvent", "SandboxServer", "Step"),
        *("StoreError", "Total", "load_scenario", "open_report", "parse_faults", "read_attempts", "read_events"),
        "reset",
    ]


def test_the_url_is_this_machines_and_the_port_is_bound_before_it_starts(tmp_path: Path) -> None:
    server = SandboxServer(tmp_path / "sandbox.db")
    try:
        assert server.url == f"http://127.0.0.1:{server.port}"
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as early:
            early.sendall(addressed(server, post_bytes("/track/lead", as_json(LEAD), "Connection: close")))
            assert server.start() is server.start() is server
            assert status_of(receive_all(early)) == 200
    finally:
        server.close()


def test_a_port_in_use_is_an_error_until_it_is_free(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    first = start_sandbox()
    with pytest.raises(OSError, match=r"."):
        SandboxServer(tmp_path / "other.db", port=first.port)
    assert not (tmp_path / "other.db").exists()
    first.close()
    assert lead(start_sandbox(port=first.port)).status == 200


def test_closing_ends_idle_connections_and_refuses_new_ones(sandbox: SandboxServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) for _ in range(5)]
    with Wire(sandbox) as wire:
        assert wire.lead().status == 200
        sandbox.close()
        sandbox.close()
        with pytest.raises(OSError, match=r"."):
            wire.lead()
    for sock in silent:
        with sock:
            assert receive_all(sock) == b""
    with pytest.raises(OSError, match=r"."):
        lead(sandbox)
    give_up = time.monotonic() + PATIENCE
    while [thread for thread in threading.enumerate() if thread.name.startswith("cms-sandbox")]:
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_closing_ends_an_unfinished_request(sandbox: SandboxServer) -> None:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) as sock:
        sock.sendall(b"POST /track/lead HTTP/1.1\r\n")
        lead(sandbox)
        sandbox.close()
        assert status_of(receive_all(sock)) in (0, 400)


def test_a_server_that_never_started_closes(tmp_path: Path) -> None:
    sandbox = SandboxServer(tmp_path / "sandbox.db")
    sandbox.close()
    assert sandbox.wait(0) is True
    with pytest.raises(OSError, match=r"."):
        lead(sandbox)


def test_waiting_ends_when_another_thread_closes(sandbox: SandboxServer) -> None:
    assert sandbox.wait(0.01) is False
    closer = threading.Timer(0.05, sandbox.close)
    closer.start()
    assert sandbox.wait() is True
    closer.join()


def test_many_clients_at_once_lose_nothing(sandbox: SandboxServer) -> None:
    def work(number: int) -> None:
        with Wire(sandbox) as wire:
            for event in range(25):
                assert wire.lead({**LEAD, "customerExternalId": f"{number}-{event}"}).status == 200

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({event.customer for event in sandbox.events()}) == len(sandbox.events()) == 400


def test_a_client_beyond_the_limit_gets_503(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cms_cli.sandbox.http_server.MOST_CONNECTIONS", 1)
    with Wire(sandbox) as first:
        assert first.lead().status == 200
        with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) as second:
            assert status_of(receive_all(second)) == 503
        assert first.lead().status == 200


def test_clients_that_hang_up_do_not_affect_others(sandbox: SandboxServer) -> None:
    request = post_bytes("/track/lead", as_json(LEAD))
    for cut in range(0, len(request), 20):
        with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) as sock:
            sock.sendall(request[:cut])
    assert lead(sandbox).status == 200


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def test_it_shares_nothing_with_the_sdk_or_the_rest_and_needs_no_package() -> None:
    ours = {name for path in PACKAGE.rglob("*.py") for name in imports(path)}
    assert {name for name in ours if name.startswith((".", "cms_"))} == {
        name for name in ours if name.startswith("cms_cli.sandbox.")
    }
    if sys.version_info >= (3, 10):
        packages = {name.partition(".")[0] for name in ours} - set(sys.stdlib_module_names) - {"cms_cli"}
        assert packages <= {"tomli", "tomllib"}


HEAVY = {"asyncio", "tomllib", "tomli", "tempfile", "logging", "unittest", "requests", "urllib3", "rich", "typer"}


@pytest.mark.imports
def test_starting_imports_no_heavy_modules(tmp_path: Path) -> None:
    code = (
        "import sys; from cms_cli.sandbox import SandboxServer; SandboxServer(sys.argv[1]).start().close();"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "sandbox.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert HEAVY & set(done.stdout.split()) == set()
