"""Bad rows, put together so that a page of them can be read: one line for what ails a thousand rows.

``1,204 rows: amount "n/a" is not a number (lines 17, 20, 31 and 1,201 more)``
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cms_cli.replay.model import RowProblem

LONGEST_VALUE = 40
"""Characters of a value that a message quotes at most."""


MOST_PROBLEMS = 1000
"""Problems that a report lists one by one; the counts are always complete."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one row.

    Attributes:
        row: The number of the data row, from 1.
        line: The line that it starts on, from 1.
        column: The column at fault, or None.
        code: A constant for programs.
        message: For people.
    """

    row: int
    line: int
    column: str | None
    code: str
    message: str


class ProblemGroup(NamedTuple):
    """Rows with the same problem.

    Attributes:
        column: The header of the column at fault, or None.
        code: The problem's code.
        message: The problem's message; the first one, where ``mixed``.
        hint: The way out, or an empty string.
        rows: How many rows have it.
        lines: The first few lines, in the order of the file.
        mixed: Whether the rows have different messages: they came after the number of groups had reached its bound.
    """

    column: str | None
    code: str
    message: str
    hint: str
    rows: int
    lines: tuple[int, ...]
    mixed: bool = False

    def __str__(self) -> str:
        """The group as one line of text."""
        many = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        more = self.rows - len(self.lines)
        where = ", ".join(f"{line}" for line in self.lines) + (f" and {more:,} more" if more else "")
        what = f"other values, such as: {self.message}" if self.mixed else self.message
        return f"{many}: {what} ({'line' if self.rows == 1 else 'lines'} {where})"


class _Tally:
    """A group as it grows."""

    __slots__ = ("first", "lines", "rows")

    def __init__(self, first: RowProblem) -> None:
        self.first = first
        self.rows = 0
        self.lines: list[int] = []

    def group(self, mixed: bool) -> ProblemGroup:
        first = self.first
        return ProblemGroup(
            first.column,
            first.code,
            first.message,
            first.hint,
            self.rows,
            tuple(self.lines),
            mixed and self.rows > 1,
        )


class ProblemGroups:
    """Takes problems one by one, and keeps no more than a bounded number of groups of them.

    Problems belong together when their column, code and message are equal. Where a file has a different bad value
    in every row, the first ``most`` groups are kept as they are, and later ones share one group a column and code.
    """

    def __init__(self, keep: int = 3, most: int = 100) -> None:
        """Begin with none.

        Args:
            keep: How many line numbers a group remembers.
            most: How many groups stand by themselves.
        """
        self._keep = keep
        self._most = most
        self._groups: dict[tuple[str | None, str, str], _Tally] = {}
        self._mixed: dict[tuple[str | None, str], _Tally] = {}

    def add(self, problem: RowProblem) -> None:
        """Count one problem; they have to come in the order of the file."""
        key = (problem.column, problem.code, problem.message)
        tally = self._groups.get(key)
        if tally is None:
            # The row's cells are not kept with it: they may be of any length.
            first = problem._replace(cells=[])
            if len(self._groups) < self._most:
                tally = self._groups[key] = _Tally(first)
            else:
                tally = self._mixed.setdefault(key[:2], _Tally(first))
        tally.rows += 1
        if len(tally.lines) < self._keep:
            tally.lines.append(problem.line)

    def groups(self) -> list[ProblemGroup]:
        """The groups so far, by their first line."""
        found = [tally.group(mixed=False) for tally in self._groups.values()]
        found += [tally.group(mixed=True) for tally in self._mixed.values()]
        return sorted(found, key=lambda group: group.lines[:1])


def shown(text: str) -> str:
    """A value as a message quotes it: cut where it is long, and bytes of a flag that are no text escaped."""
    if not text.isascii():
        text = text.encode(errors="backslashreplace").decode()
    return f'"{text}"' if len(text) <= LONGEST_VALUE else f'"{text[: LONGEST_VALUE - 3]}..."'
