"""The sandbox as an object: starts and stops the server, and reads what it recorded."""

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
    """A stand-in for the service. The port is bound when it is made; it answers from :meth:`start` on.

    ::

        with SandboxServer(tmp_path / "sandbox.db", rate_limit="60/m", faults="5xx:0.1", seed=7) as sandbox:
            client = CMSClient(token="any", host=sandbox.url)
            ...
            assert [event.click_id for event in sandbox.events()] == ["clk_1"]

    Args:
        db: The store's file, created where it is missing, kept afterwards. ``None``: a temporary store, removed
            when the server closes.
        port: 0 takes a free one.
        token: The only bearer token that is accepted; ``None`` accepts any that is well-formed.
        token_requests: Each token gets 401 after this many accepted requests.
        token_seconds: Each token gets 401 this many seconds after its first accepted request.
        rate_limit: ``Rate(60, 60)``, or as for ``--rate-limit``: ``"60/m"``. ``None`` and ``"none"``: no limit.
        latency_ms: The delay of every answer.
        fail: The rate of 5xx answers, 0 to 1.
        drop: The rate of dropped connections, 0 to 1; half of them after the event was recorded.
        faults: The fault language (:mod:`cms_cli.sandbox.faults`), or faults.
        scenario: A plan, read by :func:`cms_cli.sandbox.load_scenario` or made in code. The faults above are added
            to it.
        seed: Repeats every choice that is made by chance; ``None`` takes the scenario's, or 0.
        answer: The shape of successes, one of :data:`cms_cli.sandbox.SUCCESS_SHAPES`.
        idle_timeout: Seconds after which a silent connection is closed.
        request_timeout: Seconds that a request may take to arrive; after them it gets 408.
        clock_ns: The monotonic clock of rate limit, token expiry and scenario, in nanoseconds.

    Raises:
        OptionError: An option has a value that is not allowed; the message says what is.
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
        """The port that is bound."""
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
        """The first exception that was the sandbox's own fault (its request was answered 500), or ``None``."""
        return self._service.failure

    def start(self) -> SandboxServer:
        """Begin to answer, on threads of its own; return itself, at once."""
        self._http.start()
        return self

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the server is closed by another thread or a signal handler; ``False`` if time is up first.

        Ctrl-C raises ``KeyboardInterrupt`` here, as everywhere; closing is then up to the caller.
        """
        give_up = None if seconds is None else time.monotonic() + seconds
        while True:
            # Short waits: on Windows, Ctrl-C does not interrupt a long one.
            left = 0.5 if give_up is None else min(0.5, give_up - time.monotonic())
            if self._http.closing.wait(max(left, 0)):
                return True
            if give_up is not None and time.monotonic() >= give_up:
                return False

    def close(self) -> None:
        """Stop, and return when that is done; closing twice is fine.

        Connections without a complete request are closed at once. Answers under way are sent without further delay,
        and have a second for it.
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
        """Read what has been recorded so far; the filters are those of :func:`cms_cli.sandbox.read_events`."""
        found = read_events(self._db, kind=kind, click_id=click_id, customer=customer, invoice_id=invoice_id)
        return list(found)

    def leads(self) -> list[SandboxEvent]:
        """Read the leads that have been recorded so far."""
        return self.events(kind="lead")

    def sales(self) -> list[SandboxEvent]:
        """Read the sales that have been recorded so far."""
        return self.events(kind="sale")

    def attempts(self) -> list[Attempt]:
        """Read every request that has been answered so far, recorded or not, in the order of answering."""
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
    import tempfile  # a server with a store of its own file does not need it

    return Path(tempfile.mkdtemp(prefix="cms-sandbox-"))
