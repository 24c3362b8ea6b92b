"""What ``--failures`` and ``--results`` name, filled while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from cms_cli.replay.journal import rowbook
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rowbook import FAILED, RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.outputs import Layout, RowFile, with_cells
from cms_cli.replay.reading.rows import Table
from cms_cli.replay.sending.options import Delivery

_SETTLED = frozenset(RowStatus) - {RowStatus.PENDING}


class RowFiles:
    """The open files of a run."""

    def __init__(self, files: list[tuple[RowFile, frozenset[str]]]) -> None:
        """Take files, each with the outcomes of the rows that go into it."""
        self._files = files

    def add(self, rows: list[SettledRow]) -> None:
        """Write rows whose outcome is on disk.

        Raises:
            MachineError: The disk is full, or failing.
        """
        for file, statuses in self._files:
            file.add(row for row in rows if row.status in statuses)


@contextmanager
def row_files(
    journal: Journal, run: Run, delivery: Delivery, table: Callable[[], Table] | None = None
) -> Iterator[RowFiles]:
    """Open the files, anew, with the rows in them that have their outcome already.

    Args:
        journal: The journal.
        run: The run.
        delivery: Names the files.
        table: Opens the input, for the cells that a finished run has forgotten; None where none are.

    Raises:
        InputError: A file cannot be written.
        MachineError: The disk is full, or failing.
    """
    with ExitStack() as stack:
        files = []
        for flag, path, statuses in (
            ("--failures", delivery.failures, frozenset(FAILED)),
            ("--results", delivery.results, _SETTLED),
        ):
            if path is None:
                continue
            file = RowFile(path, layout_of(run, to_feed_back=flag == "--failures"), flag)
            stack.callback(file.close)
            rows = rowbook.settled(journal, run, statuses)
            file.add(rows if table is None else with_cells(rows, table()))
            files.append((file, frozenset(status.value for status in statuses)))
        yield RowFiles(files)


def layout_of(run: Run, *, to_feed_back: bool = True) -> Layout:
    """Give how rows of a run are written: in the dialect that its flags name."""
    shape = Shape.from_json(run.shape)
    return Layout(run.header, delimiter=shape.delimiter, encoding=shape.encoding, to_feed_back=to_feed_back)
