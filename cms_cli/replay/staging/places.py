"""The place of a row in its file: a running digest of all rows up to it.

Rows of a file that has only grown at its end keep their places. Empty cells at a row's end do not count: a file of
JSON Lines has one more for each key that a later line brings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b


class Places:
    """The places of a file's rows, from its beginning."""

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=16)

    @property
    def current(self) -> bytes:
        """The place of the last row that was passed."""
        return self._digest.digest()

    def after(self, cells: Sequence[str]) -> bytes:
        """Pass a row, and return its place."""
        length = len(cells)
        while length and not cells[length - 1].strip():
            length -= 1
        self._digest.update(json.dumps(cells[:length]).encode() + b"\n")
        return self.current


def rows_known(rows: Iterable[Sequence[str]], ends: set[bytes]) -> int:
    """Return the number of rows at the beginning of a file that were sent as a whole file before; 0 if none.

    If several files match, the longest one counts.
    """
    places = Places()
    return max((number for number, cells in enumerate(rows, 1) if places.after(cells) in ends), default=0)
