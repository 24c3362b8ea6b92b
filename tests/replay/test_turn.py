"""The rows that leave in a turn, decided from the journal's facts without I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from cms_cli.replay.journal.rows import SAFE_TO_RESEND, WAITED_FOR, PendingRow, RowStatus
from cms_cli.replay.sending.pacing import Opening
from cms_cli.replay.sending.turn import Decision, Facts, decide, error_of
from cms_python import EventKind, Outcome, Status

NOW = 10_000.0
LEAD, SALE = EventKind.LEAD, EventKind.SALE


def row(number: int, sent_at: float | None = None) -> PendingRow:
    body = f'{{"invoiceId":"inv_{number}"}}'
    return PendingRow(number, number + 1, number, b"%d" % number, 100, "EUR", body, "[]", 0, sent_at)


def decided(
    kind: EventKind,
    *rows: PendingRow,
    ledger: Mapping[bytes, tuple[int, str] | bool] | None = None,
    elsewhere: Mapping[bytes, float] | None = None,
    too_old: Collection[bytes] = (),
    free: int = 8,
    room: int = 8,
    resend_unknown: bool = False,
) -> Decision:
    facts = Facts(ledger or {}, elsewhere or {}, too_old, Opening(free))
    return decide(kind, rows, facts, room, NOW, resend_unknown=resend_unknown)


@pytest.mark.parametrize(
    ("message", "details", "error"),
    [
        ("Validation failed", {}, "Validation failed"),
        ("no", {"amount": "must be 0 or more", "mode": ["a", "b"]}, "no (amount: must be 0 or more; mode: a; b)"),
        ("no", {"errors": {"amount": [1]}}, 'no (errors: {"amount": [1]})'),
        ("one; two", {"message": ["one", "two"]}, "one; two"),
        ("no", {"x": "y" * 9000}, f"no (x: {'y' * 497})"),
    ],
)
def test_the_error_of_a_row_names_the_fields(message: str, details: dict[str, object], error: str) -> None:
    """A refused row's error has the details of the answer, unless its message is the same, and is not endless."""
    assert error_of(Outcome(Status.REFUSED, message, details=details)) == error


@pytest.mark.parametrize(("free", "room", "sent"), [(8, 8, 3), (2, 8, 2), (8, 1, 1), (0, 8, 0)])
def test_no_more_than_window_and_workers_have_room_for(free: int, room: int, sent: int) -> None:
    """Rows leave in order as far as window and workers have room; the others are kept for a later turn."""
    rows = [row(1), row(2), row(3)]
    found = decided(SALE, *rows, free=free, room=room)
    assert (found.send, found.keep) == (rows[:sent], rows[sent:])


def test_a_row_that_needs_no_request_leaves_its_place_to_the_next() -> None:
    """A row that the ledger has takes no slot."""
    found = decided(LEAD, row(1), row(2), ledger={b"1": True}, room=1)
    assert [known.status for known in found.known] == [RowStatus.DUPLICATE]
    assert found.send == [row(2)]


@pytest.mark.parametrize("kind", [LEAD, SALE])
def test_what_another_run_is_sending_is_waited_for(kind: EventKind) -> None:
    """A row that another run is sending waits as long as an answer may take, whatever the clocks."""
    for left_at in (NOW - WAITED_FOR + 1, NOW, NOW + WAITED_FOR - 1):
        found = decided(kind, row(1), row(2), elsewhere={b"1": left_at})
        assert (found.wait, found.send) == ([row(1)], [row(2)])


def test_what_a_dead_run_was_sending() -> None:
    """An event left by a dead run is unknown if it is a lead and sent again if it is a sale."""
    long_ago = {b"1": NOW - WAITED_FOR - 1}
    assert [known.status for known in decided(LEAD, row(1), elsewhere=long_ago).known] == [RowStatus.UNKNOWN]
    assert decided(LEAD, row(1), elsewhere=long_ago, resend_unknown=True).send == [row(1)]
    assert decided(SALE, row(1), elsewhere=long_ago).send == [row(1)]


def test_what_the_ledger_has() -> None:
    """A row that the ledger has is a duplicate, even while another run sends it."""
    busy = {b"1": NOW}
    for kind, ledger, status in (
        (LEAD, {b"1": True}, RowStatus.DUPLICATE),
        (SALE, {b"1": (100, "EUR")}, RowStatus.DUPLICATE),
    ):
        found = decided(kind, row(1), ledger=ledger, elsewhere=busy)
        assert ([known.status for known in found.known], found.wait) == ([status], [])


def test_an_unknown_lead_that_is_being_sent_again_elsewhere_is_waited_for() -> None:
    """An unknown lead that another run is resending waits for that answer."""
    assert decided(LEAD, row(1), ledger={b"1": False}, elsewhere={b"1": NOW}).wait == [row(1)]
    assert [known.status for known in decided(LEAD, row(1), ledger={b"1": False}).known] == [RowStatus.UNKNOWN]


def test_a_sale_that_was_sent_too_long_ago() -> None:
    """A sale whose unanswered attempt is too old is unknown and is not sent again unasked."""
    old = row(1, NOW - SAFE_TO_RESEND - 1)
    assert [known.status for known in decided(SALE, old).known] == [RowStatus.UNKNOWN]
    assert decided(SALE, row(1, NOW - SAFE_TO_RESEND + 1)).send
    assert [known.code for known in decided(SALE, row(1), too_old=[b"1"]).known] == ["too_long_ago"]
