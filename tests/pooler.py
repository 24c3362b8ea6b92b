"""A real PgBouncer in transaction mode in front of a real PostgreSQL, if it is installed.

Each transaction gets any of its few connections to the server, so that session state is lost between transactions.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from postgres import free_port, other_user

_CONFIG = """
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {ours}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
"""
_PATIENCE = 30.0


def installed() -> str | None:
    """Return the program's path, or None."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin")


class Pooler:
    """A running PgBouncer.

    Attributes:
        url: The URL of the database through it.
    """

    def __init__(self, url: str) -> None:
        """Start it in front of a database, and wait until it answers."""
        import psycopg

        program, parts, ours = installed(), urlsplit(url), free_port()
        assert program is not None
        self.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{ours}").geturl()
        self._folder = Path(tempfile.mkdtemp(prefix="cms-pooler-"))
        config = self._folder / "pgbouncer.ini"
        config.write_text(_CONFIG.format(host=parts.hostname, port=parts.port, user=parts.username, ours=ours))
        user = other_user()
        how = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
        if user is not None:
            os.chown(self._folder, *user)
            os.chown(config, *user)
        self._process = subprocess.Popen(
            [program, str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            **how,  # type: ignore[call-overload]
        )
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    self.__exit__(None, None, None)
                    raise
                time.sleep(0.05)
            else:
                return

    def __enter__(self) -> Pooler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)
