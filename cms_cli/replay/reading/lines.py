"""A file's text as lines, the way :mod:`csv` wants them, and as an editor counts them.

A line ends with LF, CR LF or CR, and with nothing else: not with the other characters that ``str.splitlines``
splits at, which stand inside values. :class:`io.StringIO` splits the pieces of the file, so that no Python code
runs for a line: reading this way takes no longer than csv over an open file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from cms_cli.replay.reading.encoding import Encoding, Text

NUL_STAND_IN = "\ufdd0"
"""Stands for NUL, which csv refuses before Python 3.11: a code point to which Unicode never gives a meaning."""


class Lines:
    """The lines of a file, from its beginning, each with its line end."""

    def __init__(self, stream: BinaryIO, encoding: Encoding) -> None:
        """Begin at the first line.

        Args:
            stream: The file, seekable. Nobody else may move it while the lines are read.
            encoding: Of the file.
        """
        #: Whether a NUL was read; from then on lines may hold NUL_STAND_IN.
        self.nul_seen = False
        self._text = Text(stream, encoding)
        self._piece = ""
        self._split = io.StringIO()

    def __iter__(self) -> Iterator[str]:
        """Yield the lines, once.

        Raises:
            InputError: For bytes that cannot be decoded.
        """
        return chain.from_iterable(self._pieces())

    def last(self) -> str:
        """The line that was read last, without its line end."""
        end = self._split.tell()
        for line_end in ("\r\n", "\n", "\r"):
            if self._piece.endswith(line_end, 0, end):
                end -= len(line_end)
                break
        return self._piece[max(self._piece.rfind("\n", 0, end), self._piece.rfind("\r", 0, end)) + 1 : end]

    def _pieces(self) -> Iterator[io.StringIO]:
        begun: list[str] = []  # A line whose end has not come yet.
        for text in self._text:
            if "\0" in text:
                self.nul_seen = True
                text = text.replace("\0", NUL_STAND_IN)  # noqa: PLW2901 - nobody wants the other one any more
            # A CR at the end of the piece may be half of a CR LF.
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
