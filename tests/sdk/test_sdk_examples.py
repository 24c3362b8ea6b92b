"""The example scripts, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faultserver import FaultServer, Reply, json_reply
from sdk_events import TOKEN

from cms_cli.sandbox import SandboxServer, read_events

ROOT = Path(__file__).parents[2]


def run(name: str, host: str | None = None, **environment: str) -> Any:
    """Run an example as a process."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CMS_", "PYTHON"))}
    given = {"CMS_BEARER_TOKEN": TOKEN, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environment}
    if host is not None:
        given["CMS_HOST"] = host
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name)],
        env={**inherited, **given},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_lead_example(tmp_path: Path) -> None:
    """The lead example tracks both flows in the sandbox."""
    with SandboxServer(tmp_path / "sandbox.db") as sandbox:
        done = run("lead_example.py", sandbox.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("successfully") == 3
    assert len(list(read_events(tmp_path / "sandbox.db"))) == 3


def test_sale_example(tmp_path: Path) -> None:
    """The sale example tracks its invoice once, however often it is run."""
    with SandboxServer(tmp_path / "sandbox.db") as sandbox:
        first = run("sale_example.py", sandbox.url)
        second = run("sale_example.py", sandbox.url)
    assert (first.returncode, first.stderr) == (0, "")
    assert "Success" in first.stdout
    assert (second.returncode, second.stderr) == (0, "")
    assert "before" in second.stdout
    assert len(list(read_events(tmp_path / "sandbox.db"))) == 1


@pytest.mark.parametrize("name", ["lead_example.py", "sale_example.py"])
def test_example_that_fails(server: FaultServer, name: str) -> None:
    """A failing example exits with 1 and shows the error without the token."""
    details = {"clickId": "Unknown click"}
    server.default = json_reply(422, {"success": False, "error": "Validation failed", "details": details})
    done = run(name, server.url)
    assert (done.returncode, done.stderr) == (1, "")
    assert "Validation failed" in done.stdout
    assert "click_id" in done.stdout
    assert TOKEN not in done.stdout


@pytest.mark.parametrize("name", ["lead_example.py", "sale_example.py"])
def test_example_at_the_wrong_host(server: FaultServer, name: str) -> None:
    """An example at a host that is not the API exits with 1 and says so."""
    server.default = Reply(200, b"<!doctype html>", (("Content-Type", "text/html"),))
    done = run(name, server.url)
    assert done.returncode == 1
    assert "this is not the API" in done.stdout
