"""A connection to PostgreSQL with the interface that the journal's tables use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from cms_cli.replay.journal.postgres_server import StateAwayError
from cms_cli.replay.journal.postgres_sql import storable, translated

if TYPE_CHECKING:
    import psycopg

    from cms_cli.replay.journal.postgres_server import Server


class PostgresDatabase:
    """A connection. A pipeline's statements are sent together, when a result of one is read or at its end.

    Attributes:
        when_gone: Waits until the database is back, or raises the error that it is passed; None not to wait.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._connection = server.connect()
        self.when_gone: Callable[[StateAwayError], None] | None = None
        self._pipeline: psycopg.Pipeline | None = None
        self._unsent: list[tuple[psycopg.Cursor[tuple[Any, ...]], bytes, list[Any]]] = []  # of the pipeline
        self._end_pipeline: AbstractContextManager[psycopg.Pipeline] | None = None

    def reconnect(self) -> None:
        """Open a new connection if the last one is lost, and its transaction with it."""
        if self._connection.closed or self._connection.broken:
            self._pipeline = self._end_pipeline = None
            self._unsent = []
            self._connection = self.server.connect()

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> _Result:
        """Run a statement. Outside a transaction, it is repeated if the database goes away and comes back."""
        statement, values = translated(sql).encode(), [storable(each) for each in parameters]
        if self._pipeline is not None:
            cursor = self._connection.cursor()
            self._unsent.append((cursor, statement, values))
            return _Result(self, [cursor])
        while True:
            by_itself = not self._connection.info.transaction_status
            try:
                with self.server.explained():
                    return _Result(self, [self._connection.execute(statement, values)])
            except StateAwayError as error:
                if not by_itself or self.when_gone is None:
                    raise
                self.when_gone(error)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> _Result:
        """Run a statement once for each row of values."""
        if self._pipeline is not None:
            return _Result(self, [cursor for row in parameters for cursor in self.execute(sql, row).cursors])
        rows = [[storable(each) for each in row] for row in parameters]
        with self.server.explained():
            cursor = self._connection.cursor()
            if rows:
                cursor.executemany(translated(sql).encode(), rows)
        return _Result(self, [cursor])

    def copy(self, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert many rows with COPY."""
        self.leave_pipeline()  # COPY does not work in a pipeline
        statement = f"COPY cms.{table} ({columns}) FROM STDIN"
        with self.server.explained(), self._connection.cursor().copy(statement.encode()) as copy:
            for row in rows:
                copy.write_row([storable(each) for each in row])

    def enter_pipeline(self) -> None:
        """Start to collect statements, to be sent together."""
        with self.server.explained():
            self._end_pipeline = self._connection.pipeline()
            self._pipeline = self._end_pipeline.__enter__()

    def sync(self) -> None:
        """Send the statements of the pipeline, wait for their results and raise their errors.

        They are sent at once and followed by a sync, not a mere flush. The server ends a session that is idle in a
        transaction, but not one in the middle of a pipeline: a machine that was suspended there would lock its
        account forever.
        """
        if self._pipeline is not None and self._unsent:
            with self.server.explained():
                self._send()
                self._pipeline.sync()

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        for cursor, statement, values in unsent:
            cursor.execute(statement, values)

    def leave_pipeline(self) -> None:
        """Send the remaining statements, wait for all results, and run statements one at a time again."""
        with self.server.explained():
            self._send()  # its errors are not replaced by those of the exit: roll_back() leaves the pipeline
            end, self._end_pipeline, self._pipeline = self._end_pipeline, None, None
            if end is not None:
                end.__exit__(None, None, None)

    def roll_back(self) -> None:
        """Undo the transaction; close a connection that cannot do that, which undoes it as well."""
        self._unsent = []
        try:
            with suppress(Exception):  # the caller has the pipeline's error already
                self.leave_pipeline()
            if not self._connection.closed:
                self._connection.execute("ROLLBACK")
        except Exception:
            self._connection.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class _Result:
    """The result of a statement. Reading it waits for the server."""

    def __init__(self, database: PostgresDatabase, cursors: list[psycopg.Cursor[tuple[Any, ...]]]) -> None:
        self._database = database
        self.cursors = cursors

    @property
    def rowcount(self) -> int:
        """The number of changed rows."""
        self._database.sync()
        return sum(cursor.rowcount for cursor in self.cursors)

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        self._database.sync()
        with self._database.server.explained():
            return self.cursors[0].fetchone()

    def fetchall(self) -> list[Any]:
        """Return the remaining rows."""
        self._database.sync()
        with self._database.server.explained():
            return self.cursors[0].fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    @property
    def status(self) -> str:
        """The server's status message, as in ``COMMIT`` or ``UPDATE 1``."""
        return self.cursors[0].statusmessage or ""
