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
    waits = []
    now = NOW
    health.failed(1, failure(), now, 0.9, left_at=now)
    for _ in range(13):
        health.progressed(2, now + 1)
        now += 10
        waits.append(health.failed(1, failure(), now, 0.9, left_at=now) - now)
    assert waits == sorted(waits)
    assert max(waits) <= LONGEST_ASIDE
    health.progressed(2, now + 1)
    due = health.failed(1, failure(503, retry_after=60.0), now + 2, 0.5, left_at=now)
    assert due >= now + 62
    assert health.paused_until == 0
    assert not health.given_up(now + 3)


def test_a_burst_counts_once() -> None:
    """The first pause is short, however many requests fail at once."""
    health = Health(900, NOW)
    for _ in range(64):
        health.failed(1, failure(), NOW + 1, 0.5, left_at=NOW)
    assert health.alarming
    assert health.paused_until <= NOW + 2


@pytest.mark.parametrize(("costly", "longest"), [(False, LONGEST_PAUSE), (True, LONGEST_COSTLY_PAUSE)])
def test_pauses_grow_to_a_bound(costly: bool, longest: float) -> None:
    """Each failed try makes the next pause longer, up to a bound that is higher where tries cost leads."""
    health = Health(10_000, NOW)
    now, pauses = NOW, []
    for _ in range(20):
        health.failed(1, failure(), now, 1.0, left_at=now, costly=costly)
        pauses.append(health.paused_until - now)
        now = max(now, health.paused_until)
    assert pauses[ALARMING:] == sorted(pauses[ALARMING:])
    assert pauses[-1] == longest
    health.progressed(2, now)
    health.failed(1, failure(), now + 1, 0.5, left_at=now)
    assert not health.alarming


@pytest.mark.parametrize("asked", [1.0, 5.0, 59.0])
def test_retry_after_is_obeyed_to_the_second(asked: float) -> None:
    """All requests wait exactly as long as Retry-After says."""
    health = Health(900, NOW)
    assert health.failed(1, failure(429, retry_after=asked), NOW, 0.5, left_at=NOW) == NOW + asked
    assert health.paused_until == NOW + asked


def test_retry_after_0_is_no_busy_loop() -> None:
    """A service that keeps answering "Retry-After: 0" is tried at growing intervals."""
    health = Health(900, NOW)
    now, asked = NOW, 0
    while now < NOW + 60:
        now = max(now + 0.001, health.failed(1, failure(429, retry_after=0.0), now, 0.5, left_at=now))
        asked += 1
    assert asked < 30


def test_a_longer_wait_than_max_wait_ends_the_run() -> None:
    """A service that asks for a longer wait than --max-wait ends the run at once."""
    health = Health(90, NOW)
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
        now = max(now, health.paused_until)
        if now > NOW + 10:
            break
        assert not health.given_up(now)
        assert health.paused_until <= NOW + 10.5
