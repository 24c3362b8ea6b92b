"""The conditions of ``--where`` for rows to keep: the value, number or date in a column."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Callable, NamedTuple, Union

from cms_cli.replay.mapping import columns
from cms_cli.replay.mapping.columns import AnySource, argument
from cms_cli.replay.model import InputError, Problem
from cms_cli.replay.problems import shown
from cms_cli.replay.values import numbers
from cms_cli.replay.values.times import parse_instant
from cms_cli.replay.values.zones import zone_for_header

_OPERATOR = re.compile(r"\s*(!=|>=|<=|=|>|<)")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EITHER = re.compile(r"(?<!\\)\|")
_HOW = "Write COLUMN=VALUE, COLUMN!=VALUE, COLUMN=A|B, or COLUMN>=NUMBER."


class CellFormats(NamedTuple):
    """The settings for reading the cells to compare.

    Attributes:
        zone: The time zone of times without an offset, and of days.
        date_format: The formats of ``--date-format``.
        decimal: The decimal mark, or "" to tell it from each number.
    """

    zone: tzinfo
    date_format: tuple[str, ...] = ()
    decimal: str = ""


class Equality(NamedTuple):
    """A condition that holds if a cell has one of some values or, negated, none of them.

    Attributes:
        source: The column.
        values: The values.
        negated: Whether the condition is ``!=``.
        text: The condition as it was written, for messages.
    """

    source: AnySource
    values: frozenset[str]
    negated: bool
    text: str

    def holds(self, cells: Sequence[str]) -> bool:
        """Return True if a row meets the condition."""
        return (self.source.read(cells) in self.values) is not self.negated


class Comparison(NamedTuple):
    """A condition that holds if a cell compares with a number or time; it does not hold for an empty cell.

    Attributes:
        source: The column.
        compare: The comparison of the cell's value with the limit.
        limit: The number, day or time to compare with.
        formats: The settings for reading cells.
        text: The condition as it was written, for messages.
    """

    source: AnySource
    compare: Callable[[Any, Any], bool]
    limit: Decimal | date | datetime
    formats: CellFormats
    text: str

    def holds(self, cells: Sequence[str]) -> bool | Problem:
        """Return True if a row meets the condition, or the problem if its cell cannot be read."""
        text = self.source.read(cells)
        if not text:
            return False
        found = self._number(text) if isinstance(self.limit, Decimal) else self._time(text)
        return found if isinstance(found, bool) else found.in_column(self.source.column, self.source.column)

    def _number(self, text: str) -> bool | Problem:
        number = numbers.taken_apart(text)
        if number is None or number.odd:
            hint = "correct it, or leave such rows out with --where"
            return Problem("where_not_a_number", f"{shown(text)} is not a number, as {self.text} needs it", hint)
        mark = self.formats.decimal or numbers.decimal_mark(number.digits) or ".,"
        parts = [found for each in mark if (found := numbers.split(number.digits, each)) is not None]
        sign = "-" if number.negative else ""
        # In 1.234 the mark may be either; for most comparisons, both readings have the same result.
        verdicts = {self.compare(Decimal(f"{sign}{whole}.{rest or 0}"), self.limit) for whole, rest in parts}
        if len(verdicts) == 1:
            return verdicts.pop()
        message = f"{shown(text)} may be thousands or decimals, and {self.text} depends on it"
        return Problem("where_ambiguous", message, "say what the decimal mark is: --decimal . or --decimal ,")

    def _time(self, text: str) -> bool | Problem:
        zone = zone_for_header(self.source.column, self.formats.zone)
        found = parse_instant(text, zone, date_format=self.formats.date_format or None)
        if isinstance(found, Problem):
            return found
        if isinstance(self.limit, datetime):
            return self.compare(found, self.limit)
        return self.compare(found.astimezone(self.formats.zone).date(), self.limit)


Condition = Union[Equality, Comparison]


def read(header: Sequence[str], text: str, flag: str, formats: CellFormats) -> Condition:
    """Parse a condition.

    Args:
        header: The file's column names.
        text: The condition as it was written.
        flag: The flag or key that it comes from, for messages: ``--where``.
        formats: The settings for reading cells.

    Raises:
        InputError: The text is not a condition, or its column is not in the file.
    """
    # A column's name may contain an operator; prefer the longest name.
    own = [name for name in header if name and text.startswith(name) and _OPERATOR.match(text, len(name))]
    found = _OPERATOR.match(text, len(max(own, key=len))) if own else _OPERATOR.search(text)
    # "==", "=>" and "<>" are refused: "=" with a value that begins with such a sign would leave out every row.
    if found is None or not text[: found.start()].strip() or text.startswith(("=", "<", ">"), found.end()):
        raise InputError(f'{flag} "{text}" is no condition', _HOW)
    sources = columns.every(header, text[: found.start()].strip(), flag)
    if len(sources) > 1:
        raise InputError(f'{flag} "{text}" names several columns', "Write one condition for each.")
    whole, operand = f"{flag} {text}", text[found.end() :]
    if found[1] in _COMPARISONS:
        limit = _limit(operand.strip(), formats)
        if limit is None:
            hint = f"Write digits with a decimal point, or a date, as in {text[: found.end()]}2026-04-10."
            raise InputError(f'{flag} "{text}" compares with {shown(operand.strip())}, no number or date', hint)
        return Comparison(sources[0], _COMPARISONS[found[1]], limit, formats, whole)
    values = frozenset(value.strip().replace("\\|", "|") for value in _EITHER.split(operand))
    return Equality(sources[0], values, found[1] == "!=", whole)


def check_together(conditions: Sequence[Condition]) -> None:
    """Refuse conditions that no row can meet together.

    Raises:
        InputError: Two conditions require different values in the same column.
    """
    equalities: dict[AnySource, Equality] = {}
    for each in conditions:
        if not isinstance(each, Equality) or each.negated:
            continue
        before = equalities.get(each.source)
        if before is not None and before.values.isdisjoint(each.values):
            either = "|".join(value.replace("|", "\\|") for value in sorted({*before.values, *each.values}))
            raise InputError(
                f"{before.text} and {each.text} exclude each other: no row has both",
                f"To keep the rows that have either, say --where {argument(f'{each.source.label}={either}')}.",
            )
        both = each.values if before is None else before.values & each.values
        equalities[each.source] = each._replace(values=both)


def _limit(text: str, formats: CellFormats) -> Decimal | date | datetime | None:
    try:
        number = Decimal(text)
        return number if number.is_finite() else None
    except InvalidOperation:
        pass
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None
    found = parse_instant(text, formats.zone, date_format=formats.date_format or None)
    return None if isinstance(found, Problem) else found
