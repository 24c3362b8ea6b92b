"""The values that the stages of a replay exchange.

``bytes -> SourceRow -> PlannedEvent | RowProblem | SkippedRow -> staged -> outcome -> report``

Named tuples rather than frozen dataclasses: a replay makes one or two for each of a million rows, and a named
tuple is built in a quarter of the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from cms_python import encode_wire

SAMPLES = 3
"""The number of values of a column, and of events, that are shown."""

LINE, STATUS, ERROR = "_line", "_status", "_error"
ADDED = (LINE, STATUS, ERROR)
"""The columns that a file of failures, or of results, has beside those of the input."""

SURPLUS = "_surplus"
"""The key under which such a file as JSON Lines has what is beyond a row's columns, or a line that was no row."""


class ReplayError(Exception):
    """A replay cannot begin or continue.

    Attributes:
        message: What is wrong, in one line.
        hint: What to do about it, in one line; empty if there is nothing to say.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(ReplayError):
    """The input as a whole cannot be used: nothing was sent, and the command exits with 2."""


class MachineError(ReplayError):
    """A failure of this machine and not of the input or the service, such as a full disk. Exits with 3."""


class SourceRow(NamedTuple):
    """One data row of the file, as text.

    Attributes:
        row: Its number among the data rows, from 1. Ignored (blank) rows have none.
        line: The number of the line that it starts on, from 1, counted as an editor counts.
        cells: As many cells as the header has.
    """

    row: int
    line: int
    cells: list[str]


@dataclass(frozen=True)
class Dialect:
    """The format of a file of rows.

    Attributes:
        delimiter: The delimiter of its cells; unused in JSON Lines.
        encoding: Its encoding.
        marked: Whether it begins with a byte order mark.
        json_lines: Whether it is JSON Lines rather than CSV.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    marked: bool = False
    json_lines: bool = False

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Dialect:
        """Read what :meth:`to_json` wrote."""
        return cls(**json.loads(text))


class Problem(NamedTuple):
    """A problem of a value or of a row.

    Attributes:
        code: A short constant for programs: ``amount_not_a_number``.
        message: For people, with the offending value. That of a value reads on from the name of its column, as in
            ``amount`` + ``"n/a" is not a number``.
        hint: The way out, in one line; empty if there is nothing to say.
        column: The header of the column at fault, or None if no single one is.
        row: As in :class:`SourceRow`; 0 while nobody has said which.
        line: As in :class:`SourceRow`; 0 while nobody has said which.
    """

    code: str
    message: str
    hint: str = ""
    column: str | None = None
    row: int = 0
    line: int = 0

    def to_dict(self) -> dict[str, object]:
        """Return the problem as JSON reports have it."""
        return {
            "row": self.row,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
        }

    def in_column(self, column: str | None, name: str) -> Problem:
        """Return the problem of a value as that of its column.

        Args:
            column: The column's header; None if the value is a constant.
            name: Its name in the message.
        """
        return self._replace(column=column, message=f"{name} {self.message}")


class RowProblem(NamedTuple):
    """A row that cannot be sent, with its problems.

    Attributes:
        row: As in :class:`SourceRow`.
        line: As in :class:`SourceRow`.
        cells: The cells as they were read, however many there are.
        problems: All that is wrong with it; at least one.
        wire: The fields that could be read, by their wire names.
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
    """A row left out on purpose (``--where``, ``--skip-unattributed``, a preset's rule)."""

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
        wire: The request's JSON object: wire names, values checked.
        refunded: The refunded part of the amount, in minor units; the event is sent in full all the same.
    """

    row: int
    line: int
    cells: list[str]
    wire: dict[str, Any]
    refunded: int = 0

    @property
    def body(self) -> str:
        """The JSON text of the request, ready to send."""
        return encode_wire(self.wire).decode()

    @property
    def customer(self) -> str:
        """The customer's external id: rows of one customer keep their order."""
        return str(self.wire["customerExternalId"])

    @property
    def invoice_id(self) -> str:
        """A sale's invoice, which the service dedupes by; empty for a lead."""
        return str(self.wire.get("invoiceId", ""))

    @property
    def click_id(self) -> str:
        """The click, or empty."""
        return str(self.wire.get("clickId", ""))

    @property
    def amount(self) -> int:
        """A sale's amount in minor units; 0 for a lead."""
        return int(self.wire.get("amount", 0))

    @property
    def currency(self) -> str:
        """A sale's currency, upper case; empty for a lead."""
        return str(self.wire.get("currency", ""))

    @property
    def timestamp(self) -> str:
        """The wire form of the event's time, or empty if the service will date it."""
        return str(self.wire.get("timestamp", ""))


PlannedRow = Union[PlannedEvent, RowProblem, SkippedRow]
"""The result of mapping a row."""


@dataclass(frozen=True)
class MappedColumn:
    """A field, the columns it is read from, and a few of its values.

    Attributes:
        field: The field's Python name.
        column: The columns as ``--map`` has them; "" if the value is always the constant.
        samples: Up to three values, as they stand in the file.
        constant: The value for rows that have none, or None.
    """

    field: str
    column: str
    samples: tuple[str, ...]
    constant: str | None = None
