"""Waiting and giving up, on a simulated clock."""

from __future__ import annotations

from typing import Any

import pytest

from cms_cli.replay.sending.health import ALARMING, LONGEST_ASIDE, LONGEST_COSTLY_PAUSE, LONGEST_PAUSE, Health
from cms_python import Outcome, Status

NOW = 1000.0


def failure(status_code: int | None = 500, **more: Any) -> Outcome:
    return Outcome(Status.BUSY, "it cannot", "server_error", status_code, **more)


def test_one_failure_holds_nobody_up() -> None:
    """A row that fails alone is tried later while the others go on."""
    health = Health(900, NOW)
    due = health.failed(1, failure(), NOW, 0.5, left_at=NOW)
    assert NOW < due < NOW + 2
    assert health.paused_until == 0
    assert not health.alarming


def test_a_row_that_fails_while_others_go_through_is_to_blame() -> None:
    """A row that keeps failing alone waits longer each time and never pauses the others again."""
    health = Health(900, NOW)
    now = NOW
    waits = [health.failed(1, failure(), now, 1.0, left_at=now) - now]
    for _ in range(8):
        health.progressed(2, now + 1)
        now += 10
        waits.append(health.failed(1, failure(), now, 1.0, left_at=now) - now)
    assert waits == [1, 2, 4, 8, 16, 32, 64, LONGEST_ASIDE, LONGEST_ASIDE]
    health.progressed(2, now + 1)
    due = health.failed(1, failure(503, retry_after=60.0), now + 2, 0.5, left_at=now)
    assert due >= now + 62
    assert health.paused_until == 0
    assert not health.given_up(now + 3)


@pytest.mark.parametrize("before", [False, True])
def test_the_third_failure_in_a_row_holds_everybody_up(before: bool) -> None:
    """All requests wait from the third failure in a row on; a row that goes through begins the count anew."""
    health = Health(900, NOW)
    if before:
        for row in range(10, 10 + ALARMING):
            health.failed(row, failure(), NOW - 100, 0.5, left_at=NOW - 100)
        health.progressed(20, NOW - 10)
    for row in range(1, ALARMING):
        health.failed(row, failure(), NOW, 0.5, left_at=NOW)
        assert (health.alarming, health.paused_until > NOW) == (False, False)
    health.failed(ALARMING, failure(), NOW, 0.5, left_at=NOW)
    assert (health.alarming, health.paused_until > NOW) == (True, True)


def test_a_burst_counts_once() -> None:
    """The first pause is short, however many requests fail at once."""
    health = Health(900, NOW)
    for _ in range(64):
        health.failed(1, failure(), NOW + 1, 0.5, left_at=NOW)
    assert health.alarming
    assert health.paused_until <= NOW + 2


@pytest.mark.parametrize(("costly", "longest"), [(False, LONGEST_PAUSE), (True, LONGEST_COSTLY_PAUSE)])
def test_pauses_grow_to_a_bound(costly: bool, longest: float) -> None:
    """Each failed try doubles the pause, from a second up to a bound that is higher where tries cost leads."""
    health = Health(10_000, NOW)
    now, pauses = NOW, []
    for _ in range(20):
        health.failed(1, failure(), now, 1.0, left_at=now, costly=costly)
        pauses.append(health.paused_until - now)
        now = max(now, health.paused_until)
    pauses = pauses[ALARMING - 1 :]
    assert pauses == [min(longest, 2.0**number) for number in range(len(pauses))]
    health.progressed(2, now)
    health.failed(1, failure(), now + 1, 0.5, left_at=now)
    assert not health.alarming


@pytest.mark.parametrize("asked", [1.0, 5.0, 59.0])
def test_retry_after_is_obeyed_to_the_second(asked: float) -> None:
    """All requests wait exactly as long as Retry-After says, however often the service has failed before."""
    health = Health(900, NOW)
    now = NOW
    for _ in range(7):
        assert health.failed(1, failure(429, retry_after=asked), now, 0.5, left_at=now) == now + asked
        assert health.paused_until == now + asked
        now += asked + 1


def test_a_rate_limit_concerns_every_row() -> None:
    """A row that is answered 429 again holds the others up, although some went through meanwhile."""
    health = Health(900, NOW)
    for now in (NOW, NOW + 100):
        assert health.failed(1, failure(429, retry_after=60.0), now, 0.5, left_at=now) == now + 60
        assert health.paused_until == now + 60
        health.progressed(2, now + 70)


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    """A request in flight that fails after the service has asked for a pause does not shorten it."""
    health = Health(900, NOW)
    health.failed(1, failure(503, retry_after=60.0), NOW, 0.5, left_at=NOW)
    for row in range(2, 2 + ALARMING):
        assert health.failed(row, failure(503, retry_after=5.0), NOW + 1, 0.5, left_at=NOW) == NOW + 60
        assert health.failed(row, failure(), NOW + 1, 0.5, left_at=NOW) <= NOW + 60
    assert health.paused_until == NOW + 60


@pytest.mark.parametrize("retry_after", [0.0, None])
def test_a_429_without_a_time_is_no_busy_loop(retry_after: float | None) -> None:
    """A service that keeps answering 429 with "Retry-After: 0", or without one, is tried at growing intervals."""
    health = Health(900, NOW)
    now, asked = NOW, 0
    while now < NOW + 60:
        now = max(now + 0.001, health.failed(1, failure(429, retry_after=retry_after), now, 0.5, left_at=now))
        assert health.paused_until == now
        asked += 1
    assert asked < 30


def test_a_longer_wait_than_max_wait_ends_the_run() -> None:
    """A service that asks for a longer wait than --max-wait, and not for just that, ends the run at once."""
    health = Health(90, NOW)
    health.failed(1, failure(429, retry_after=90.0), NOW, 0.5, left_at=NOW)
    assert not health.given_up(NOW + 0.1)
    health.failed(1, failure(429, retry_after=3600.0), NOW, 0.5, left_at=NOW)
    assert "asks to wait for 3600 s" in health.given_up(NOW + 0.1)


def test_max_wait_counts_from_the_last_row_that_settled() -> None:
    """--max-wait counts from the last row that settled, without pacing and times without a failure."""
    health = Health(90, NOW)
    assert not health.given_up(NOW + 1000)
    health.progressed(2, NOW + 100)
    health.failed(1, failure(), NOW + 101, 0.5, left_at=NOW)
    assert not health.given_up(NOW + 189)
    assert "--max-wait" in health.given_up(NOW + 191)
    health.discount(60)
    assert not health.given_up(NOW + 191)
    assert "it cannot" in health.given_up(NOW + 251)


def test_our_own_pause_ends_in_time_for_a_last_try() -> None:
    """A backoff never reaches beyond --max-wait, so that a last try is made."""
    health = Health(10, NOW)
    now = NOW
    for _ in range(50):
        health.failed(1, failure(), now, 0.5, left_at=now)
        assert not health.given_up(now)
        now = max(now, health.paused_until)
        if now > NOW + 10:
            break
        assert not health.given_up(now)
        assert health.paused_until <= NOW + 10.5
    assert health.given_up(now)
