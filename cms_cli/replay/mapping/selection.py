"""Selects the rows to leave out: further lines of an order, rows that a preset's rules or ``--where`` exclude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Callable, NamedTuple, Union

from cms_cli.replay.mapping import columns, conditions
from cms_cli.replay.mapping.columns import AnySource
from cms_cli.replay.mapping.conditions import CellFormats
from cms_cli.replay.mapping.rule import FoldRule, Rules, SkipRule
from cms_cli.replay.model import InputError, Problem, RowProblem, SkippedRow, SourceRow

_MOST_VALUES = 1000  # the most values of a column that are counted
LeftOut = Union[SkippedRow, RowProblem]
"""A row that is left out, with the reason."""


class _Rule(NamedTuple):
    """A rule that leaves out rows with one of some values or, negated, with any other; letter case is ignored."""

    source: AnySource
    values: frozenset[str]
    negated: bool
    reason: str

    def leaves_out(self, cells: Sequence[str]) -> bool:
        return (self.source.read(cells).casefold() in self.values) is not self.negated


class Selection:
    """The rules and conditions for leaving out rows of one file. It has no state of its own; see :meth:`begin`."""

    def __init__(self, header: Sequence[str], rules: Rules, where: Sequence[str], formats: CellFormats) -> None:
        """Find the columns of rules and conditions.

        Args:
            header: The file's column names.
            rules: The preset or mapping file.
            where: The conditions for rows to keep.
            formats: The settings for reading the cells to compare.

        Raises:
            InputError: A column is missing, a condition is malformed, or two conditions exclude each other.
        """
        self._rules = [found for rule in rules.skip if (found := _by_rule(header, rule))]
        named = ((text, "where" if text in rules.where else "--where") for text in where)
        self._conditions = [conditions.read(header, text, flag, formats) for text, flag in named]
        conditions.check_together(self._conditions)
        self._fold = rules.fold
        self._folding: tuple[int, tuple[int, ...]] | None = None
        if rules.fold is not None:
            flag = "the rule for further lines of an order"
            by, *empty = (columns.column_index(header, name, flag) for name in (rules.fold.by, *rules.fold.empty))
            self._folding = by, tuple(empty)

    def values_left_out(self, rows: Iterable[Sequence[str]]) -> dict[str, list[str]]:
        """Return the values for which rows were left out, by column, the most frequent first.

        Args:
            rows: The cells of all rows, from the beginning of the input.
        """
        seen: dict[str, Counter[str]] = {}
        for cells in rows:
            by_rule = (rule.source for rule in self._rules if rule.leaves_out(cells))
            by_condition = (each.source for each in self._conditions if each.holds(cells) is False)
            source = next(by_rule, None) or next(by_condition, None)
            if source is not None:
                values = seen.setdefault(source.label, Counter())
                text = source.read(cells)
                if text in values or len(values) < _MOST_VALUES:
                    values[text] += 1
        return {label: [text for text, _ in values.most_common()] for label, values in seen.items()}

    def begin(self) -> Callable[[SourceRow], LeftOut | None]:
        """Return a function to call with each row in file order: it returns None for a row to keep."""
        folding = None if self._fold is None or self._folding is None else _Folding(self._fold, *self._folding)
        if folding is None and not self._rules and not self._conditions:
            return lambda _: None

        def left_out(row: SourceRow) -> LeftOut | None:
            if folding is not None:
                found = folding.look(row)
                if found is not None:
                    return found
            return self._left_out(row)

        return left_out

    def _left_out(self, row: SourceRow) -> LeftOut | None:
        for rule in self._rules:
            if rule.leaves_out(row.cells):
                return SkippedRow(row.row, row.line, row.cells, "rule", rule.reason)
        problem: Problem | None = None
        for condition in self._conditions:
            held = condition.holds(row.cells)
            if held is False:
                return SkippedRow(row.row, row.line, row.cells, "where", condition.text)
            if isinstance(held, Problem):
                problem = problem or held._replace(row=row.row, line=row.line)
        return RowProblem(row.row, row.line, row.cells, (problem,)) if problem else None


class _Folding:
    """Detects rows that continue the order above them. Its state is the name of that order."""

    def __init__(self, rule: FoldRule, by: int, empty: Sequence[int]) -> None:
        self._rule = rule
        self._by = by
        self._empty = empty
        self._order = ""

    def look(self, row: SourceRow) -> LeftOut | None:
        cells = row.cells
        name = cells[self._by].strip()
        if any(cells[index].strip() for index in self._empty):
            self._order = name
            return None
        if self._order and name in (self._order, ""):
            return SkippedRow(row.row, row.line, cells, "folded", self._rule.reason)
        message = f'{" and ".join(self._rule.empty)} are empty, and the row above is not of order "{name}"'
        hint = "sorted by something else? Export it again and leave its rows in their order"
        return RowProblem.of(row.row, row.line, cells, self._rule.by, "order_astray", message, hint)


def _by_rule(header: Sequence[str], rule: SkipRule) -> _Rule | None:
    for column in rule.columns:
        found = columns.like(header, column)
        if found:
            return _Rule(found[0], frozenset(rule.values), rule.negated, rule.reason)
    if rule.optional:
        return None
    names = " or ".join(f'"{column}"' for column in rule.columns)
    raise InputError(
        f'no column {names} to tell which rows are "{rule.reason}"; the file has: {columns.listed(header)}',
        "Export it with that column; or write a mapping file of your own, without that rule.",
    )
