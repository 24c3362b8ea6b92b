"""Finds the rows of a file that repeat or contradict each other, with SQLite and so in constant memory.

Each row has a key (a sale's invoice) and values that must be equal in all rows with the key (amount, currency,
customer, click). Invalid rows are compared too: a row with a wrong amount must not be sent just because the row
with the right amount has a bad date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple

from cms_cli.replay.tempfiles import private_database, room_for

_WHAT = "what is compared for duplicates"
_COMPARED = ("amount", "currency", "customer", "click")
_MONEY = _COMPARED[:2]


class ComparedRow(NamedTuple):
    """The values of a row that are compared with other rows; None for a value that could not be read.

    If amount or currency could not be read, the row contradicts every other row with its key.

    Attributes:
        row: Its number, from 1.
        line: Its line number, from 1.
        key: The invoice id of a sale, the hash of a lead.
        sendable: Whether the row is valid.
        amount: The amount in minor units.
        currency: The currency.
        customer: The customer's external id.
        click: The click id.
        time: The time in wire form, or "". It is not compared, and neither is the next value.
        refunded: The refunded amount in minor units.
    """

    row: int
    line: int
    key: str | bytes
    sendable: bool
    amount: int | None
    currency: str | None
    customer: str | None
    click: str | None
    time: str = ""
    refunded: int = 0


_INSERT = f"INSERT INTO rows VALUES ({', '.join('?' * len(ComparedRow._fields))})"


class Repeat(NamedTuple):
    """A valid row that repeats or contradicts another one.

    Attributes:
        conflict: True if rows with its key contradict each other; False if it only repeats an earlier row.
        other_line: The line of the first row that it contradicts or repeats.
        compared: The row.
    """

    conflict: bool
    other_line: int
    compared: ComparedRow


class Repeats:
    """Collects the rows of a file, and finds those that repeat or contradict others. A context manager."""

    def __init__(self) -> None:
        with room_for(_WHAT):
            self._db = private_database()
            columns = ", ".join(ComparedRow._fields[1:])
            self._db.execute(f"CREATE TABLE rows (row INTEGER PRIMARY KEY, {columns})")

    def __enter__(self) -> Repeats:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows in any order, each as a :class:`ComparedRow` or as a plain tuple of its values, which is faster.

        Raises:
            MachineError: The temporary file cannot be written.
        """
        with room_for(_WHAT):
            self._db.executemany(_INSERT, rows)

    def found(self) -> Iterator[Repeat]:
        """Yield the rows that repeat or contradict others, in file order. Call this only once.

        Raises:
            MachineError: The temporary file cannot be written.
        """
        with room_for(_WHAT):
            for row in self._search():
                yield Repeat(bool(row[0]), row[1], ComparedRow._make(row[2:]))

    def _search(self) -> Iterable[tuple[Any, ...]]:
        self._db.execute("CREATE INDEX rows_by_key ON rows (key)")
        # For each key that occurs again: its first valid row (kept), if values differ (conflict), and the first row
        # that differs from the kept one (odd). Keys are searched alone first, since few files repeat any.
        unequal = [f"min({name}) <> max({name})" for name in _COMPARED]
        unread = [f"count({name}) < count(*)" for name in _MONEY]
        self._db.execute("CREATE TABLE keys (key PRIMARY KEY, kept, conflict, odd) WITHOUT ROWID")
        self._db.execute(
            "INSERT INTO keys SELECT key, min(CASE WHEN sendable THEN row END) AS kept,"
            f" coalesce({' OR '.join([*unread, *unequal])}, 0), NULL"
            " FROM (SELECT key AS again FROM rows GROUP BY key HAVING count(*) > 1) CROSS JOIN rows ON key = again"
            " GROUP BY again HAVING kept IS NOT NULL"
        )
        self._db.execute(
            "UPDATE keys SET odd = (SELECT min(other.row) FROM rows AS kept JOIN rows AS other"
            f" WHERE kept.row = keys.kept AND other.key = keys.key AND {_differ('other', 'kept')})"
            " WHERE conflict"
        )
        return self._db.execute(
            f"SELECT conflict, other.line, {', '.join(f'rows.{name}' for name in ComparedRow._fields)}"
            " FROM rows CROSS JOIN keys ON keys.key = rows.key CROSS JOIN rows AS kept ON kept.row = keys.kept"
            f" CROSS JOIN rows AS other ON other.row ="
            f" CASE WHEN conflict AND NOT {_differ('rows', 'kept')} THEN odd ELSE keys.kept END"
            " WHERE rows.sendable AND (conflict OR rows.row <> keys.kept) ORDER BY rows.row"
        )


def _differ(one: str, other: str) -> str:
    """Return the SQL condition that two rows differ; a missing value only does for amount and currency."""
    money = [f"{one}.{name} IS NOT {other}.{name}" for name in _MONEY]
    rest = [f"coalesce({one}.{name} <> {other}.{name}, 0)" for name in _COMPARED if name not in _MONEY]
    return f"({' OR '.join(money + rest)})"
