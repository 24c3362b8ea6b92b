"""The narrow interface that the tables are written against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")


class Cursor(Protocol):
    """The result of a statement: the rows it found, or the number it changed."""

    @property
    def rowcount(self) -> int:
        """The number of rows it changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Database(Protocol):
    """A connection. Statements keep to the SQL that SQLite and PostgreSQL share, with ``?`` for values.

    ``INDEXED BY`` is the one exception: a hint to SQLite, which plans without statistics.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run a statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run a statement for each of several rows of values."""
        ...


Value = TypeVar("Value")

VALUES_A_QUERY = 500
"""Values in one ``IN``; SQLite takes 999 at least."""


def marks(values: Sequence[object]) -> str:
    """Return as many question marks as there are values."""
    return ",".join("?" * len(values))


def in_parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Split values into as many as a query may name."""
    for start in range(0, len(values), VALUES_A_QUERY):
        yield values[start : start + VALUES_A_QUERY]


def insert_together(
    db: Database, table: str, columns: str, rows: Iterable[Sequence[Any]], conflict: str = "DO NOTHING"
) -> None:
    """Insert rows, many in one statement. Part of a transaction.

    Args:
        db: The database.
        table: The table.
        columns: Their names, with commas between.
        rows: The values, in the order of the columns.
        conflict: The SQL after ``ON CONFLICT``.
    """
    count = columns.count(",") + 1
    left = iter(rows)
    while some := list(islice(left, VALUES_A_QUERY // count)):
        values = ", ".join([f"({marks(range(count))})"] * len(some))
        db.execute(f"INSERT INTO {table} ({columns}) VALUES {values} ON CONFLICT {conflict}", [*chain(*some)])
