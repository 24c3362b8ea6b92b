"""Splits a file's text into lines, as :mod:`csv` needs them and as editors count them.

A line ends with LF, CR LF or CR, and not with the other characters at which ``str.splitlines`` splits, since values
may contain those. Pieces of the file are split by :class:`io.StringIO` without Python code for each line, so this
takes no longer than csv needs with an open file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from cms_cli.replay.reading.encoding import Encoding, Text

NUL_STAND_IN = "\ufdd0"
"""The replacement for NUL, which csv refuses before Python 3.11: a code point that Unicode never assigns."""


class Lines:
    """The lines of a file from its beginning, each with its line break.

    Attributes:
        nul_seen: Whether a NUL was read; if so, lines may contain ``NUL_STAND_IN``.
    """

    def __init__(self, stream: BinaryIO, encoding: Encoding) -> None:
        """Start at the first line.

        Args:
            stream: The file, seekable. No other code may move it while the lines are read.
            encoding: The encoding of the file.
        """
        self.nul_seen = False
        self._text = Text(stream, encoding)
        self._piece = ""
        self._split = io.StringIO()

    def __iter__(self) -> Iterator[str]:
        """Return an iterator over the lines; this works only once.

        Raises:
            InputError: The file cannot be decoded.
        """
        return chain.from_iterable(self._pieces())

    def last(self) -> str:
        """Return the line that was read last, without its line break."""
        end = self._split.tell()
        for line_end in ("\r\n", "\n", "\r"):
            if self._piece.endswith(line_end, 0, end):
                end -= len(line_end)
                break
        return self._piece[max(self._piece.rfind("\n", 0, end), self._piece.rfind("\r", 0, end)) + 1 : end]

    def _pieces(self) -> Iterator[io.StringIO]:
        begun: list[str] = []  # the beginning of a line that continues in the next piece
        for text in self._text:
            if "\0" in text:
                self.nul_seen = True
                text = text.replace("\0", NUL_STAND_IN)  # noqa: PLW2901 - the text without a replacement is not needed
            # A CR at the end of the piece may be the first half of CR LF.
            end = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
            if end:
                yield self._lines_of("".join([*begun, text[:end]]))
                begun = [text[end:]]
            else:
                begun.append(text)
        rest = "".join(begun)
        if rest:
            yield self._lines_of(rest)

    def _lines_of(self, piece: str) -> io.StringIO:
        self._piece = piece
        self._split = io.StringIO(piece, newline="")
        return self._split
