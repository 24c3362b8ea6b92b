"""The tables of an account beside its ledger: sales in doubt, the looks of leads, and the slots of requests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from replays import Bench

from cms_cli.replay.journal import in_doubt, ledger, look_alikes, runs, slots
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import SAFE_TO_RESEND
from cms_cli.replay.journal.slots import Slot

pytestmark = pytest.mark.usefixtures("engine")

NOW = 1_000_000.0
OLD, RECENT = NOW - SAFE_TO_RESEND - 1, NOW - SAFE_TO_RESEND + 1
A, B, C = (ledger.key_of(name) for name in "abc")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Open an empty journal."""
    with Bench(tmp_path, "http://host").journal() as journal:
        yield journal


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Journal]:
    """Open the journal of another folder, to copy from."""
    with Journal.open(tmp_path / "own") as journal:
        yield journal


def accounts(journal: Journal) -> tuple[int, int]:
    """Return the numbers of two accounts."""
    ours, theirs = (runs.scope_of(journal, "http://host", account) for account in ("ours", "theirs"))
    return ours, theirs


def test_a_sale_in_doubt_is_not_resent_after_a_day(journal: Journal) -> None:
    """A removed run's unanswered sale is too old after a day, in its account, until it is forgotten."""
    ours, theirs = accounts(journal)
    with journal.transaction() as db:
        in_doubt.keep(db, ours, [(A, OLD), (B, RECENT), (C, 2 * NOW)])
        in_doubt.keep(db, theirs, [(B, OLD)])
    assert in_doubt.too_long_ago(journal.db, ours, NOW) == {A, C}
    assert (in_doubt.size(journal.db, ours), in_doubt.size(journal.db, theirs)) == (3, 1)
    with journal.transaction() as db:
        in_doubt.forget(db, ours, [A, B])
    assert in_doubt.too_long_ago(journal.db, ours, NOW) == {C}
    assert in_doubt.too_long_ago(journal.db, theirs, NOW) == {B}
    with journal.transaction() as db:
        in_doubt.clear(db, ours)
    assert (in_doubt.size(journal.db, ours), in_doubt.size(journal.db, theirs)) == (0, 1)


@pytest.mark.parametrize("times", [(OLD, RECENT), (RECENT, OLD)])
@pytest.mark.parametrize("copied", [False, True])
def test_the_oldest_unanswered_attempt_of_removed_runs_counts(
    journal: Journal, own: Journal, times: tuple[float, float], copied: bool
) -> None:
    """Of a sale that two removed runs have left unanswered, the older attempt counts, whichever came first."""
    ours, _ = accounts(journal)
    _, there = accounts(own)
    with journal.transaction() as db:
        in_doubt.keep(db, ours, [(A, times[0])])
        if not copied:
            in_doubt.keep(db, ours, [(A, times[1])])
    if copied:
        with own.transaction() as db:
            in_doubt.keep(db, there, [(A, times[1] - 60.0), (B, times[1] - 60.0)])
            in_doubt.keep(db, there - 1, [(C, OLD)])
        with journal.transaction() as db:
            in_doubt.copy(own.db, there, db, ours, 60.0)
        assert in_doubt.size(journal.db, ours) == 2
    assert in_doubt.too_long_ago(journal.db, ours, NOW) - {B} == {A}


def test_a_look_counts_until_no_lead_of_it_may_have_arrived(journal: Journal) -> None:
    """A look is known to its account while a run has sent a lead of it, and to a run only by what others sent."""
    ours, theirs = accounts(journal)
    with journal.transaction() as db:
        look_alikes.add(db, ours, B, 1, 1)
        look_alikes.add(db, theirs, A, 1, 1)
        look_alikes.add(db, theirs, C, 1, 1)
    for places in permutations([(1, 1), (1, 2), (2, 1)]):
        with journal.transaction() as db:
            for run, row in (*places, *places):
                look_alikes.add(db, ours, A, run, row)
        assert look_alikes.sent(journal.db, ours, [A, B, C]) == {A, B}
        assert look_alikes.sent(journal.db, ours, [B]) == {B}
        assert look_alikes.ask(journal.db, ours, [A, B], but=1)() == {A}
        for run, row in places:
            assert look_alikes.sent(journal.db, ours, [A]) == {A}
            with journal.transaction() as db:
                look_alikes.remove(db, ours, A, run, row)
        assert look_alikes.sent(journal.db, ours, [A, B]) == {B}
    assert look_alikes.sent(journal.db, theirs, [A, B, C]) == {A, C}
    with journal.transaction() as db:
        for scope in (ours, theirs):
            look_alikes.add_file(db, scope, b"%d" % scope)
            look_alikes.add_file(db, scope, b"%d" % scope)
        look_alikes.clear(db, ours)
    assert [look_alikes.sent(journal.db, scope, [A, B, C]) for scope in (ours, theirs)] == [set(), {A, C}]
    assert [look_alikes.files(journal.db, scope) for scope in (ours, theirs)] == [set(), {b"%d" % theirs}]


def test_looks_and_files_are_copied(journal: Journal, own: Journal) -> None:
    """A copy knows the leads of its own runs by their new numbers, those of removed runs by none, and no others."""
    ours, _ = accounts(journal)
    others, there = accounts(own)
    with own.transaction() as db:
        for scope, look, run in ((there, A, 1), (there, B, 2), (others, C, 1)):
            look_alikes.add(db, scope, look, run, 1)
            look_alikes.add_file(db, scope, look)
    for _ in range(2):
        with journal.transaction() as db:
            look_alikes.copy(own.db, there, db, ours, {1: 7})
    assert look_alikes.sent(journal.db, ours, [A, B, C]) == {A, B}
    assert look_alikes.ask(journal.db, ours, [A, B], but=7)() == {B}
    assert look_alikes.files(journal.db, ours) == {A, B}


def test_the_slots_of_the_last_day_are_copied(journal: Journal, own: Journal) -> None:
    """A copy moves the times of slots to the other clock, and leaves out old ones and other accounts."""
    ours, theirs = accounts(journal)
    others, there = accounts(own)
    day = 24 * 3600.0
    with own.transaction() as db:
        [answered] = slots.add(db, there, Slot(NOW - 9, NOW + 30), 1)
        slots.answered(db, [(answered, NOW - 8)])
        slots.add(db, there, Slot(NOW - 5, NOW + 30), 2)
        slots.add(db, there, Slot(None, NOW - day + 1), 1)
        slots.add(db, there, Slot(None, NOW - day - 1), 1)
        slots.add(db, others, Slot(NOW - 5, NOW + 30), 1)
    for _ in range(2):
        with journal.transaction() as db:
            slots.copy(own.db, there, db, ours, NOW, 100.0)
    expected = [*[Slot(NOW + 95, NOW + 130)] * 2, Slot(None, NOW + 92), Slot(None, NOW - day + 101)]
    assert slots.ask_newest(journal.db, ours, 0, 9)() == expected
    assert slots.ask_newest(journal.db, ours, 1, 2)() == expected[1:3]
    assert slots.ask_newest(journal.db, theirs, 0, 9)() == []


def test_slots_in_the_future_are_corrected(journal: Journal) -> None:
    """After a wrong clock was set back, an account's slots in the future count from now on; no others change."""
    ours, theirs = accounts(journal)
    fine = [Slot(NOW - 1, NOW + 29), Slot(None, NOW - 1)]
    with journal.transaction() as db:
        for slot in (*fine, Slot(None, NOW + 500), Slot(NOW + 500, NOW + 530)):
            slots.add(db, ours, slot, 1)
            slots.add(db, theirs, slot, 1)
        before = slots.ask_newest(db, theirs, 0, 9)()
        slots.correct(db, ours, NOW)
    expected = [Slot(NOW, NOW + 30), fine[0], Slot(None, NOW), fine[1]]
    assert slots.ask_newest(journal.db, ours, 0, 9)() == expected
    assert slots.ask_newest(journal.db, theirs, 0, 9)() == before
