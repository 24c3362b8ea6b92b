"""Decides which row is sent next: in file order, one row of a customer at a time, failed rows again later.

Memory depends on the number of rows in flight and set aside, not on the file. For rows that wait behind another row
of their customer, only the customer is kept in memory; the row is read from the journal when its turn comes.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable

from cms_cli.replay.journal.rows import PendingRow

CHUNK = 256
"""The number of rows to read from the journal at a time."""

_MOST_ASIDE = 1000  # with this many rows set aside, no new ones are taken, so that memory stays flat


class Schedule:
    """The pending rows of a run, in the order in which they may be sent."""

    def __init__(
        self,
        fetch: Callable[[int, int], list[PendingRow]],
        next_of_customer: Callable[[PendingRow, int], PendingRow | None],
        limit: int | None = None,
        *,
        chunk: int = CHUNK,
    ) -> None:
        """Start at the first row.

        Args:
            fetch: Takes a row number and a count; returns up to so many pending rows after that row, in file order.
            next_of_customer: Takes a row and a row number; returns the next pending row of the row's customer up to
                that number, or None.
            limit: The most rows to send in this invocation, or None.
            chunk: The number of rows to read at a time.
        """
        self._size = chunk
        self._fetch = fetch
        self._next_of_customer = next_of_customer
        self._limit = limit
        self._cursor = 0
        self._exhausted = False
        self._chunk: deque[PendingRow] = deque()
        self._busy: set[int] = set()  # customers with a row that was taken and is not settled
        self._behind: set[int] = set()  # busy customers with further rows before the cursor
        self._freed: list[tuple[int, PendingRow]] = []  # rows before the cursor that may be sent now
        self._aside: list[tuple[float, int, PendingRow]] = []  # by the time at which they are due
        self._unsent: set[int] = set()  # rows that were taken and not sent yet
        self._sent = 0

    @property
    def aside(self) -> int:
        """The number of rows that wait for another attempt."""
        return len(self._aside)

    @property
    def limit_reached(self) -> bool:
        """True if no further row may be taken."""
        return self._limit is not None and self._sent + len(self._unsent) >= self._limit

    def take(self, now: float, *, fresh_first: bool = False) -> PendingRow | None:
        """Return the next row that may be sent now, or None. Its customer's other rows wait until it is settled.

        Args:
            now: The time in epoch seconds.
            fresh_first: Whether to prefer a row that has not failed yet to those that were set aside.
        """
        row = self._take_fresh() if fresh_first else None
        if row is None and self._aside and self._aside[0][0] <= now:
            row = heapq.heappop(self._aside)[2]
        return row or self._take_fresh()

    def sent(self, row: PendingRow) -> None:
        """Count a row towards the limit, because it is sent."""
        if row.row in self._unsent:
            self._unsent.discard(row.row)
            self._sent += 1

    def settled(self, row: PendingRow) -> None:
        """Release the next row of this row's customer."""
        self._unsent.discard(row.row)
        if row.customer in self._behind:
            # The customer's rows are taken in order, so the next one comes after this one.
            following = self._next_of_customer(row, self._cursor_row())
            if following is not None:
                heapq.heappush(self._freed, (following.row, following))
                return
            self._behind.discard(row.customer)
        self._busy.discard(row.customer)

    def set_aside(self, row: PendingRow, due: float) -> None:
        """Keep a row until it is due; its customer's other rows wait for it."""
        heapq.heappush(self._aside, (due, row.row, row))

    def leave_pending(self, row: PendingRow) -> None:
        """Leave a row, and the other rows of its customer, to another invocation."""
        self._unsent.discard(row.row)

    def next_due(self) -> float | None:
        """Return the time at which the next row that was set aside is due, or None."""
        return self._aside[0][0] if self._aside else None

    def _take_fresh(self) -> PendingRow | None:
        if self.limit_reached or self.aside >= _MOST_ASIDE:
            return None
        row = heapq.heappop(self._freed)[1] if self._freed else self._next_of_file()
        if row is not None:
            self._unsent.add(row.row)
        return row

    def _next_of_file(self) -> PendingRow | None:
        while self._chunk or self._read():
            row = self._chunk.popleft()
            if row.customer in self._busy:
                self._behind.add(row.customer)
                continue
            self._busy.add(row.customer)
            return row
        return None

    def _cursor_row(self) -> int:
        """Return the number of the last row before the cursor."""
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
