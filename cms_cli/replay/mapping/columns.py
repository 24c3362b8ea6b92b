"""Finds the columns of an event's fields, by their names or by column expressions (``--map FIELD=COLUMN``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Union

from cms_cli.nearest import did_you_mean, nearest
from cms_cli.replay.model import ADDED, InputError
from cms_cli.replay.problems import LONGEST_VALUE, shown
from cms_cli.replay.values import cells as cell_texts
from cms_cli.replay.values.cells import GUARDS
from cms_python import LEAD_FIELDS, SALE_FIELDS, EventKind, Field

_KEYED = re.compile(r"(.+?)((?:\[[^\[\]]+\])+)")
_KEY = re.compile(r"\[([^\[\]]+)\]")
# Characters that a shell expands between double quotes.
_MEANS_MORE = re.compile(r'["$`\\]|!(?!=)')
_LISTED = 100  # columns


class Column(NamedTuple):
    """A column from which a value is read, or a key within its cells.

    Attributes:
        column: The header of the column.
        column_index: The index of the column.
        keys: The keys that lead to the value within the cell; empty for the whole cell.
    """

    column: str
    column_index: int
    keys: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The source as it is written in ``--map``."""
        return self.column + "".join(f"[{key}]" for key in self.keys)

    def read(self, cells: Sequence[str]) -> str:
        """Return the value in a row, without the white space around it; "" if there is none."""
        text = cells[self.column_index].strip()
        if text[:1] in GUARDS:
            text = cell_texts.bare(text)
        for key in self.keys:
            text = cell_texts.value_in(text, key) if text else ""
        return text


class Joined(NamedTuple):
    """Several columns that together make one value, such as a date and a time, or first name and last name.

    Attributes:
        parts: The sources of the parts, in order.
    """

    parts: tuple[Column, ...]

    @property
    def column(self) -> str:
        """The headers of its columns, joined by plus signs."""
        return " + ".join(part.column for part in self.parts)

    @property
    def label(self) -> str:
        """The source for messages."""
        return " + ".join(part.label for part in self.parts)

    def read(self, cells: Sequence[str]) -> str:
        """Return the parts in a row, joined by spaces.

        A part that repeats the date before it replaces that date: Gumroad's column for the time of day has the date
        again. Other text may repeat, such as the name Ali Ali.
        """
        text = ""
        for part in self.parts:
            more = part.read(cells)
            again = text[:1].isdigit() and (more == text or more.startswith((f"{text} ", f"{text}T")))
            text = more if again else f"{text} {more}".strip()
        return text


AnySource = Union[Column, Joined]

Expression = Union[str, "tuple[str, ...]"]
"""A column expression without alternatives: ``COLUMN``, ``COLUMN[key]``, or a tuple of such that make one value."""


def fields_of(kind: EventKind) -> Mapping[str, Field]:
    """Return the fields of a kind of event by Python name."""
    return LEAD_FIELDS if kind is EventKind.LEAD else SALE_FIELDS


folded = cell_texts.folded


def field_named(fields: Mapping[str, Field], name: str, what: str) -> str:
    """Return the Python name of a field, given its Python or wire name in any spelling.

    Args:
        fields: The known fields by Python name.
        name: The name as it was written.
        what: The kind of event, for messages: ``a sale``.

    Raises:
        InputError: There is no such field.
    """
    key = folded(name)
    for field in fields.values():
        if key in (folded(field.name), folded(field.wire)):
            return field.name
    hint = did_you_mean(name, fields) or f"{what.capitalize()} has: {', '.join(fields)}."
    raise InputError(f'{what} has no field "{name}"', hint)


def by_name(fields: Mapping[str, Field], header: Sequence[str], name: str) -> tuple[Column, ...]:
    """Return the column with a field's name, as the only element; an empty tuple if there is none.

    Raises:
        InputError: Several columns have the field's name.
    """
    keys = {folded(name), folded(fields[name].wire)}
    found = [index for index, column in enumerate(header) if folded(column) in keys]
    for index in found:
        _indexes(header, header[index])  # refuses a name that two columns have, which --map could not tell apart
    if len(found) > 1:
        columns = " and ".join(f'"{header[index]}"' for index in found)
        raise InputError(
            f"columns {columns} both look like {name}", f"Say which: --map {argument(f'{name}={header[found[0]]}')}"
        )
    return tuple(Column(header[index], index) for index in found)


def every(header: Sequence[str], expression: str, flag: str) -> tuple[AnySource, ...]:
    """Return the sources that an expression such as ``A|B[key]`` or ``A+B`` names; each of them has to exist.

    Args:
        header: The file's column names. A column whose name is the whole expression takes precedence.
        expression: The expression as it was written.
        flag: The flag or key that the expression comes from, for messages: ``--map amount``.

    Raises:
        InputError: A column is missing or ambiguous, or an expression is empty.
    """
    sources: list[AnySource] = []
    for text in [expression] if expression in header else _split(header, expression, "|"):
        if not text.strip():
            raise InputError(f"{flag}={expression} names an empty column", "Write it as COLUMN, or as A|B.")
        parts = [text] if "+" not in text or like(header, text) else _split(header, text, "+")
        found = [_only(header, part, flag) for part in parts]
        sources.append(found[0] if len(found) == 1 else Joined(tuple(map(_single, found))))
    return tuple(sources)


def _only(header: Sequence[str], text: str, flag: str) -> AnySource:
    found = like(header, text)
    if len(found) > 1:
        columns = " and ".join(f'"{source.column}"' for source in found)
        raise InputError(
            f'{flag} names the column "{text.strip()}", which may be {columns}',
            "Write it exactly as in the file.",
        )
    if not found:
        raise absent(header, text.strip(), flag)
    return found[0]


def _split(header: Sequence[str], text: str, separator: str) -> list[str]:
    """Split an expression at a separator, but not within the name of a column; longer names are tried first."""
    names = sorted((name for name in header if separator in name), key=len, reverse=True)
    parts: list[str] = []
    while True:
        text = text.lstrip()
        name = next((name for name in names if _ends_at(text, name, separator)), "")
        at = text.find(separator, len(name))
        if at < 0:
            return [*parts, text]
        parts.append(text[:at])
        text = text[at + 1 :]


def _ends_at(text: str, name: str, separator: str) -> bool:
    """Return True if a text begins with a column's name, and the name ends there."""
    return text.startswith(name) and text[len(name) :].lstrip()[:1] in ("", "[", "|", separator)


def like(header: Sequence[str], expression: Expression, *, any_spelling: bool = False) -> list[AnySource]:
    """Return the columns that an expression may mean: one with exactly this name, else all with other spellings.

    Spellings differ in letter case, blanks, ``-`` and ``_``. A column whose name looks like ``COLUMN[key]`` takes
    precedence over the key of a column.

    Args:
        header: The file's column names.
        expression: The expression as it was written.
        any_spelling: Whether to return columns with other spellings as well, after the exact one.
    """
    if not isinstance(expression, str):
        parts = [like(header, part) for part in expression]
        return [Joined(tuple(_single(found[0]) for found in parts))] if all(parts) else []
    text = expression.strip()
    found = _indexes(header, text, any_spelling=any_spelling)
    if found:
        return [Column(header[index], index) for index in found]
    keyed = _KEYED.fullmatch(text)
    if not keyed:
        return []
    keys = _KEY.findall(keyed[2])
    # Try the longest name first: in `meta[x][y]`, the column may be called `meta[x]`.
    for many in range(1, len(keys) + 1):
        kept = "".join(f"[{key}]" for key in keys[: len(keys) - many])
        found = _indexes(header, keyed[1].rstrip() + kept, any_spelling=any_spelling)
        if found:
            way = tuple(key.strip() for key in keys[len(keys) - many :])
            return [Column(header[index], index, way) for index in found]
    return []


def column_index(header: Sequence[str], column: str, flag: str) -> int:
    """Return the index of a required column.

    Raises:
        InputError: There is no such column, or several that differ from the name only in spelling.
    """
    found = _indexes(header, column.strip())
    if len(found) == 1:
        return found[0]
    raise absent(header, column, flag)


def absent(header: Sequence[str], column: str, flag: str) -> InputError:
    """Return the error for a missing column."""
    keyed = _KEYED.fullmatch(column)
    name = keyed[1] if keyed else column
    close = nearest(name, header)
    quoted = " or ".join(f'"{each}"' for each in close)
    hint = f"Did you mean {quoted}? " if close else ""
    return InputError(
        f'{flag} names the column "{name}", which is not in the file', f"{hint}It has: {listed(header)}."
    )


def argument(text: str) -> str:
    """Return text from a file quoted as one shell argument, which is safe to copy."""
    if not _MEANS_MORE.search(text):
        return f'"{text}"'
    import shlex

    return shlex.quote(text)


def listed(header: Sequence[str]) -> str:
    """Return the column names as one line, readable even if the file turns out not to be a table."""
    names = [
        shown(name) if not name.isidentifier() or len(name) > LONGEST_VALUE else name for name in header[:_LISTED]
    ]
    more = len(header) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _indexes(header: Sequence[str], name: str, *, any_spelling: bool = False) -> list[int]:
    exact = [index for index, column in enumerate(header) if name and column == name]
    if len(exact) > 1:
        raise InputError(
            f"two columns are called {shown(name)}: number {exact[0] + 1} and number {exact[1] + 1}",
            "rename one of them, or take it out",
        )
    if exact and not any_spelling:
        return exact
    key = folded(name)
    # Ignore the columns that we add: a failures file has `_status` beside the shop's own `Status`.
    alike = (index for index, column in enumerate(header) if key and folded(column) == key and column not in ADDED)
    return list(dict.fromkeys((*exact, *alike)))


def _single(source: AnySource) -> Column:
    assert isinstance(source, Column)
    return source
