"""The columns that an event's fields are read from: by name, or as ``--map FIELD=COLUMN`` gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Union

from cms_cli.nearest import nearest
from cms_cli.replay.model import ADDED, InputError
from cms_cli.replay.problems import LONGEST_VALUE, shown
from cms_cli.replay.values import cells as cell_texts
from cms_cli.replay.values.cells import GUARDS
from cms_python import LEAD_FIELDS, SALE_FIELDS, EventKind, Field

_KEYED = re.compile(r"(.+?)((?:\[[^\[\]]+\])+)")
_KEY = re.compile(r"\[([^\[\]]+)\]")
# What a shell expands between double quotes.
_MEANS_MORE = re.compile(r'["$`\\]|!(?!=)')
_LISTED = 100  # columns


class Source(NamedTuple):
    """The possible sources of one value.

    Attributes:
        column: The header of the column.
        place: Its place in the row.
        keys: The way to the value within the cell, one key a level; empty for the whole cell.
    """

    column: str
    place: int
    keys: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The source as ``--map`` writes it."""
        return self.column + "".join(f"[{key}]" for key in self.keys)

    def read(self, cells: Sequence[str]) -> str:
        """Return the value, without the white space around it; "" if there is none."""
        text = cells[self.place].strip()
        if text[:1] in GUARDS:
            text = cell_texts.bare(text)
        for key in self.keys:
            text = cell_texts.value_in(text, key) if text else ""
        return text


class Joined(NamedTuple):
    """Several columns that make one value: a date and a time of day, a first name and a last name.

    Attributes:
        parts: The sources of its parts, in order.
    """

    parts: tuple[Source, ...]

    @property
    def column(self) -> str:
        """The headers of its columns."""
        return " + ".join(part.column for part in self.parts)

    @property
    def label(self) -> str:
        """The source as people read it."""
        return " + ".join(part.label for part in self.parts)

    def read(self, cells: Sequence[str]) -> str:
        """Return the parts joined by a space; one that begins with the date before it stands for both.

        (Gumroad's column for the time of day holds the date once more. A person may well be called Ali Ali.)
        """
        text = ""
        for part in self.parts:
            more = part.read(cells)
            again = text[:1].isdigit() and (more == text or more.startswith((f"{text} ", f"{text}T")))
            text = more if again else f"{text} {more}".strip()
        return text


AnySource = Union[Source, Joined]

Expression = Union[str, "tuple[str, ...]"]
"""A column expression without fallbacks: ``COLUMN``, ``COLUMN[key]``, or a tuple of those that make one value."""


def fields_of(kind: EventKind) -> Mapping[str, Field]:
    """Return the fields of a kind of event by Python name."""
    return LEAD_FIELDS if kind is EventKind.LEAD else SALE_FIELDS


folded = cell_texts.folded


def field_named(fields: Mapping[str, Field], name: str, what: str) -> str:
    """Return the Python name of a field that may be written in any of its spellings.

    Args:
        fields: Those to look among.
        name: The name as somebody wrote it.
        what: The kind of event that has these fields: ``a sale``.

    Raises:
        InputError: There is no such field.
    """
    wanted = folded(name)
    for field in fields.values():
        if wanted in (folded(field.name), folded(field.wire)):
            return field.name
    close = nearest(name, fields)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"{what.capitalize()} has: {', '.join(fields)}."
    raise InputError(f'{what} has no field "{name}"', hint)


def by_name(fields: Mapping[str, Field], header: Sequence[str], name: str) -> tuple[Source, ...]:
    """Return the column with a field's name; nothing if there is none.

    Raises:
        InputError: Two are.
    """
    wanted = {folded(name), folded(fields[name].wire)}
    found = [place for place, column in enumerate(header) if folded(column) in wanted]
    if len(found) > 1:
        columns = " and ".join(f'"{header[place]}"' for place in found)
        raise InputError(
            f"columns {columns} both look like {name}", f"Say which: --map {argument(f'{name}={header[found[0]]}')}"
        )
    return tuple(Source(header[place], place) for place in found)


def every(header: Sequence[str], expression: str, wanted_by: str) -> tuple[AnySource, ...]:
    """Find the columns of ``A|B[key]`` or ``A+B``, each of which has to be there.

    Args:
        header: The file's column names. One that is the very expression is meant by it.
        expression: The expression as written.
        wanted_by: The flag or key that it comes from, for messages: ``--map amount``.

    Raises:
        InputError: A column is not there, or none is named.
    """
    sources: list[AnySource] = []
    for text in [expression] if expression in header else _split(header, expression, "|"):
        if not text.strip():
            raise InputError(f"{wanted_by}={expression} names an empty column", "Write it as COLUMN, or as A|B.")
        parts = [text] if "+" not in text or like(header, text) else _split(header, text, "+")
        found = [_only(header, part, wanted_by) for part in parts]
        sources.append(found[0] if len(found) == 1 else Joined(tuple(map(_single, found))))
    return tuple(sources)


def _only(header: Sequence[str], text: str, wanted_by: str) -> AnySource:
    found = like(header, text)
    if len(found) > 1:
        columns = " and ".join(f'"{source.column}"' for source in found)
        raise InputError(
            f'{wanted_by} names the column "{text.strip()}", which may be {columns}',
            "Write it exactly as in the file.",
        )
    if not found:
        raise absent(header, text.strip(), wanted_by)
    return found[0]


def _split(header: Sequence[str], text: str, separator: str) -> list[str]:
    """Split an expression; a column's name that holds the separator stays whole, the longest name first."""
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
    """Return True if a text begins with a name, and not with a longer one."""
    return text.startswith(name) and text[len(name) :].lstrip()[:1] in ("", "[", "|", separator)


def like(header: Sequence[str], expression: Expression, *, any_spelling: bool = False) -> list[AnySource]:
    """Return the columns that an expression may mean: the exact name, else all that differ only in spelling.

    Spelling is letter case, blanks, ``-`` and ``_``. A name goes before the same text taken as ``COLUMN[key]``.

    Args:
        header: The file's column names.
        expression: The expression as written.
        any_spelling: Give the others too, after the very name.
    """
    if not isinstance(expression, str):
        parts = [like(header, part) for part in expression]
        return [Joined(tuple(_single(found[0]) for found in parts))] if all(parts) else []
    text = expression.strip()
    found = _places(header, text, any_spelling=any_spelling)
    if found:
        return [Source(header[place], place) for place in found]
    keyed = _KEYED.fullmatch(text)
    if not keyed:
        return []
    keys = _KEY.findall(keyed[2])
    # The longest name first: of `meta[x][y]` the column may be called `meta[x]`.
    for many in range(1, len(keys) + 1):
        kept = "".join(f"[{key}]" for key in keys[: len(keys) - many])
        found = _places(header, keyed[1].rstrip() + kept, any_spelling=any_spelling)
        if found:
            way = tuple(key.strip() for key in keys[len(keys) - many :])
            return [Source(header[place], place, way) for place in found]
    return []


def column_index(header: Sequence[str], column: str, wanted_by: str) -> int:
    """Return the index of a required column.

    Raises:
        InputError: There is none, or several that differ from the name in spelling only.
    """
    found = _places(header, column.strip())
    if len(found) == 1:
        return found[0]
    raise absent(header, column, wanted_by)


def absent(header: Sequence[str], column: str, wanted_by: str) -> InputError:
    """Return the error for a missing column."""
    keyed = _KEYED.fullmatch(column)
    wanted = keyed[1] if keyed else column
    close = nearest(wanted, header)
    quoted = " or ".join(f'"{each}"' for each in close)
    hint = f"Did you mean {quoted}? " if close else ""
    return InputError(
        f'{wanted_by} names the column "{wanted}", which is not in the file', f"{hint}It has: {listed(header)}."
    )


def argument(text: str) -> str:
    """Quote text from a file as one shell argument that is safe to copy."""
    if not _MEANS_MORE.search(text):
        return f'"{text}"'
    import shlex

    return shlex.quote(text)


def listed(header: Sequence[str]) -> str:
    """Return the column names as one line of text, readable even where the file is of another kind."""
    names = [
        shown(name) if not name.isidentifier() or len(name) > LONGEST_VALUE else name for name in header[:_LISTED]
    ]
    more = len(header) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _places(header: Sequence[str], name: str, *, any_spelling: bool = False) -> list[int]:
    exact = [place for place, column in enumerate(header) if name and column == name]
    if len(exact) > 1:
        raise InputError(
            f"two columns are called {shown(name)}: number {exact[0] + 1} and number {exact[1] + 1}",
            "rename one of them, or take it out",
        )
    if exact and not any_spelling:
        return exact
    wanted = folded(name)
    # Not a column of ours: a file of failures has a `_status` beside the shop's own `Status`.
    alike = (
        place for place, column in enumerate(header) if wanted and folded(column) == wanted and column not in ADDED
    )
    return list(dict.fromkeys((*exact, *alike)))


def _single(source: AnySource) -> Source:
    assert isinstance(source, Source)
    return source
