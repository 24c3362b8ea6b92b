"""Rows that repeat or contradict others."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_cli.replay.staging.duplicates import ComparedRow, Repeats


def compared(
    row: int, key: str, amount: int | None = 1, click: str | None = "c", *, sendable: bool = True
) -> ComparedRow:
    return ComparedRow(row, row + 1, key, sendable, amount, "USD", "u", click)


def found(rows: Iterable[ComparedRow]) -> list[tuple[int, bool, int]]:
    """Return, by row, its number, whether it contradicts another one, and that one's line."""
    with Repeats() as repeats:
        repeats.add(rows)
        return [(each.compared.row, each.conflict, each.other_line) for each in repeats.found()]


def naive(rows: list[ComparedRow]) -> list[tuple[int, bool, int]]:
    expected = []
    for row in rows:
        same_key = [other for other in rows if other.key == row.key]
        different = [other for other in same_key if _differ(row, other)]
        conflict = any(_differ(one, other) for one in same_key for other in same_key if one is not other)
        kept = next((other for other in same_key if other.sendable), None)
        if not row.sendable or kept is None:
            continue
        if conflict:
            expected.append((row.row, True, different[0].line if different else -1))
        elif kept.row != row.row:
            expected.append((row.row, False, kept.line))
    return expected


def _differ(one: ComparedRow, other: ComparedRow) -> bool:
    if one is other:
        return False
    if None in (one.amount, other.amount) or one.amount != other.amount:
        return True
    return None not in (one.click, other.click) and one.click != other.click


def test_an_equal_row_repeats_the_first_one() -> None:
    """Each later equal row names the first one, which is no duplicate itself."""
    rows = [compared(number, key) for number, key in enumerate("ABAA", 1)]
    assert found(rows) == [(3, False, 2), (4, False, 2)]


def test_a_key_with_another_content_makes_all_its_rows_contradict() -> None:
    """If two rows of a key differ, all rows of that key contradict, and no others."""
    rows = [compared(number, key, amount) for number, (key, amount) in enumerate(zip("AABAA", [1, 1, 1, 2, 2]), 1)]
    assert found(rows) == [(1, True, 5), (2, True, 5), (4, True, 2), (5, True, 2)]


def test_a_row_that_cannot_be_sent_is_compared() -> None:
    """An invalid row can contradict others by its amount, but is never the one that others repeat."""
    bad = compared(1, "A", 1, sendable=False)
    assert found([bad, compared(2, "A", 2)]) == [(2, True, 2)]
    assert found([bad, compared(2, "A", 1), compared(3, "A", 1)]) == [(3, False, 3)]
    assert found([bad._replace(amount=None), compared(2, "A", 2)]) == [(2, True, 2)]
    assert found([bad._replace(click=None), compared(2, "A", 1, "other")]) == []


def test_what_is_compared_is_not_joined() -> None:
    """Values are compared one by one: "u\\n1" with "c" differs from "u" with "1\\nc"."""
    row = compared(1, "A")
    rows = [row._replace(customer="u\n1", click="c"), row._replace(row=2, line=3, customer="u", click="1\nc")]
    assert [conflict for _, conflict, _ in found(rows)] == [True, True]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("ABCDE"),
            st.sampled_from([1, 2, None]),
            st.sampled_from(["c", "d", None]),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_it_finds_what_comparing_all_rows_finds(
    rows: list[tuple[str, int | None, str | None, bool]],
) -> None:
    """The result is that of comparing every row with every other, in file order."""
    # A row that can be sent has all its values.
    made = [
        compared(number, key, amount, click, sendable=sendable and None not in (amount, click))
        for number, (key, amount, click, sendable) in enumerate(rows, 1)
    ]
    expected = naive(made)
    seen = found(made)
    assert [each[:2] for each in seen] == [each[:2] for each in expected]
    for row, conflict, line in seen:
        this, other = made[row - 1], made[line - 2]
        assert this.key == other.key
        if any(_differ(this, another) for another in made if another.key == this.key):
            assert _differ(this, other) is conflict


@pytest.mark.slow
@pytest.mark.parametrize("repeated", [True, False])
def test_memory_does_not_grow_with_the_rows(repeated: bool) -> None:
    """Memory does not grow with the number of rows, repeated or not."""
    peaks = []
    for count in (8_000, 24_000):
        tracemalloc.start()
        with Repeats() as repeats:
            repeats.add(compared(row, f"INV-{row // 2 if repeated else row}") for row in range(count))
            assert sum(1 for _ in repeats.found()) == (count // 2 if repeated else 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000
