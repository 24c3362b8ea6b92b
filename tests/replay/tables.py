"""Short ways to read a table in a test."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from cms_cli.replay.model import InputError, RowProblem, SourceRow
from cms_cli.replay.reading import encoding, lines
from cms_cli.replay.reading.rows import open_table


def table(data: bytes | str, **options: str) -> list[SourceRow | RowProblem]:
    return list(open_table(io.BytesIO(data.encode() if isinstance(data, str) else data), **options))


def code_of(row: SourceRow | RowProblem) -> str:
    return row.problems[0].code if isinstance(row, RowProblem) else ""


def cells(data: bytes | str, **options: str) -> list[list[str]]:
    found = table(data, **options)
    assert all(isinstance(row, SourceRow) for row in found), found
    return [row.cells for row in found]


def header(data: bytes | str, **options: str) -> tuple[str, ...]:
    return open_table(io.BytesIO(data.encode() if isinstance(data, str) else data), **options).header


def refusal(data: bytes | str, **options: str) -> InputError:
    with pytest.raises(InputError) as caught:
        table(data, **options)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


@contextmanager
def pieces_of(size: int) -> Iterator[None]:
    """Files read a few bytes at a time, and looked ahead in as soon as a row is longer than that."""
    with mock.patch.object(encoding, "BLOCK", size), mock.patch.object(lines, "LONG_ROW", size):
        yield
