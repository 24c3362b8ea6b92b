"""Shortcuts that read a table in tests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from cms_cli.replay.model import InputError, RowProblem
from cms_cli.replay.reading import encoding
from cms_cli.replay.reading.rows import TableRow, open_table


def table(data: bytes | str, **options: Any) -> list[TableRow]:
    return list(open_table(io.BytesIO(data.encode() if isinstance(data, str) else data), **options))


def code_of(row: TableRow) -> str:
    return row.problems[0].code if isinstance(row, RowProblem) else ""


def cells(data: bytes | str, **options: Any) -> list[list[str]]:
    found = table(data, **options)
    assert not any(isinstance(row, RowProblem) for row in found), found
    return [row.cells for row in found]


def header(data: bytes | str, **options: Any) -> tuple[str, ...]:
    return open_table(io.BytesIO(data.encode() if isinstance(data, str) else data), **options).header


def refusal(data: bytes | str, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        table(data, **options)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


@contextmanager
def pieces_of(size: int) -> Iterator[None]:
    """Read files a few bytes at a time."""
    with mock.patch.object(encoding, "BLOCK", size):
        yield
