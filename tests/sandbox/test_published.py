"""Published clients against the sandbox, in the answer shape that they can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cms_cli.sandbox import SandboxServer

from .conftest import StartSandbox

pytestmark = pytest.mark.slow

FOLDER = os.environ.get("CMS_TEST_PUBLISHED")
"""A folder with each client in a folder of its name (``pip install --target``), which ``.ci/run slow`` creates."""

CLIENTS = {"cms-python-client": "cms_python", "cutmeshort": "cutmeshort"}
"""The published packages and their modules."""

# The program of the package page, which prints what the calls return.
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


def track(client: str, sandbox: SandboxServer) -> subprocess.CompletedProcess[str]:
    """Run the program of the package page against a sandbox."""
    if FOLDER is None:
        pytest.skip("CMS_TEST_PUBLISHED names no folder with the published clients")
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, CLIENTS[client], sandbox.url],
        cwd=FOLDER,  # importing must not find this project's client of the same name
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(FOLDER, client)),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        },
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_a_published_client_tracks_into_the_sandbox(start_sandbox: StartSandbox, client: str) -> None:
    """A published client's lead, follow-up and sale are recorded and credited to the click."""
    sandbox = start_sandbox(answer="status")
    done = track(client, sandbox)

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


@pytest.mark.parametrize("client", CLIENTS)
def test_the_documented_answer_is_too_much_for_the_published_clients(
    start_sandbox: StartSandbox, client: str
) -> None:
    """Published clients raise on the documented success, which is why ``--answer status`` exists."""
    sandbox = start_sandbox()
    done = track(client, sandbox)
    assert done.returncode == 1
    assert "ValidationError" in done.stderr
    assert [event.kind for event in sandbox.events()] == ["lead"]
