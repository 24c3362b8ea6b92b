"""Searches for the line of the header if the first line is none."""

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
    """Return the line with more of the needed columns than the first one; None if none has more.

    Args:
        stream: The file, seekable.
        encoding: The user's word, or None.
        delimiter: The user's word, or None.
        fitting: Counts the columns that are looked for in a header.
    """
    lines = list(islice(Lines(stream, find_encoding(stream, encoding)), _LOOKED_AT))
    wanted = delimiter_named(delimiter) if delimiter is not None else None
    best, found = 0, None
    for number in range(1, len(lines) + 1):
        try:
            header = read_head(lines, wanted, number).header
        except InputError:
            continue
        if (count := fitting(header)) > best:
            best, found = count, number
    return found if found != 1 else None
