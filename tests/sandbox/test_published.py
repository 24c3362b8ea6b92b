"""The clients that people have installed talk to the sandbox when it answers in the shape that they can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Callable

import pytest

from cms_cli.sandbox import SandboxServer

from .conftest import StartSandbox

pytestmark = pytest.mark.slow

CLIENTS = {"cms-python-client==1.0.0": "cms_python", "cutmeshort==1.0.1": "cutmeshort"}
PATIENCE = 300  # seconds

# As the package page has it; prints what the calls return.
PROGRAM = """
import importlib, json, sys
from datetime import datetime, timezone

module, host = sys.argv[1:]
client = importlib.import_module(module).CMSClient(token="any", host=host)
answers = [
    client.track_lead(click_id="clk_1", event_name="signup", customer_external_id="user_1", mode="deferred"),
    client.track_lead(event_name="confirmed", customer_external_id="user_1"),
    client.track_sale(
        click_id="clk_1", event_name="purchase", customer_external_id="user_1", invoice_id="inv_1", amount=4999,
        currency="USD", customer_name="Jane", customer_email="jane@example.com",
    ),
]
print(json.dumps(answers))
"""

LEAD = {"eventName": "signup", "customerExternalId": "user_1", "clickId": "clk_1", "mode": "deferred"}
SALE = {
    "eventName": "purchase",
    "customerExternalId": "user_1",
    "clickId": "clk_1",
    "invoiceId": "inv_1",
    "amount": 4999,
    "currency": "USD",
    "customerName": "Jane",
    "customerEmail": "jane@example.com",
}


def install(requirement: str, folder: Path) -> Path:
    """An environment with this package and nothing of ours; its Python. Skips where it cannot be had."""
    venv.create(folder, with_pip=True, symlinks=sys.platform != "win32")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{requirement} did not come in time")
    if done.returncode:
        pytest.skip(f"{requirement} cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return python


@pytest.fixture(scope="module")
def python_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the Python that has a requirement, installed once."""
    pythons: dict[str, Path] = {}

    def get(requirement: str) -> Path:
        if requirement not in pythons:
            pythons[requirement] = install(requirement, tmp_path_factory.mktemp("published") / "venv")
        return pythons[requirement]

    return get


def track(python: Path, requirement: str, sandbox: SandboxServer) -> subprocess.CompletedProcess[str]:
    """Run the program from the package page against a sandbox."""
    return subprocess.run(
        [str(python), "-I", "-c", PROGRAM, CLIENTS[requirement], sandbox.url],
        cwd=python.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )


@pytest.mark.parametrize("requirement", CLIENTS)
def test_a_published_client_tracks_into_the_sandbox(
    start_sandbox: StartSandbox, python_with: Callable[[str], Path], requirement: str
) -> None:
    """A deferred lead, its follow-up and a sale are recorded as they were given, credited to the click."""
    sandbox = start_sandbox(answer="status")
    done = track(python_with(requirement), requirement, sandbox)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"status": True, "data": "successful"}] * 3
    assert [(event.kind, event.click_id, event.click_source) for event in sandbox.events()] == [
        ("lead", "clk_1", "sent"),
        ("lead", "clk_1", "deferred"),
        ("sale", "clk_1", "sent"),
    ]
    first, follow_up, sale = (event.event for event in sandbox.events())
    assert (first, sale) == (LEAD, SALE)
    assert follow_up == {"eventName": "confirmed", "customerExternalId": "user_1"}
    assert [attempt.status for attempt in sandbox.attempts()] == [200, 200, 200]


@pytest.mark.parametrize("requirement", CLIENTS)
def test_the_documented_answer_is_too_much_for_the_published_clients(
    start_sandbox: StartSandbox, python_with: Callable[[str], Path], requirement: str
) -> None:
    """Why `--answer status` is there: they raise on the success that their own documentation promises."""
    sandbox = start_sandbox()
    done = track(python_with(requirement), requirement, sandbox)
    assert done.returncode == 1
    assert "ValidationError" in done.stderr
    assert [event.kind for event in sandbox.events()] == ["lead"]
