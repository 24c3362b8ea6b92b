"""A replay from end to end: opens the input, finds or stages its run, previews, sends and reports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from itertools import islice

from cms_cli.replay import warnings
from cms_cli.replay.intake import Intake
from cms_cli.replay.journal import lifecycle, moved, row_moves, row_reports, row_table, runs, state_mark
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.identity import RunConflictError, clear_the_way
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.journal.sqlite_file import JournalError
from cms_cli.replay.outputs import check_outputs, is_input_of, is_source
from cms_cli.replay.plan import Job, Plan, find_run, plan_of_input, plan_of_run, problems_of
from cms_cli.replay.reading.source import Source, open_source
from cms_cli.replay.report import ReplayReport
from cms_cli.replay.request import Request
from cms_cli.replay.rowfiles import RowFiles, row_files
from cms_cli.replay.sending.dispatcher import Dispatcher
from cms_cli.replay.sending.listener import Ended, Listener, Progress
from cms_cli.replay.sending.pacing import SharedWindow
from cms_cli.replay.sending.stop import BY_SIGNAL, Stop
from cms_cli.replay.sending.workers import Send
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.watcher import Watcher

_REPORTED_TOGETHER = 1000  # the most rows in one call of a watcher


def replay(request: Request, send: Send, watcher: Watcher) -> ReplayReport:
    """Send the events of an input, or resume its run, and return the report.

    Args:
        request: The request.
        send: Makes one attempt to send an event.
        watcher: Called with progress; confirms that the events are to be sent.

    Raises:
        InputError: The input or a flag cannot be used; nothing was sent.
        RunConflictError: Earlier runs of this input forbid sending it with these flags; nothing was sent.
        RunBusyError: Another process is at work on this run.
        JournalError: The journal cannot be used.
    """
    begin = time.monotonic()
    with ExitStack() as stack:
        source = stack.enter_context(_input(request))
        journal = stack.enter_context(Journal.open(request.state_dir, request.state_url))
        stack.enter_context(journal.reading())
        scope = runs.scope_of(journal, request.host, request.account)
        stack.enter_context(journal.hold(request.key(scope, source.sha256), waiting=watcher.waiting))
        _check_moved(journal, request)  # only now that the run is held, as an import holds it too before it copies
        job = Job(request, watcher, journal, scope, Intake(request, source), dry=False, begin=begin)
        plan = _plan(job, stack)
        return _begin(job, journal, plan, send) if plan.new else _resume(job, journal, plan, send)


def resume(journal: Journal, run: Run, request: Request, send: Send, watcher: Watcher) -> ReplayReport:
    """Resume a run without its input, and return the report.

    Args:
        journal: The journal, open for writing.
        run: The run.
        request: The request; its path is the input's name.
        send: Makes one attempt to send an event.
        watcher: Called with progress; confirms that the events are to be sent.

    Raises:
        InputError: A flag cannot be used.
        RunBusyError: Another process is at work on this run.
        RunConflictError: The run was removed or never completely staged, or a flag needs the input.
        JournalError: The journal cannot be used.
    """
    begin = time.monotonic()
    check_outputs(request.outputs, is_input_of(run.file, run.sha256))
    with journal.reading(), journal.hold(run.key, waiting=watcher.waiting):
        _check_moved(journal, request, run)
        held = runs.by_name(journal, run.name)
        if held is None:
            raise RunConflictError(f"{run.name} was removed meanwhile", "See cms runs list.")
        if held.state is RunState.STAGING:
            raise RunConflictError(
                f"{run.name} was interrupted while {run.file} was being read, before anything was sent",
                "Run the command that began it again.",
            )
        job = Job(request, watcher, journal, held.scope, None, dry=False, begin=begin)
        _settle_interrupted(job, journal, held)
        return _resume(job, journal, plan_of_run(job, held), send)


def rehearse(request: Request, watcher: Watcher) -> tuple[Preview, ReplayReport]:
    """Plan a replay without sending; return its preview and report. Writes only the requested output files.

    Args:
        request: The request.
        watcher: Called with progress.

    Raises:
        InputError: The input or a flag cannot be used.
        RunConflictError: Earlier runs of this input forbid sending it with these flags.
        JournalError: The journal is damaged or of a newer version.
    """
    begin = time.monotonic()
    with ExitStack() as stack:
        source = stack.enter_context(_input(request))
        journal, not_checked = _journal_to_check(request)
        scope = None
        if journal is not None:
            stack.enter_context(journal)
            stack.enter_context(journal.reading())
            _check_moved(journal, request)
            scope = runs.find_scope(journal, request.host, request.account)
        job = Job(request, watcher, journal, scope, Intake(request, source), dry=True, begin=begin)
        plan = _plan(job, stack)
        with _files(job, plan):
            pass
        if request.save_mapping is not None and job.intake is not None:
            job.intake.save_mapping(request.save_mapping)
        plan = plan.warning_of(*not_checked, *_lost_state(request))
        return plan.preview, _report(job, plan, plan.preview.warnings)


def _journal_to_check(request: Request) -> tuple[Journal | None, warnings.Warnings]:
    """Open the journal for a dry run, if there is one; also return a warning if earlier runs cannot be checked.

    Raises:
        JournalError: The journal of the state folder is damaged or of a newer version.
    """
    unchecked = () if request.account else (warnings.NOT_CHECKED,)
    if request.state_url is None:
        return Journal.open_to_read(request.state_dir), unchecked
    if unchecked:
        return None, unchecked
    try:
        return Journal.open_to_read(request.state_dir, request.state_url), ()
    except JournalError as error:  # a dry run does not need the database
        return None, (f"earlier runs were not checked: {error.message}",)


def _check_moved(journal: Journal, request: Request, run: Run | None = None) -> None:
    """Check that the journal in use includes what this machine has sent before.

    Args:
        journal: The journal.
        request: The request.
        run: The run to resume, or None. Its account may have another key than that of a renewed token.

    Raises:
        InputError: The state folder was imported into another database, or has to be imported first.
        JournalError: The journal of the state folder cannot be used.
    """
    state = journal.identity()
    local = request.local_account or request.account
    if run is not None and state is None:
        local = run.account
    moved.check(request.state_dir, state, request.host, local, request.account)


def _lost_state(request: Request) -> warnings.Warnings:
    """Return a warning if the replay itself would refuse the state folder, which a dry run does not."""
    if not request.state_required:
        return ()
    try:
        state_mark.require(request.state_dir)
    except JournalError as error:
        return (
            f"without --dry-run this ends with exit code 3, and nothing is sent: {error.message}. {error.hint}",
        )
    return ()


@contextmanager
def _input(request: Request) -> Iterator[Source]:
    with open_source(request.path) as source:
        check_outputs(request.outputs, is_source(source))
        yield source


def _plan(job: Job, stack: ExitStack) -> Plan:
    run = find_run(job)
    if run is None:
        return plan_of_input(job, stack)
    if job.journal is not None and not job.dry:
        _settle_interrupted(job, job.journal, run)
    return plan_of_run(job, run)


def _settle_interrupted(job: Job, journal: Journal, run: Run) -> None:
    """Record an outcome for the rows whose requests a killed process left without an answer."""
    journal.make_durable(against_power_cuts=run.kind == "lead")
    recovered = row_table.recover(journal, run, Clock(journal.ahead).now())
    if recovered and job.watcher.every_row:
        job.watcher.staged(recovered)


def _begin(job: Job, journal: Journal, plan: Plan, send: Send) -> ReplayReport:
    """Ask, and send the rows of a run that was just staged."""
    request, watcher, run, preview = job.request, job.watcher, plan.run, plan.preview
    assert run is not None
    shown: tuple[str, ...] = ()
    try:
        _check_moved(journal, request)  # again: an import does not see runs that have not begun to send
        if preview.blocked:
            watcher.blocked(preview)
            _report_staged(job, plan)
            with _files(job, plan):
                pass
        elif preview.pending:
            _ask(watcher, preview)
            shown = preview.warnings
    except BaseException:
        lifecycle.delete(journal, run)
        raise
    if preview.blocked:
        # A blocked run leaves nothing but its output files.
        lifecycle.delete(journal, run)
        return _report(job, plan, ())
    how = request.delivery
    clear_the_way(journal, run)
    lifecycle.begin_sending(
        journal, run, Clock(journal.ahead).now(), fresh=how.fresh, unknown_again=how.retry_unknown, end=plan.end
    )
    _report_staged(job, plan)
    return _send(job, journal, plan, send, shown)


def _resume(job: Job, journal: Journal, plan: Plan, send: Send) -> ReplayReport:
    """Ask, and send the remaining rows of a run that was staged before."""
    run = plan.run
    assert run is not None
    shown: tuple[str, ...] = ()
    if plan.preview.pending:
        _ask(job.watcher, plan.preview)
        shown = plan.preview.warnings
    if plan.unsettled:
        for status in plan.reopened:
            row_table.reopen(journal, run, status)
        unknown_again = job.request.delivery.retry_unknown
        lifecycle.begin_sending(journal, run, Clock(journal.ahead).now(), fresh=False, unknown_again=unknown_again)
    return _send(job, journal, plan, send, shown)


def _ask(watcher: Watcher, preview: Preview) -> None:
    if not watcher.confirm(preview):
        raise RunConflictError("nothing was sent: you answered no", "")


def _report_staged(job: Job, plan: Plan) -> None:
    """Pass the rows that already have an outcome to the watcher, if it wants every row."""
    if job.watcher.every_row:
        rows = plan.settled(set(RowStatus) - {RowStatus.PENDING})
        while some := list(islice(rows, _REPORTED_TOGETHER)):
            job.watcher.staged(some)


def _files(job: Job, plan: Plan) -> AbstractContextManager[RowFiles]:
    """Create the output files, and write the rows that already have an outcome."""
    delivery = job.request.delivery
    nothing_sent = job.dry or plan.preview.blocked
    return row_files(delivery.failures, delivery.results, plan.layout, plan.settled, pending_too=nothing_sent)


def _send(job: Job, journal: Journal, plan: Plan, send: Send, shown: tuple[str, ...]) -> ReplayReport:
    request, watcher, run = job.request, job.watcher, plan.run
    assert run is not None
    journal.make_durable(against_power_cuts=run.kind == "lead")
    pending = row_reports.counts(journal, run)[RowStatus.PENDING.value]
    ended = Ended()
    with _files(job, plan) as files:
        if pending:
            watcher.sending(run, pending)
            listener = _Both(watcher, files)
            window = _window(request, run)
            dispatcher = Dispatcher(journal, run, send, window, request.delivery, listener, Clock(journal.ahead))
            watcher.on_stop(dispatcher.interrupt)
            ended = dispatcher.run()
    finished_before = not plan.new and run.state is RunState.FINISHED and not pending
    return _finish(job, journal, plan, ended, shown, finished_before=finished_before)


def _window(request: Request, run: Run) -> SharedWindow | None:
    if run.host == "sandbox" and request.delivery.rate is None:
        return None
    return SharedWindow(run.scope, request.delivery.rate, request.delivery.timeout)


def _finish(
    job: Job, journal: Journal, plan: Plan, ended: Ended, shown: tuple[str, ...], *, finished_before: bool
) -> ReplayReport:
    """Record the end of the invocation in the journal, and return the report."""
    run = plan.run
    assert run is not None
    counts = row_reports.counts(journal, run)
    # A stop after the last row changes nothing: a repeated command reports the same result.
    stopped = counts[RowStatus.PENDING.value] or ended.stop in BY_SIGNAL
    changed = warnings.about_changed_amounts(*row_reports.changed_amounts(journal, run))
    report = replace(
        _report(job, plan, shown, (*plan.warnings, *changed)),
        counts=counts,
        problems=problems_of(journal, run),
        stop=ended.stop if stopped else Stop.NONE,
        reason=ended.reason if stopped else "",
        finished_before=finished_before,
    )
    if not report.pending and not finished_before:
        row_moves.drop_personal_data(journal, run)
    exit_code, done = int(report.exit_code), not report.pending
    runs.end_sending(journal, run, Clock(journal.ahead).now(), exit_code, dict(report.counts), finished=done)
    return report


def _report(job: Job, plan: Plan, shown: tuple[str, ...], warned: tuple[str, ...] | None = None) -> ReplayReport:
    """Return the report of a plan.

    Args:
        job: The invocation.
        plan: Its plan.
        shown: The warnings that the preview has shown.
        warned: All warnings about the input; by default, those of the preview.
    """
    all_warnings = plan.preview.warnings if warned is None else warned
    name = plan.run.name if plan.run is not None and not plan.preview.blocked else None
    if job.journal is not None and job.scope is not None:
        all_warnings += warnings.about_unfinished_runs(job.journal, job.scope, name)
    return ReplayReport(
        name,
        plan.preview.file,
        plan.preview.counts,
        time.monotonic() - job.begin,
        list(plan.problems),
        blocked=plan.preview.blocked,
        warnings=all_warnings,
        new_warnings=tuple(warning for warning in all_warnings if warning not in shown),
    )


class _Both(Listener):
    """Adds settled rows to the output files, then passes them to the watcher."""

    def __init__(self, watcher: Watcher, files: RowFiles) -> None:
        self._watcher = watcher
        self._files = files

    def settled(self, rows: list[SettledRow]) -> None:
        self._files.add(rows)
        self._watcher.settled(rows)

    def progress(self, progress: Progress) -> None:
        self._watcher.progress(progress)
