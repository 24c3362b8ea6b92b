"""Reads JSON Lines as rows of text: each line is an object, and its keys are the columns.

* A first pass collects the header: every key of the file, in order of first appearance. If a line lacks a key, its
  cell is empty.
* A string is the cell's text. A number keeps its digits and never becomes a float. ``null`` is empty. An object or
  array is its own JSON text, for ``COLUMN[key]``.
* Blank lines and objects without a value are ignored. A line is a problem if it is not an object, has a key twice,
or
  contains a lone surrogate; so is a line of a failures file that still has surplus cells.

Memory depends only on the longest line and the number of different keys.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from json.decoder import JSONDecoder
from typing import Any, BinaryIO, NoReturn

from cms_cli.replay.model import SURPLUS, InputError, RowProblem, SourceRow
from cms_cli.replay.problems import shown
from cms_cli.replay.reading.encoding import Encoding, find_encoding, hint_at_utf16
from cms_cli.replay.reading.lines import NUL_STAND_IN, Lines
from cms_cli.replay.reading.rows import Table

_MOST_KEYS = 10_000
_BLANK = re.compile(r"[ \t\r\n]*")
_LONE = re.compile("[\ud800-\udfff]")
_ROWS = ("data", "results", "items", "orders", "records", "rows", "charges", "payments", "transactions", "invoices")
"""The keys that typically hold the rows in a service's answer."""
_BESIDE_ROWS = frozenset(
    (
        *(
            "object",
            "url",
            "has_more",
            "next",
            "previous",
            "next_page",
            "next_cursor",
            "cursor",
            "page",
            "per_page",
        ),
        *("count", "total", "total_count", "limit", "offset", "links", "meta", "pagination"),
    )
)
_LIST_OF_ROWS = re.compile(rf'\s*"({"|".join(_ROWS)})"\s*:\s*\[\s*(?:\{{.*)?')
_HEAD = 100  # the first lines of a JSON document, in which the key of its rows is searched
_HINT = 'one JSON object a line, as in {"amount": 4999, "currency": "USD"}'
_HINT_AT_CSV = f"{_HINT}; a table is read with --from-csv"


class _Pairs(list[Any]):
    """The members of an object in order, with repeated keys."""


class _BadLineError(Exception):
    """Raised for a line that is not a row, with the code and message of its problem."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def open_lines(stream: BinaryIO, *, encoding: str | None = None, header: tuple[str, ...] | None = None) -> Table:
    """Open a file of JSON Lines, and collect its keys.

    Args:
        stream: The file, seekable; no other code may move it while the table is iterated over.
        encoding: The encoding that the user gave, or None for that of the byte order mark, else UTF-8.
        header: The keys, if an earlier pass has collected them.

    Raises:
        InputError: The file cannot be decoded, has no object, or is JSON in another form.
    """
    found = find_encoding(stream, encoding)
    return _JsonTable(stream, found, _keys_of(stream, found) if header is None else header)


class _JsonTable:
    def __init__(self, stream: BinaryIO, encoding: Encoding, header: tuple[str, ...]) -> None:
        self._stream = stream
        self._encoding = encoding
        self.header = header
        self.encoding = encoding.name
        self.delimiter = ""
        self.footers: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[SourceRow | RowProblem]:
        indexes = {key: index for index, key in enumerate(self.header)}
        nothing = [""] * len(indexes)
        row = 0
        for number, line in _lines(self._stream, self._encoding):
            try:
                pairs = _pairs(line)
            except _BadLineError as bad:
                row += 1
                # The line itself follows as a surplus cell, so that a failures file contains it.
                cells = [*nothing, _LONE.sub("\ufffd", line)]
                yield RowProblem.of(row, number, cells, None, bad.code, bad.message, _HINT)
                continue
            cells = nothing.copy()
            for key, cell in pairs:
                cells[indexes[key]] = cell
            surplus = _surplus(cells[indexes[SURPLUS]]) if SURPLUS in indexes else []
            if surplus:
                row += 1
                cells += surplus
                message = f"still has what did not fit its row, as {SURPLUS}"
                hint = f"put that where it belongs, and take {SURPLUS} out"
                yield RowProblem.of(row, number, cells, None, "surplus", message, hint)
            elif any(map(str.strip, cells)):
                row += 1
                yield SourceRow(row, number, cells)


def _keys_of(stream: BinaryIO, encoding: Encoding) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    objects = 0
    only: list[tuple[str, str]] = []
    bad: _BadLineError | None = None
    first, begins = 0, ""
    for number, line in _lines(stream, encoding):
        try:
            pairs = _pairs(line)
        except _BadLineError as error:
            if bad is None:
                bad, first, begins = error, number, line[0]
            if not objects and "\0" in line:
                raise InputError(f"line {number} holds NUL characters", hint_at_utf16(line.find("\0"))) from None
            if not objects and (line[0] == "[" or line == "{"):
                raise _other_json(line[0], stream, encoding) from None
            continue
        if not objects:
            only = pairs
        objects += 1
        keys.update((key, None) for key, _ in pairs)
        if len(keys) > _MOST_KEYS:
            raise InputError(
                f"line {number}: the objects have more than {_MOST_KEYS:,} different keys",
                "keys that are data (an id for each) belong into a value",
            )
    if not objects and bad is not None:
        raise InputError(f"line {first}: {bad.message}", _HINT if begins in "{[" else _HINT_AT_CSV)
    if not keys:
        raise InputError("the file is empty", _HINT)
    rows = _rows_within(only) if objects == 1 else ""
    if rows:
        raise InputError(
            f'the file is one JSON document with its rows under "{rows}", not JSON Lines', _one_a_line(f".{rows}[]")
        )
    return tuple(keys)


def _other_json(begin: str, stream: BinaryIO, encoding: Encoding) -> InputError:
    """Return the error for another form of JSON, with a jq command that converts it."""
    if begin == "[":
        return InputError("the file is a JSON array, not JSON Lines", _one_a_line(".[]"))
    head = (_LIST_OF_ROWS.fullmatch(line) for _, line in islice(_lines(stream, encoding), _HEAD))
    rows = next((f".{found[1]}[]" for found in head if found), ".")
    return InputError("the file is JSON over several lines, not JSON Lines", _one_a_line(rows))


def _one_a_line(rows: str) -> str:
    return f"write one object a line: jq -c '{rows}' FILE"


def _rows_within(pairs: list[tuple[str, str]]) -> str:
    """Return the key that holds the rows if the only object of a file is a whole document; "" if it is a row."""
    lists = [key for key, cell in pairs if key in _ROWS and re.match(r"\[\s*\{", cell)]
    beside = {key for key, _ in pairs} - set(lists)
    return lists[0] if len(lists) == 1 and beside <= _BESIDE_ROWS else ""


def _lines(stream: BinaryIO, encoding: Encoding) -> Iterator[tuple[int, str]]:
    lines = Lines(stream, encoding)
    for number, line in enumerate(lines, 1):
        text = line.strip(" \t\r\n")
        if text:
            # Restore NULs, so that JSON with a NUL is refused.
            yield number, text.replace(NUL_STAND_IN, "\0") if lines.nul_seen else text


def _pairs(line: str) -> list[tuple[str, str]]:
    """Return the keys and cells of a line.

    Raises:
        _BadLineError: The line is not a row.
    """
    try:
        members = _VALUES.decode(line)
    except RecursionError:
        raise _BadLineError("not_json", "is nested too deeply") from None
    except ValueError as error:
        what = getattr(error, "msg", str(error))
        raise _BadLineError("not_json", f"{shown(line)} is not JSON: {what}") from None
    if not isinstance(members, _Pairs):
        raise _BadLineError("not_an_object", f"{shown(line)} is JSON, but no object")
    if len(dict(members)) < len(members):
        seen = Counter(key for key, _ in members)  # in the order of the line
        twice = next(key for key, times in seen.items() if times > 1)
        raise _BadLineError("key_twice", f"has the key {shown(twice)} twice")
    nested = any(isinstance(value, (list, _Pairs)) for _, value in members)
    pairs = _as_written(line) if nested else [(key, _cell(value)) for key, value in members]
    if not line.isascii() or "\\u" in line or "\\U" in line:
        for key, cell in pairs:
            if _LONE.search(key) or _LONE.search(cell):
                raise _BadLineError("not_text", f"{shown(_LONE.sub('?', key))} holds half of a surrogate pair")
    return pairs


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else "true" if value is True else "false"


def _surplus(cell: str) -> list[str]:
    """Return the surplus cells that a failures file has under its key for them."""
    try:
        found = json.loads(cell, parse_float=str, parse_int=str) if cell.startswith("[") else []
    except (ValueError, RecursionError):  # not written by us
        return []
    return found if all(isinstance(each, str) for each in found) else []


def _as_written(line: str) -> list[tuple[str, str]]:
    """Return the keys and cells of an object, with nested objects as they are written in the line.

    Args:
        line: A line that was decoded before, so that it is valid JSON.
    """
    pairs = []
    at = _skip(line, line.index("{") + 1)
    while line[at] != "}":
        key, at = _VALUES.raw_decode(line, at)
        begin = _skip(line, _skip(line, at) + 1)  # past the colon
        value, at = _VALUES.raw_decode(line, begin)
        pairs.append((key, line[begin:at] if isinstance(value, list) else _cell(value)))
        at = _skip(line, at)
        if line[at] == ",":
            at = _skip(line, at + 1)
    return pairs


def _skip(line: str, at: int) -> int:
    blank = _BLANK.match(line, at)
    assert blank is not None
    return blank.end()


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


_VALUES = JSONDecoder(object_pairs_hook=_Pairs, parse_float=str, parse_int=str, parse_constant=_no_number)
