"""The journal of many machines: the same tables, in a PostgreSQL database.

A transaction first locks the row of its account: one writer an account, so what holds for SQLite's one writer
holds here. Its statements are sent without waiting for each other (a pipeline); only what reads waits for the line.
Nothing is kept in the session, so a pooler in transaction mode may stand between.
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
from cms_cli.replay.journal.postgres_server import Server, StateAwayError
from cms_cli.replay.journal.postgres_sql import check_format
from cms_cli.replay.journal.postgres_texts import SharedTextsReader, SharedTextsWriter
from cms_cli.replay.journal.sqlite_file import JournalError
from cms_cli.replay.journal.steady import steady

if TYPE_CHECKING:
    from cms_cli.replay.journal.runs import Run

_BEGIN = (
    "BEGIN",
    # Another machine's transaction is waited for, and ended by the server should that machine stand still.
    "SET LOCAL lock_timeout = '60s'",
    "SET LOCAL idle_in_transaction_session_timeout = '20s'",
    # Where commits do not wait for the disk, a crash of the server forgets intents: their leads would go twice.
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
)
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
_DRIFT = 2e-4  # seconds a second by which two clocks may go apart; those of computers do so by a tenth of it
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds between two attempts to reach a database that is gone
_POLL = 1.0  # seconds between two looks at somebody else's lease


class PostgresJournal(Journal):
    """An open journal on PostgreSQL. Use from one thread.

    Attributes:
        db: For reading outside a transaction; to write, use :meth:`transaction`.
        now: The server's time when the last transaction had locked its account, in seconds since the epoch, once
            it was asked for.
    """

    def __init__(self, url: str) -> None:
        self._server = Server(url)
        self._database = PostgresDatabase(self._server)
        self.db: Database = self._database
        self._scope: int | None = None
        self._patience: Patience | None = None
        self._turn: int | None = None  # of our lease, in the transaction that was begun last
        self._read_begin: Callable[[], None] | None = None  # reads what came of its first statements
        self._ahead: tuple[float, float] | None = (
            None  # how far the server's clock is ahead, and when that was seen
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
        """Close the connection; what was committed stays."""
        self._database.close()

    @contextmanager
    def transaction(self, *, held: bool = True) -> Iterator[Database]:
        """Run statements as one transaction, alone among those of the account.

        Args:
            held: Whether the run must still be held. An answer is a fact, whoever holds the run by now.

        Raises:
            RunBusyError: Another process has taken the run over.
            StateAwayError: The database is gone; whether the statements were committed is not known.
            JournalError: It refused them, and none has happened.
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
            if commit.status != "COMMIT":  # the server says ROLLBACK where a statement had failed
                raise JournalError(f"{self._server.name} did not commit: {commit.status}", "")
        except BaseException:
            database.roll_back()
            raise

    def _begin(self, *, held: bool) -> None:
        """Lock the account, extend the lease and ask for the time; the results are read when needed."""
        for statement in _BEGIN:
            self.db.execute(statement)
        asked = steady()
        if self._scope is not None:
            self.db.execute("SELECT 1 FROM scopes WHERE id = ? FOR UPDATE", (self._scope,))
        lease = leases.begin_turn(self.db, self._lease) if self._lease is not None else None
        # By itself, since what a statement computes it computes before it waits for a lock.
        clock = self.db.execute(_CLOCK)

        def read() -> None:
            self._read_begin = None
            (self.now,) = clock.fetchone()
            self._compare_clocks(asked)
            turn = lease.fetchone() if lease is not None else None
            self._turn = turn[0] if turn is not None else None
            if held and lease is not None and turn is None:
                raise RunBusyError

        self._read_begin = read

    def _begun(self) -> None:
        """Read the results of :meth:`_begin`, once.

        Raises:
            RunBusyError: The run has to be held, and is not any more.
        """
        if self._read_begin is not None:
            self._read_begin()

    def _compare_clocks(self, asked: float) -> None:
        """Update the upper bound of how far the server's clock is ahead of this machine's."""
        seen = steady()
        most = self.now - asked
        if self._ahead is not None:
            most = min(most, self._ahead[0] + (seen - self._ahead[1]) * _DRIFT)
        self._ahead = most, seen

    def ahead(self) -> float:
        """Return how far the server's clock is ahead of this machine's steady clock, at most."""
        if self._ahead is None:  # nothing was written yet
            asked = steady()
            (self.now,) = self.db.execute(_CLOCK).fetchone()
            self._compare_clocks(asked)
        assert self._ahead is not None
        return self._ahead[0]

    def be_patient(self, patience: Patience) -> None:
        """Wait from now on for the database if it is gone."""
        self._patience = patience
        self._database.when_gone = self._wait_until_back

    def repeat(self, work: Callable[[Database], Result], *, held: bool = True) -> Result:
        """Run a transaction, and repeat it if the database went away meanwhile.

        A commit whose confirmation was lost may have happened: then it is not repeated.
        """
        attempted: tuple[int, Result] | None = None
        while True:
            try:
                with self.transaction(held=held) as db:
                    if attempted is not None:
                        self._begun()
                        if self._turn == attempted[0] + 1:
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
            StateAwayError: It has not for too long.
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
        """Return the unique id of this state."""
        (found,) = self.db.execute("SELECT id FROM state").fetchone()
        return str(found)

    def time(self, now: float) -> float:
        """Return the server's time, since the machines' clocks may be wrong."""
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
        """Do nothing: errors are already JournalError."""
        yield

    def insert_many(self, db: Database, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows, and the texts that were added meanwhile. Part of a transaction."""
        del db
        if self._writer is None:
            self._database.copy(table, columns, rows)
            return
        with self._writer.beside():
            self._database.copy(table, columns, rows)

    def row_texts(self, run: Run) -> SharedTextsReader:
        """Return a reader of a run's row texts."""
        return self._texts.setdefault(run.texts, SharedTextsReader(self.db, run.texts))

    @contextmanager
    def writing(self, name: str) -> Iterator[SharedTextsWriter]:
        """Write row texts under a name; all of them are stored when the block ends."""
        self._writer = SharedTextsWriter(self._database, name)
        try:
            yield self._writer
            self._writer.flush()
        finally:
            self._writer = None

    def forget_row_texts(self, run: str, *, keep: str = "") -> None:
        """Delete the row texts of a run, except for one of its names."""
        postgres_texts.delete(self.db, run, keep)

    def forget_strays(self) -> None:
        """Delete what is left of runs that no longer exist, and of machines that died."""
        postgres_texts.delete_strays(self.db)
        (now,) = self.db.execute(_CLOCK).fetchone()
        leases.delete_ended(self.db, now - leases.SECONDS)

    def make_durable(self, *, against_power_cuts: bool) -> None:
        """Do nothing: the server writes every commit to disk."""

    def compact(self) -> None:
        """Do nothing: the server vacuums its tables."""

    @contextmanager
    def hold(
        self, scope: int, kind: str, sha256: str, shape: str, *, waiting: Callable[[float], None] = lambda _: None
    ) -> Iterator[None]:
        """Hold a run, which need not have begun, for this process of this machine.

        A lease that nobody renews is waited for: its machine may be dead.

        Raises:
            RunBusyError: Another process holds it, and is alive.
        """
        identity = f"{scope} {kind} {sha256} {shape if kind == 'sale' else ''}"
        self._scope = scope
        try:
            name = blake2b(identity.encode("utf-8", "replace"), digest_size=16).digest()
            self._lease = self._take(name, waiting)
            with _Heartbeat(self._server, self._lease):
                yield
        finally:
            lease, self._lease, self._scope = self._lease, None, None
            if lease is not None:
                with suppress(JournalError):  # it ends by itself
                    self._database.reconnect()
                    leases.give_back(self.db, lease)

    def _take(self, name: bytes, waiting: Callable[[float], None]) -> Lease:
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
    """Renews a lease while this process lives, over connections of its own."""

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
            with suppress(JournalError):  # the next one may get through; until then the lease lasts
                database = PostgresDatabase(self._server)
                try:
                    if not leases.renew(database, self._lease):
                        return
                finally:
                    database.close()
