"""The digest of a row in its file: that of the row and all rows before it.

If a file has only grown at its end, its rows keep their digests. Empty cells at the end of a row do not count,
since rows of JSON Lines get one more for each key that a later line adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b


class Digests:
    """Computes the digests of a file's rows, from its beginning."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)

    @property
    def current(self) -> bytes:
        """The digest of the last row that was added."""
        return self._digest.digest()

    def after(self, cells: Sequence[str]) -> bytes:
        """Add the next row, and return its digest."""
        length = len(cells)
        while length and not cells[length - 1].strip():
            length -= 1
        self._digest.update(json.dumps(cells[:length]).encode() + b"\n")
        return self.current


def rows_known(rows: Iterable[Sequence[str]], ends: set[bytes]) -> int:
    """Return the number of rows at the beginning of a file that were a whole file when it was sent before; else 0.

    Args:
        rows: The cells of the file's rows.
        ends: The digests of the last rows of files that were sent. If several match, the longest file counts.
    """
    digests = Digests()
    return max((number for number, cells in enumerate(rows, 1) if digests.after(cells) in ends), default=0)
