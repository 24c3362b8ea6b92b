"""The verdict on a row after one attempt."""

from __future__ import annotations

import pytest

from cms_cli.replay.journal.rows import SAFE_TO_RESEND, PendingRow, RowStatus
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.sending.verdict import Trust, judge, trusted
from cms_python import EventKind, Outcome, Status

LEFT, NOW = 1000.0, 1001.0
LEAD, SALE = EventKind.LEAD, EventKind.SALE


def row(sent_at: float | None = None) -> PendingRow:
    return PendingRow(1, 2, 3, b"k", 1, "EUR", "{}", "[]", 4, sent_at)


@pytest.mark.parametrize(
    ("kind", "status", "arrived", "becomes"),
    [
        (LEAD, Status.ACCEPTED, False, "accepted"),
        (SALE, Status.ACCEPTED, False, "accepted"),
        (SALE, Status.DUPLICATE, False, "duplicate"),
        (LEAD, Status.REFUSED, False, "refused"),
        (SALE, Status.REFUSED, False, "refused"),
        (LEAD, Status.UNANSWERED, True, "unknown"),
        (SALE, Status.UNANSWERED, True, None),
        (LEAD, Status.BUSY, True, "unknown"),
        (SALE, Status.BUSY, True, None),
        (LEAD, Status.BUSY, False, None),
        (SALE, Status.BUSY, False, None),
        (LEAD, Status.UNSENT, False, None),
        (SALE, Status.UNSENT, False, None),
    ],
)
def test_outcomes(kind: EventKind, status: Status, arrived: bool, becomes: str | None) -> None:
    """An answer settles a row; no answer settles only a lead that may have arrived."""
    found, outcome, stop = judge(kind, Outcome(status, "m", may_have_arrived=arrived), row(), LEFT, NOW)
    assert outcome == (RowStatus(becomes) if becomes else None)
    assert stop is Stop.NONE
    assert found.attempts == 5
    assert found.sent_at == (LEFT if arrived else None)


@pytest.mark.parametrize(
    ("outcome", "stop"),
    [
        (Outcome(Status.UNAUTHORIZED, "m", status_code=401), Stop.UNAUTHORIZED),
        (Outcome(Status.NOT_API, "m", status_code=200), Stop.NOT_API),
        (Outcome(Status.UNSENT, "m", "tls_error"), Stop.NOT_API),
        (Outcome(Status.UNSENT, "m", "settings_error"), Stop.NOT_API),
    ],
)
@pytest.mark.parametrize("kind", [LEAD, SALE])
@pytest.mark.parametrize("sent_at", [None, NOW - SAFE_TO_RESEND - 1])
def test_stops(kind: EventKind, outcome: Outcome, stop: Stop, sent_at: float | None) -> None:
    """An answer that would be the same for every row stops the run, and its row stays pending."""
    assert judge(kind, outcome, row(sent_at), LEFT, NOW)[1:] == (None, stop)


def test_a_refusal_that_names_itself_like_one_of_our_own_failures() -> None:
    """An error code of the service is not mistaken for one of our own failures."""
    assert judge(SALE, Outcome(Status.REFUSED, "m", "tls_error", 422), row(), LEFT, NOW).status == "refused"
    assert judge(SALE, Outcome(Status.BUSY, "m", "tls_error", 500), row(), LEFT, NOW).stop is Stop.NONE


def test_the_oldest_unanswered_attempt_counts() -> None:
    """A sale's age counts from its oldest unanswered attempt."""
    lost = Outcome(Status.UNANSWERED, "m", may_have_arrived=True)
    begin = NOW - SAFE_TO_RESEND
    assert judge(SALE, lost, row(begin + 1), LEFT, NOW)[1] is None
    assert judge(SALE, lost, row(begin + 1), LEFT, NOW).row.sent_at == begin + 1
    assert judge(SALE, lost, row(begin - 1), LEFT, NOW).status is RowStatus.UNKNOWN
    assert judge(SALE, Outcome(Status.BUSY, "m", status_code=503), row(begin - 1), LEFT, NOW).status == "unknown"
    assert judge(SALE, Outcome(Status.DUPLICATE, "m"), row(begin - 1), LEFT, NOW).status == "duplicate"


ANSWERED = Outcome(Status.BUSY, "m", status_code=503)
SILENCE = Outcome(Status.UNANSWERED, "m", may_have_arrived=True)
TAKEN = [Outcome(Status.ACCEPTED, "m", status_code=200), Outcome(Status.DUPLICATE, "m", status_code=409)]


@pytest.mark.parametrize("before", Trust)
def test_only_an_event_that_was_taken_shows_that_the_host_is_the_api(before: Trust) -> None:
    """Only an accepted or duplicate event shows that the host is the API, and trust never decreases."""
    assert [trusted(outcome, before) for outcome in TAKEN] == [Trust.ACCEPTED] * 2
    assert trusted(ANSWERED, before) is max(before, Trust.ANSWERED)
    assert trusted(SILENCE, before) is before


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("trust", Trust)
def test_a_web_page_is_a_deploy_only_where_events_were_taken(trust: Trust, arrived: bool) -> None:
    """A web page stops the run unless the host has accepted events and the page was no success."""
    page = Outcome(Status.NOT_API, "m", status_code=200, may_have_arrived=arrived)
    waited_out = trust is Trust.ACCEPTED and not arrived
    assert judge(SALE, page, row(), LEFT, NOW, trust).stop is (Stop.NONE if waited_out else Stop.NOT_API)


@pytest.mark.parametrize("trust", Trust)
def test_a_host_name_that_was_right_before_is_waited_for(trust: Trust) -> None:
    """A host name that stops resolving after an answer is waited for."""
    unresolved = Outcome(Status.UNSENT, "m", "host_not_found")
    expected = Stop.UNREACHABLE if trust is Trust.NONE else Stop.NONE
    assert judge(LEAD, unresolved, row(), LEFT, NOW, trust).stop is expected
