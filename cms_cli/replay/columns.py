"""Which columns an event's fields are read from: by name, or as ``--map FIELD=COLUMN`` says."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from cms_cli.replay.model import InputError
from cms_python import LEAD_FIELDS, SALE_FIELDS, EventKind, Field

_KEYED = re.compile(r"(.+?)\[([^\[\]]+)\]")
_NOISE = re.compile(r"[\s_-]+")


class Source(NamedTuple):
    """Where one value may come from.

    Attributes:
        column: The header of the column.
        place: Its place in the row.
        key: The key of the value within the cell, or "" for the whole cell.
    """

    column: str
    place: int
    key: str

    def read(self, cells: Sequence[str]) -> str:
        """Give the value, without the white space around it; "" where there is none."""
        cell = cells[self.place].strip()
        return cell if not self.key or not cell else _value_in(cell, self.key)


def fields_of(kind: EventKind) -> Mapping[str, Field]:
    """Give the fields of a kind of event by Python name."""
    return LEAD_FIELDS if kind is EventKind.LEAD else SALE_FIELDS


def folded(name: str) -> str:
    """Give a name as it is compared: letter case, spaces, ``-`` and ``_`` aside."""
    return _NOISE.sub("", name).casefold()


def find_sources(
    kind: EventKind, header: Sequence[str], mapping: Sequence[tuple[str, str]]
) -> dict[str, tuple[Source, ...]]:
    """Find the columns of every field that has some.

    Args:
        kind: Lead or sale.
        header: The file's column names.
        mapping: Pairs of a field's name and a column expression, ``A|B[key]``. A field that is not among them is
            looked for under its own name.

    Returns:
        By Python name, the sources in the order in which they are tried.

    Raises:
        InputError: The mapping names a field or a column that is not there, or two columns claim one field.
    """
    fields = fields_of(kind)
    sources: dict[str, tuple[Source, ...]] = {}
    for name, expression in mapping:
        field = field_named(kind, name)
        if field in sources:
            raise InputError(f"--map names {field} twice", f"Write --map '{field}=A|B' to try several columns.")
        sources[field] = _parse(field, expression, header)
    by_folded: dict[str, list[int]] = {}
    for index, column in enumerate(header):
        by_folded.setdefault(folded(column), []).append(index)
    for name, own in fields.items():
        if name in sources:
            continue
        found = sorted({index for key in (folded(name), folded(own.wire)) for index in by_folded.get(key, ())})
        if len(found) > 1:
            columns = " and ".join(f'"{header[index]}"' for index in found)
            raise InputError(
                f"columns {columns} both look like {name}", f'Say which: --map "{name}={header[found[0]]}"'
            )
        if found:
            sources[name] = (Source(header[found[0]], found[0], ""),)
    return sources


def field_named(kind: EventKind, name: str) -> str:
    """Give the Python name of a field that may be written in any of its spellings.

    Raises:
        InputError: There is no such field.
    """
    fields = fields_of(kind)
    wanted = folded(name)
    for field in fields.values():
        if wanted in (folded(field.name), folded(field.wire)):
            return field.name
    close = difflib.get_close_matches(name.replace("-", "_"), fields, 1)
    hint = f"Did you mean {close[0]}?" if close else f"A {kind.value} has: {', '.join(fields)}."
    raise InputError(f'a {kind.value} has no field "{name}"', hint)


def column_index(header: Sequence[str], column: str, wanted_by: str) -> int:
    """Give the place of a column: an exact name, else one that differs in letter case and blanks only.

    Raises:
        InputError: There is none.
    """
    if column in header:
        return header.index(column)
    alike = [index for index, name in enumerate(header) if folded(name) == folded(column)]
    if len(alike) == 1:
        return alike[0]
    close = difflib.get_close_matches(column, header, 1, 0.5)
    hint = f'Did you mean "{close[0]}"? ' if close else ""
    raise InputError(
        f'{wanted_by} names the column "{column}", which is not in the file', f"{hint}It has: {listed(header)}."
    )


def listed(header: Sequence[str]) -> str:
    """Give the column names as one line of text."""
    return ", ".join(f'"{name}"' if not name.isidentifier() else name for name in header)


def lacking(kind: EventKind, header: Sequence[str], missing: Sequence[str]) -> InputError:
    """Give the error for a header that leaves required fields without a source, with the likely ``--map``."""
    unused = [name for name in header if folded(name)]
    suggestions = []
    for name in missing:
        close = difflib.get_close_matches(folded(name), [folded(column) for column in unused], 1, 0.5)
        if close:
            column = next(column for column in unused if folded(column) == close[0])
            suggestions.append(f'--map "{name}={column}"')
        elif name == "event_name":
            default = "purchase_completed" if kind is EventKind.SALE else "signup_started"
            suggestions.append(f"--event-name {default}")
        elif name == "currency":
            suggestions.append("--currency USD")
        else:
            suggestions.append(f'--map "{name}=COLUMN"')
    return InputError(
        f"no column for {', '.join(missing)}; the file has: {listed(header)}",
        f"Say where they are, for example: {' '.join(suggestions)}",
    )


def _parse(field: str, expression: str, header: Sequence[str]) -> tuple[Source, ...]:
    # A column may have the very name of an expression; then it is meant.
    parts = [expression] if expression in header else expression.split("|")
    sources = []
    for part in parts:
        text = part.strip()
        if not text:
            raise InputError(f"--map {field}={expression} names an empty column", f"Write --map {field}=COLUMN.")
        keyed = None if text in header else _KEYED.fullmatch(text)
        column, key = (keyed[1], keyed[2]) if keyed else (text, "")
        index = column_index(header, column, f"--map {field}")
        sources.append(Source(header[index], index, key))
    return tuple(sources)


def _value_in(cell: str, key: str) -> str:
    """Pick one value out of a cell of ``key: value`` lines, a JSON object or a URL's query."""
    readers: tuple[Callable[[str, str], str | None], ...] = (_in_json, _in_query, _in_lines)
    for reader in readers:
        value = reader(cell, key)
        if value is not None:
            return value.strip()
    return ""


def _in_json(cell: str, key: str) -> str | None:
    if not cell.startswith("{"):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    found = _by_folded_key(value, key) if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        return None
    return str(found)


def _in_query(cell: str, key: str) -> str | None:
    if "?" not in cell or "\n" in cell:
        return None
    try:
        query = urlsplit(cell).query
    except ValueError:
        return None
    values = parse_qs(query).get(key)
    # A click replaces the one before it: last click wins.
    return values[-1] if values else None


def _in_lines(cell: str, key: str) -> str | None:
    pairs: dict[str, object] = {}
    for line in re.split(r"[\r\n]+", cell):
        name, colon, value = line.partition(":")
        if colon:
            pairs.setdefault(name.strip(), value)
    found = _by_folded_key(pairs, key)
    return found if isinstance(found, str) else None


def _by_folded_key(values: Mapping[str, object], key: str) -> object:
    if key in values:
        return values[key]
    return next((value for name, value in values.items() if folded(str(name)) == folded(key)), None)
