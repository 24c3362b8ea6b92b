"""The class that starts and stops a sandbox, and reads what it recorded."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Callable

from cms_cli.sandbox.answers import SUCCESS_SHAPES
from cms_cli.sandbox.errors import OptionError
from cms_cli.sandbox.fault_injection import FaultInjector
from cms_cli.sandbox.fault_plan import FaultPlan
from cms_cli.sandbox.faults import Fault, parse_faults
from cms_cli.sandbox.http_server import HOST, HttpServer
from cms_cli.sandbox.rate_limit import Rate, SlidingWindow
from cms_cli.sandbox.service import Service
from cms_cli.sandbox.store import Store
from cms_cli.sandbox.store_reader import Attempt, PathLike, SandboxEvent, read_attempts, read_events
from cms_cli.sandbox.tokens import TokenGate
from cms_cli.sandbox.web import pages


class SandboxServer:
    """A stand-in for the service. The port is bound at creation; requests are answered from :meth:`start` on.

    ::

        with SandboxServer(tmp_path / "sandbox.db", rate_limit="60/m", faults="5xx:0.1", seed=7) as sandbox:
            client = CMSClient(token="any", host=sandbox.url)
            ...
            assert [event.click_id for event in sandbox.events()] == ["clk_1"]

    Args:
        db: The store's file, which is created if it is missing, and kept. ``None`` for a temporary store, which is
            removed when the server is closed.
        port: The port; 0 for a free one.
        token: The only bearer token that is accepted; ``None`` to accept any well-formed token.
        token_requests: The number of accepted requests after which a token gets 401; ``None`` for no limit.
        token_seconds: The seconds after its first accepted request for which a token is valid; ``None`` for no
            limit.
        rate_limit: The rate limit for each user, such as ``Rate(60, 60)`` or ``"60/m"``; ``None`` or ``"none"`` for
            no limit.
        latency_ms: The delay of every answer in milliseconds.
        fail: The rate of 5xx answers, from 0 to 1.
        drop: The rate of dropped connections, from 0 to 1. Half of the drops come after the event was recorded.
        faults: Faults, as objects or in the language of :mod:`cms_cli.sandbox.faults`.
        scenario: A plan of faults, from :func:`cms_cli.sandbox.load_scenario` or built in code, to which the faults
            above are added.
        seed: The seed of all random choices; ``None`` for the scenario's, or 0.
        answer: The shape of success answers, one of :data:`cms_cli.sandbox.SUCCESS_SHAPES`.
        idle_timeout: The seconds after which an idle connection is closed.
        request_timeout: The seconds within which a request has to arrive; after that, it gets 408.
        clock_ns: The monotonic clock for rate limit, token expiry and scenario, in nanoseconds.

    Raises:
        OptionError: An option has a bad value; the message says which values are allowed.
        StoreError: The store cannot be used.
        OSError: The port cannot be bound.
    """

    def __init__(
        self,
        db: PathLike | None = None,
        *,
        port: int = 0,
        token: str | None = None,
        token_requests: int | None = None,
        token_seconds: float | None = None,
        rate_limit: Rate | str | None = None,
        latency_ms: float = 0.0,
        fail: float = 0.0,
        drop: float = 0.0,
        faults: str | tuple[Fault, ...] = (),
        scenario: FaultPlan | None = None,
        seed: int | None = None,
        answer: str = "documented",
        idle_timeout: float = 30.0,
        request_timeout: float = 10.0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if answer not in SUCCESS_SHAPES:
            raise OptionError(f"no such answer: {answer!r}; there are {', '.join(SUCCESS_SHAPES)}")
        plan = (scenario or FaultPlan()).with_options(
            faults=parse_faults(faults) if isinstance(faults, str) else faults,
            latency_ms=latency_ms,
            fail=fail,
            drop=drop,
            seed=seed,
        )
        tokens = TokenGate(token, token_requests, token_seconds, clock_ns)
        window = SlidingWindow(Rate.parse(rate_limit) if isinstance(rate_limit, str) else rate_limit, clock_ns)
        self._token = "sandbox" if token is None else token
        self._lock = threading.Lock()
        self._http = HttpServer(port, idle_timeout, request_timeout)
        self._temporary: Path | None = None
        try:
            if db is None:
                self._temporary = _temporary_folder()
                db = self._temporary / "sandbox.db"
            self._db = Path(db)
            self._store = Store(self._db)
        except BaseException:
            self._http.server_close()
            self._remove_temporary()
            raise
        self._http.service = self._service = Service(
            self._store,
            tokens=tokens,
            rate_limit=window,
            faults=FaultInjector(plan, clock_ns),
            shape=answer,
            pages=pages(self._db),
            port=self.port,
            clock_ns=clock_ns,
        )

    @property
    def db(self) -> Path:
        """The store's file."""
        return self._db

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        return self._http.server_port

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end: ``http://127.0.0.1:8787``."""
        return f"http://{HOST}:{self.port}"

    @property
    def token(self) -> str:
        """A bearer token that is accepted."""
        return self._token

    @property
    def failure(self) -> BaseException | None:
        """The first exception within the sandbox itself, whose request was answered 500; or ``None``."""
        return self._service.failure

    def start(self) -> SandboxServer:
        """Start to answer requests in threads of its own, and return the server."""
        self._http.start()
        return self

    def wait(self, seconds: float | None = None) -> bool:
        """Block until another thread or a signal handler closes the server.

        Ctrl-C raises ``KeyboardInterrupt``, as usual, and does not close the server.

        Args:
            seconds: The longest time to wait; ``None`` for no limit.

        Returns:
            False if the time is over before the server is closed.
        """
        give_up = None if seconds is None else time.monotonic() + seconds
        while True:
            # Wait for short times, since Ctrl-C does not interrupt a wait on Windows.
            left = 0.5 if give_up is None else min(0.5, give_up - time.monotonic())
            if self._http.closing.wait(max(left, 0)):
                return True
            if give_up is not None and time.monotonic() >= give_up:
                return False

    def close(self) -> None:
        """Stop the server, and wait until it has stopped. A second call does nothing.

        Connections without a complete request are closed at once. Answers in progress are sent without further
        delay, for a second at most.
        """
        with self._lock:
            if self._http.closing.is_set():
                return
            self._http.stop()
            self._store.close()
            self._remove_temporary()

    def events(
        self,
        *,
        kind: str | None = None,
        click_id: str | None = None,
        customer: str | None = None,
        invoice_id: str | None = None,
    ) -> list[SandboxEvent]:
        """Return the recorded events; for the filters, see :func:`cms_cli.sandbox.read_events`."""
        found = read_events(self._db, kind=kind, click_id=click_id, customer=customer, invoice_id=invoice_id)
        return list(found)

    def leads(self) -> list[SandboxEvent]:
        """Return the recorded leads."""
        return self.events(kind="lead")

    def sales(self) -> list[SandboxEvent]:
        """Return the recorded sales."""
        return self.events(kind="sale")

    def attempts(self) -> list[Attempt]:
        """Return every request that was answered, in the order of the answers, even if no event was recorded."""
        return list(read_attempts(self._db))

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _temporary_folder() -> Path:
    import tempfile  # only a server with a temporary store needs it

    return Path(tempfile.mkdtemp(prefix="cms-sandbox-"))
