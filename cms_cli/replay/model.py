"""The values that the stages of a replay exchange.

``bytes -> SourceRow -> PlannedEvent | RowProblem | SkippedRow -> staged -> outcome -> report``

They are named tuples, not frozen dataclasses: a replay may create two for each of a million rows, and a named tuple
takes a quarter of the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from cms_python import encode_wire

SAMPLES = 3
"""The number of values of a column, and of events, that a preview shows."""

LINE, STATUS, ERROR = "_line", "_status", "_error"
ADDED = (LINE, STATUS, ERROR)
"""The columns that ``--failures`` and ``--results`` add to those of the input."""

SURPLUS = "_surplus"
"""The key, in such a file as JSON Lines, for cells beyond a row's columns and for lines that are not rows."""


class ReplayError(Exception):
    """A replay cannot begin or continue.

    Attributes:
        message: What is wrong, in one line.
        hint: What to do about it, in one line; "" for no hint.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(ReplayError):
    """The input as a whole cannot be used. Nothing was sent; the exit code is 2."""


class MachineError(ReplayError):
    """A failure of this machine or of the state, such as a full disk; the exit code is 3."""


class SourceRow(NamedTuple):
    """One data row of the input, as text.

    Attributes:
        row: Its number among the data rows, from 1. Blank rows are not counted.
        line: The number of the line that it starts on, from 1, as an editor counts lines.
        cells: Its cells, as many as the header has.
    """

    row: int
    line: int
    cells: list[str]


@dataclass(frozen=True)
class Dialect:
    """The format of a file of rows.

    Attributes:
        delimiter: The delimiter of its cells; unused in JSON Lines.
        encoding: The name of its encoding.
        marked: Whether it begins with a byte order mark.
        json_lines: Whether it is JSON Lines instead of CSV.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    marked: bool = False
    json_lines: bool = False

    def to_json(self) -> str:
        """Return the dialect as JSON, to be kept with the run."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Dialect:
        """Read what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


class Problem(NamedTuple):
    """A problem of a value or of a row.

    Attributes:
        code: A short constant for programs: ``amount_not_a_number``.
        message: The problem for people, with the offending value. Until :meth:`in_column` adds it, the name of the
            column is missing: ``"n/a" is not a number``.
        hint: What to do about it, in one line; "" for no hint.
        column: The header of the column at fault, or None if no single one is.
        row: As in :class:`SourceRow`; 0 if it is not set yet.
        line: As in :class:`SourceRow`; 0 if it is not set yet.
    """

    code: str
    message: str
    hint: str = ""
    column: str | None = None
    row: int = 0
    line: int = 0

    def to_dict(self) -> dict[str, object]:
        """Return the problem as it is written in JSON reports."""
        return {
            "row": self.row,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
        }

    def in_column(self, column: str | None, name: str) -> Problem:
        """Return the problem with its column, whose name begins the message.

        Args:
            column: The column's header; None if the value is a constant.
            name: The name for the message: the column's, or the flag's of a constant.
        """
        return self._replace(column=column, message=f"{name} {self.message}")


class RowProblem(NamedTuple):
    """A row that cannot be sent, with its problems.

    Attributes:
        row: As in :class:`SourceRow`.
        line: As in :class:`SourceRow`.
        cells: The cells as they were read, in any number.
        problems: Its problems, at least one.
        wire: The fields that could be read, by wire name; they still take part in the comparison with other rows.
    """

    row: int
    line: int
    cells: list[str]
    problems: tuple[Problem, ...]
    wire: Mapping[str, object] = MappingProxyType({})

    @classmethod
    def of(
        cls, row: int, line: int, cells: list[str], column: str | None, code: str, message: str, hint: str = ""
    ) -> RowProblem:
        """Return a row with a single problem."""
        return cls(row, line, cells, (Problem(code, message, hint, column, row, line),))


class SkippedRow(NamedTuple):
    """A row that is left out on purpose, by ``--where``, ``--skip-unattributed`` or a preset's rule.

    Attributes:
        row: As in :class:`SourceRow`.
        line: As in :class:`SourceRow`.
        cells: As in :class:`SourceRow`.
        code: The reason, as a short constant for programs.
        message: The reason, for people.
    """

    row: int
    line: int
    cells: list[str]
    code: str
    message: str


class PlannedEvent(NamedTuple):
    """A row that can be sent.

    Attributes:
        row: As in :class:`SourceRow`.
        line: As in :class:`SourceRow`.
        cells: As in :class:`SourceRow`.
        wire: The request's JSON object: checked values by wire name.
        refunded: The refunded part of the amount, in minor units. It is only reported; the full amount is sent.
    """

    row: int
    line: int
    cells: list[str]
    wire: dict[str, Any]
    refunded: int = 0

    @property
    def body(self) -> str:
        """The JSON text of the request."""
        return encode_wire(self.wire).decode()

    @property
    def invoice_id(self) -> str:
        """A sale's invoice id, by which the service dedupes; "" for a lead."""
        return str(self.wire.get("invoiceId", ""))

    @property
    def amount(self) -> int:
        """A sale's amount in minor units; 0 for a lead."""
        return int(self.wire.get("amount", 0))

    @property
    def currency(self) -> str:
        """A sale's currency in upper case; "" for a lead."""
        return str(self.wire.get("currency", ""))

    @property
    def timestamp(self) -> str:
        """The time of the event in wire form; "" if the service will date it."""
        return str(self.wire.get("timestamp", ""))


PlannedRow = Union[PlannedEvent, RowProblem, SkippedRow]
"""The result of mapping a row."""


@dataclass(frozen=True)
class MappedColumn:
    """A field, the columns it is read from, and a few of its values.

    Attributes:
        field: The field's Python name.
        column: The columns as in ``--map``; "" if there is only a constant.
        samples: Up to ``SAMPLES`` values, as they are in the file.
        constant: The value for rows without one of their own, or None.
    """

    field: str
    column: str
    samples: tuple[str, ...]
    constant: str | None = None
