"""Rows in blocks are the rows one by one: numbers, lines, problems and refusals."""

from __future__ import annotations

import io
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tables import pieces_of

from cms_cli.replay.model import Block, InputError, RowProblem, SourceRow
from cms_cli.replay.reading.rows import Table, open_table

PARTS = ["a", "b,c", '"', '""', ",", "\n", "\r\n", "\r", " ", "\0", "ä", '"x\ny",', "1,2,3\n", "x" * 40, "a,b,c\n"]


def _one_by_one(table: Table) -> tuple[list[SourceRow | RowProblem], str]:
    found: list[SourceRow | RowProblem] = []
    try:
        found.extend(table)
    except InputError as error:
        return found, str(error)
    return found, ""


def _in_blocks(table: Table, size: int) -> tuple[list[SourceRow | RowProblem], str]:
    found: list[SourceRow | RowProblem] = []
    try:
        for block in table.blocks(size):
            if isinstance(block, Block):
                assert 0 < len(block.cells) <= size
                found += map(SourceRow._make, zip(count(block.row), count(block.line), block.cells))
            else:
                found += block
    except InputError as error:
        return found, str(error)
    return found, ""


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join), st.integers(1, 5), st.sampled_from([7, 1 << 17]))
@example('1,2,3\n4,5,"6\n', 2, 1 << 17)
@example('1,2,3\n"4"x,5,6\n7,8,9\n', 2, 1 << 17)
@example('\n\n1,2,3\n\n"4\r\n4",5,6\n,,\n7,8,9', 3, 7)
def test_blocks_hold_the_rows(text: str, size: int, piece: int) -> None:
    """The same rows with the same numbers and lines, the same problems, and the same words where reading ends."""
    data = ("a,b,c\n" + text).encode()
    with pieces_of(piece):
        try:
            table = open_table(io.BytesIO(data), delimiter=",")
        except InputError:
            return
        assert _in_blocks(table, size) == _one_by_one(table)


def test_long_rows_do_not_confuse_the_look_ahead() -> None:
    """Rows longer than what makes one suspicious are read in blocks as well: a row's end is known in a block."""
    data = ("a,b\n" + "".join(f'{number},"{"x" * 50}\n{"y" * 50}"\n' for number in range(50))).encode()
    with pieces_of(16):
        table = open_table(io.BytesIO(data))
        rows, error = _in_blocks(table, 20)
        assert not error
        assert [row.line for row in rows] == [2 + 2 * number for number in range(50)]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_plain_file_comes_in_whole_blocks(size: int) -> None:
    """Nothing is looked at row by row where every row is as the header has it."""
    data = b"a,b\n" + b"1,2\n" * 7
    blocks = list(open_table(io.BytesIO(data)).blocks(size))
    assert all(isinstance(block, Block) for block in blocks)
    assert sum(len(block.cells) for block in blocks if isinstance(block, Block)) == 7
