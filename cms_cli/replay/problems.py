"""Groups the problems of rows, so that a thousand rows with the same problem take one line.

``1,204 rows: amount "n/a" is not a number (lines 17, 20, 31 and 1,201 more)``
"""

from __future__ import annotations

from typing import NamedTuple

from cms_cli.replay.model import Problem

LONGEST_VALUE = 40
"""The most characters of a value that a message quotes."""


MOST_PROBLEMS = 1000
"""The most problems that a report lists; its counts are always complete."""


class ProblemGroup(NamedTuple):
    """Rows with the same problem.

    Attributes:
        problem: The problem of the first row.
        rows: The number of rows.
        lines: The line numbers of the first few rows, in file order.
        mixed: Whether the messages differ, because the limit of groups was reached.
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
    """A group that is still growing."""

    __slots__ = ("first", "lines", "rows")

    def __init__(self, first: Problem) -> None:
        self.first = first
        self.rows = 0
        self.lines: list[int] = []

    def group(self, mixed: bool) -> ProblemGroup:
        return ProblemGroup(self.first, self.rows, tuple(self.lines), mixed and self.rows > 1)


class ProblemGroups:
    """Collects problems in a limited number of groups.

    Problems with the same column, code and message form a group. If every row has a different bad value, all after
    the first ``most`` groups are grouped by column and code only.
    """

    def __init__(self, keep: int = 3, most: int = 100) -> None:
        """Start without groups.

        Args:
            keep: The most line numbers to keep for a group.
            most: The most groups with one message.
        """
        self._keep = keep
        self._most = most
        self._groups: dict[tuple[str | None, str, str], _Tally] = {}
        self._mixed: dict[tuple[str | None, str], _Tally] = {}

    def add(self, problem: Problem) -> None:
        """Add a problem. Problems must be added in file order."""
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
    """Return a value in quotation marks for a message: shortened if it is long, with undecodable bytes escaped."""
    if not text.isascii():
        text = text.encode(errors="backslashreplace").decode()
    return f'"{text}"' if len(text) <= LONGEST_VALUE else f'"{text[: LONGEST_VALUE - 3]}..."'
