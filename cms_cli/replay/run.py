"""A replay from end to end: read, check, stage, ask, send, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cms_cli.replay import plan, rowbook, runs
from cms_cli.replay.clock import Clock
from cms_cli.replay.delivery import Dispatcher, Ended, Listener, Stop
from cms_cli.replay.exports import Layout, RowFile, refuse_input_as_output, with_cells
from cms_cli.replay.journal import Journal
from cms_cli.replay.options import Delivery, Shape
from cms_cli.replay.pacing import SharedWindow
from cms_cli.replay.preview import Preview, Tally
from cms_cli.replay.report import MOST_PROBLEMS, Problem, ReplayReport
from cms_cli.replay.rowbook import FAILED, RowStatus, SettledRow
from cms_cli.replay.rows import Table
from cms_cli.replay.runs import Run, RunState
from cms_cli.replay.source import Source, open_source
from cms_cli.replay.staging import Ledger
from cms_python import EventKind, Outcome, WireEvent


class RunConflictError(Exception):
    """What is known of this input forbids to send it like this; nothing was sent.

    Attributes:
        message: What is known.
        hint: What to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Request:
    """A replay, as it was asked for.

    Attributes:
        kind: Lead or sale.
        path: The input, or ``-``.
        shape: What shapes the events.
        delivery: How they are sent.
        host: What the journal knows the host by.
        account: The account's key.
        state_dir: The folder of the journal.
        token_expires: When the token ends, seconds since the epoch, or None.
    """

    kind: EventKind
    path: str
    shape: Shape
    delivery: Delivery
    host: str
    account: str
    state_dir: Path
    token_expires: float | None = None


class Watcher(Listener):
    """Hears what happens in a replay, and is asked before anything is sent. Says yes to everything."""

    def reading(self, rows: int) -> None:
        """Hear how many rows have been read."""

    def staged(self, rows: list[SettledRow]) -> None:
        """Hear of rows that have their outcome without being sent; only where somebody asked for every row."""

    def sending(self, run: Run, pending: int) -> None:
        """Hear that sending begins."""

    def confirm(self, preview: Preview) -> bool:
        """Say whether to go on."""
        del preview
        return True

    def blocked(self, preview: Preview) -> None:
        """Hear that nothing will be sent, because rows are invalid."""

    def on_stop(self, interrupt: Callable[[Stop], None]) -> None:
        """Get what ends the sending, for signals."""


Send = Callable[[WireEvent], Outcome]


def replay(request: Request, send: Send, watcher: Watcher) -> ReplayReport:
    """Bring every row of an input to its outcome, or as far as it goes.

    Args:
        request: What was asked for.
        send: Makes one attempt.
        watcher: Shown what happens.

    Returns:
        The report; its exit code says how it went.

    Raises:
        InputError: The input or a flag cannot be used; nothing was sent.
        RunConflictError: What is known of the input forbids it; nothing was sent.
        RunBusyError: Another process is at work on this run.
        JournalError: The journal cannot be used.
    """
    begin = time.monotonic()
    delivery = request.delivery
    with ExitStack() as stack:
        source = stack.enter_context(open_source(request.path))
        refuse_input_as_output(source.path, (("--failures", delivery.failures), ("--results", delivery.results)))
        journal = stack.enter_context(Journal.open(request.state_dir))
        scope = runs.scope_of(journal, request.host, request.account)
        shape = request.shape.to_json()
        stack.enter_context(runs.locked(journal, scope, request.kind.value, source.sha256, shape))
        run = _known_run(journal, request, scope, source.sha256, shape)
        preview: Preview | None = None
        if run is None:
            run, tally, preview = _stage(journal, request, source, scope, shape, watcher)
            if preview.blocked:
                watcher.blocked(preview)
                return _blocked(journal, run, request, preview, tally, time.monotonic() - begin)
        return _go_on(journal, run, request, send, watcher, preview, begin, plan.opener(source, request.shape))


def resume(journal: Journal, run: Run, request: Request, send: Send, watcher: Watcher) -> ReplayReport:
    """Go on with a run that the journal has; the input itself is not needed.

    Raises:
        RunBusyError: Another process is at work on this run.
        RunConflictError: The run was never staged to its end.
        JournalError: The journal cannot be used.
    """
    begin = time.monotonic()
    with runs.locked(journal, run.scope, run.kind, run.sha256, run.shape):
        if run.state is RunState.STAGING:
            raise RunConflictError(
                f"{run.name} was interrupted while {run.file} was being read, before anything was sent",
                "Run the command that began it again.",
            )
        return _go_on(journal, run, request, send, watcher, None, begin)


def rehearse(request: Request, watcher: Watcher) -> tuple[Preview, ReplayReport]:
    """Check everything and send nothing; writes nothing but the files that were asked for.

    Raises:
        InputError: The input or a flag cannot be used.
        JournalError: The journal is damaged or of a newer version.
    """
    begin = time.monotonic()
    with ExitStack() as stack:
        source = stack.enter_context(open_source(request.path))
        journal = Journal.open_to_read(request.state_dir)
        scope = None
        if journal is not None:
            stack.enter_context(journal)
            scope = runs.find_scope(journal, request.host, request.account)
        known = Ledger(journal if scope is not None and not request.delivery.fresh else None, scope or 0)
        stager, _ = plan.stager(request, source, known, plan.Nowhere(), watcher.reading)
        stager.run()
        source.check_unchanged()
    preview = plan.preview(request, source.name, None, stager)
    report = ReplayReport(
        None, source.name, preview.counts, time.monotonic() - begin, stager.tally.problems, blocked=preview.blocked
    )
    return preview, report


def _known_run(journal: Journal, request: Request, scope: int, sha256: str, shape: str) -> Run | None:
    """Find the run that this command goes on with; None where a new one is to begin.

    Raises:
        RunConflictError: Going on, or beginning, would count events twice.
    """
    kind, fresh = request.kind.value, request.delivery.fresh
    for run in runs.of_file(journal, sha256):
        if run.kind != kind or run.host != request.host:
            continue
        unfinished = run.state is RunState.UNFINISHED
        if run.scope != scope:
            if unfinished:
                raise RunConflictError(
                    f"{run.name}, a run of this very file under another account, is not finished",
                    f"Go on with it under a renewed token: cms runs resume {run.name}",
                )
        elif run.shape == shape:
            if run.state is RunState.STAGING:
                # A crash left it; nothing of it was sent.
                runs.delete(journal, run)
            elif not fresh:
                return run
            elif unfinished:
                raise RunConflictError(
                    f"{run.name}, a run of this file, is not finished, and --fresh would forget what it has sent",
                    f"Go on with it: cms runs resume {run.name}",
                )
        elif kind == "lead" and not fresh and rowbook.sent_any(journal, run):
            raise RunConflictError(
                f"leads of this very file were sent with other flags in {run.name}, and nothing dedupes leads",
                f"See cms runs show {run.name}; to send them again all the same, pass --fresh.",
            )
    return None


def _stage(
    journal: Journal, request: Request, source: Source, scope: int, shape: str, watcher: Watcher
) -> tuple[Run, Tally, Preview]:
    known = Ledger(None if request.delivery.fresh else journal, scope)
    sink = plan.IntoJournal(journal)
    stager, header = plan.stager(request, source, known, sink, watcher.reading)
    run = runs.create(
        journal,
        scope=scope,
        kind=request.kind.value,
        sha256=source.sha256,
        shape=shape,
        file=source.name,
        header=header,
        now=time.time(),
    )
    sink.run = run
    try:
        stager.run()
        source.check_unchanged()
    except BaseException:
        runs.delete(journal, run)
        raise
    if request.delivery.fresh:
        rowbook.forget_in_ledger(journal, run)
    return run, stager.tally, plan.preview(request, source.name, run.name, stager)


def _blocked(
    journal: Journal, run: Run, request: Request, preview: Preview, tally: Tally, seconds: float
) -> ReplayReport:
    """Report on an input that is not to be sent as it is, and leave no trace of it but the files asked for."""
    with _row_files(journal, run, request.delivery):
        pass
    runs.delete(journal, run)
    return ReplayReport(None, run.file, preview.counts, seconds, tally.problems, blocked=True)


def _go_on(
    journal: Journal,
    run: Run,
    request: Request,
    send: Send,
    watcher: Watcher,
    preview: Preview | None,
    begin: float,
    table: Callable[[], Table] | None = None,
) -> ReplayReport:
    delivery = request.delivery
    clock = Clock()
    new = preview is not None
    journal.make_durable(against_power_cuts=run.kind == "lead")
    if not new:
        if delivery.retry_unknown:
            rowbook.reopen(journal, run, RowStatus.UNKNOWN)
        rowbook.recover(journal, run, clock.now())
        if delivery.retry_refused:
            rowbook.reopen(journal, run, RowStatus.REFUSED)
    pending = rowbook.counts(journal, run)[RowStatus.PENDING.value]
    if not pending:
        if table is None and delivery.results is not None and run.state is RunState.FINISHED:
            raise RunConflictError(
                f"{run.name} is finished, and the journal has forgotten what its rows said",
                "For --results, run the command that began it once more: nothing is sent again.",
            )
        with _row_files(journal, run, delivery, table):
            pass
        ended = Ended(Stop.NONE, "", 0, 0)
        return _finish(journal, run, ended, begin, finished_before=not new and run.state is RunState.FINISHED)
    preview = preview or plan.preview_of_run(journal, run, request)
    if not watcher.confirm(preview):
        if new:
            runs.delete(journal, run)
        raise RunConflictError("not sent, as you said", "")
    runs.set_state(journal, run, RunState.UNFINISHED, clock.now())
    watcher.sending(run, pending)
    with _row_files(journal, run, delivery) as files:
        window = _window(request, run)
        dispatcher = Dispatcher(journal, run, send, window, delivery, _Fan(watcher, files), clock)
        watcher.on_stop(dispatcher.interrupt)
        ended = dispatcher.run()
    return _finish(journal, run, ended, begin, finished_before=False)


def _window(request: Request, run: Run) -> SharedWindow | None:
    if run.host == "sandbox" and request.delivery.rate is None:
        return None
    return SharedWindow(run.scope, request.delivery.rate, request.delivery.timeout)


def _finish(journal: Journal, run: Run, ended: Ended, begin: float, *, finished_before: bool) -> ReplayReport:
    counts = rowbook.counts(journal, run)
    report = ReplayReport(
        run.name,
        run.file,
        counts,
        time.monotonic() - begin,
        problems_of(journal, run),
        ended.stop,
        ended.reason,
        ended.requests,
        finished_before,
    )
    done = not report.pending
    if done:
        rowbook.drop_personal_data(journal, run)
    state = RunState.FINISHED if done else RunState.UNFINISHED
    runs.set_state(journal, run, state, time.time(), int(report.exit_code))
    return report


def problems_of(journal: Journal, run: Run) -> list[Problem]:
    """Give the first rows of a run that failed, and why, in file order."""
    found = []
    for row in rowbook.settled(journal, run, FAILED):
        found.append(Problem(row.row, row.line, None, row.code or "", row.error or ""))
        if len(found) >= MOST_PROBLEMS:
            break
    return found


class _Fan(Listener):
    """Tells the row files first, then whoever watches."""

    def __init__(self, watcher: Watcher, files: list[tuple[RowFile, frozenset[str]]]) -> None:
        self._watcher = watcher
        self._files = files
        self.progress = watcher.progress  # type: ignore[method-assign]  # nothing to add to it

    def settled(self, rows: list[SettledRow]) -> None:
        for file, statuses in self._files:
            file.add(row for row in rows if row.status in statuses)
        self._watcher.settled(rows)


@contextmanager
def _row_files(
    journal: Journal, run: Run, delivery: Delivery, table: Callable[[], Table] | None = None
) -> Iterator[list[tuple[RowFile, frozenset[str]]]]:
    """Open what ``--failures`` and ``--results`` name, with the rows in them that have their outcome already.

    Args:
        journal: The journal.
        run: The run.
        delivery: Names the files.
        table: Opens the input, for the cells that a finished run has forgotten; None where it is not at hand.
    """
    layout = layout_of(run)
    with ExitStack() as stack:
        files = []
        settled = frozenset(RowStatus) - {RowStatus.PENDING}
        for flag, path, statuses in (
            ("--failures", delivery.failures, frozenset(FAILED)),
            ("--results", delivery.results, settled),
        ):
            if path is None:
                continue
            file = RowFile(path, layout, flag)
            stack.callback(file.close)
            rows = rowbook.settled(journal, run, statuses)
            file.add(rows if table is None else with_cells(rows, table()))
            files.append((file, frozenset(status.value for status in statuses)))
        yield files


def layout_of(run: Run) -> Layout:
    """Give how rows of a run are written: in the dialect that its flags name."""
    shape = Shape.from_json(run.shape)
    return Layout(run.header, delimiter=shape.delimiter, encoding=shape.encoding)
