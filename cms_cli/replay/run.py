"""A replay from end to end: read, check, stage, ask, send, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cms_cli.replay import plan
from cms_cli.replay.journal import rowbook, runs
from cms_cli.replay.journal.identity import RunConflictError, clear_the_way, known_run
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rowbook import FAILED, RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import Problem
from cms_cli.replay.outputs import check_outputs
from cms_cli.replay.problems import MOST_PROBLEMS
from cms_cli.replay.reading.rows import Table
from cms_cli.replay.reading.source import Source, open_source
from cms_cli.replay.report import ReplayReport
from cms_cli.replay.rowfiles import RowFiles, row_files
from cms_cli.replay.sending.clock import Clock
from cms_cli.replay.sending.dispatcher import Dispatcher
from cms_cli.replay.sending.listener import Ended, Listener, Progress
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.pacing import SharedWindow
from cms_cli.replay.sending.stop import BY_SIGNAL, Stop
from cms_cli.replay.sending.workers import Send
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.staging.stager import Ledger, Stager
from cms_python import EventKind

_TOLD_TOGETHER = 1000  # rows that a watcher hears of in one go


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

    every_row = False
    """Whether :meth:`staged` is wanted, for which every row has to be read once more."""

    def reading(self, rows: int) -> None:
        """Hear how many rows have been read."""

    def staged(self, rows: list[SettledRow]) -> None:
        """Hear of rows that got their outcome without being sent; see :attr:`every_row`."""

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


@dataclass(frozen=True)
class _Job:
    """One invocation: what every step of it needs."""

    request: Request
    send: Send
    watcher: Watcher
    journal: Journal
    begin: float  # time.monotonic()
    table: Callable[[], Table] | None = None  # opens the input, where it is at hand


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
    with ExitStack() as stack:
        source = stack.enter_context(open_source(request.path))
        check_outputs(source.path, _outputs(request))
        journal = stack.enter_context(Journal.open(request.state_dir))
        stack.enter_context(journal.reading())
        scope = runs.scope_of(journal, request.host, request.account)
        kind, shape = request.kind.value, request.shape.to_json()
        stack.enter_context(runs.locked(journal, scope, kind, source.sha256, shape))
        job = _Job(request, send, watcher, journal, begin, plan.opener(source, request.shape))
        run = known_run(
            journal,
            scope=scope,
            host=request.host,
            kind=kind,
            sha256=source.sha256,
            shape=shape,
            fresh=request.delivery.fresh,
        )
        return _go_on(job, run) if run is not None else _begin(job, source, scope, shape)


def resume(journal: Journal, run: Run, request: Request, send: Send, watcher: Watcher) -> ReplayReport:
    """Go on with a run that the journal has; the input itself is not needed.

    Raises:
        InputError: A flag cannot be used.
        RunBusyError: Another process is at work on this run.
        RunConflictError: The run was never staged to its end, or what is asked for needs the input.
        JournalError: The journal cannot be used.
    """
    begin = time.monotonic()
    check_outputs(Path(run.file), _outputs(request))
    with journal.reading(), runs.locked(journal, run.scope, run.kind, run.sha256, run.shape):
        held = runs.by_name(journal, run.name)
        if held is None:
            raise RunConflictError(f"{run.name} is not there any more", "See cms runs list.")
        if held.state is RunState.STAGING:
            raise RunConflictError(
                f"{run.name} was interrupted while {run.file} was being read, before anything was sent",
                "Run the command that began it again.",
            )
        return _go_on(_Job(request, send, watcher, journal, begin), held)


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


def _outputs(request: Request) -> tuple[tuple[str, Path | None], ...]:
    return ("--failures", request.delivery.failures), ("--results", request.delivery.results)


def _begin(job: _Job, source: Source, scope: int, shape: str) -> ReplayReport:
    """Stage a new run, ask, and send it."""
    journal, request, watcher = job.journal, job.request, job.watcher
    run, stager = _stage(job, source, scope, shape)
    try:
        preview = plan.preview(request, source.name, run.name, stager)
        if preview.blocked:
            watcher.blocked(preview)
            _tell_settled(job, run)
            with row_files(journal, run, request.delivery):
                pass
        elif preview.counts[RowStatus.PENDING.value]:
            _ask(watcher, preview)
    except BaseException:
        runs.delete(journal, run)
        raise
    if preview.blocked:
        # Nothing of it is left but the files asked for.
        runs.delete(journal, run)
        seconds = time.monotonic() - job.begin
        return ReplayReport(None, run.file, preview.counts, seconds, stager.tally.problems, blocked=True)
    how = request.delivery
    clear_the_way(journal, run)
    runs.begin_sending(journal, run, time.time(), fresh=how.fresh, unknown_again=how.retry_unknown)
    _tell_settled(job, run)
    return _send(job, run, None, finished_before=False)


def _stage(job: _Job, source: Source, scope: int, shape: str) -> tuple[Run, Stager]:
    request, journal = job.request, job.journal
    known = Ledger(None if request.delivery.fresh else journal, scope)
    sink = plan.IntoJournal(journal)
    stager, header = plan.stager(request, source, known, sink, job.watcher.reading)
    run = sink.run = runs.create(
        journal,
        scope=scope,
        kind=request.kind.value,
        sha256=source.sha256,
        shape=shape,
        file=source.name,
        header=header,
        now=time.time(),
    )
    try:
        with journal.writing(run.contents) as contents:
            sink.contents = contents
            stager.run()
            source.check_unchanged()
        return rowbook.staged(journal, run, contents.size), stager
    except BaseException:
        runs.delete(journal, run)
        raise


def _go_on(job: _Job, run: Run) -> ReplayReport:
    """Go on with a run that was staged before."""
    journal, delivery = job.journal, job.request.delivery
    forgotten = delivery.results is not None and rowbook.has_forgotten(journal, run)
    if forgotten and job.table is None:
        raise RunConflictError(
            f"{run.name} was finished before, and the journal has forgotten what its rows said",
            "For --results, run the command that began it once more: nothing is sent again.",
        )
    journal.make_durable(against_power_cuts=run.kind == "lead")
    recovered = rowbook.recover(journal, run, Clock().now())
    if recovered and job.watcher.every_row:
        job.watcher.staged(recovered)
    flags = ((delivery.retry_unknown, RowStatus.UNKNOWN), (delivery.retry_refused, RowStatus.REFUSED))
    again = [status for wanted, status in flags if wanted]
    preview = plan.preview_of_run(journal, run, job.request, again)
    if delivery.retry_unknown and not preview.counts[RowStatus.PENDING.value]:
        _say_how_to_send_what_was_left_out(journal, run)
    if preview.counts[RowStatus.PENDING.value]:
        _ask(job.watcher, preview)
        for status in again:
            rowbook.reopen(journal, run, status)
        runs.begin_sending(journal, run, time.time(), fresh=False, unknown_again=delivery.retry_unknown)
    return _send(job, run, job.table if forgotten else None, finished_before=run.state is RunState.FINISHED)


def _say_how_to_send_what_was_left_out(journal: Journal, run: Run) -> None:
    """Rows that may have arrived were not mapped without --retry-unknown: a run cannot send them later.

    Raises:
        RunConflictError: There are such rows.
    """
    rows = rowbook.left_in_doubt(journal, run)
    if rows:
        raise RunConflictError(
            f"{run.name} left {rows} {'row' if rows == 1 else 'rows'} out, which may have arrived before it began",
            f"Send them by themselves: cms runs failures {run.name} > again.csv, and "
            f"cms {run.kind} --from-csv again.csv with the same flags and --retry-unknown",
        )


def _ask(watcher: Watcher, preview: Preview) -> None:
    if not watcher.confirm(preview):
        raise RunConflictError("not sent, as you said", "")


def _tell_settled(job: _Job, run: Run) -> None:
    """Tell of the rows whose outcome was known when they had been read."""
    if job.watcher.every_row:
        rows = rowbook.settled(job.journal, run, set(RowStatus) - {RowStatus.PENDING})
        while some := list(islice(rows, _TOLD_TOGETHER)):
            job.watcher.staged(some)


def _send(job: _Job, run: Run, table: Callable[[], Table] | None, *, finished_before: bool) -> ReplayReport:
    journal, request, watcher = job.journal, job.request, job.watcher
    journal.make_durable(against_power_cuts=run.kind == "lead")
    pending = rowbook.counts(journal, run)[RowStatus.PENDING.value]
    ended = Ended()
    with row_files(journal, run, request.delivery, table) as files:
        if pending:
            watcher.sending(run, pending)
            listener = _Both(watcher, files)
            dispatcher = Dispatcher(
                journal, run, job.send, _window(request, run), request.delivery, listener, Clock()
            )
            watcher.on_stop(dispatcher.interrupt)
            ended = dispatcher.run()
    return _finish(job, run, ended, finished_before=finished_before and not pending)


def _window(request: Request, run: Run) -> SharedWindow | None:
    if run.host == "sandbox" and request.delivery.rate is None:
        return None
    return SharedWindow(run.scope, request.delivery.rate, request.delivery.timeout)


def _finish(job: _Job, run: Run, ended: Ended, *, finished_before: bool) -> ReplayReport:
    journal = job.journal
    counts = rowbook.counts(journal, run)
    # What was to stop it at its last row has stopped nothing: the same command says the same of it once more.
    stopped = counts[RowStatus.PENDING.value] or ended.stop in BY_SIGNAL
    report = ReplayReport(
        run.name,
        run.file,
        counts,
        time.monotonic() - job.begin,
        problems_of(journal, run),
        ended.stop if stopped else Stop.NONE,
        ended.reason if stopped else "",
        finished_before,
    )
    if not report.pending and not finished_before:
        rowbook.drop_personal_data(journal, run)
    exit_code, done = int(report.exit_code), not report.pending
    runs.end_sending(journal, run, time.time(), exit_code, dict(report.counts), finished=done)
    return report


def problems_of(journal: Journal, run: Run) -> list[Problem]:
    """Give the first rows of a run that failed, and why, in file order."""
    failed = islice(rowbook.settled(journal, run, FAILED, contents=False), MOST_PROBLEMS)
    return [Problem(row.code or "", row.error or "", "", row.column, row.row, row.line) for row in failed]


class _Both(Listener):
    """Tells the row files first, then whoever watches."""

    def __init__(self, watcher: Watcher, files: RowFiles) -> None:
        self._watcher = watcher
        self._files = files

    def settled(self, rows: list[SettledRow]) -> None:
        self._files.add(rows)
        self._watcher.settled(rows)

    def progress(self, progress: Progress) -> None:
        self._watcher.progress(progress)
