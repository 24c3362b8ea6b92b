"""Fixtures for all tests: the program, a service that answers as it is told, and databases."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from faultserver import FaultServer
from hypothesis import settings
from postgres import REQUIRED, NoPostgresError, Postgres, open_server
from program import TOKEN, Program

from cms_cli.replay.journal import postgres_setup

# How long an example takes says nothing on a busy machine.
settings.register_profile("patient", deadline=None)
# --hypothesis-profile thorough
settings.register_profile("thorough", deadline=None, max_examples=300)
settings.register_profile("few", deadline=None, max_examples=25)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one worker more than there are cores with ``-n auto``: many tests wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def heard() -> Iterator[None]:
    """Restore the default signal handlers, which are ignored under nohup and in background jobs."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else ()
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The real program, in an environment of its own."""
    return Program(tmp_path)


@pytest.fixture
def service() -> Iterator[FaultServer]:
    """A service that takes everything, unless its script says otherwise."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def online(program: Program, service: FaultServer) -> Program:
    """The program with that service as its host, and a token."""
    program.env.update(CMS_HOST=service.url, CMS_BEARER_TOKEN=TOKEN)
    return program


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL; skips where there is none, unless one is required."""
    try:
        server = open_server()
    except NoPostgresError as reason:
        if os.environ.get(REQUIRED):
            raise
        pytest.skip(f"no PostgreSQL: {reason}")
    yield server
    server.close()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


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
