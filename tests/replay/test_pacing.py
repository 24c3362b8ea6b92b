"""The rate window, on a simulated clock."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_cli.replay.journal import slots
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.slots import Slot
from cms_cli.replay.sending.pacing import (
    DOCUMENTED_RATE,
    Rate,
    SharedWindow,
    ideal_seconds,
    opening,
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
        ("5/sec", Rate(5, 1.0)),
        ("100000/s", Rate(100_000, 1.0)),
        ("1/m", Rate(1, 60.0)),
        ("none", None),
    ],
)
def test_rates_as_they_are_written(text: str, rate: Rate | None) -> None:
    """A rate is a number of requests and a time; a number alone is per minute."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "0/m", "-1/m", "60/", "m", "60/0s", "1.5/s", "60/d", "60 per minute", "100001/h"]
)
def test_texts_that_are_no_rate(text: str) -> None:
    """A text that is no rate is refused."""
    with pytest.raises(ValueError, match="must"):
        parse_rate(text)


def test_rates_read_back() -> None:
    """A rate as it is shown can be given as --rate."""
    for text in ("60/m", "5/s", "10/2s", "1000/h", "3/2h", "7/90m", "5/1501s", "100000/s", "5/240h"):
        assert str(parse_rate(text)) == text


@pytest.mark.parametrize(("rows", "seconds"), [(0, 0), (1, 0), (60, 0), (61, 60), (120, 60), (121, 120)])
def test_the_ideal_duration(rows: int, seconds: float) -> None:
    """The first window's requests take no time, and each further window's one window."""
    assert ideal_seconds(rows, DOCUMENTED_RATE) == seconds


def test_a_slot_is_free_one_window_after_its_answer(tmp_path: Path) -> None:
    """A slot is free one window after its answer, not before and hardly later."""
    window = SharedWindow(1, Rate(2, 60.0), timeout=30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        taken = window.take(db, 2, 1000.0)
        window.answered(db, [(number, 1001.0) for number in taken])
        assert [window.ask(db, 2)(now).free for now in (1001.0, 1060.9, 1061.1)] == [0, 0, 2]


class Sender:
    """A process that keeps to the window, and the arrival and slot of its requests in flight."""

    def __init__(self, window: SharedWindow) -> None:
        self.window = window
        self.under_way: list[tuple[float, int]] = []


def take(window: SharedWindow, db: sqlite3.Connection, now: float, wanted: int = 1) -> list[int]:
    """Take as many of the wanted slots as are free."""
    return window.take(db, window.ask(db, wanted)(now).free, now)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_window_ever_holds_more_than_the_limit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """No window at the server holds more than the limit, whatever processes and delays there are."""
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
                back = [each for each in sender.under_way if each[0] <= now]
                sender.window.answered(db, [(slot, now) for _, slot in back])
                sender.under_way = [each for each in sender.under_way if each not in back]
                wanted = data.draw(st.integers(1, 6))
                opening = sender.window.ask(db, wanted)(now)
                # Either a slot is free now, or the next look is due in the future and not after one opens.
                assert opening.free or now < opening.look_at <= opening.opens
                slots = sender.window.take(db, opening.free, now)
            for slot in slots:
                there = now + data.draw(st.floats(0, 5))
                seen.append(there)
                sender.under_way.append((there + data.draw(st.floats(0, 5)), slot))
    for start in seen:
        assert len([moment for moment in seen if start <= moment < start + length]) <= limit


@given(
    ends=st.lists(st.floats(0, 100), max_size=12),
    limit=st.integers(1, 10),
    wanted=st.integers(1, 10),
    window=st.floats(1, 50),
)
def test_as_many_leave_as_the_window_has_room_for(
    ends: list[float], limit: int, wanted: int, window: float
) -> None:
    """As many slots are free as the window has room for, and the next opening is exact."""
    now, wanted = 100.0, min(wanted, limit)
    newest = sorted((Slot(None, end) for end in ends), key=lambda slot: -slot.ends)
    found = opening(newest[limit - wanted : limit], wanted, window, now)
    in_window = sum(end + window > now for end in ends)
    assert found.free == min(wanted, max(0, limit - in_window))
    if found.free < wanted:
        still = sum(end + window > found.opens for end in ends)
        assert limit - still >= found.free + 1  # then one more may leave
        assert found.look_at == found.opens > now


def test_an_unanswered_request_is_looked_at_before_its_answer_must_have_come() -> None:
    """An unanswered request is checked again after one window, before its timeout has passed."""
    found = opening([Slot(995.0, 1025.0)], 1, 10.0, 1000.0)
    assert found == (0, 1010.0, 1035.0)


def test_a_whole_window_goes_out_at_once_and_the_next_one_on_time(tmp_path: Path) -> None:
    """A full window's requests leave at once, and as many again one window after their answers."""
    window = SharedWindow(1, Rate(60, 60.0), timeout=30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        slots = take(window, db, 1000.0, 100)
        assert len(slots) == 60
        window.answered(db, [(slot, 1000.5) for slot in slots])
        assert take(window, db, 1060.49) == []
        opens = window.ask(db, 1)(1060.0).opens
        assert 1060.5 < opens < 1060.6
        assert len(take(window, db, opens, 100)) == 60


def test_a_slot_is_free_one_window_after_its_answer_however_long_the_window(tmp_path: Path) -> None:
    """A window of hours or days holds no more than its limit either."""
    for scope, window in enumerate((7200.0, 20 * 86400.0), 1):
        slow = SharedWindow(scope, Rate(3, window), timeout=30.0)
        with Journal.open(tmp_path) as journal, journal.transaction() as db:
            slow.answered(db, [(slot, 1001.0) for slot in take(slow, db, 1000.0, 3)])
            for hours in (1.1, window / 3600 - 0.1):
                again = SharedWindow(scope, Rate(3, window), timeout=30.0)
                assert not take(again, db, 1001.0 + hours * 3600)
            assert len(take(slow, db, 1001.0 + window * 1.002, 5)) == 3


def test_a_shorter_window_forgets_no_slot_of_a_longer_one(tmp_path: Path) -> None:
    """A replay with a shorter window keeps the slots that a longer window still counts."""
    slow, quick = SharedWindow(1, Rate(3, 7200.0), 30.0), SharedWindow(1, Rate(10, 1.0), 30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        slow.answered(db, [(slot, 1001.0) for slot in take(slow, db, 1000.0, 3)])
        quick.answered(db, [(slot, 6000.1) for slot in take(quick, db, 6000.0)])
        assert len(take(quick, db, 7000.0, 10)) == 10
        assert not take(slow, db, 8000.0)


def test_slots_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each account keeps its newest slots, up to a bound."""
    monkeypatch.setattr(slots, "MOST_SLOTS", 50)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        for number in range(80):
            for scope in (1, 2):
                [slot] = SharedWindow(scope, None, 30.0).take(db, 1, 1000.0 * scope + number)
                slots.answered(db, [(slot, 1000.0 * scope + number)])
        kept = [slots.ask_newest(db, scope, 0, 100)() for scope in (1, 2)]
    for scope, found in enumerate(kept, 1):
        assert [slot.ends for slot in found][:50] == [1000.0 * scope + number for number in range(79, 29, -1)]
        assert len(found) <= 51


def test_a_slot_of_a_process_that_died_is_free_in_the_end(tmp_path: Path) -> None:
    """The slot of a dead process is free after one timeout and one window."""
    dead, alive = (SharedWindow(1, Rate(1, 60.0), timeout=30.0) for _ in range(2))
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        assert take(dead, db, 1000.0)
        assert not take(alive, db, 1089.9)
        assert take(alive, db, 1090.1)


@pytest.mark.parametrize("ahead", [20, 120, 1800, 3600, 365 * 86400])
def test_a_clock_that_was_set_back_costs_one_window_at_most(tmp_path: Path, ahead: int) -> None:
    """An answer that lies in the future counts for one window from now, and no longer."""
    before, after = (SharedWindow(1, Rate(1, 12.0), timeout=30.0) for _ in range(2))
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        before.answered(db, [(slot, 1000.0 + ahead) for slot in take(before, db, 1000.0 + ahead)])
        found = after.ask(db, 1)(1000.0)
        assert (found.free, found.look_at) == (0, found.opens)
        assert 1012 <= found.opens < 1012.1
        # The opening that was announced does not move.
        assert after.ask(db, 1)(1006.0) == found
        assert take(after, db, found.opens)


def test_a_request_without_an_answer_outlasts_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """An unanswered request that lies in the future counts for one timeout and one window from now."""
    before, after = (SharedWindow(1, Rate(1, 12.0), timeout=30.0) for _ in range(2))
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        take(before, db, 5000.0)
        assert 1042 <= after.ask(db, 1)(1000.0).opens < 1042.1
        assert not take(after, db, 1041.0)
        assert take(after, db, 1042.1)


def test_accounts_do_not_share_a_window(tmp_path: Path) -> None:
    """Accounts do not share a window."""
    one, other = SharedWindow(1, Rate(1, 60.0), 30.0), SharedWindow(2, Rate(1, 60.0), 30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        assert take(one, db, 1000.0)
        assert take(other, db, 1000.0)
        assert not take(one, db, 1000.0)


def test_without_a_limit_requests_are_recorded_for_others(tmp_path: Path) -> None:
    """Requests sent without a limit still take slots of other replays' windows."""
    free, paced = SharedWindow(1, None, 30.0), SharedWindow(1, Rate(60, 60.0), 30.0)
    with Journal.open(tmp_path) as journal, journal.transaction() as db:
        assert free.ask(db, 60)(1000.0) == (60, 0, 0)
        assert len(take(free, db, 1000.0, 60)) == 60
        assert take(paced, db, 1000.0) == []
