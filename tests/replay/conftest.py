"""The engines that keep a replay's state: SQLite in the state folder, and PostgreSQL for many machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from replays import Engine


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test twice: with the state in a folder, and, among the slow tests, in a database."""
    if request.param == "postgres":
        Engine.url = request.getfixturevalue("shared")
    yield request.param
    Engine.url = None
