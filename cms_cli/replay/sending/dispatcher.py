"""Sends the rows that are due. Worker threads only send; all else is done in the main thread."""

from __future__ import annotations

import random
import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from cms_cli.replay.journal import row_table
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.journal import Journal, Patience
from cms_cli.replay.journal.rows import PendingRow, RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.sending.followups import FollowUps
from cms_cli.replay.sending.health import Health
from cms_cli.replay.sending.listener import Ended, Listener, Progress
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.pacing import Opening, SharedWindow
from cms_cli.replay.sending.schedule import Schedule
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.sending.stopping import Stopping
from cms_cli.replay.sending.turn import Answer, Decision, Leaving, Turns
from cms_cli.replay.sending.verdict import Trust, judge, trusted
from cms_cli.replay.sending.waiting import TICK, waiting_for
from cms_cli.replay.sending.workers import Returned, Send, Workers
from cms_python import EventKind, WireEvent

_LAST_LOOK = 0.05  # seconds to take in answers that arrived while the process was stopped
_SUSPENDED = 5 * TICK  # seconds; a wait takes a tick, unless the machine was suspended in it
_GATHERING = 0.25  # the share of a turn's duration to wait for further answers, which are recorded with the first
_LONGEST_GATHERING = 0.05  # seconds
_MOST_AHEAD = 256  # the most rows to look up at a time, reached if one after the other needs no request
_LOOK_ALIKES = (
    "rows look exactly like leads that another run has sent meanwhile; go on with --repeats send, or --repeats skip"
)


class _Flight(NamedTuple):
    """A request in flight. Its row is as it was before this attempt; times are the clock's."""

    row: PendingRow
    slot: int | None
    left_at: float


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
        self._limit = options.limit
        self._max_wait = options.max_wait
        self._listener = listener
        self._clock = clock
        self._workers = Workers(send, options.concurrency, clock.now)
        self._turns = Turns(
            journal,
            run,
            window,
            resend_unknown=options.retry_unknown or options.fresh,
            repeats=run.repeats_said(options.repeats),
        )
        self._schedule = Schedule(
            lambda after, count: row_table.pending(journal, run, after, count),
            lambda row, until: row_table.next_of_customer(journal, run, row, until),
            options.limit,
        )
        self._follow_ups = FollowUps(journal, run)
        self._health = Health(options.max_wait, clock.now())
        self._stopping = Stopping(options, self._health, self._workers.wake, clock.now())
        self._trust = Trust.NONE
        self._next: deque[PendingRow] = deque()  # taken from the schedule; their intents are not written yet
        self._ahead = 1
        self._opening = Opening(0)
        self._in_flight: dict[int, _Flight] = {}  # by ticket
        self._returned: deque[Returned] = deque()  # not judged yet
        self._answers: list[Answer] = []  # not recorded yet
        self._gathering = 0.0  # seconds to wait for further answers
        self._requests = 0
        self._settled = 0
        self._look_alikes = 0  # the number of rows that are left pending as look-alikes

    def interrupt(self, stop: Stop) -> None:
        """Stop once the requests in flight are answered; a second call stops at once. Safe in a signal handler."""
        self._stopping.interrupt(stop)

    def run(self) -> Ended:
        """Send until every row has an outcome or there is a reason to stop.

        Raises:
            JournalError: The journal cannot be written any more. Requests in flight have their intents on disk.
            RunBusyError: Another process is at work on this run.
        """
        self._journal.be_patient(self._patience)
        try:
            while True:
                now = self._clock.now()
                self._stopping.check(now)
                self._turn(now)
                if not self._in_flight and (self._is_stopped or self._is_done(now)):
                    break
                if self._stopping.is_out_of_time(now):
                    self._leave_in_flight(now)
                    break
                self._wait(now)
        except BaseException:
            self._write_late_answers()
            raise
        finally:
            self._workers.close()
        return Ended(self._stopping.stop, self._stopping.reason)

    @property
    def _patience(self) -> Patience:
        """The limits on waiting for a shared database; answers that arrive meanwhile are kept."""

        def tell(reason: str) -> None:
            self._listener.progress(Progress(self._settled, reason, 0.0))

        return Patience(self._max_wait, lambda: self._stopping.interrupted, tell)

    @property
    def _is_stopped(self) -> bool:
        return self._stopping.stop is not Stop.NONE

    def _is_done(self, now: float) -> bool:
        # Look for rows again, since the last turn may have had none.
        if self._schedule.aside or self._look_for_rows(now):
            return False
        if self._follow_ups.held:
            self._stopping.end(Stop.HELD, self._follow_ups.reason)
        elif self._look_alikes:
            self._stopping.end(Stop.HELD, _LOOK_ALIKES)
        elif self._schedule.limit_reached and row_table.pending(self._journal, self._run, 0, 1):
            # Rows are left, so the limit was reached before the end of the file.
            self._stopping.end(Stop.LIMIT, f"--limit {self._limit} is reached")
        return True

    # A turn: record the answers and the intents of the next requests, then send these

    def _turn(self, now: float) -> None:
        rows = [*self._next] if self._may_send(now) and now >= self._opening.look_at else []
        if not self._answers and not rows:
            return
        begin = time.monotonic()
        decision, leaving = self._turns.take(self._answers, rows, self._room, now)
        self._gathering = min(_LONGEST_GATHERING, (time.monotonic() - begin) * _GATHERING)
        settled = [answer.settled for answer in self._answers]
        self._answers = []
        if rows:
            self._carry_out(decision, leaving, now)
        self._report([*filter(None, settled), *(known.settled for known in decision.known)])

    def _carry_out(self, decision: Decision, leaving: Leaving, now: float) -> None:
        self._opening = decision.opening if decision.keep else Opening(0)
        self._next = deque(decision.keep)
        for row, slot in zip(decision.send, leaving.slots):
            self._requests += 1
            self._in_flight[self._requests] = _Flight(row, slot, now)
            self._schedule.sent(row)
            self._workers.give(self._requests, WireEvent(self._kind, row.body.encode()), leaving.by)
        for row in decision.wait:
            self._schedule.set_aside(row, now + TICK)
        for row in decision.hold:
            self._schedule.leave_pending(row)
            self._look_alikes += 1
        for known in decision.known:
            self._follow_ups.learn(known.row, known.status)
            self._health.settled(known.row.row)
            self._schedule.settled(known.row)
        found_nothing_to_send = (decision.known or decision.hold) and not decision.send and not decision.keep
        self._ahead = min(_MOST_AHEAD, self._ahead * 2) if found_nothing_to_send else 1

    def _may_send(self, now: float) -> bool:
        """Return True if a row may be sent, apart from the rate window."""
        return not self._is_stopped and now >= self._health.paused_until and self._look_for_rows(now)

    def _look_for_rows(self, now: float) -> bool:
        """Take rows from the schedule for the idle workers; return True if there are any."""
        if self._room <= 0:
            return False
        while len(self._next) < max(self._room, self._ahead):
            # To test a service that seems down, use a row that has not failed itself.
            row = self._schedule.take(now, fresh_first=self._health.alarming)
            if row is None:
                break
            if self._follow_ups.holds(row):
                self._schedule.leave_pending(row)
            else:
                self._next.append(row)
        return bool(self._next)

    @property
    def _room(self) -> int:
        """The number of requests that may be added to those in flight.

        The first request is sent alone, so that a wrong host or a rejected token costs only one.
        """
        alone = self._health.alarming or self._trust is Trust.NONE
        return 1 - self._workers.in_flight if alone else self._workers.free

    def _report(self, rows: list[SettledRow]) -> None:
        self._settled += len(rows)
        if rows:
            self._listener.settled(rows)

    # Waiting for answers, and judging them

    def _wait(self, now: float) -> None:
        """Wait for an answer, or until the next row may be sent."""
        next_row = self._may_send(now)
        wait = waiting_for(
            now,
            self._stopping,
            self._health,
            self._opening,
            self._schedule,
            next_row=next_row,
            idle=not self._in_flight,
        )
        until = time.monotonic() + wait.until - now if wait.until else 0.0
        self._listener.progress(Progress(self._settled, wait.reason, until))
        moments = (wait.until, self._opening.look_at, self._schedule.next_due() or 0.0)
        ends = min([now + TICK, *(moment for moment in moments if moment > now)])
        if next_row and self._opening.look_at <= now:
            ends = now  # the last turn had other rows, so these may be sent at once
        self._take_in(ends - self._clock.now())
        passed = self._clock.now() - now
        if passed > _SUSPENDED or (wait.paced and not self._in_flight):
            self._health.discount(passed)

    def _take_in(self, seconds: float) -> None:
        """Wait for answers, and judge those that arrive; the next turn records them."""
        self._returned += self._workers.wait(seconds, self._gathering)
        while self._returned:
            item = self._returned.popleft()
            flight = self._in_flight.pop(item.ticket)
            if item.outcome is None:  # a bug in the worker; the row keeps its intent
                raise item.error or RuntimeError("a worker came back with nothing")
            row, status, stop = judge(self._kind, item.outcome, flight.row, flight.left_at, item.at, self._trust)
            answer = Answer(row, status, item.outcome, flight.slot, item.at)
            self._answers.append(answer)
            self._trust = trusted(item.outcome, self._trust)
            if stop is not Stop.NONE:
                self._stopping.end(stop, item.outcome.message)
            if status is not None:
                self._learn(answer, flight)
            elif stop is Stop.NONE:
                self._schedule.set_aside(row, self._failed(answer, flight))

    def _learn(self, answer: Answer, flight: _Flight) -> None:
        """Update schedule, health and the count of failures for a row that now has an outcome."""
        row, status = answer.row, answer.status
        assert status is not None
        self._follow_ups.learn(row, status)
        self._schedule.settled(row)
        if status is RowStatus.UNKNOWN:
            # The row is settled, but the service failed: an outage must not make a whole file of leads unknown.
            self._failed(answer, flight)
            self._health.settled(row.row)
        else:
            self._health.progressed(row.row, answer.at)
        if status in (RowStatus.REFUSED, RowStatus.UNKNOWN):
            self._stopping.count_failure()

    def _failed(self, answer: Answer, flight: _Flight) -> float:
        return self._health.failed(
            answer.row.row,
            answer.outcome,
            answer.at,
            random.random(),  # noqa: S311 - no secret
            left_at=flight.left_at,
            costly=answer.status is RowStatus.UNKNOWN,
        )

    # Ending before all answers have arrived

    def _leave_in_flight(self, now: float) -> None:
        """Abandon the requests in flight: leads become unknown, and sales may be sent again."""
        self._take_in(_LAST_LOOK)
        self._turn(now)
        if self._kind is EventKind.SALE or not self._in_flight:
            return
        rows = [flight.row._replace(attempts=flight.row.attempts + 1) for flight in self._in_flight.values()]
        self._report(self._turns.give_up(rows))

    def _write_late_answers(self) -> None:
        """Record the answers that still arrive after a failure of this machine, if possible.

        A full disk may have room again. A row whose answer cannot be recorded keeps its intent on disk.
        """
        give_up = self._clock.now() + self._stopping.grace
        self._stopping.end(Stop.INTERRUPTED, "")  # send nothing more
        while (self._in_flight or self._answers) and not self._stopping.hurry:
            with suppress(Exception):  # only the first failure is reported
                self._turn(self._clock.now())
            now = self._clock.now()
            if now >= give_up or not (self._in_flight or self._answers):
                return
            with suppress(Exception):
                self._take_in(min(TICK, give_up - now))
