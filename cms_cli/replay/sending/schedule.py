"""Which row goes next: file order, one row of a customer at a time, failed rows later. Pure but for its reads.

Memory is bounded by the rows in flight and set aside, not by the file: of the rows that wait behind another row of
their customer only the customer is remembered, and the journal is asked for the row when its turn comes.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from cms_cli.replay.journal.rowbook import PendingRow

CHUNK = 256
"""Rows read from the journal at a time."""


class Schedule:
    """The rows of a run that still have to be sent, in the order in which they may go."""

    def __init__(
        self,
        fetch: Callable[[int, int], list[PendingRow]],
        next_of_customer: Callable[[PendingRow, int], PendingRow | None],
        *,
        chunk: int = CHUNK,
    ) -> None:
        """Begin before the first row.

        Args:
            fetch: Gives the pending rows beyond a row number, so many at most, in order.
            next_of_customer: Gives the pending row that follows one of the same customer, up to a row number.
            chunk: How many rows are read at a time.
        """
        self._size = chunk
        self._fetch = fetch
        self._next_of_customer = next_of_customer
        self._cursor = 0
        self._exhausted = False
        self._chunk: deque[PendingRow] = deque()
        self._busy: set[int] = set()  # customers with a row in flight or set aside
        self._behind: set[int] = set()  # those of them for whom the cursor has passed over rows
        self._freed: list[tuple[int, PendingRow]] = []  # rows whose turn came after the cursor had passed them
        self._aside: list[tuple[float, int, PendingRow]] = []

    @property
    def aside(self) -> int:
        """How many rows have failed and wait for another attempt."""
        return len(self._aside)

    def take_again(self, now: float) -> PendingRow | None:
        """Give a row that was set aside and may go now, or None."""
        if self._aside and self._aside[0][0] <= now:
            return heapq.heappop(self._aside)[2]
        return None

    def take_fresh(self) -> PendingRow | None:
        """Give the next row that has not been given yet, or None. Its customer is busy until it is settled."""
        if self._freed:
            return heapq.heappop(self._freed)[1]
        while self._chunk or self._read():
            row = self._chunk.popleft()
            if row.customer in self._busy:
                self._behind.add(row.customer)
                continue
            self._busy.add(row.customer)
            return row
        return None

    def settled(self, row: PendingRow) -> None:
        """Note that a row has its outcome, which the journal shows already: its customer's next row may go."""
        if row.customer in self._behind:
            # A customer's rows are given in order, so none is left before this one.
            following = self._next_of_customer(row, self._cursor_row())
            if following is not None:
                heapq.heappush(self._freed, (following.row, following))
                return
            self._behind.discard(row.customer)
        self._busy.discard(row.customer)

    def set_aside(self, row: PendingRow, due: float) -> None:
        """Keep a row that failed for another attempt; its customer's other rows wait behind it."""
        heapq.heappush(self._aside, (due, row.row, row))

    def next_due(self) -> float | None:
        """Give the time at which the first row that was set aside may go, or None."""
        return self._aside[0][0] if self._aside else None

    def _cursor_row(self) -> int:
        """The last row that the cursor has passed; rows beyond it are still in the chunk or in the journal."""
        return self._chunk[0].row - 1 if self._chunk else self._cursor

    def _read(self) -> bool:
        if self._exhausted:
            return False
        rows = self._fetch(self._cursor, self._size)
        if len(rows) < self._size:
            self._exhausted = True
        if rows:
            self._cursor = rows[-1].row
            self._chunk.extend(rows)
        return bool(rows)
