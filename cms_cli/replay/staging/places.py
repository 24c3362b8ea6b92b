"""The place of a row in its file: a digest of the row and all rows before it.

If a file has only grown at its end, its rows keep their places. Empty cells at the end of a row do not count, since
rows of JSON Lines get one more for each key that a later line adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b


class Places:
    """Computes the places of a file's rows, from its beginning."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)

    @property
    def current(self) -> bytes:
        """The place of the last row that was added."""
        return self._digest.digest()

    def after(self, cells: Sequence[str]) -> bytes:
        """Add the next row, and return its place."""
        length = len(cells)
        while length and not cells[length - 1].strip():
            length -= 1
        self._digest.update(json.dumps(cells[:length]).encode() + b"\n")
        return self.current


def rows_known(rows: Iterable[Sequence[str]], ends: set[bytes]) -> int:
    """Return the number of rows at the beginning of a file that were a whole file when it was sent before; else 0.

    Args:
        rows: The cells of the file's rows.
        ends: The places of the last rows of files that were sent. If several match, the longest file counts.
    """
    places = Places()
    return max((number for number, cells in enumerate(rows, 1) if places.after(cells) in ends), default=0)
