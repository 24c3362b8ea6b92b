"""Sends what is due. Workers only send; this, in the main thread, owns the journal, the window and the order.

The intent to send is committed before a request leaves, and the outcome before the row counts as settled. What came
back and what goes out next share one transaction.
"""

from __future__ import annotations

import random
import sqlite3
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from cms_cli.replay.journal import rowbook
from cms_cli.replay.journal.journal import Journal, JournalError
from cms_cli.replay.journal.rowbook import PendingRow, RowStatus, SettledRow, settled_row
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.sending.clearance import Clearance
from cms_cli.replay.sending.clock import Clock
from cms_cli.replay.sending.health import Health
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.pacing import SharedWindow
from cms_cli.replay.sending.schedule import Schedule
from cms_cli.replay.sending.stop import BY_SIGNAL, Stop
from cms_cli.replay.sending.verdict import judge
from cms_cli.replay.sending.workers import Returned, Send, Workers
from cms_python import EventKind, Outcome, WireEvent

GRACE = 5.0
"""Seconds that what is in flight has to settle after Ctrl-C or SIGTERM, and after a failure of this machine."""

_TICK = 1.0  # seconds between two looks at the clock while nothing comes back; answers and signals wake
_MOST_ASIDE = 1000  # rows that wait for another attempt at most, before no fresh ones are begun: memory stays flat
_AT_ONCE = 500  # rows settled without a request in one transaction


@dataclass(frozen=True)
class Ended:
    """How sending ended.

    Attributes:
        stop: Why, where rows may be left.
        reason: The same in words, for people; "" where nothing stopped it.
    """

    stop: Stop = Stop.NONE
    reason: str = ""


class Progress(NamedTuple):
    """Where sending stands, for whoever shows it.

    Attributes:
        settled: Rows that got their outcome in this invocation.
        waiting: What everybody waits for, in words; "" while requests go out.
        until: When that ends, in the clock's seconds; 0 where nothing is waited for.
    """

    settled: int
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


class _Tries(NamedTuple):
    """How often a row has failed in this invocation, and when last."""

    failures: int
    last: float


class Dispatcher:
    """Sends the pending rows of one run."""

    def __init__(
        self,
        journal: Journal,
        run: Run,
        send: Send,
        window: SharedWindow | None,
        options: Delivery,
        listener: Listener,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._run = run
        self._kind = EventKind(run.kind)
        self._options = options
        self._listener = listener
        self._clock = clock
        self._clearance = Clearance(journal, run, window, unknown_again=options.retry_unknown or options.fresh)
        self._workers = Workers(send, options.concurrency)
        self._schedule = Schedule(
            lambda after, count: rowbook.pending(journal, run, after, count),
            lambda row, until: rowbook.next_of_customer(journal, run, row, until),
        )
        self._health = Health(options.max_wait, clock.now())
        self._flights: dict[int, _Flight] = {}
        self._returned: list[Returned] = []  # came back, and not written down yet
        self._next: deque[PendingRow] = deque()  # taken from the schedule, and still without a slot
        self._tries: dict[int, _Tries] = {}  # by row number
        self._stop = Stop.NONE
        self._reason = ""
        self._signal = Stop.NONE
        self._hurry = False
        self._leave_by = 0.0
        self._begun = 0
        self._requests = 0
        self._settled = 0
        self._failures = 0
        self._answered = False

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
        try:
            while True:
                now = self._clock.now()
                self._look_around(now, begin)
                self._turn(now)
                if not self._flights and (self._stop is not Stop.NONE or self._nothing_left(now)):
                    break
                if self._stop in BY_SIGNAL and (self._hurry or now >= self._leave_by):
                    self._abandon_flights()
                    break
                self._wait(now)
        except BaseException:
            self._rescue()
            raise
        finally:
            self._workers.close()
        return Ended(self._stop, self._reason)

    def _look_around(self, now: float, begin: float) -> None:
        """Find out whether something outside the rows ends this."""
        options = self._options
        if self._signal is not Stop.NONE:
            if self._stop not in BY_SIGNAL:
                self._leave_by = now + GRACE
            self._stop, self._reason = self._signal, self._signal.value
        elif options.max_duration is not None and now - begin >= options.max_duration:
            self._end(Stop.MAX_DURATION, f"{options.max_duration:g} s are over (--max-duration)")
        elif why := self._health.given_up(now):
            self._end(Stop.UNREACHABLE, why)

    def _end(self, stop: Stop, reason: str) -> None:
        if stop.outweighs(self._stop):  # a token that is rejected while the last answers come in, say
            self._stop, self._reason = stop, reason

    def _nothing_left(self, now: float) -> bool:
        # Asked again, since the last turn may have been one in which nobody was to send.
        if self._schedule.aside or self._collect(now):
            return False
        if self._begun_enough() and rowbook.pending(self._journal, self._run, 0, 1):
            # Only now is it certain that the limit, and not the end of the file, was reached.
            self._end(Stop.LIMIT, f"--limit {self._options.limit} is reached")
        return True

    # Waiting

    def _wait(self, now: float) -> None:
        """Wait for what comes back, or for the time at which something may leave."""
        waiting, until = self._waiting_for(now)
        self._listener.progress(Progress(self._settled, waiting, until))
        ends = [now + _TICK, *(moment for moment in (until, self._schedule.next_due() or 0.0) if moment > now)]
        if self._may_send(now) and self._collect(now) and self._clearance.opens <= now:
            ends = [now]  # a turn settles only so many rows that need no request
        self._returned += self._workers.wait(min(ends) - self._clock.now())
        if not self._flights and until and until == self._clearance.opens:
            self._health.paced(self._clock.now() - now)

    def _waiting_for(self, now: float) -> tuple[str, float]:
        if self._stop is not Stop.NONE:
            return "the requests under way", self._leave_by
        if self._health.paused_until > now:
            return self._health.reason, self._health.paused_until
        if self._next and self._clearance.opens > now:
            return "the rate limit", self._clearance.opens
        if not self._flights and self._schedule.aside:
            return self._health.reason, self._schedule.next_due() or 0.0
        return "", 0.0

    def _may_send(self, now: float) -> bool:
        return self._stop is Stop.NONE and now >= self._health.paused_until

    # One turn: write down what came back, and what goes out next

    def _turn(self, now: float) -> None:
        may_leave = self._may_send(now) and self._collect(now) and now >= self._clearance.opens
        if not self._returned and not may_leave:
            return
        settled: list[SettledRow] = []
        leaving: dict[int, _Flight] = {}
        with self._journal.transaction() as db:
            for item in self._returned:
                self._land(db, item, now, settled)
            # What came back may have ended it, or freed a customer's next row.
            if self._may_send(now):
                leaving = self._take_off(db, now, settled)
        came, self._returned = self._returned, []
        for item in came:
            del self._flights[item.ticket]
        self._flights.update(leaving)
        for ticket, flight in leaving.items():
            self._workers.give(ticket, WireEvent(self._kind, flight.row.body.encode()))
        self._report(settled)
        for item in came:
            if item.outcome is None:
                raise item.error or RuntimeError("a worker came back with nothing")

    def _report(self, settled: list[SettledRow]) -> None:
        self._settled += len(settled)
        if settled:
            self._listener.settled(settled)

    def _collect(self, now: float) -> bool:
        """Take rows for the workers that are free; tells whether there are any."""
        while len(self._next) < self._free:
            # A row that has failed says less of a service that is ill than one that has not.
            row = self._fresh() if self._health.alarming else None
            row = row or self._schedule.take_again(now) or self._fresh()
            if row is None:
                break
            self._next.append(row)
        return bool(self._next) and self._free > 0

    @property
    def _free(self) -> int:
        """How many more requests may be under way.

        The first one goes alone, so that a wrong host or a rejected token costs no more than one.
        """
        alone = self._health.alarming or not self._answered
        return 1 - self._workers.in_flight if alone else self._workers.free

    def _fresh(self) -> PendingRow | None:
        if self._begun_enough() or self._schedule.aside >= _MOST_ASIDE:
            return None
        row = self._schedule.take_fresh()
        self._begun += row is not None
        return row

    def _begun_enough(self) -> bool:
        return self._options.limit is not None and self._begun >= self._options.limit

    def _take_off(self, db: sqlite3.Connection, now: float, settled: list[SettledRow]) -> dict[int, _Flight]:
        """Give what may leave its intent on disk; what another run has sent meanwhile its outcome."""
        while self._collect(now):
            known = self._clearance.known(self._next, now)
            for row, status, code, error in known:
                self._next.remove(row)
                if status is None:
                    self._schedule.set_aside(row, now + _TICK)
                    continue
                rowbook.settle(db, self._run, row, status, None, code, error)
                self._begun -= row.row not in self._tries
                self._tries.pop(row.row, None)
                self._schedule.settled(row)
                settled.append(settled_row(row, status, None, code, error))
            if not known or len(settled) >= _AT_ONCE:
                break
        leaving: dict[int, _Flight] = {}
        wanted = min(len(self._next), self._free)
        for slot in self._clearance.take(db, now, wanted) if wanted > 0 else ():
            row = self._next.popleft()
            rowbook.intend(db, self._run, row, now)
            self._requests += 1
            leaving[self._requests] = _Flight(row, slot, now)
        return leaving

    def _land(self, db: sqlite3.Connection, returned: Returned, now: float, settled: list[SettledRow]) -> None:
        """Write down what came back."""
        flight = self._flights[returned.ticket]
        outcome = returned.outcome
        if outcome is None:  # a bug, raised when everything else is written; the row keeps its intent
            return
        self._clearance.landed(db, flight.slot, now)
        self._answered = self._answered or outcome.status_code is not None
        row, status, stop = judge(self._kind, outcome, flight.row, flight.left_at, now)
        if status is None:
            rowbook.put_back(db, self._run, row, outcome.status_code, outcome.type, outcome.message)
            if stop is not Stop.NONE:
                self._end(stop, outcome.message)
            else:
                self._set_aside(row, outcome, flight, now)
            return
        code, error = (None, None) if status is RowStatus.ACCEPTED else (outcome.type, outcome.message)
        rowbook.settle(db, self._run, row, status, outcome.status_code, code, error)
        settled.append(settled_row(row, status, outcome.status_code, code, error))
        self._schedule.settled(row)
        self._tries.pop(row.row, None)
        if status is RowStatus.UNKNOWN:
            # Settled, but no sign of health: an outage must not turn a whole file of leads into unknowns.
            self._health.failed(outcome, now, _chance(), left_at=flight.left_at, costly=True)
        else:
            self._health.progressed(now)
        if status in (RowStatus.REFUSED, RowStatus.UNKNOWN):
            self._failures += 1
            if self._options.max_failures is not None and self._failures >= self._options.max_failures:
                self._end(Stop.MAX_FAILURES, f"{self._failures} rows failed (--max-failures)")

    def _set_aside(self, row: PendingRow, outcome: Outcome, flight: _Flight, now: float) -> None:
        if outcome.type == "host_not_found" and not self._answered:
            # Before anything answered, it is a name that was never right; later it is the network.
            self._end(Stop.UNREACHABLE, outcome.message)
            return
        before = self._tries.get(row.row)
        tries, last = (before.failures + 1, before.last) if before else (1, None)
        self._tries[row.row] = _Tries(tries, now)
        due = self._health.failed(outcome, now, _chance(), left_at=flight.left_at, tries=tries, failed_before=last)
        self._schedule.set_aside(row, due)

    # Leaving before everything has come back

    def _abandon_flights(self) -> None:
        """Give what is still in flight the outcome that is certain: a lead's is unknown, a sale may go again."""
        if self._kind is EventKind.SALE or not self._flights:
            return
        settled = []
        code, error = rowbook.INTERRUPTED
        with self._journal.transaction() as db:
            for flight in self._flights.values():
                row = flight.row._replace(attempts=flight.row.attempts + 1)
                rowbook.settle(db, self._run, row, RowStatus.UNKNOWN, None, code, error)
                settled.append(settled_row(row, RowStatus.UNKNOWN, None, code, error))
        self._report(settled)

    def _rescue(self) -> None:
        """After a failure of this machine, write down what still comes back, as far as that goes.

        A full disk has room again, or room for this much; what fails for good keeps its intent on disk.
        """
        give_up = self._clock.now() + GRACE
        self._stop = self._stop if self._stop is not Stop.NONE else Stop.INTERRUPTED
        while self._flights and not self._hurry:
            with suppress(JournalError):
                settled: list[SettledRow] = []
                now = self._clock.now()
                if self._returned:
                    with self._journal.transaction() as db:
                        for item in self._returned:
                            self._land(db, item, now, settled)
                    for item in self._returned:
                        del self._flights[item.ticket]
                    self._returned = []
                    with suppress(Exception):  # what failed may be the listener itself
                        self._report(settled)
            if not self._flights or self._clock.now() >= give_up:
                return
            self._returned += self._workers.wait(min(_TICK, give_up - self._clock.now()))


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads attempts, guards nothing
