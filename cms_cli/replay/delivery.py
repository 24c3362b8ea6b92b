"""Sends what is due. Workers only send; this, in the main thread, owns the journal, the window and the order.

The intent to send is committed before a request leaves, and the outcome before the row counts as settled. What came
back and what goes out next share one transaction.
"""

from __future__ import annotations

import random
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from cms_cli.replay import rowbook
from cms_cli.replay.clock import Clock
from cms_cli.replay.health import Health, is_final
from cms_cli.replay.journal import Journal
from cms_cli.replay.options import Delivery
from cms_cli.replay.pacing import SharedWindow
from cms_cli.replay.rowbook import PendingRow, RowStatus, SettledRow
from cms_cli.replay.runs import Run
from cms_cli.replay.schedule import Schedule
from cms_cli.replay.workers import Returned, Workers
from cms_python import EventKind, Outcome, Status, WireEvent

GRACE = 5.0
"""Seconds that what is in flight has to settle after Ctrl-C or SIGTERM."""

_TICK = 0.5  # seconds between two looks at the clock while nothing comes back


class Stop(str, Enum):
    """Why an invocation ended before its rows did."""

    NONE = "none"
    LIMIT = "limit"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"
    UNAUTHORIZED = "unauthorized"
    NOT_API = "not_api"
    UNREACHABLE = "unreachable"
    MAX_FAILURES = "max_failures"
    MAX_DURATION = "max_duration"


_BY_SIGNAL = (Stop.INTERRUPTED, Stop.TERMINATED)


@dataclass(frozen=True)
class Ended:
    """How sending ended.

    Attributes:
        stop: Why, where rows may be left.
        reason: The same in words, for people; "" where nothing stopped it.
        requests: How many requests were made.
        settled: How many rows got their outcome.
    """

    stop: Stop
    reason: str
    requests: int
    settled: int


class Progress(NamedTuple):
    """Where sending stands, for whoever shows it.

    Attributes:
        settled: Rows that got their outcome in this invocation.
        in_flight: Requests without an answer yet.
        aside: Rows that failed and wait for another attempt.
        waiting: What everybody waits for, in words; "" while requests go out.
        until: When that ends, in the clock's seconds; 0 where nothing is waited for.
    """

    settled: int
    in_flight: int
    aside: int
    waiting: str
    until: float


class Listener:
    """Hears what happens while rows are sent. Does nothing itself."""

    def settled(self, rows: list[SettledRow]) -> None:
        """Hear of rows whose outcome is on disk."""

    def progress(self, progress: Progress) -> None:
        """Hear where things stand; called at least twice a second."""


class _Flight(NamedTuple):
    """A request that is under way."""

    row: PendingRow  # as it was before this attempt
    slot: int | None
    left_at: float


class Dispatcher:
    """Sends the pending rows of one run."""

    def __init__(
        self,
        journal: Journal,
        run: Run,
        send: Callable[[WireEvent], Outcome],
        window: SharedWindow | None,
        options: Delivery,
        listener: Listener,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._run = run
        self._kind = EventKind(run.kind)
        self._window = window
        self._options = options
        self._listener = listener
        self._clock = clock
        self._workers = Workers(send, options.concurrency)
        self._schedule = Schedule(
            lambda after, count: rowbook.pending(journal, run, after, count),
            lambda customer: rowbook.next_of_customer(journal, run, customer),
        )
        self._flights: dict[int, _Flight] = {}
        self._next: deque[PendingRow] = deque()  # taken from the schedule, and still without a slot
        self._tries: dict[int, int] = {}  # failed attempts in this invocation, by row number
        self._window_opens = 0.0
        self._stop = Stop.NONE
        self._reason = ""
        self._signal = Stop.NONE
        self._hurry = False
        self._leave_by = 0.0
        self._begun = 0
        self._requests = 0
        self._settled = 0
        self._failures = 0

    def interrupt(self, stop: Stop) -> None:
        """Stop after what is in flight; the second time at once. May be called from a signal handler."""
        if self._signal is not Stop.NONE:
            self._hurry = True
        self._signal = stop
        self._workers.wake()

    def run(self) -> Ended:
        """Send until every row has its outcome or something stops it.

        Raises:
            JournalError: The journal can no longer be written. What is in flight has its intent on disk.
        """
        begin = self._clock.now()
        self._health = Health(self._options.max_wait, begin)
        returned: list[Returned] = []
        try:
            while True:
                now = self._clock.now()
                self._look_around(now, begin)
                self._turn(returned, now)
                if not self._flights and (self._stop is not Stop.NONE or self._nothing_left()):
                    break
                if self._stop in _BY_SIGNAL and (self._hurry or now >= self._leave_by):
                    self._abandon_flights()
                    break
                waiting, until = self._waiting_for(now)
                self._listener.progress(
                    Progress(self._settled, len(self._flights), self._schedule.aside, waiting, until)
                )
                returned = self._workers.wait(min(_TICK, max(0.0, until - now)) if until else _TICK)
                if not self._flights and until == self._window_opens:
                    self._health.paced(self._clock.now() - now)
        finally:
            self._workers.close()
        return Ended(self._stop, self._reason, self._requests, self._settled)

    def _look_around(self, now: float, begin: float) -> None:
        """Find out whether something outside the rows ends this."""
        options = self._options
        if self._signal is not Stop.NONE:
            if self._stop not in _BY_SIGNAL:
                self._leave_by = now + GRACE
            self._stop, self._reason = self._signal, self._signal.value
        elif options.max_duration is not None and now - begin >= options.max_duration:
            self._end(Stop.MAX_DURATION, f"{options.max_duration:g} s are over (--max-duration)")
        elif why := self._health.given_up(now):
            self._end(Stop.UNREACHABLE, why)

    def _end(self, stop: Stop, reason: str) -> None:
        if self._stop is Stop.NONE:
            self._stop, self._reason = stop, reason

    def _nothing_left(self) -> bool:
        if self._next or self._schedule.aside:
            return False
        if self._begun_enough():
            # Only now is it certain that the limit, and not the end of the file, was reached.
            if rowbook.pending(self._journal, self._run, 0, 1):
                self._end(Stop.LIMIT, f"{self._options.limit} rows were sent (--limit)")
            return True
        return True  # _turn has just asked the schedule for a row and got none

    def _waiting_for(self, now: float) -> tuple[str, float]:
        if self._stop is not Stop.NONE:
            return "the requests under way", self._leave_by
        if self._health.paused_until > now:
            return self._health.reason, self._health.paused_until
        if self._next and self._window_opens > now:
            return "the rate limit", self._window_opens
        if not self._flights and self._schedule.aside:
            return self._health.reason, self._schedule.next_due() or 0.0
        return "", 0.0

    # One turn: write down what came back, and what goes out next

    def _turn(self, returned: list[Returned], now: float) -> None:
        may_send = self._stop is Stop.NONE and now >= self._health.paused_until
        if not returned and not (may_send and self._collect(now) and now >= self._window_opens):
            return
        settled: list[SettledRow] = []
        leaving: list[int] = []
        with self._journal.transaction() as db:
            for item in returned:
                self._land(db, item, now, settled)
            # What came back may have ended it, or freed a customer's next row.
            if self._stop is Stop.NONE and now >= self._health.paused_until and self._collect(now):
                leaving = self._take_off(db, now)
        self._settled += len(settled)
        if settled:
            self._listener.settled(settled)
        for ticket in leaving:
            self._workers.give(ticket, WireEvent(self._kind, self._flights[ticket].row.body.encode()))

    def _collect(self, now: float) -> bool:
        """Take rows for the workers that are free; tells whether there are any."""
        while len(self._next) < self._workers.free:
            row = self._schedule.take_again(now)
            if row is None and not self._begun_enough():
                row = self._schedule.take_fresh()
                self._begun += row is not None
            if row is None:
                break
            self._next.append(row)
        return bool(self._next)

    def _begun_enough(self) -> bool:
        return self._options.limit is not None and self._begun >= self._options.limit

    def _take_off(self, db: sqlite3.Connection, now: float) -> list[int]:
        wanted = min(len(self._next), self._workers.free)
        slots: list[int | None] = [None] * wanted
        if self._window is not None:
            slots = list(self._window.take(db, now, wanted))
            if len(slots) < wanted:
                self._window_opens = self._window.next_free(db)
        leaving = []
        for slot in slots:
            row = self._next.popleft()
            rowbook.intend(db, self._run, row, now)
            self._requests += 1
            self._flights[self._requests] = _Flight(row, slot, now)
            leaving.append(self._requests)
        return leaving

    def _land(self, db: sqlite3.Connection, returned: Returned, now: float, settled: list[SettledRow]) -> None:
        flight = self._flights.pop(returned.ticket)
        if flight.slot is not None and self._window is not None:
            self._window.give_back(db, flight.slot, now)
        if returned.outcome is None:
            raise returned.error or RuntimeError("a worker came back with nothing")
        outcome = returned.outcome
        may_have_arrived = outcome.may_have_arrived or flight.row.sent_at is not None
        row = flight.row._replace(
            attempts=flight.row.attempts + 1,
            sent_at=flight.row.sent_at or (flight.left_at if outcome.may_have_arrived else None),
        )
        status = _status_of(self._kind, outcome, row, now)
        if status is None:
            self._keep(db, row, outcome, now)
            return
        error = None if status is RowStatus.ACCEPTED else outcome.message
        code = None if status is RowStatus.ACCEPTED else outcome.type
        rowbook.settle(db, self._run, row, status, outcome.status_code, code, error)
        self._schedule.settled(row)
        self._tries.pop(row.row, None)
        if status is RowStatus.UNKNOWN and may_have_arrived:
            # Settled, but no sign of health: an outage must not turn a whole file of leads into unknowns.
            self._health.failed(outcome, 1, now, random.random())  # noqa: S311 - spreads attempts, guards nothing
        else:
            self._health.progressed(now)
        if status in (RowStatus.REFUSED, RowStatus.UNKNOWN):
            self._failures += 1
            if self._options.max_failures is not None and self._failures >= self._options.max_failures:
                self._end(Stop.MAX_FAILURES, f"{self._failures} rows failed (--max-failures)")
        settled.append(
            SettledRow(
                row.row,
                row.line,
                status.value,
                row.invoice_id,
                outcome.status_code,
                row.attempts,
                code,
                error,
                row.cells,
            )
        )

    def _keep(self, db: sqlite3.Connection, row: PendingRow, outcome: Outcome, now: float) -> None:
        """Keep a row pending whose attempt did not settle it."""
        rowbook.put_back(db, self._run, row, outcome.status_code, outcome.type, outcome.message)
        if is_final(outcome):
            stop = Stop.UNAUTHORIZED if outcome.status is Status.UNAUTHORIZED else Stop.NOT_API
            self._end(stop, outcome.message)
            return
        if outcome.type == "host_not_found" and not self._settled:
            # Before anything went through, it is a name that was never right; later it is the network.
            self._end(Stop.UNREACHABLE, outcome.message)
            return
        tries = self._tries[row.row] = self._tries.get(row.row, 0) + 1
        due = self._health.failed(outcome, tries, now, random.random())  # noqa: S311 - spreads attempts, guards nothing
        self._schedule.set_aside(row, due)

    def _abandon_flights(self) -> None:
        """Give what is still in flight the outcome that is certain: a lead's is unknown, a sale may go again."""
        if self._kind is EventKind.SALE or not self._flights:
            return
        with self._journal.transaction() as db:
            for flight in self._flights.values():
                row = flight.row._replace(attempts=flight.row.attempts + 1)
                error = "it was sent, and cms was stopped before an answer came"
                rowbook.settle(db, self._run, row, RowStatus.UNKNOWN, None, "interrupted", error)
        self._settled += len(self._flights)


def _status_of(kind: EventKind, outcome: Outcome, row: PendingRow, now: float) -> RowStatus | None:
    """Give the outcome of a row after an attempt, or None while it stays pending."""
    if outcome.status is Status.ACCEPTED:
        return RowStatus.ACCEPTED
    if outcome.status is Status.DUPLICATE:
        return RowStatus.DUPLICATE
    if outcome.status is Status.REFUSED:
        return RowStatus.REFUSED
    if outcome.may_have_arrived and kind is EventKind.LEAD:
        return RowStatus.UNKNOWN
    if row.sent_at is not None and now - row.sent_at > rowbook.SAFE_TO_RESEND:
        return RowStatus.UNKNOWN
    return None
