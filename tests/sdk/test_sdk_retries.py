"""Retries: which requests are repeated, how often and when, counted at the server."""

from __future__ import annotations

import math
import threading
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from faultserver import (
    DROP,
    DROP_UNREAD,
    HANG,
    SUCCESS,
    FaultServer,
    Reply,
    Step,
    html_reply,
    json_reply,
    refusing_port,
)
from hypothesis import given
from hypothesis import strategies as st
from sdk_events import SALE, track

from cms_python import CMSClient, EventKind, LeadEvent, Outcome, SaleEvent, Status, backoff, may_resend
from cms_python._retry import pause, read_retry_after

MakeClient = Callable[..., CMSClient]


def failure(status: int, *headers: tuple[str, str]) -> Reply:
    return json_reply(status, {"success": False, "error": "Not now", "statusCode": status}, *headers)


def requests_made(server: FaultServer) -> int:
    return len(server.requests) + server.dropped_unread


# Each failure, and how often the server receives a lead and a sale if it persists.
FAILURES: dict[str, tuple[Step, int, int]] = {
    "dropped after reading": (DROP, 1, 3),
    "dropped before reading": (DROP_UNREAD, 1, 3),
    "half an answer": (Reply(raw=b"HTTP/1.1 200 OK\r\n"), 1, 3),
    "broken JSON": (Reply(200, b'{"a', (("Content-Type", "application/json"),)), 1, 3),
    "408": (failure(408), 1, 3),
    "500": (failure(500), 1, 3),
    "502": (failure(502), 1, 3),
    "502 web page": (html_reply(502), 1, 3),
    "503": (failure(503), 3, 3),
    "503 without a body": (Reply(503), 3, 3),
    "504": (failure(504), 1, 3),
    "400": (failure(400), 1, 1),
    "401": (failure(401), 1, 1),
    "403": (failure(403), 1, 1),
    "404": (failure(404), 1, 1),
    "409": (failure(409), 1, 1),
    "422": (failure(422), 1, 1),
    "a web page": (html_reply(200), 1, 1),
    "a redirect": (Reply(302, b"", (("Location", "/x"),)), 1, 1),
    "200 that says no": (json_reply(200, {"success": False, "error": "no"}), 1, 1),
    "200 that says 503": (json_reply(200, {"success": False, "error": "no", "statusCode": 503}), 3, 3),
}


@pytest.mark.parametrize("kind", ["lead", "sale"])
@pytest.mark.parametrize("name", FAILURES)
def test_sent_again(server: FaultServer, client: CMSClient, clock: Any, kind: str, name: str) -> None:
    """A sale is retried if that may help, a lead only if it cannot have arrived; three attempts at most."""
    step, leads, sales = FAILURES[name]
    expected = leads if kind == "lead" else sales
    server.script(*[step] * 10)
    answer = track(client, kind)
    assert answer["success"] is False
    assert requests_made(server) == expected
    assert len(clock.pauses) == expected - 1
    assert sum(clock.pauses) < 20


@pytest.mark.parametrize("kind", ["lead", "sale"])
def test_the_same_is_sent_again(server: FaultServer, client: CMSClient, clock: Any, kind: str) -> None:
    """A retry repeats the same request, and its success is the result."""
    server.script(failure(503), failure(503), SUCCESS)
    assert track(client, kind)["success"] is True
    assert (
        len({(request.target, request.body, request.headers["Authorization"]) for request in server.requests}) == 1
    )
    assert len(server.requests) == 3


@pytest.mark.parametrize("kind", ["lead", "sale"])
def test_limit_is_waited_out(server: FaultServer, client: CMSClient, clock: Any, kind: str) -> None:
    """A 429 is retried until the call's 20 seconds are over, with more than three requests."""
    server.default = failure(429)
    answer = track(client, kind)
    assert (answer["success"], answer["status_code"], answer["error"]) == (False, 429, "Not now")
    assert len(server.requests) > 3
    assert sum(clock.pauses) < 20


@pytest.mark.parametrize("kind", ["lead", "sale"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_seconds(server: FaultServer, client: CMSClient, clock: Any, kind: str, status: int) -> None:
    """Every pause lasts at least the seconds of ``Retry-After``."""
    later = ("Retry-After", "4")
    server.script(failure(status, later), failure(status, later), failure(status, later), SUCCESS)
    assert track(client, kind)["success"] is True
    assert len(clock.pauses) == 3
    assert all(4 <= pause < 8 for pause in clock.pauses)


def test_retry_after_date(server: FaultServer, client: CMSClient, clock: Any) -> None:
    """A pause lasts at least until the date of ``Retry-After``."""
    server.script(failure(503, ("Retry-After", formatdate(time.time() + 8, usegmt=True))), SUCCESS)
    assert track(client, "lead")["success"] is True
    assert 5 < clock.pauses[0] < 10


@pytest.mark.parametrize("value", ["30", "3600", "9999999999999", "a date"])
def test_retry_after_too_late(server: FaultServer, client: CMSClient, clock: Any, value: str) -> None:
    """A ``Retry-After`` beyond the call's time ends the call at once and is in the dict."""
    if value == "a date":
        value = formatdate(time.time() + 900, usegmt=True)
    server.script(failure(429, ("Retry-After", value)))
    answer = track(client, "sale")
    assert (answer["success"], answer["status_code"], clock.pauses) == (False, 429, [])
    assert answer["retry_after"] > 20
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "value", ["", "soon", "-5", "1.5", "0", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 99999999999 07:28:00 GMT"]
)
def test_retry_after_that_says_nothing(server: FaultServer, client: CMSClient, clock: Any, value: str) -> None:
    """A ``Retry-After`` in the past or unreadable leaves the usual pause."""
    server.script(failure(503, ("Retry-After", value)), SUCCESS)
    assert track(client, "lead")["success"] is True
    assert 0.3 < clock.pauses[0] < 0.6


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[A-Z][a-z]{2}, ?\d{1,9}[ -][A-Z][a-z]{2}[ -]\d+ [\d:]+ .*")))
def test_retry_after_of_any_kind(value: str) -> None:
    """Any ``Retry-After`` is read without raising, and is never negative."""
    seconds = read_retry_after(value, time.time())
    assert seconds is None or 0 <= seconds <= 1e9


def test_retry_after_in_the_past(server: FaultServer, client: CMSClient, clock: Any) -> None:
    """A ``Retry-After`` date in the past counts as 0 seconds and keeps the usual pause."""
    past = formatdate(time.time() - 3600, usegmt=True)
    assert read_retry_after(past, time.time()) == 0.0
    server.default = failure(503, ("Retry-After", past))
    outcome = client.attempt(LeadEvent("a", "b").encode())
    assert outcome.retry_after == 0.0
    assert client.send(LeadEvent("a", "b")).to_dict()["retry_after"] == 0.0
    assert min(clock.pauses) >= 0.375


def test_retry_after_without_a_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``Retry-After`` date without a zone is read as GMT, whatever the machine's zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    if hasattr(time, "tzset"):
        time.tzset()
    try:
        seconds = read_retry_after(time.asctime(time.gmtime(1_700_000_100)), 1_700_000_000.0)
    finally:
        monkeypatch.undo()
        if hasattr(time, "tzset"):
            time.tzset()
    assert seconds == 100


@pytest.mark.parametrize("kind", ["lead", "sale"])
def test_no_connection_is_tried_again(make_client: MakeClient, clock: Any, kind: str) -> None:
    """A refused connection is tried three times, for leads and sales."""
    with refusing_port() as port:
        answer = track(make_client(f"http://127.0.0.1:{port}"), kind)
    assert (answer["success"], answer["type"], len(clock.pauses)) == (False, "connection_error", 2)


def test_server_that_comes_up(make_client: MakeClient) -> None:
    """A lead is tracked once when a server that was down comes up."""
    with refusing_port() as port:
        client = make_client(f"http://127.0.0.1:{port}", retries=50, total_wait=15)
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(track(client, "lead")))
        thread.start()
        time.sleep(0.2)
    with FaultServer(port=port) as server:
        thread.join(20)
        assert answers[0]["success"] is True
        assert len(server.requests) == 1


@pytest.mark.parametrize(("kind", "count"), [("lead", 1), ("sale", 3)])
def test_hanging_server(server: FaultServer, make_client: MakeClient, clock: Any, kind: str, count: int) -> None:
    """A server that never answers receives a sale three times and a lead once."""
    server.default = HANG
    client = make_client(timeout=0.3)
    answer = track(client, kind)
    assert (answer["success"], answer["type"], len(server.requests)) == (False, "timeout", count)


@pytest.mark.parametrize("kind", ["lead", "sale"])
def test_an_answer_that_takes_its_time(server: FaultServer, make_client: MakeClient, kind: str) -> None:
    """An attempt may take its whole ``timeout``, however little of the call's time is left for others."""
    server.script(Reply(204, after=1.2))
    assert track(make_client(timeout=10, total_wait=1.5), kind)["success"] is True
    assert len(server.requests) == 1


def test_an_answer_later_than_the_time_of_the_call(server: FaultServer, make_client: MakeClient) -> None:
    """``total_wait`` limits when attempts begin and does not cut one off."""
    server.script(Reply(204, after=0.6))
    assert track(make_client(total_wait=0.2), "lead")["success"] is True


def test_the_last_attempt_has_its_whole_time(
    server: FaultServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that begins just before the end of ``total_wait`` has its whole ``timeout``."""
    pauses: list[float] = []
    only_pauses_take_time = SimpleNamespace(sleep=pauses.append, monotonic=lambda: sum(pauses))
    monkeypatch.setattr("cms_python.client.time", only_pauses_take_time)
    server.script(failure(503, ("Retry-After", "2")), Reply(204, after=0.6))
    outcome = make_client(total_wait=2.1).send(LeadEvent("a", "b"))
    assert (outcome.success, outcome.attempts, pauses) == (True, 2, [2.0])


@pytest.mark.parametrize(("elapsed", "wait"), [(17.9, 2.0), (18.0, None), (18.1, None)])
def test_an_attempt_begins_while_the_time_lasts(elapsed: float, wait: float | None) -> None:
    """A pause that would end at or after ``total_wait`` is not begun."""
    busy = Outcome(Status.BUSY, "m", status_code=503, retry_after=2.0)
    found = pause(EventKind.LEAD, busy, failures=1, elapsed=elapsed, retries=2, total_wait=20.0, chance=0.5)
    assert found == wait


SILENCES = {
    "dropped": DROP,
    "half an answer": Reply(raw=b"HTTP/1.1 200 OK\r\n"),
    "502": failure(502),
    "504": failure(504),
    "500": failure(500),
}


@pytest.mark.parametrize("name", SILENCES)
def test_own_duplicate(server: FaultServer, client: CMSClient, clock: Any, name: str) -> None:
    """A sale's 409 is a success marked as duplicate if an earlier attempt may have arrived."""
    exists = json_reply(409, {"success": False, "error": "Invoice exists", "type": "conflict", "statusCode": 409})
    server.script(SILENCES[name], failure(503), exists)
    answer = track(client, "sale")
    assert answer["success"] is True
    assert isinstance(answer["message"], str)
    assert answer["data"]["duplicate"] is True
    assert set(answer) == {"success", "message", "data"}


def test_own_duplicate_after_silence(server: FaultServer, make_client: MakeClient, clock: Any) -> None:
    """A sale's 409 after an attempt that timed out is a success marked as duplicate."""
    server.script(HANG, failure(409))
    answer = track(make_client(timeout=0.3), "sale")
    assert (answer["success"], answer["data"]["duplicate"]) == (True, True)


@pytest.mark.parametrize("before", [[], [failure(503)], [failure(429)], [failure(429), failure(503)]])
def test_foreign_duplicate(server: FaultServer, client: CMSClient, clock: Any, before: list[Step]) -> None:
    """A sale's 409 is an error if no earlier attempt can have arrived."""
    server.script(*before, failure(409))
    answer = track(client, "sale")
    assert (answer["success"], answer["status_code"]) == (False, 409)


def test_lead_conflict(server: FaultServer, client: CMSClient, clock: Any) -> None:
    """A lead's 409 is an error."""
    server.script(failure(503), failure(409))
    assert track(client, "lead")["status_code"] == 409


def test_duplicate_without_words(server: FaultServer, client: CMSClient, clock: Any) -> None:
    """A sale's 409 without a body is read like one with a body."""
    server.script(DROP, Reply(409))
    answer = track(client, "sale")
    assert (answer["success"], answer["data"]) == (True, {"duplicate": True})


def test_no_retries(server: FaultServer, make_client: MakeClient, clock: Any) -> None:
    """``retries=0`` sends once, ``retries=5`` six times."""
    for retries in (0, 5):
        before = len(server.requests)
        server.script(*[failure(503)] * (retries + 1))
        track(make_client(retries=retries, total_wait=100), "lead")
        assert len(server.requests) - before == retries + 1


@pytest.mark.parametrize(("retries", "attempts"), [(1.0, 2), (2.0, 3), (math.inf, 6)])
def test_retries_as_a_float(
    server: FaultServer, make_client: MakeClient, clock: Any, retries: Any, attempts: int
) -> None:
    """``retries`` may be a whole float or infinity."""
    server.script(*[failure(503)] * 5)
    answer = track(make_client(retries=retries, total_wait=100), "sale")
    assert len(server.requests) == attempts
    assert answer["success"] is (retries == math.inf)


@pytest.mark.parametrize("headers", [(), (("Retry-After", "0"),)])
@pytest.mark.parametrize("status", [429, 503])
def test_no_retries_at_a_limit(
    server: FaultServer, make_client: MakeClient, clock: Any, status: int, headers: tuple[tuple[str, str], ...]
) -> None:
    """``retries=0`` sends once even if the answer is 429 or 503."""
    server.default = failure(status, *headers)
    answer = track(make_client(retries=0), "sale")
    assert (answer["success"], answer["status_code"]) == (False, status)
    assert (len(server.requests), clock.pauses) == (1, [])


@pytest.mark.parametrize("status", [500, 503])
def test_closed_while_it_waits(
    server: FaultServer, client: CMSClient, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A call whose client is closed during a pause returns the last outcome and does not raise."""
    server.default = failure(status)
    monkeypatch.setattr("cms_python.client.time.sleep", lambda _: client.close())
    outcome = client.send(SaleEvent(**SALE))
    assert (outcome.success, outcome.status_code, outcome.attempts) == (False, status, 1)
    assert outcome.may_have_arrived is (status == 500)
    assert len(server.requests) == 1


def test_call_keeps_to_its_time(server: FaultServer, make_client: MakeClient) -> None:
    """A call under a permanent limit ends with ``total_wait``, however many retries are left."""
    server.default = failure(429)
    assert track(make_client(retries=1000, total_wait=1.0), "lead")["status_code"] == 429
    assert len(server.requests) < 1000


def test_attempts_are_counted(server: FaultServer, client: CMSClient, clock: Any) -> None:
    """The outcome counts the requests that were made."""
    server.script(DROP, failure(503), SUCCESS)
    outcome = client.send(SaleEvent(**SALE))
    assert (outcome.status, outcome.attempts, outcome.success) == (Status.ACCEPTED, 3, True)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff(attempt: int, chance: float) -> None:
    """Pauses double from half a second to thirty, and chance shortens them by a quarter at most."""
    seconds = backoff(attempt, chance)
    longest = min(30.0, 0.5 * 2 ** min(attempt - 1, 20))
    assert 0.75 * longest <= seconds <= longest


outcomes = st.builds(
    Outcome,
    st.sampled_from(Status),
    st.just("text"),
    st.sampled_from(["", "timeout", "tls_error", "host_not_found"]),
    st.sampled_from([None, 200, 409, 429, 500, 503]),
    retry_after=st.one_of(st.none(), st.floats(0, 100)),
    may_have_arrived=st.booleans(),
).filter(lambda outcome: not (outcome.status is Status.UNSENT and outcome.may_have_arrived))


@given(
    st.sampled_from(EventKind),
    outcomes,
    st.integers(1, 100),
    st.floats(0, 100),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 10),
    st.floats(0, 100),
)
def test_policy(
    kind: EventKind,
    outcome: Outcome,
    failures: int,
    elapsed: float,
    chance: float,
    retries: int,
    total_wait: float,
) -> None:
    """A pause is at least as long as ``Retry-After``, ends within ``total_wait``, and never doubles a lead."""
    wait = pause(
        kind,
        outcome,
        failures=failures,
        elapsed=elapsed,
        retries=retries,
        total_wait=total_wait,
        chance=chance,
    )
    if wait is not None:
        assert wait >= (outcome.retry_after or 0)
        assert elapsed + wait < total_wait
        assert may_resend(kind, outcome)
        assert kind is EventKind.SALE or not outcome.may_have_arrived
