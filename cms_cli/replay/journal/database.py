"""The database interface that SQLite and PostgreSQL share, and helpers for many values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")


class Cursor(Protocol):
    """The result of a statement: the rows it returns, or the number of rows it changed."""

    @property
    def rowcount(self) -> int:
        """The number of changed rows."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the remaining rows."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Database(Protocol):
    """A connection. Statements use the SQL that SQLite and PostgreSQL share, with ``?`` for values.

    The only exception is ``INDEXED BY``, a hint that SQLite needs because it plans without statistics. It is
    removed for PostgreSQL.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run a statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run a statement once for each row of values."""
        ...


VALUES_A_QUERY = 500
"""The most values in one statement; every SQLite accepts at least 999."""


def marks(values: Sequence[object]) -> str:
    """Return a question mark for each value, separated by commas."""
    return ",".join("?" * len(values))


def in_parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield the values in slices that are small enough for one statement."""
    for start in range(0, len(values), VALUES_A_QUERY):
        yield values[start : start + VALUES_A_QUERY]


def insert_together(
    db: Database, table: str, columns: str, rows: Iterable[Sequence[Any]], conflict: str = "DO NOTHING"
) -> None:
    """Insert rows, many with each statement. Part of a transaction.

    Args:
        db: The database.
        table: The table.
        columns: The names of the columns, separated by commas.
        rows: The values, in the order of the columns.
        conflict: The SQL after ``ON CONFLICT``.
    """
    count = columns.count(",") + 1
    left = iter(rows)
    while some := list(islice(left, VALUES_A_QUERY // count)):
        values = ", ".join([f"({marks(range(count))})"] * len(some))
        db.execute(f"INSERT INTO {table} ({columns}) VALUES {values} ON CONFLICT {conflict}", [*chain(*some)])
