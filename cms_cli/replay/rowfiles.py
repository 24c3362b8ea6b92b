"""Opens the files of ``--failures`` and ``--results``, and adds rows to them during a run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from cms_cli.replay.journal.rows import FAILED, RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import Dialect
from cms_cli.replay.outputs import Layout, RowFile
from cms_cli.replay.reading.dialect import delimiter_named

Settled = Callable[[Iterable[RowStatus]], Generator[SettledRow, None, None]]
"""Yields the rows of some statuses, in file order."""


class RowFiles:
    """The open output files of a run."""

    def __init__(self, files: list[tuple[RowFile, frozenset[str]]]) -> None:
        """Keep the files, each with the statuses of the rows to write to it."""
        self._files = files

    def add(self, rows: list[SettledRow]) -> None:
        """Write rows whose outcome is committed.

        Raises:
            MachineError: The disk is full or fails, or a file was removed.
        """
        for file, statuses in self._files:
            file.add(row for row in rows if row.status in statuses)


@contextmanager
def row_files(
    failures: Path | None,
    results: Path | None,
    layout: Layout,
    settled: Settled,
    *,
    pending_too: bool,
) -> Iterator[RowFiles]:
    """Create the files and write the rows that already have an outcome; the block adds the others.

    Args:
        failures: The file for rows that failed, or None.
        results: The file for every row, or None.
        layout: The layout of the rows.
        settled: Yields the rows of some statuses.
        pending_too: Whether to write pending rows to ``results`` as well, because nothing will be sent.

    Raises:
        InputError: A file cannot be written.
        MachineError: The disk is full or fails, or a file was removed.
    """
    every = frozenset(RowStatus) if pending_too else frozenset(RowStatus) - {RowStatus.PENDING}
    with ExitStack() as stack:
        files = []
        for flag, path, statuses in (("--failures", failures, frozenset(FAILED)), ("--results", results, every)):
            if path is None:
                continue
            file = RowFile(path, layout.of_file(path, to_feed_back=flag == "--failures"), flag)
            stack.callback(file.close)
            # Close the generator now: at garbage collection, the journal that it reads may be closed.
            with closing(settled(statuses)) as rows:
                file.add(rows)
            files.append((file, frozenset(status.value for status in statuses)))
        yield RowFiles(files)
        for file, _ in files:
            file.check()


def layout_of(run: Run, *, to_feed_back: bool = False) -> Layout:
    """Return the layout of a run's rows, which is the layout of its input.

    Args:
        run: The run.
        to_feed_back: As in :class:`Layout`.
    """
    if run.dialect:
        return Layout(run.header, Dialect.from_json(run.dialect), to_feed_back=to_feed_back)
    shape = Shape.from_json(run.shape)
    delimiter = delimiter_named(shape.delimiter) if shape.delimiter else ","
    dialect = Dialect(delimiter, shape.encoding or "utf-8", json_lines=shape.format == "jsonl")
    return Layout(run.header, dialect, to_feed_back=to_feed_back)
