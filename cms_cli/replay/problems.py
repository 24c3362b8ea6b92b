"""Problems of rows, grouped so that a thousand rows with one problem take one line.

``1,204 rows: amount "n/a" is not a number (lines 17, 20, 31 and 1,201 more)``
"""

from __future__ import annotations

from typing import NamedTuple

from cms_cli.replay.model import Problem

LONGEST_VALUE = 40
"""Characters of a value that a message quotes at most."""


MOST_PROBLEMS = 1000
"""Problems that a report lists one by one; the counts are always complete."""


class ProblemGroup(NamedTuple):
    """Rows with the same problem.

    Attributes:
        problem: The problem of the first of them.
        rows: The number of rows that have it.
        lines: The first few lines, in the order of the file.
        mixed: Whether the rows have different messages: they came after the number of groups had reached its bound.
    """

    problem: Problem
    rows: int
    lines: tuple[int, ...]
    mixed: bool = False

    def __str__(self) -> str:
        """Return the group as one line of text."""
        many = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        more = self.rows - len(self.lines)
        where = ", ".join(f"{line}" for line in self.lines) + (f" and {more:,} more" if more else "")
        what = self.problem.message
        if self.mixed:
            what = f"other values, such as: {what}"
        return f"{many}: {what} ({'line' if self.rows == 1 else 'lines'} {where})"


class _Tally:
    """A group as it grows."""

    __slots__ = ("first", "lines", "rows")

    def __init__(self, first: Problem) -> None:
        self.first = first
        self.rows = 0
        self.lines: list[int] = []

    def group(self, mixed: bool) -> ProblemGroup:
        return ProblemGroup(self.first, self.rows, tuple(self.lines), mixed and self.rows > 1)


class ProblemGroups:
    """A collector of problems that keeps a bounded number of groups.

    Problems belong together when their column, code and message are equal. Where a file has a different bad value
    in every row, the first ``most`` groups are kept as they are, and later ones share one group a column and code.
    """

    def __init__(self, keep: int = 3, most: int = 100) -> None:
        """Begin without groups.

        Args:
            keep: The number of line numbers that a group keeps.
            most: The number of groups before the others are put together.
        """
        self._keep = keep
        self._most = most
        self._groups: dict[tuple[str | None, str, str], _Tally] = {}
        self._mixed: dict[tuple[str | None, str], _Tally] = {}

    def add(self, problem: Problem) -> None:
        """Count one problem; they have to come in the order of the file."""
        key = (problem.column, problem.code, problem.message)
        tally = self._groups.get(key)
        if tally is None:
            if len(self._groups) < self._most:
                tally = self._groups[key] = _Tally(problem)
            else:
                tally = self._mixed.setdefault(key[:2], _Tally(problem))
        tally.rows += 1
        if len(tally.lines) < self._keep:
            tally.lines.append(problem.line)

    def groups(self) -> list[ProblemGroup]:
        """Return the groups so far, by their first line."""
        found = [tally.group(mixed=False) for tally in self._groups.values()]
        found += [tally.group(mixed=True) for tally in self._mixed.values()]
        return sorted(found, key=lambda group: group.lines[:1])


def shown(text: str) -> str:
    """Quote a value for a message: a long one is cut, and bytes of a flag that are not text are escaped."""
    if not text.isascii():
        text = text.encode(errors="backslashreplace").decode()
    return f'"{text}"' if len(text) <= LONGEST_VALUE else f'"{text[: LONGEST_VALUE - 3]}..."'
