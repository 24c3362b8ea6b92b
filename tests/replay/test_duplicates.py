"""Rows that repeat or contradict others."""

from __future__ import annotations

import os
import stat
import tracemalloc
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_cli.replay.staging import duplicates
from cms_cli.replay.staging.duplicates import Finding, Repeats


def add(repeats: Repeats, row: int, line: int, key: str, content: str) -> None:
    repeats.add_all((row,), (line,), (key,), (content,))


def findings(rows: list[tuple[str, str]], *, buffered: int = 5) -> list[Finding]:
    with Repeats(buffered=buffered) as repeats:
        for number, (key, content) in enumerate(rows, 1):
            add(repeats, number, number + 1, key, content)
        return list(repeats.findings())


def naive(rows: list[tuple[str, str]]) -> list[Finding]:
    found = []
    for number, (key, content) in enumerate(rows, 1):
        same_key = [(place, other) for place, (its_key, other) in enumerate(rows, 1) if its_key == key]
        different = [place for place, other in same_key if other != content]
        if different:
            found.append(Finding(number, number + 1, True, different[0], different[0] + 1))
        elif len({other for _, other in same_key}) == 1 and same_key[0][0] < number:
            found.append(Finding(number, number + 1, False, same_key[0][0], same_key[0][0] + 1))
    return found


def test_an_equal_row_repeats_the_first_one() -> None:
    """Each later one names the first, which is not found at fault."""
    rows = [("A", "1"), ("B", "1"), ("A", "1"), ("A", "1")]
    assert findings(rows) == [Finding(3, 4, False, 1, 2), Finding(4, 5, False, 1, 2)]


def test_a_key_with_another_content_makes_all_its_rows_contradict() -> None:
    """Equal rows among them, and the first one, included; other keys are not touched."""
    rows = [("A", "1"), ("A", "1"), ("B", "1"), ("A", "2"), ("A", "2")]
    assert findings(rows) == [
        Finding(1, 2, True, 4, 5),
        Finding(2, 3, True, 4, 5),
        Finding(4, 5, True, 1, 2),
        Finding(5, 6, True, 1, 2),
    ]


def test_long_texts_are_compared_whole() -> None:
    """Beyond what is kept as it is, the last character still counts; text without a UTF-8 form is no problem."""
    long = "x" * 500
    rows = [
        (long + "a", long),
        (long + "b", long),
        (long + "a", long + "c"),
        ("\ud800" * 200, ""),
        ("\ud800" * 200, ""),
    ]
    assert [(each.row, each.conflict) for each in findings(rows)] == [(1, True), (3, True), (5, False)]


@given(
    rows=st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.sampled_from(["", "1", "2", "y" * 200])), max_size=40),
    buffered=st.integers(1, 50),
    at_a_time=st.integers(1, 50),
    partitions=st.sampled_from([1, 2, 64]),
    suspects=st.sampled_from([0, 2, 100]),
)
def test_it_finds_what_comparing_all_rows_finds(
    rows: list[tuple[str, str]], buffered: int, at_a_time: int, partitions: int, suspects: int
) -> None:
    """In the same order, whatever is in memory and whatever is on disk."""
    small = {"_FINDINGS_A_CHUNK": 3, "_HASHES_A_CHUNK": 2, "_MOST_SUSPECTS": suspects}
    with mock.patch.multiple(duplicates, _AT_A_TIME=at_a_time, _PARTITIONS=partitions, **small):
        assert findings(rows, buffered=buffered) == naive(rows)


def test_hashes_that_collide_change_nothing() -> None:
    """The hash only says where to look."""
    rows = [(f"K{number % 70}", str(number % 140 // 70)) for number in range(300)]
    with mock.patch.object(duplicates, "hash", create=True, return_value=7):
        assert findings(rows) == naive(rows)


def test_a_small_file_leaves_no_trace_on_disk(tmp_path: Path) -> None:
    """Nothing is opened while everything fits into the buffer."""
    with Repeats(tmp_path / "missing", buffered=10) as repeats:
        for row in range(9):
            add(repeats, row, row, "A", "1")
        assert len(list(repeats.findings())) == 8


@pytest.mark.skipif(os.name == "nt", reason="POSIX file modes")
def test_the_temporary_file_is_private_and_goes_away(tmp_path: Path) -> None:
    """It is in the folder asked for, nobody else may read it, and leaving the context gives it up."""
    with Repeats(tmp_path, buffered=2) as repeats:
        for row in range(10):
            add(repeats, row, row, str(row), "1")
        file = repeats._spill._file
        assert file is not None
        status = os.fstat(file.fileno())
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_dev == tmp_path.stat().st_dev
    assert file.closed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("repeated", [True, False])
def test_memory_does_not_grow_with_the_rows(repeated: bool) -> None:
    """Three times the rows, repeats or not, take hardly more memory."""
    peaks = []
    for count in (8_000, 24_000):
        tracemalloc.start()
        with Repeats(buffered=4_000) as repeats:
            for row in range(count):
                add(repeats, row, row, f"INV-{row // 2 if repeated else row}", "1999|USD|customer|click")
            assert sum(1 for _ in repeats.findings()) == (count // 2 if repeated else 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 3_000_000
