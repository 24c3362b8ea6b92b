"""Finds the faulty quote in a row that csv cannot read.

Cells are quoted with ``"``, and a quote inside a quoted cell is doubled. In a cell that does not begin with a
quote, quotes are text (``5" pipe``), as csv and Excel read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_SPACES = re.compile(" *")


class StrayQuote(NamedTuple):
    """A quote that leaves the end of its row unclear.

    Attributes:
        line: The line on which it opens a cell.
        end: The line on which a quote closes the cell although more text follows; 0 if it is never closed.
    """

    line: int
    end: int


def find_stray_quote(lines: Iterable[str], first: int, delimiter: str, *, skip_spaces: bool) -> StrayQuote:
    """Return the quote that makes a row unreadable, reading it as csv does.

    Args:
        lines: The lines from the first one of the row, each with its line break.
        first: The number of that line.
        delimiter: The delimiter of the cells.
        skip_spaces: Whether spaces may precede an opening quote.
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
    """Return True if a line that csv refuses is certainly a whole row, so that the next line begins another.

    This is so if the line has an even number of quotes, and no cell is open at its end even if text after a closing
    quote is read as part of the cell.
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
    # lstrip() would copy the rest of the line for each cell, which is slow for long lines with many cells.
    spaces = _SPACES.match(line, place)
    assert spaces is not None
    return spaces.end()
