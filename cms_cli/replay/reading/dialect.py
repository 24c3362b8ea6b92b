"""Detects a file's delimiter from its header.

The header is read with each common delimiter, and only one reading may make sense. The rows are no evidence, since
those of a German file may have as many commas as semicolons. If several readings make sense, it is an error, and
the user has to name the delimiter.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cms_cli.replay.model import InputError
from cms_cli.replay.problems import shown
from cms_cli.replay.reading.encoding import hint_at_utf16
from cms_cli.replay.reading.lines import NUL_STAND_IN
from cms_cli.replay.reading.quotes import find_stray_quote

_CANDIDATES = (",", ";", "\t", "|")
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
# A first line by which Excel recognises the delimiter. Spreadsheets that save the file add empty cells to it.
_SEP_LINE = re.compile(r'"?sep=([^"\r\n])"?\1*[\r\n]*', re.IGNORECASE)
# The first line that PowerShell's Export-Csv writes.
_TYPE_LINE = re.compile(r'"?#TYPE ')
_COUNTED = "Count as an editor does, blank lines included."
# Characters; a header that is longer has a quote that is never closed.
_LONGEST_HEADER = 1 << 20
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))


class Head(NamedTuple):
    """The header of a file, and how it is written.

    Attributes:
        header: The names of the columns, without the white space around them, at least one. A column without a name
            has "" (pandas writes its index so), but not the last.
        delimiter: The delimiter of the cells.
        skip_spaces: Whether a cell is also quoted if spaces precede the quote (``"a", "b"``).
        lines: The number of lines up to the end of the header.
    """

    header: tuple[str, ...]
    delimiter: str
    skip_spaces: bool
    lines: int


class _Reading(NamedTuple):
    cells: list[str]
    lines: int


def delimiter_named(name: str) -> str:
    """Return the delimiter that a user named.

    Args:
        name: One character, or ``tab``, ``comma``, ``semicolon``, ``pipe`` or ``space``.

    Raises:
        InputError: The text cannot be a delimiter.
    """
    delimiter = _NAMES.get(name.strip().lower(), name)
    if len(delimiter) != 1 or delimiter.isalnum() or delimiter in '"\r\n\0':
        raise InputError(
            f"{shown(name)} cannot separate cells",
            "give one character such as ';', or tab, comma, semicolon, pipe",
        )
    return delimiter


def read_head(lines: Iterable[str], delimiter: str | None, header_line: int = 0) -> Head:
    """Read the lines up to the end of the header.

    Args:
        lines: The lines of the file, each with its line break.
        delimiter: The delimiter that the user gave, or None to detect it.
        header_line: The line of the header, from 1; 0 for the first line that is not blank.

    Raises:
        InputError: There is no header, it cannot be used, or its delimiter is ambiguous.
    """
    rest = iter(lines)
    number = 0
    for number, line in enumerate(rest, 1):
        text = line[1:] if line.startswith("\ufeff") else line
        sep = _SEP_LINE.fullmatch(text) if number == 1 else None
        if sep:
            delimiter = delimiter or delimiter_named(sep[1])
        elif number < header_line or (not header_line and _TYPE_LINE.match(text)):
            continue
        elif text.strip(f'{delimiter or ""},;|" \t\r\n\u00a0').strip():
            return _read_header(_Replay(text, rest), number - 1, delimiter)
        elif number == header_line:
            raise InputError(f"line {number} is empty, and --header-line says that it is the header", _COUNTED)
    if number and number < header_line:
        raise InputError(f"--header-line {header_line}: the file has {number} lines", _COUNTED)
    raise InputError("the file is empty", "it needs a first line with the names of its columns")


class _Replay:
    """Lines that are read from the file on demand, and can be iterated over several times."""

    def __init__(self, first: str, rest: Iterator[str]) -> None:
        self.seen = [first]
        self._rest = rest
        self._length = len(first)

    def __iter__(self) -> Iterator[str]:
        place = 0
        while True:
            if place == len(self.seen):
                line = next(self._rest, None)
                if line is None or self._length > _LONGEST_HEADER:
                    return
                self._length += len(line)
                self.seen.append(line)
            yield self.seen[place]
            place += 1


def _read_header(lines: _Replay, skipped: int, delimiter: str | None) -> Head:
    first = lines.seen[0]
    _refuse_other_formats(first)
    readings = {each: _reading(lines, each) for each in ((delimiter,) if delimiter else _CANDIDATES)}
    sound = {each: reading for each, reading in readings.items() if reading}
    broken = [each for each in readings if each not in sound]
    # If a quote is open with one delimiter, a reading in which the other delimiters do not occur is not better.
    if broken and all(len(reading.cells) == 1 for reading in sound.values()):
        stray = find_stray_quote(lines, skipped + 1, broken[0], skip_spaces=False)
        raise InputError(
            f"line {stray.line}: a quote in the header is not closed as it should be",
            "double the quotes inside a quoted name, or drop the stray one",
        )
    if delimiter is None:
        delimiter = _choose({each: reading.cells for each, reading in sound.items()})
    cells, count = sound[delimiter]
    spaced = _reading(lines, delimiter, skip_spaces=True)
    skip_spaces = spaced is not None and _bare(spaced.cells) != _bare(cells)
    if spaced is not None and skip_spaces:
        cells, count = spaced
    return Head(_checked(cells), delimiter, skip_spaces, skipped + count)


def _reading(lines: _Replay, delimiter: str, *, skip_spaces: bool = False) -> _Reading | None:
    """Return the header as read with a delimiter; None if its quotes are invalid then."""
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True, skipinitialspace=skip_spaces)
    try:
        return _Reading(next(reader), reader.line_num)
    except (csv.Error, StopIteration):
        return None


def _choose(readings: dict[str, list[str]]) -> str:
    """Return the only delimiter with which the header makes sense."""
    splitting = [each for each, cells in readings.items() if sum(1 for cell in cells if cell.strip()) > 1]
    if not splitting:
        # One column; prefer a delimiter that occurs, even if only empty cells follow.
        return max(readings, key=lambda each: len(readings[each]))
    if "\t" in splitting:
        return "\t"  # column names do not contain tabs
    # Commas that are followed by a space or inside brackets are prose: "amount (EUR, gross);currency".
    likely = [each for each in splitting if not _cuts_prose(readings[each])] or splitting
    if len(likely) == 1:
        return likely[0]
    raise InputError(
        "the header can be read in more than one way: "
        + "; ".join(f"with {shown(each)} it has {len(readings[each])} columns" for each in likely),
        f"say which is right, as in --delimiter '{likely[0]}'",
    )


def _bare(cells: list[str]) -> list[str]:
    return [cell.lstrip(" ") for cell in cells]


def _cuts_prose(cells: list[str]) -> bool:
    return all(cell.startswith(" ") for cell in cells[1:]) or any(
        cell.count(left) != cell.count(right) for cell in cells for left, right in _BRACKETS
    )


def _checked(cells: list[str]) -> tuple[str, ...]:
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _refuse_other_formats(line: str) -> None:
    if NUL_STAND_IN in line:
        raise InputError("the header holds NUL characters", hint_at_utf16(line.find(NUL_STAND_IN)))
    text = line.lstrip().lower()
    if text.startswith(("<!doctype", "<html", "<?xml")) or (text.startswith("<") and "</" in text):
        raise InputError("the file is a web page or XML, not CSV", "was it saved from a page that asks to sign in?")
    if re.match(r'\{\s*"|\[\s*[{\]]|\{\s*$', text):
        raise InputError("the file is JSON, not CSV", "JSON Lines, one object a line, is read with --from-jsonl")
