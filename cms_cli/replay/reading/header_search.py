"""Searches for a header that is not on the first line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import BinaryIO, Callable

from cms_cli.replay.model import InputError
from cms_cli.replay.reading.dialect import delimiter_named, read_head
from cms_cli.replay.reading.encoding import find_encoding
from cms_cli.replay.reading.lines import Lines

_LOOKED_AT = 50  # lines


def likely_header_line(
    stream: BinaryIO, encoding: str | None, delimiter: str | None, fitting: Callable[[Sequence[str]], int]
) -> int | None:
    """Return the number of the line with the most needed columns, if it has more than the first line; else None.

    Args:
        stream: The file, seekable.
        encoding: The encoding that the user gave, or None.
        delimiter: The delimiter that the user gave, or None.
        fitting: Returns the number of needed columns in a header.
    """
    lines = list(islice(Lines(stream, find_encoding(stream, encoding)), _LOOKED_AT))
    separator = delimiter_named(delimiter) if delimiter is not None else None
    best, found = 0, None
    for number in range(1, len(lines) + 1):
        try:
            header = read_head(lines, separator, number).header
        except InputError:
            continue
        if (count := fitting(header)) > best:
            best, found = count, number
    return found if found != 1 else None
