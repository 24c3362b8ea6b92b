"""The journal of several machines: the same tables in a PostgreSQL database.

Each transaction first locks the row of its account in ``scopes``, so that an account has one writer at a time, as a
SQLite file has. The statements of a transaction are sent in a pipeline, and only reading a result waits for the
server. Nothing is kept in the session, so that a pooler in transaction mode can be used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from cms_cli.replay.journal import leases, postgres_texts
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal, Patience, Result
from cms_cli.replay.journal.leases import Lease
from cms_cli.replay.journal.locks import RunBusyError
from cms_cli.replay.journal.postgres_database import PostgresDatabase
from cms_cli.replay.journal.postgres_server import AccountLockedError, Server, StateAwayError
from cms_cli.replay.journal.postgres_sql import check_format
from cms_cli.replay.journal.postgres_texts import SharedTextsReader, SharedTextsWriter
from cms_cli.replay.journal.run_key import RunKey
from cms_cli.replay.journal.sqlite_file import JournalError
from cms_cli.replay.journal.steady import steady

if TYPE_CHECKING:
    from cms_cli.replay.journal.runs import Run

_BEGIN = (
    "BEGIN",
    # Wait for another machine's transaction; the server ends it if that machine has stopped.
    "SET LOCAL lock_timeout = '60s'",
    "SET LOCAL idle_in_transaction_session_timeout = '20s'",
    # If commits do not wait for the disk, the server may lose intents in a crash, and their leads would be sent
    # twice.
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
)
# A machine that was suspended while it sent a turn's statements holds the account, and the server, which waits for
# more of them, does not count its session as idle.
_END_SUSPENDED = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name = 'cms'
    AND pid <> pg_backend_pid() AND state <> 'idle' AND left(query, 4) <> 'COPY'
    AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - interval '20s'
"""
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
_DRIFT = 2e-4  # the most by which two clocks drift apart, in seconds per second; ten times that of usual computers
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds between two attempts to reach a database that is gone
_POLL = 1.0  # seconds between two checks of another process's lease


class PostgresJournal(Journal):
    """An open journal in PostgreSQL, to be used from one thread.

    Attributes:
        db: The connection for reads outside a transaction; to write, use :meth:`transaction`.
        now: The server's time at which the last transaction locked its account, in seconds since the epoch; set
            once the results of the transaction's first statements are read.
    """

    def __init__(self, url: str) -> None:
        self._server = Server(url)
        self._database = PostgresDatabase(self._server)
        self.db: Database = self._database
        self._scope: int | None = None
        self._patience: Patience | None = None
        self._turn: int | None = None  # the number of our lease's turn in the current transaction
        self._read_begin: Callable[[], None] | None = None  # reads the first statements' results
        self._ahead: tuple[float, float] | None = (
            None  # the most seconds that the server's clock is ahead, and when that was measured
        )
        self._lease: Lease | None = None
        self._writer: SharedTextsWriter | None = None
        self._texts: dict[str, SharedTextsReader] = {}
        self.now = 0.0
        try:
            check_format(self.db)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    @contextmanager
    def transaction(self, *, held: bool = True) -> Iterator[Database]:
        """Run the block's statements as one transaction, while no other process writes for the account.

        Args:
            held: Whether the run must still be held. To record an answer it need not be.

        Raises:
            RunBusyError: The run must be held, and another process has taken it over.
            StateAwayError: The database is gone; the transaction may or may not have been committed.
            JournalError: The database refused a statement; nothing was committed.
        """
        database = self._database
        try:
            database.reconnect()
            database.enter_pipeline()
            self._begin(held=held)
            yield self.db
            self._begun()
            commit = database.execute("COMMIT")
            database.leave_pipeline()
            if commit.status != "COMMIT":  # the status is ROLLBACK if a statement had failed
                raise JournalError(f"{self._server.name} did not commit: {commit.status}", "")
        except BaseException as error:
            database.roll_back()
            if isinstance(error, AccountLockedError):
                with suppress(JournalError):  # it takes the role that the other machine has
                    database.execute(_END_SUSPENDED)
            raise

    def _begin(self, *, held: bool) -> None:
        """Send the statements that lock the account, extend the lease and get the time; results are read later."""
        for statement in _BEGIN:
            self.db.execute(statement)
        before = steady()
        if self._scope is not None:
            self.db.execute("SELECT 1 FROM scopes WHERE id = ? FOR UPDATE", (self._scope,))
        lease = leases.begin_turn(self.db, self._lease) if self._lease is not None else None
        # A statement of its own: part of the SELECT above, it would be computed before the wait for the lock.
        clock = self.db.execute(_CLOCK)

        def read() -> None:
            self._read_begin = None
            (self.now,) = clock.fetchone()
            self._compare_clocks(before)
            turn = lease.fetchone() if lease is not None else None
            self._turn = turn[0] if turn is not None else None
            if held and lease is not None and turn is None:
                raise RunBusyError

        self._read_begin = read

    def _begun(self) -> None:
        """Read the results of :meth:`_begin`, once.

        Raises:
            RunBusyError: The run must be held, and another process has taken it over.
        """
        if self._read_begin is not None:
            self._read_begin()

    def _compare_clocks(self, before: float) -> None:
        """Update the upper bound of the seconds by which the server's clock is ahead of this machine's."""
        seen = steady()
        most = self.now - before
        if self._ahead is not None:
            most = min(most, self._ahead[0] + (seen - self._ahead[1]) * _DRIFT)
        self._ahead = most, seen

    def ahead(self) -> float:
        """Return the most seconds by which the server's clock is ahead of this machine's steady clock."""
        if self._ahead is None:  # there was no transaction yet
            before = steady()
            (self.now,) = self.db.execute(_CLOCK).fetchone()
            self._compare_clocks(before)
        assert self._ahead is not None
        return self._ahead[0]

    def be_patient(self, patience: Patience) -> None:
        """Wait for the database if it is gone, from now on."""
        self._patience = patience
        self._database.when_gone = self._wait_until_back

    def repeat(self, work: Callable[[Database], Result], *, held: bool = True) -> Result:
        """Run ``work`` in a transaction and return its result; repeat it if the database goes away meanwhile.

        If only the confirmation of the commit was lost, it is not repeated: the number of the lease's turn tells.
        """
        attempted: tuple[int, Result] | None = None
        while True:
            try:
                with self.transaction(held=held) as db:
                    if attempted is not None:
                        self._begun()
                        # Only our own turns raise the number, which is that of the attempt if it was not committed.
                        if self._turn is not None and self._turn > attempted[0]:
                            return attempted[1]
                    result = work(db)
                    self._begun()
                    if self._turn is not None:
                        attempted = self._turn, result
                return result
            except StateAwayError as error:
                self._wait_until_back(error)

    def _wait_until_back(self, error: StateAwayError) -> None:
        """Wait until the database answers.

        Raises:
            StateAwayError: It does not answer for too long.
        """
        patience, begin, pause = self._patience, steady(), _FIRST_PAUSE
        while True:
            if patience is None or patience.hurry() or steady() - begin >= patience.seconds:
                raise error
            patience.tell(f"{self._server.name} does not answer")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            with suppress(StateAwayError):
                self._database.reconnect()
                return

    def identity(self) -> str:
        """Return the unique id of the shared state."""
        (found,) = self.db.execute("SELECT id FROM state").fetchone()
        return str(found)

    def time(self, now: float) -> float:
        """Return the server's time in the current transaction, since the machines' clocks may be wrong."""
        del now
        self._begun()
        return self.now

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make several reads consistent with each other while another process may write."""
        self._database.reconnect()
        self.db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self._database.roll_back()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Do nothing, since errors of the database are JournalErrors already."""
        yield

    def insert_rows(self, db: Database, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows of runs, and the row texts that are added meanwhile. Part of a transaction."""
        del db
        if self._writer is None:
            self._database.copy("rows", columns, rows)
            return
        with self._writer.beside():
            self._database.copy("rows", columns, rows)

    def row_texts(self, run: Run) -> SharedTextsReader:
        """Return a reader of a run's row texts."""
        return self._texts.setdefault(run.texts, SharedTextsReader(self.db, run.texts))

    @contextmanager
    def writing(self, name: str) -> Iterator[SharedTextsWriter]:
        """Write row texts under a name; all of them are written once the block ends."""
        self._writer = SharedTextsWriter(self._database, name)
        try:
            yield self._writer
            self._writer.flush()
        finally:
            self._writer = None

    def forget_row_texts(self, run: str, *, keep: str = "") -> None:
        """Delete the row texts of a run, except those under the name ``keep``."""
        postgres_texts.delete(self.db, run, keep)

    def forget_strays(self) -> None:
        """Delete the row texts of runs that no longer exist, and the leases of machines that died."""
        postgres_texts.delete_strays(self.db)
        (now,) = self.db.execute(_CLOCK).fetchone()
        leases.delete_ended(self.db, now - leases.SECONDS)

    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Do nothing, since the server syncs every commit to disk."""

    def compact(self) -> None:
        """Do nothing, since the server vacuums its tables."""

    @contextmanager
    def hold(self, key: RunKey, *, waiting: Callable[[float], None] = lambda _: None) -> Iterator[None]:
        """Hold a run for this process, even before it exists, by a lease.

        A lease that is not renewed is waited for until it ends, since its machine may be dead.

        Raises:
            RunBusyError: Another process holds the run and is alive.
        """
        self._scope = key.scope
        try:
            name = blake2b(key.lock.encode("utf-8", "replace"), digest_size=16).digest()
            self._lease = self._take(name, waiting)
            with _Heartbeat(self._server, self._lease):
                yield
        finally:
            lease, self._lease, self._scope = self._lease, None, None
            if lease is not None:
                with suppress(JournalError):  # otherwise it expires
                    self._database.reconnect()
                    leases.give_back(self.db, lease)

    def _take(self, name: bytes, waiting: Callable[[float], None]) -> Lease:
        try:
            return self._take_once_free(name, waiting)
        except AccountLockedError:  # by a suspended machine, whose session was ended since
            return self._take_once_free(name, waiting)

    def _take_once_free(self, name: bytes, waiting: Callable[[float], None]) -> Lease:
        seen: Lease | None = None
        while True:
            with self.transaction() as db:
                found, now = leases.find(db, name), self.time(0.0)
                if found is None or found.until <= now:
                    return leases.take(db, name, now)
                left = found.until - now
            if seen is not None and found != seen:
                raise RunBusyError
            seen = found
            waiting(left)
            time.sleep(max(0.01, min(left, _POLL)))


class _Heartbeat:
    """Renews a lease while the block runs, in a thread and over connections of its own."""

    def __init__(self, server: Server, lease: Lease) -> None:
        self._server = server
        self._lease = lease
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="cms-lease", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._end.wait(leases.RENEWED_AFTER):
            with suppress(JournalError):  # the next attempt may succeed before the lease ends
                database = PostgresDatabase(self._server)
                try:
                    if not leases.renew(database, self._lease):
                        return
                finally:
                    database.close()
