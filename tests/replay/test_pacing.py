"""The rate window, on a clock of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.sending.pacing import (
    DOCUMENTED_RATE,
    Rate,
    SharedWindow,
    ideal_seconds,
    parse_rate,
)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/m", Rate(60, 60.0)),
        ("5/s", Rate(5, 1.0)),
        ("10/2s", Rate(10, 2.0)),
        ("1000/h", Rate(1000, 3600.0)),
        ("60", Rate(60, 60.0)),
        (" 60/MIN ", Rate(60, 60.0)),
        ("none", None),
    ],
)
def test_rates_as_they_are_written(text: str, rate: Rate | None) -> None:
    """A rate is a number of requests and a time; a number alone is a minute's."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0/m", "-1/m", "60/", "m", "60/0s", "1.5/s", "60/d", "60 per minute"])
def test_no_rates(text: str) -> None:
    """What is no rate is said to be none."""
    with pytest.raises(ValueError, match="must"):
        parse_rate(text)


def test_rates_read_back() -> None:
    """A rate shown is a rate that can be given."""
    for text in ("60/m", "5/s", "10/2s", "1000/h"):
        assert str(parse_rate(text)) == text


@pytest.mark.parametrize(("rows", "seconds"), [(0, 0), (1, 0), (60, 0), (61, 60), (120, 60), (121, 120)])
def test_the_ideal(rows: int, seconds: float) -> None:
    """The first window is free."""
    assert ideal_seconds(rows, DOCUMENTED_RATE) == seconds


class Sender:
    """One process that keeps to the window, and its requests under way: when each is at the server and back."""

    def __init__(self, window: SharedWindow) -> None:
        self.window = window
        self.under_way: list[tuple[float, int]] = []


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_window_ever_holds_more_than_the_limit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """However many processes send, whatever the line does, no window at the server holds more than the limit."""
    limit, length = data.draw(st.integers(1, 5)), 10.0
    seen: list[float] = []
    with Journal.open(tmp_path_factory.mktemp("journal")) as journal:
        senders = [
            Sender(SharedWindow(1, Rate(limit, length), timeout=30.0)) for _ in range(data.draw(st.integers(1, 3)))
        ]
        now = 100.0
        for _ in range(data.draw(st.integers(5, 40))):
            now += data.draw(st.floats(0, 12))
            sender = data.draw(st.sampled_from(senders))
            with journal.transaction() as db:
                for back, slot in [each for each in sender.under_way if each[0] <= now]:
                    sender.window.give_back(db, slot, now)
                    sender.under_way.remove((back, slot))
                opens = sender.window.next_free(db, now)
                slots = sender.window.take(db, now, data.draw(st.integers(1, 6)))
                # Where it says when a slot is free, none is free before; and where one is free it says so.
                assert bool(slots) == (opens <= now)
            for slot in slots:
                there = now + data.draw(st.floats(0, 5))
                seen.append(there)
                sender.under_way.append((there + data.draw(st.floats(0, 5)), slot))
    for start in seen:
        assert len([moment for moment in seen if start <= moment < start + length]) <= limit


def test_a_whole_window_goes_out_at_once_and_the_next_one_on_time(tmp_path: Path) -> None:
    """The limit's number leaves in one go; one window after the answers came, as many again."""
    window = SharedWindow(1, Rate(60, 60.0), timeout=30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        slots = window.take(db, 1000.0, 100)
        assert len(slots) == 60
        for slot in slots:
            window.give_back(db, slot, 1000.5)
        assert window.take(db, 1060.49, 1) == []
        opens = window.next_free(db, 1060.0)
        assert 1060.5 < opens < 1060.6
        assert len(window.take(db, opens, 100)) == 60


def test_a_slot_of_a_process_that_died_is_free_in_the_end(tmp_path: Path) -> None:
    """Nobody reports its request back: one timeout and one window later nobody has to."""
    dead, alive = (SharedWindow(1, Rate(1, 60.0), timeout=30.0) for _ in range(2))
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        assert dead.take(db, 1000.0, 1)
        assert not alive.take(db, 1089.9, 1)
        assert alive.take(db, 1090.1, 1)


@pytest.mark.parametrize("ahead", [120, 1800, 3600, 365 * 86400])
def test_a_clock_that_was_wrong_does_not_hold_the_window_shut(tmp_path: Path, ahead: int) -> None:
    """Requests noted by a clock that ran ahead may have been made just now: they count for some minutes more."""
    before, after = (SharedWindow(1, Rate(1, 60.0), timeout=30.0) for _ in range(2))
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        [slot] = before.take(db, 1000.0 + ahead, 1)
        before.give_back(db, slot, 1000.0 + ahead)
        assert not after.take(db, 1000.0, 1)
        assert not after.take(db, 1059.0, 1)
        assert after.take(db, 1360.1, 1)


def test_accounts_do_not_share_a_window(tmp_path: Path) -> None:
    """The limit is one host's and account's."""
    one, other = SharedWindow(1, Rate(1, 60.0), 30.0), SharedWindow(2, Rate(1, 60.0), 30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        assert one.take(db, 1000.0, 1)
        assert other.take(db, 1000.0, 1)
        assert not one.take(db, 1000.0, 1)


def test_without_a_limit_requests_are_noted_for_others(tmp_path: Path) -> None:
    """A replay at full speed leaves no room for one that keeps to the limit, and its notes are bounded."""
    free, paced = SharedWindow(1, None, 30.0), SharedWindow(1, Rate(60, 60.0), 30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        assert len(free.take(db, 1000.0, 60)) == 60
        assert free.next_free(db, 1000.0) == 0
        assert paced.take(db, 1000.0, 1) == []
