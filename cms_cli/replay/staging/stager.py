"""Stages the rows of an input: compares them with the ledger and each other, counts them and writes them.

This takes one pass and constant memory. At its end, the rows that repeat or contradict others are known and
updated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

from cms_cli.replay.journal import ledger
from cms_cli.replay.journal.rows import (
    AMOUNT_CHANGED,
    FAILED,
    IN_LEDGER,
    LOOKS_SENT,
    OUTCOME_UNKNOWN,
    REFUSED_BEFORE,
    SENT_ELSEWHERE,
    TOO_LONG_AGO,
    RowStatus,
    StagedRow,
    compared,
)
from cms_cli.replay.model import SAMPLES, PlannedEvent, PlannedRow, Problem, RowProblem, SkippedRow
from cms_cli.replay.staging.digests import Digests
from cms_cli.replay.staging.duplicates import ComparedRow, Repeat, Repeats
from cms_cli.replay.staging.history import History, Known
from cms_cli.replay.staging.preview import Tally
from cms_cli.replay.values.times import to_wire
from cms_python import EventKind

_BATCH = 256  # rows that are looked up in the ledger, compared and written together
_PENDING: tuple[RowStatus, None, None] = (RowStatus.PENDING, None, None)
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SHOWN = 64  # candidates for the events of the preview; more than it shows, since some may turn out to be repeats

SAMPLED = 256
"""The number of rows from which sample values are taken."""


class Identity(NamedTuple):
    """The keys that identify an event in the journal.

    Attributes:
        keys: Its key in the ledger, and the keys that older versions gave it.
        look: The hash of the fields of a lead without a time of its own, regardless of its file; else None.
    """

    keys: tuple[bytes, ...]
    look: bytes | None = None


_UNKNOWN = Identity(())


class Sink(Protocol):
    """A destination of staged rows; see :mod:`sinks`."""

    wants_rows: bool
    """Whether the sink uses the rows; if not, they need not be built."""

    def write(self, rows: list[StagedRow]) -> None:
        """Write rows, in file order."""

    def amend(self, rows: list[tuple[int, RowStatus, str, str]]) -> None:
        """Set status, code and error of rows that were written as pending, each given with its number."""


class Stager:
    """Stages the rows of one input.

    Attributes:
        tally: The counts of the rows.
        events: The first events as they would be sent, as JSON; set by :meth:`run`.
    """

    def __init__(
        self,
        kind: EventKind,
        sink: Sink,
        now: datetime,
        *,
        sha256: str,
        history: History | None,
        repeats: str = "",
        refused_up_to: int = 0,
        unknown_again: bool = False,
        progress: Callable[[int], None],
    ) -> None:
        """Prepare to stage an input.

        Args:
            kind: Lead or sale.
            sink: The destination of the rows.
            now: The time in UTC, which leads dated ``now`` have.
            sha256: The SHA-256 of the input's bytes, in hexadecimal.
            history: The lookup of events that earlier runs have sent, or None.
            repeats: What to do with leads that look like one sent from another file: ``send``, ``skip``, or "" to
                report them as problems.
            refused_up_to: The number of rows that the file had when it was sent before; of these, rows that the
                service refused stay refused.
            unknown_again: Whether to send events that may have arrived (``--retry-unknown``).
            progress: Called after each batch with the number of rows so far.
        """
        self._kind = kind
        self._sink = sink
        self._history = history
        self._repeats = repeats
        self._refused_up_to = refused_up_to
        self._digests = Digests()
        self._progress = progress
        self._unknown_again = unknown_again
        self._sha256 = sha256
        self._now = to_wire(now)
        self._shown: dict[int, str] = {}  # bodies by row
        self._good: list[list[str]] = []
        self._other: list[list[str]] = []
        self.tally = Tally(now.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        self.events: tuple[str, ...] = ()

    @property
    def samples(self) -> list[list[str]]:
        """The cells of the first rows to send; if there are none, of the first other rows."""
        return self._good or self._other

    @property
    def end(self) -> bytes:
        """The digest of the last row of a file of leads (see :mod:`digests`)."""
        return self._digests.current

    def run(self, rows: Iterable[PlannedRow]) -> None:
        """Stage every row.

        Args:
            rows: The rows in file order.

        Raises:
            InputError: The input cannot be read to its end.
            MachineError: The journal or a temporary file cannot be written.
        """
        each = iter(rows)
        with Repeats() as repeats:
            while batch := list(islice(each, _BATCH)):
                self._stage(batch, repeats)
                self._progress(batch[-1].row)
            self._amend(repeats.found())
        self.events = tuple(islice(self._shown.values(), SAMPLES))

    def _stage(self, batch: list[PlannedRow], repeats: Repeats) -> None:
        # A dry run without a history needs no identities, which would take most of its time.
        identities = self._identify(batch) if self._sink.wants_rows or self._history else {}
        known, refused, looks_sent = self._earlier(identities)
        staged: list[StagedRow] = []
        compared: list[tuple[Any, ...]] = []
        comparable = _comparable_sale if self._kind is EventKind.SALE else self._comparable_lead
        for row in batch:
            if not isinstance(row, PlannedEvent):
                if isinstance(row, RowProblem) and "invoiceId" in row.wire:
                    compared.append(_unsendable(row))
                staged.append(self._left_out(row))
                continue
            identity = identities[row.row] if identities else _UNKNOWN
            before = next((known[key] for key in identity.keys if key in known), None) if known else None
            if before is None and row.row not in refused and identity.look in looks_sent:
                staged.append(self._left_out(_look_alike(row, self._repeats)))
                continue
            outcome: tuple[RowStatus, str | None, str | None]
            if row.row in refused and before is None:
                outcome = self._settled_before(row, *REFUSED_BEFORE)
            elif before is None or (before is False and self._unknown_again):
                self._count(row)
                values = comparable(row)
                if values is not None:
                    compared.append(values)
                outcome = _PENDING
            else:
                outcome = self._known_before(row, before)
            if self._sink.wants_rows:
                staged.append(_event(row, identity, *outcome))
        repeats.add(compared)
        if staged and self._sink.wants_rows:
            self._sink.write(staged)

    def _identify(self, batch: list[PlannedRow]) -> dict[int, Identity]:
        """Return the identities of the events in a batch, by row number. Batches have to come in file order."""
        found = {}
        for row in batch:
            digest = self._digests.after(row.cells) if self._kind is EventKind.LEAD else b""
            if isinstance(row, PlannedEvent):
                found[row.row] = self._identity(row, digest)
        return found

    def _earlier(self, identities: Mapping[int, Identity]) -> tuple[Known, set[int], set[bytes]]:
        """Return what earlier runs sent: events by key, the numbers of refused rows, and looks of leads."""
        if self._history is None:
            return {}, set(), set()
        known = self._history.known([key for each in identities.values() for key in each.keys])
        before = {row: each.keys for row, each in identities.items() if row <= self._refused_up_to}
        keys = self._history.refused([key for each in before.values() for key in each])
        refused = {row for row, each in before.items() if not keys.isdisjoint(each)}
        looks = [each.look for each in identities.values() if each.look is not None]
        return known, refused, set() if self._repeats == "send" else self._history.looks_sent(looks)

    def _count(self, row: PlannedEvent) -> None:
        wire = row.wire.get
        self.tally.add(wire("amount", 0), wire("currency", ""), wire("timestamp", ""), row.refunded)
        self.tally.whole_floats.observe(row.wire)
        if len(self._shown) < _SHOWN:
            self._shown[row.row] = row.body
        if len(self._good) < SAMPLED:
            self._good.append(row.cells)

    def _known_before(
        self, row: PlannedEvent, before: tuple[int | None, str | None] | bool
    ) -> tuple[RowStatus, str | None, str | None]:
        """Return the outcome of a row whose event an earlier run has sent."""
        if before is False:
            sale = self._kind is EventKind.SALE
            status, code, error = (RowStatus.UNKNOWN, *TOO_LONG_AGO) if sale else SENT_ELSEWHERE
        elif isinstance(before, tuple):
            status, code, error = compared(row.invoice_id, before, (row.amount, row.currency))
        else:
            status, code, error = IN_LEDGER
        return self._settled_before(row, status, code, error)

    def _settled_before(
        self, row: PlannedEvent, status: RowStatus, code: str, error: str
    ) -> tuple[RowStatus, str, str]:
        """Count a row that is not sent because of an earlier run, and return its outcome."""
        reason = error
        if code == AMOUNT_CHANGED:
            self.tally.changed(row.line, error)
            reason = "accepted in another run with another amount"
        self.tally.left_out(status, reason)
        if status in FAILED:
            self.tally.report(Problem(code, error, "", None, row.row, row.line))
        return status, code, error

    def _left_out(self, row: SkippedRow | RowProblem) -> StagedRow:
        if len(self._other) < SAMPLED:
            self._other.append(row.cells)
        if isinstance(row, SkippedRow):
            self.tally.left_out(RowStatus.SKIPPED, row.message)
            return _unsent(row, RowStatus.SKIPPED, row.code, row.message)
        self.tally.wrong(row.problems)
        first, message = row.problems[0], "; ".join(problem.message for problem in row.problems)
        return _unsent(row, RowStatus.INVALID, first.code, message, first.column)

    def _identity(self, event: PlannedEvent, digest: bytes) -> Identity:
        if self._kind is EventKind.SALE:
            return Identity((ledger.key_of(event.invoice_id),))
        body, time = event.body, event.timestamp
        if time and time != self._now:
            return Identity((ledger.key_of(body),))
        # The time of "now" differs between runs, so it does not count.
        body = body.replace(self._now, "now") if time else body
        in_older_ledgers = ledger.key_of(f"{self._sha256} {event.row} {body}")
        return Identity((ledger.key_of(digest.hex(), body), in_older_ledgers), ledger.key_of("look", body))

    def _comparable_lead(self, row: PlannedEvent) -> tuple[Any, ...] | None:
        """Return the values of a lead to compare within its file, in the order of :class:`ComparedRow`, or None."""
        time = row.timestamp
        if not time or time == self._now:
            return None  # equal leads without a time of their own are different events
        return (row.row, row.line, ledger.key_of(row.body), True, 0, "", None, None, time, 0)

    def _amend(self, found: Iterable[Repeat]) -> None:
        """Update the rows that repeat or contradict others."""
        each = iter(found)
        while some := list(islice(each, _BATCH)):
            self._sink.amend([self._verdict(repeat) for repeat in some])

    def _verdict(self, repeat: Repeat) -> tuple[int, RowStatus, str, str]:
        row, currency = repeat.compared, repeat.compared.currency or ""
        self.tally.take_back(row.amount or 0, currency, row.time, row.refunded)
        self._shown.pop(row.row, None)
        if not repeat.conflict:
            self.tally.left_out(RowStatus.DUPLICATE, "repeats an earlier row")
            return row.row, RowStatus.DUPLICATE, "repeated", f"repeats line {repeat.other_line}"
        problem = Problem(
            "invoice_conflict",
            f"invoice {row.key!s} is on line {repeat.other_line} too, with another amount, currency, customer or "
            "click",
            "the service keeps one sale an invoice: leave the right row",
            None,
            row.row,
            row.line,
        )
        self.tally.wrong([problem])
        return row.row, RowStatus.INVALID, problem.code, problem.message


def may_have_arrived(row: int, line: int, cells: list[str], column: str) -> RowProblem:
    """Return the problem of a row that a failures file marks as unknown."""
    return RowProblem.of(
        row,
        line,
        cells,
        column,
        OUTCOME_UNKNOWN,
        "it may have arrived already",
        "look it up at the service; to send it again all the same, pass --retry-unknown",
    )


def _comparable_sale(row: PlannedEvent) -> tuple[Any, ...]:
    """Return the values of a sale to compare within its file, in the order of :class:`ComparedRow`."""
    wire = row.wire
    return (
        row.row,
        row.line,
        wire["invoiceId"],
        True,
        wire["amount"],
        wire["currency"],
        wire["customerExternalId"],
        wire.get("clickId", ""),
        wire.get("timestamp", ""),
        row.refunded,
    )


def _unsendable(row: RowProblem) -> ComparedRow:
    wire: Mapping[str, Any] = row.wire
    return ComparedRow(
        *(row.row, row.line, wire["invoiceId"], False, wire.get("amount"), wire.get("currency")),
        *(wire.get("customerExternalId"), wire.get("clickId")),
    )


def _look_alike(event: PlannedEvent, repeats: str) -> SkippedRow | RowProblem:
    """Return the skipped or invalid row for a lead that looks like one sent from another file."""
    code, message = LOOKS_SENT
    if repeats == "skip":
        return SkippedRow(event.row, event.line, event.cells, code, message)
    hint = "nobody but you can know whether it is another event: say --repeats send, or --repeats skip"
    return RowProblem.of(event.row, event.line, event.cells, None, code, message, hint)


def _event(
    event: PlannedEvent, identity: Identity, status: RowStatus, code: str | None, error: str | None
) -> StagedRow:
    wire = event.wire
    return StagedRow(
        event.row,
        event.line,
        status.value,
        ledger.order_key(wire["customerExternalId"]),
        identity.keys[0],
        wire.get("amount", 0),
        wire.get("currency", ""),
        event.body,
        _as_json(event.cells),
        code,
        error,
        None,
        identity.look,
    )


def _unsent(
    row: SkippedRow | RowProblem, status: RowStatus, code: str, error: str, column: str | None = None
) -> StagedRow:
    nothing = (None,) * 5  # customer, key, amount, currency, body
    return StagedRow(row.row, row.line, status.value, *nothing, _as_json(row.cells), code, error, column)


def _as_json(cells: Sequence[str]) -> str:
    return _JSON.encode(cells)
