"""Which rows of a file are left out, and why: further lines of an order, a preset's rules, ``--where``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Callable, NamedTuple, Union

from cms_cli.replay.mapping import columns
from cms_cli.replay.mapping.columns import AnySource
from cms_cli.replay.mapping.rules import FoldRule, Rules, SkipRule
from cms_cli.replay.model import InputError, RowProblem, SkippedRow, SourceRow

_MOST_VALUES = 1000  # of a column, that are counted
LeftOut = Union[SkippedRow, RowProblem]
"""Why a row is not looked at any further."""


class _Test(NamedTuple):
    """Leaves out rows by one value: those that have one of these, or, negated, all others."""

    source: AnySource
    values: frozenset[str]
    negated: bool
    any_case: bool
    code: str
    reason: str

    def holds(self, cells: Sequence[str]) -> bool:
        text = self.source.read(cells)
        return ((text.casefold() if self.any_case else text) in self.values) is not self.negated


class Selection:
    """What the flags and rules say of a file with this header. It keeps no state: see :meth:`begin`."""

    def __init__(self, header: Sequence[str], rules: Rules, where: Sequence[str]) -> None:
        """Find the columns.

        Args:
            header: The file's column names.
            rules: The preset or mapping file.
            where: Conditions ``COLUMN=VALUE`` and ``COLUMN!=VALUE`` of rows to keep.

        Raises:
            InputError: A column is not in the file, or a condition cannot be understood.
        """
        by_rule = [test for rule in rules.skip if (test := _by_rule(header, rule))]
        conditions = (_condition(header, text, "where" if text in rules.where else "--where") for text in where)
        self._tests = [*by_rule, *conditions]
        self._fold = rules.fold
        self._folding: tuple[int, tuple[int, ...]] | None = None
        if rules.fold is not None:
            wanted_by = "the rule for further lines of an order"
            by, *empty = (
                columns.column_index(header, name, wanted_by) for name in (rules.fold.by, *rules.fold.empty)
            )
            self._folding = by, tuple(empty)

    def values_left_out(self, rows: Iterable[Sequence[str]]) -> dict[str, list[str]]:
        """Return for which values rows were left out by a rule or condition: by column, the most frequent first."""
        seen: dict[str, Counter[str]] = {}
        for cells in rows:
            test = next((test for test in self._tests if test.holds(cells)), None)
            if test is not None:
                values = seen.setdefault(test.source.label, Counter())
                text = test.source.read(cells)
                if text in values or len(values) < _MOST_VALUES:
                    values[text] += 1
        return {label: [text for text, _ in values.most_common()] for label, values in seen.items()}

    @property
    def takes_all(self) -> bool:
        """Whether no row is ever left out."""
        return not self._tests and self._folding is None

    def begin(self) -> Callable[[SourceRow], LeftOut | None]:
        """Give what is asked of each row of the file in its order, from the first; None is a row to go on with."""
        folding = None if self._fold is None or self._folding is None else _Folding(self._fold, *self._folding)

        def left_out(row: SourceRow) -> LeftOut | None:
            if folding is not None:
                found = folding.look(row)
                if found is not None:
                    return found
            for test in self._tests:
                if test.holds(row.cells):
                    return SkippedRow(row.row, row.line, row.cells, test.code, test.reason)
            return None

        return left_out


class _Folding:
    """Tells rows that go on with the order above them. Remembers that order's name, and nothing else."""

    def __init__(self, rule: FoldRule, by: int, empty: Sequence[int]) -> None:
        self._rule = rule
        self._by = by
        self._empty = empty
        self._order = ""

    def look(self, row: SourceRow) -> LeftOut | None:
        cells = row.cells
        name = cells[self._by].strip()
        if any(cells[place].strip() for place in self._empty):
            self._order = name
            return None
        if self._order and name in (self._order, ""):
            return SkippedRow(row.row, row.line, cells, "folded", self._rule.reason)
        message = f'{" and ".join(self._rule.empty)} are empty, and the row above is not of order "{name}"'
        hint = "sorted by something else? Export it again and leave its rows in their order"
        return RowProblem.of(row.row, row.line, cells, self._rule.by, "order_astray", message, hint)


def _by_rule(header: Sequence[str], rule: SkipRule) -> _Test | None:
    for column in rule.columns:
        found = columns.like(header, column)
        if found:
            return _Test(found[0], frozenset(rule.values), rule.negated, True, "rule", rule.reason)
    if rule.optional:
        return None
    wanted = " or ".join(f'"{column}"' for column in rule.columns)
    raise InputError(
        f'no column {wanted} to tell which rows are "{rule.reason}"; the file has: {columns.listed(header)}',
        "Export it with that column; or write a mapping file of your own, without that rule.",
    )


def _condition(header: Sequence[str], text: str, flag: str) -> _Test:
    """Compile a ``--where``, which says what to keep, to what leaves out all others."""
    # A column's name may hold a "=" itself.
    own = [name for name in header if name and text.startswith((f"{name}=", f"{name}!="))]
    column = max(own, key=len) if own else text.partition("=")[0]
    rest = text[len(column) :]
    if not own and column.endswith("!"):
        column, rest = column[:-1], f"!{rest}"
    # No cell is meant to begin with "=", and a "==" would leave out every row.
    if not rest or not column.strip() or rest.lstrip("!").startswith("=="):
        raise InputError(f'{flag} "{text}" is no condition', "Write COLUMN=VALUE or COLUMN!=VALUE.")
    keeps = not rest.startswith("!")
    wanted = rest.partition("=")[2].strip()
    sources = columns.every(header, column.strip(), flag)
    if len(sources) > 1:
        raise InputError(f'{flag} "{text}" names several columns', "Write one condition for each.")
    return _Test(sources[0], frozenset((wanted,)), keeps, False, "where", f"{flag} {text}")
