"""The sandbox as a server on this machine: threads, one for each connection, on 127.0.0.1 and nowhere else."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Callable

from cms_cli.sandbox.fault_plan import FaultPlan
from cms_cli.sandbox.faults import Fault, parse_faults
from cms_cli.sandbox.http_server import HOST, HttpServer
from cms_cli.sandbox.rate_limit import Rate
from cms_cli.sandbox.service import Options, Service
from cms_cli.sandbox.store import Store
from cms_cli.sandbox.store_reader import Attempt, PathLike, SandboxEvent, read_attempts, read_events
from cms_cli.sandbox.web import pages


class SandboxServer:
    """A stand-in for the service. The port is bound when it is made; it answers from :meth:`start` on.

    ::

        with SandboxServer(tmp_path / "sandbox.db", rate_limit="60/m", faults="5xx:0.1", seed=7) as sandbox:
            client = CMSClient(token="any", host=sandbox.url)
            ...
            assert [event.click_id for event in sandbox.events()] == ["clk_1"]

    Args:
        db: The store's file, made where it is missing, kept afterwards. ``None``: a store of its own, that is
            gone when the server closes.
        port: 0 takes a free one.
        token: The only bearer token that is accepted; ``None`` accepts any that is well-formed.
        token_requests: Each token gets 401 after so many accepted requests.
        token_seconds: Each token gets 401 so many seconds after its first accepted request.
        rate_limit: ``Rate(60, 60)``, or as for ``--rate-limit``: ``"60/m"``. ``None`` and ``"none"``: no limit.
        latency_ms: Every answer is late by so much.
        fail: The rate of 5xx answers, 0 to 1.
        drop: The rate of dropped connections, 0 to 1; half of them after the event was recorded.
        faults: The fault language (:mod:`cms_cli.sandbox.faults`), or faults.
        scenario: A plan: :func:`cms_cli.sandbox.load_scenario` reads one, or one made in code. The faults above add
            to it.
        seed: Of all that is decided by chance; ``None`` is the scenario's, or 0.
        answer: The shape of successes, one of :data:`cms_cli.sandbox.SUCCESS_SHAPES`.
        idle_timeout: Seconds after which a silent connection is closed.
        request_timeout: Seconds that a request may take to arrive (408 after it).
        clock_ns: The monotonic clock of rate limit, token expiry and scenario, in nanoseconds.

    Raises:
        OptionError: An option has a value that is not allowed; the message says how to write it.
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
        plan = (scenario or FaultPlan()).with_options(
            faults=parse_faults(faults) if isinstance(faults, str) else faults,
            latency_ms=latency_ms,
            fail=fail,
            drop=drop,
            seed=seed,
        )
        self._options = Options(
            token=token,
            token_requests=token_requests,
            token_seconds=token_seconds,
            rate_limit=Rate.parse(rate_limit) if isinstance(rate_limit, str) else rate_limit,
            plan=plan,
            answer=answer,
            clock_ns=clock_ns,
        )
        self._thread: threading.Thread | None = None
        self._closing = threading.Lock()
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
        self._http.service = self._service = Service(self._store, self._options, pages(self._db), self.port)

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
        return "sandbox" if self._options.token is None else self._options.token

    @property
    def failure(self) -> BaseException | None:
        """The first exception that was the sandbox's own fault (its request was answered 500), or ``None``."""
        return self._service.failure

    def start(self) -> SandboxServer:
        """Begin to answer, on threads of its own; returns at once, and itself."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._http.run, name="cms-sandbox", daemon=True)
            self._thread.start()
        return self

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the server is closed by another thread or a signal handler; ``False`` when time is up first.

        Ctrl-C raises ``KeyboardInterrupt`` here, as everywhere; closing is then up to the caller.
        """
        give_up = None if seconds is None else time.monotonic() + seconds
        while True:
            # Short waits, because Windows lets no Ctrl-C through to a long one.
            left = 0.5 if give_up is None else min(0.5, give_up - time.monotonic())
            if self._http.closing.wait(max(left, 0)):
                return True
            if give_up is not None and time.monotonic() >= give_up:
                return False

    def close(self) -> None:
        """Stop, and return when that is done; twice is fine.

        Connections that wait for a request, or for the rest of one, are closed at once. Answers under way are sent
        at once, with what would have made them late left out, and get a second for it.
        """
        with self._closing:
            if not self._http.closing.is_set():
                self._http.closing.set()
                if self._thread is not None:
                    self._http.shutdown()
                    self._thread.join()
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
        """What has been recorded so far; the filters are those of :func:`cms_cli.sandbox.read_events`."""
        return list(read_events(self._db, kind=kind, click_id=click_id, customer=customer, invoice_id=invoice_id))

    def leads(self) -> list[SandboxEvent]:
        """The leads that have been recorded so far."""
        return self.events(kind="lead")

    def sales(self) -> list[SandboxEvent]:
        """The sales that have been recorded so far."""
        return self.events(kind="sale")

    def attempts(self) -> list[Attempt]:
        """Every request that has been answered so far, recorded or not, in the order of answering."""
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
            import shutil

            shutil.rmtree(self._temporary, ignore_errors=True)


def _temporary_folder() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="cms-sandbox-"))
