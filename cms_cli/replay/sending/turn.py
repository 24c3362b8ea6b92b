"""A turn of the dispatcher: one transaction that reads facts from the journal, decides, and writes.

It records the answers that came and the intents of the requests to send next. Outcomes are committed before their
rows count as settled, and intents before their requests are sent. A turn changes nothing but the journal, so it can
be repeated if it could not be committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from cms_cli.replay.journal import in_doubt, leases, ledger, look_alikes, row_table, runs
from cms_cli.replay.journal.database import Database
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import (
    IN_LEDGER,
    INTERRUPTED,
    LOOKS_SENT,
    SENT_ELSEWHERE,
    TOO_LONG_AGO,
    WAITED_FOR,
    PendingRow,
    RowStatus,
    SettledRow,
    compared,
    invoice_in,
    is_too_long_ago,
    settled_row,
)
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.journal.steady import steady
from cms_cli.replay.sending.pacing import Opening, SharedWindow
from cms_python import EventKind, Outcome

_LONGEST_DETAILS = 500
"""The most characters of an error's details that a row keeps."""

_LOOK_AGAIN = 600.0
"""Seconds after which other runs' sales are searched again for some that have become too old."""


def error_of(outcome: Outcome) -> str:
    """Return an outcome's message with its details, which name the fields that the service refused."""
    details = {name: _text(value) for name, value in outcome.details.items()}
    # A list of texts is the message itself, in some forms of errors.
    told = "; ".join(f"{name}: {text}" for name, text in details.items() if text not in outcome.message)
    return f"{outcome.message} ({told[:_LONGEST_DETAILS]})" if told else outcome.message


def _text(value: object) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "; ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Answer(NamedTuple):
    """The result of an attempt that is not recorded yet.

    Attributes:
        row: The row, updated by this attempt.
        status: The row's outcome, or None if it stays pending.
        outcome: The outcome of the attempt.
        slot: The id of the request's slot in the rate window, or None without a limit.
        at: The time of the answer, in epoch seconds.
    """

    row: PendingRow
    status: RowStatus | None
    outcome: Outcome
    slot: int | None
    at: float

    @property
    def settled(self) -> SettledRow | None:
        """The row for reports, or None if it stays pending."""
        if self.status is None:
            return None
        code, error = self._reason
        return settled_row(self.row, self.status, self.outcome.status_code, code, error)

    @property
    def _reason(self) -> tuple[str | None, str | None]:
        return (None, None) if self.status is RowStatus.ACCEPTED else (self.outcome.type, error_of(self.outcome))

    def write(self, db: Database, run: Run) -> None:
        """Record the result in the journal. Part of a transaction."""
        outcome = self.outcome
        if self.status is None:
            row_table.put_back(db, run, self.row, outcome.status_code, outcome.type, outcome.message)
        else:
            row_table.settle(db, run, self.row, self.status, outcome.status_code, *self._reason)


class Known(NamedTuple):
    """A row whose outcome is known without a request."""

    row: PendingRow
    status: RowStatus
    code: str
    error: str

    @property
    def settled(self) -> SettledRow:
        """The row for reports."""
        return settled_row(self.row, self.status, None, self.code, self.error)


class Facts(NamedTuple):
    """The journal's facts about the rows that may be sent. Events are given by their keys.

    Attributes:
        ledger: The ledger's entries: amount and currency of a sale; True for a lead that arrived, False for one
            that may have.
        elsewhere: The times of other runs' requests for the same events that have no answer yet.
        too_old: Unanswered sales of other runs that are too old to be sent again.
        opening: The free slots of the rate window.
        alike: The looks of leads that other runs have sent.
    """

    ledger: Mapping[bytes, tuple[int | None, str | None] | bool]
    elsewhere: Mapping[bytes, float]
    too_old: Collection[bytes]
    opening: Opening
    alike: Collection[bytes] = ()


class Decision(NamedTuple):
    """The decision about the rows that may be sent.

    Attributes:
        send: Rows to send now.
        known: Rows whose outcome is known without a request.
        wait: Rows whose event another run is sending now.
        keep: Rows to send once the rate window or a worker is free.
        opening: The free slots of the rate window before this turn.
        hold: Leads to leave pending, because they look like leads that another run has sent meanwhile.
    """

    send: list[PendingRow]
    known: list[Known]
    wait: list[PendingRow]
    keep: list[PendingRow]
    opening: Opening
    hold: list[PendingRow]


def decide(
    kind: EventKind,
    rows: Sequence[PendingRow],
    facts: Facts,
    room: int,
    now: float,
    *,
    resend_unknown: bool,
    skip_repeats: bool = False,
) -> Decision:
    """Decide which rows are sent now. Pure.

    Args:
        kind: Lead or sale.
        rows: The rows that may be sent, in order.
        facts: The journal's facts about them.
        room: The number of requests that may be added to those in flight.
        now: The time in epoch seconds.
        resend_unknown: Whether to send leads that other runs left without an answer.
        skip_repeats: Whether to skip leads that look like those of other runs.
    """
    decision = Decision([], [], [], [], facts.opening, [])
    most = min(room, facts.opening.free)
    for row in rows:
        known = _known_lead(row, facts, resend_unknown) if kind is EventKind.LEAD else _known_sale(row, facts, now)
        if known is None and row.look in facts.alike:
            if not skip_repeats:
                decision.hold.append(row)
                continue
            known = (RowStatus.SKIPPED, *LOOKS_SENT)
        left_at = facts.elsewhere.get(row.key)
        if (
            left_at is not None
            and abs(now - left_at) < WAITED_FOR
            and (known is None or known[1] == SENT_ELSEWHERE[1])
        ):
            decision.wait.append(row)
        elif known is not None:
            decision.known.append(Known(row, *known))
        elif len(decision.send) < most:
            decision.send.append(row)
        else:
            decision.keep.append(row)
    return decision


def _known_lead(row: PendingRow, facts: Facts, resend_unknown: bool) -> tuple[RowStatus, str, str] | None:
    """Return the outcome of a lead that other runs have sent, or None to send it."""
    arrived = facts.ledger.get(row.key)
    if arrived:
        return IN_LEDGER
    if arrived is not None or (row.key in facts.elsewhere and not resend_unknown):
        return SENT_ELSEWHERE
    return None


def _known_sale(row: PendingRow, facts: Facts, now: float) -> tuple[RowStatus, str, str] | None:
    before = facts.ledger.get(row.key)
    if isinstance(before, tuple):
        return compared(invoice_in(row.body), before, (row.amount, row.currency))
    if row.key in facts.too_old or is_too_long_ago(row, now):
        return (RowStatus.UNKNOWN, *TOO_LONG_AGO)
    return None


class Leaving(NamedTuple):
    """The slots and the deadline of the requests to send after a turn.

    Attributes:
        slots: The ids of their slots in the rate window, in the order of the rows; None without a limit.
        by: The time by :func:`steady` until which they may be sent. If the machine is suspended between the commit
            and the request, others may have taken its run over when it wakes.
    """

    slots: Sequence[int | None]
    by: float


class Turns:
    """Takes the turns of one run's sending."""

    def __init__(
        self,
        journal: Journal,
        run: Run,
        window: SharedWindow | None,
        *,
        resend_unknown: bool,
        repeats: str = "",
    ) -> None:
        self._journal = journal
        self._run = run
        self._kind = EventKind(run.kind)
        self._window = window
        self._resend_unknown = resend_unknown
        self._repeats = repeats
        self._too_old: set[bytes] = set()
        self._looked = float("-inf")

    def take(
        self, answers: Sequence[Answer], rows: Sequence[PendingRow], room: int, now: float
    ) -> tuple[Decision, Leaving]:
        """Record answers, decide about rows, and record the intents of those to send.

        Args:
            answers: The results of attempts.
            rows: The rows that may be sent, in order.
            room: The number of requests that may be added to those in flight.
            now: The time in epoch seconds; with shared state, the server's time is used instead.

        Returns:
            The decision, and the slots and deadline of the requests to send.

        Raises:
            JournalError: The turn was not committed: nothing may be sent, and the answers are still to be recorded.
            RunBusyError: Another process has taken the run over or begun one of the rows; the same holds.
        """

        def turn(db: Database) -> tuple[Decision, Leaving]:
            check_unchanged = row_table.ask_unchanged(db, self._run, rows)
            read = self._ask(db, rows, room)
            at = self._journal.time(now)
            check_unchanged()
            facts = read(at)
            decision = self._decide(rows, facts, room, at)
            ahead = self._journal.ahead()
            # The server extended the lease at that time, when the turns of other machines were over.
            begun = steady() if ahead is None else at - ahead
            return decision, Leaving(self._write(db, answers, decision, at), begun + leases.SECONDS / 2)

        return self._journal.repeat(turn, held=bool(rows))

    def concerned(self, rows: Iterable[tuple[int, bytes, bytes | None]], now: float) -> list[int]:
        """Return the numbers of the rows of which the journal has any fact.

        Args:
            rows: The number, key and look of each row.
            now: The time in epoch seconds.
        """
        rows = list(rows)
        looks = [look for _, _, look in rows if look is not None]
        facts = self._ask_known(self._journal.db, [key for _, key, _ in rows], looks)(now)
        return [
            row
            for row, key, look in rows
            if key in facts.ledger or key in facts.elsewhere or key in facts.too_old or look in facts.alike
        ]

    def foresee(self, rows: Sequence[PendingRow], now: float) -> list[Known]:
        """Return the rows whose outcome is known without a request, for a preview. Writes nothing."""
        facts = self._ask(self._journal.db, rows, len(rows))(now)
        if self._resend_unknown:  # begin_sending() will delete the entries of events that may have arrived
            facts = facts._replace(ledger={key: known for key, known in facts.ledger.items() if known is not False})
        return self._decide(rows, facts, len(rows), now).known

    def give_up(self, rows: Sequence[PendingRow]) -> list[SettledRow]:
        """Record leads as unknown whose answers are no longer waited for, and return them for reports."""
        known = [Known(row, RowStatus.UNKNOWN, *INTERRUPTED) for row in rows]

        def write(db: Database) -> None:
            for row, status, code, error in known:
                row_table.settle(db, self._run, row, status, None, code, error)

        self._journal.repeat(write, held=False)
        return [each.settled for each in known]

    def _decide(self, rows: Sequence[PendingRow], facts: Facts, room: int, now: float) -> Decision:
        skip = self._repeats == "skip"
        return decide(self._kind, rows, facts, room, now, resend_unknown=self._resend_unknown, skip_repeats=skip)

    def _ask(self, db: Database, rows: Sequence[PendingRow], room: int) -> Callable[[float], Facts]:
        """Send the queries for the facts about rows; return a function of the time that reads the results.

        All queries are sent before the first result is read, and nothing is read after the first write. So a turn
        takes one round trip to read, and one to write and commit.
        """
        if not rows:
            return lambda _: Facts({}, {}, (), Opening(0))
        requests = min(len(rows), room)
        opening = (lambda _: Opening(requests)) if self._window is None else self._window.ask(db, requests)
        looks = [row.look for row in rows if row.look is not None]
        known = self._ask_known(db, [row.key for row in rows], looks)
        return lambda now: known(now)._replace(opening=opening(now))

    def _ask_known(self, db: Database, keys: Sequence[bytes], looks: Sequence[bytes]) -> Callable[[float], Facts]:
        """Send the queries for the facts about events, without the rate window; see :meth:`_ask`."""
        run, closed = self._run, Opening(0)
        elsewhere = row_table.ask_in_flight_elsewhere(db, runs.others(run), keys)
        if self._kind is EventKind.LEAD:
            leads = ledger.ask_leads(db, run.scope, keys)
            alike = look_alikes.ask(db, run.scope, () if self._repeats == "send" else looks, but=run.id)
            return lambda _: Facts(leads(), elsewhere(), (), closed, alike())
        sales = ledger.ask_sales(db, run.scope, keys)
        return lambda now: Facts(sales(), elsewhere(), self._too_old_at(db, now), closed)

    def _too_old_at(self, db: Database, now: float) -> set[bytes]:
        """Return other runs' unanswered sales that are too old to be sent again; searched every ten minutes."""
        if not self._resend_unknown and now - self._looked >= _LOOK_AGAIN:
            self._looked = now
            self._too_old = row_table.too_long_ago_elsewhere(db, runs.others(self._run), now)
            self._too_old |= in_doubt.too_long_ago(db, self._run.scope, now)
        return self._too_old

    def _write(self, db: Database, answers: Sequence[Answer], decision: Decision, now: float) -> list[int | None]:
        for answer in answers:
            answer.write(db, self._run)
        for row, status, code, error in decision.known:
            row_table.settle(db, self._run, row, status, None, code, error)
        if self._window is not None and answers:
            self._window.answered(db, [(each.slot, each.at) for each in answers if each.slot is not None])
        if not decision.send:
            return []
        row_table.intend(db, self._run, decision.send, now)
        if self._window is None:
            return [None] * len(decision.send)
        return [*self._window.take(db, len(decision.send), now)]
