"""Fixtures for tests in which a machine moves its state into a shared database."""

from __future__ import annotations

from pathlib import Path

import pytest
from faultserver import FaultServer
from moving import shared_of
from program import TOKEN, Program


@pytest.fixture
def moving(online: Program, shared: str) -> Program:
    """Return a machine that keeps its state in a folder; ``shared_of`` has the variables that name the database."""
    online.shared = {"CMS_STATE_URL": shared, "CMS_ACCOUNT": "shop"}  # type: ignore[attr-defined]
    return online


@pytest.fixture
def other(tmp_path: Path, moving: Program, service: FaultServer) -> Program:
    """Return another machine, which has used the database from the start."""
    home = tmp_path / "other"
    home.mkdir()
    program = Program(home)
    program.env.update(CMS_HOST=service.url, CMS_BEARER_TOKEN=TOKEN, **shared_of(moving))
    return program
