"""Finds the end of a quoted cell, or the faulty quote if it has none.

Cells are quoted with ``"``, and a quote inside a quoted cell is doubled. A quote inside a cell that does not begin
with one is text (``5" pipe``), as it is for csv and for Excel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_SPACES = re.compile(" *")


class StrayQuote(NamedTuple):
    """A quote that makes the end of its row unknown.

    Attributes:
        line: The line that it opens a cell on.
        end: The line on which that cell closes in the middle of text, or 0 if it never closes.
    """

    line: int
    end: int


def find_stray_quote(lines: Iterable[str], first: int, delimiter: str, *, skip_spaces: bool) -> StrayQuote:
    """Return the quote that breaks a row, read the way csv reads.

    Args:
        lines: The lines from the row's first one on, each with its line end.
        first: The number of that line.
        delimiter: Between cells.
        skip_spaces: Whether spaces may stand before an opening quote.
    """
    opened = first
    quoted = False
    for number, line in enumerate(lines, first):
        place = 0
        while place >= 0:
            if not quoted:
                if skip_spaces:
                    place = _past_spaces(line, place)
                quoted = line.startswith('"', place)
                if quoted:
                    opened = number
                    place += 1
                    continue
                place = line.find(delimiter, place) + 1 or -1
                continue
            place = line.find('"', place) + 1 or -1
            if place < 0:
                break
            after = line[place : place + 1]
            if after == '"':
                place += 1
            elif after == delimiter:
                quoted = False
                place += 1
            elif after in ("", "\r", "\n"):
                quoted = False
                place = -1
            else:
                return StrayQuote(opened, number)
    return StrayQuote(opened, 0)


def ends_unquoted(line: str, delimiter: str, *, skip_spaces: bool) -> bool:
    """Return True if a line that csv refuses is a row of its own, so that the next line begins the next row.

    It is when its quotes come in pairs, and when no cell is open at its end for a reader that takes text after a
    closing quote as more of the cell.
    """
    if line.count('"') % 2:
        return False
    place = 0
    while True:
        if skip_spaces:
            place = _past_spaces(line, place)
        if line.startswith('"', place):
            place += 1
            while True:
                place = line.find('"', place) + 1
                if not place:
                    return False
                if not line.startswith('"', place):
                    break
                place += 1
        place = line.find(delimiter, place) + 1
        if not place:
            return True


def _past_spaces(line: str, place: int) -> int:
    # Without a copy of the rest: a line may be long, and have a cell at every other place.
    spaces = _SPACES.match(line, place)
    assert spaces is not None
    return spaces.end()
