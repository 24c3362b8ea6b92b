"""Fixtures for all tests: the program, a scripted service, and databases."""

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

# Without deadlines: on a busy machine the time of an example says nothing.
settings.register_profile("patient", deadline=None, max_examples=50)
# Selected by --hypothesis-profile thorough.
settings.register_profile("thorough", deadline=None, max_examples=300)
settings.register_profile("few", deadline=None, max_examples=25)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores for ``-n auto``, since many tests wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def default_signal_handlers() -> Iterator[None]:
    """Restore the default signal handlers, which nohup and background jobs replace by ignoring."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if os.name == "posix" else ()
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return the real program in an isolated environment."""
    return Program(tmp_path)


@pytest.fixture
def service() -> Iterator[FaultServer]:
    """Start a service that accepts every event unless its script says otherwise."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def online(program: Program, service: FaultServer) -> Program:
    """Return the program with a token and the service as its host."""
    program.env.update(CMS_HOST=service.url, CMS_BEARER_TOKEN=TOKEN)
    return program


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a real PostgreSQL; without one the test is skipped, or fails if one is required."""
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
    """Create an empty database and return its URL."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(scope="session")
def prepared(postgres: Postgres) -> Iterator[str]:
    """Create a database with the tables and return its name, for use as a template."""
    url = postgres.new_database()
    postgres_setup.create(url)
    yield urlsplit(url).path[1:]
    postgres.drop_database(url)


@pytest.fixture
def shared(postgres: Postgres, prepared: str) -> Iterator[str]:
    """Create a database with empty tables and return its URL."""
    url = postgres.new_database(prepared)
    yield url
    postgres.drop_database(url)
