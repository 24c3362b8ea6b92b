"""The engines that keep a replay's state: SQLite in the state folder, and PostgreSQL for many machines."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from postgres import Postgres
from replays import Engine

from cms_cli.replay.journal import postgres_setup


@pytest.fixture(scope="session")
def prepared(postgres: Postgres) -> Iterator[str]:
    """The name of a database that has the tables, to make others of."""
    url = postgres.new_database()
    postgres_setup.create(url)
    yield urlsplit(url).path[1:]
    postgres.drop_database(url)


@pytest.fixture
def shared(postgres: Postgres, prepared: str) -> Iterator[str]:
    """The URL of a database that has the tables, and nothing in them."""
    url = postgres.new_database(prepared)
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test twice: with the state in a folder, and in a database."""
    if request.param == "postgres":
        Engine.url = request.getfixturevalue("shared")
    yield request.param
    Engine.url = None
