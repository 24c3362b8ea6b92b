"""Plans a replay. A dry run ends with the plan and a replay carries it out, so both decide by the same code."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from cms_cli.replay.intake import Intake
from cms_cli.replay.journal import lifecycle, row_reports, row_table, runs
from cms_cli.replay.journal.clock import Clock
from cms_cli.replay.journal.identity import RunConflictError, known_run
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import FAILED, RowStatus, SettledRow
from cms_cli.replay.journal.runs import EXEMPT, Run
from cms_cli.replay.model import SAMPLES, Problem, SourceRow
from cms_cli.replay.outputs import Layout, with_cells
from cms_cli.replay.problems import MOST_PROBLEMS
from cms_cli.replay.remaining import Remaining, remaining
from cms_cli.replay.request import Request
from cms_cli.replay.rowfiles import Settled, layout_of
from cms_cli.replay.staging.digests import rows_known
from cms_cli.replay.staging.history import History
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.staging.sinks import IntoJournal, Nowhere, Spool
from cms_cli.replay.staging.stager import SAMPLED, Sink, Stager
from cms_cli.replay.warnings import (
    about_changed_amounts,
    about_ids,
    about_mapping,
    about_nothing_left,
    about_times,
    about_token,
    seconds_needed,
    suggestion,
)
from cms_cli.replay.watcher import Watcher
from cms_python import EventKind


@dataclass(frozen=True)
class Job:
    """The data and objects that every step of one invocation needs.

    Attributes:
        request: The request.
        watcher: Called with progress and questions.
        journal: The journal; None in a dry run without a journal.
        scope: The journal's id of host and account; None in a dry run if the journal does not know them.
        intake: The input; None to resume a run without it.
        dry: Whether this is a dry run, which writes nothing but output files.
        begin: The start of the invocation, by ``time.monotonic()``.
    """

    request: Request
    watcher: Watcher
    journal: Journal | None
    scope: int | None
    intake: Intake | None
    dry: bool
    begin: float


@dataclass(frozen=True)
class Plan:
    """The plan of an invocation: its run, its preview and its rows.

    Attributes:
        run: The run; None in a dry run of an input without one.
        new: Whether the input was staged just now, and not in an earlier invocation.
        preview: The preview.
        problems: The problems of the first failed rows.
        warnings: The warnings of the preview, without those about changed amounts.
        settled: Yields the rows of some statuses.
        layout: The layout of the rows in output files.
        reopened: The statuses whose rows are to be sent again.
        unsettled: For a run that was staged before: the number of pending rows, with those to be sent again.
        end: For a new file of leads: the hash of all its rows, by which it is found again once it has grown.
    """

    run: Run | None
    new: bool
    preview: Preview
    problems: Sequence[Problem]
    warnings: tuple[str, ...]
    settled: Settled
    layout: Layout
    reopened: tuple[RowStatus, ...] = ()
    unsettled: int = 0
    end: bytes | None = None

    def warning_of(self, *warnings: str) -> Plan:
        """Return the plan with warnings added."""
        preview = replace(self.preview, warnings=(*self.preview.warnings, *warnings))
        return replace(self, preview=preview, warnings=(*self.warnings, *warnings))


class Earlier(NamedTuple):
    """The traces of earlier runs of a file of leads.

    Attributes:
        repeats: What to do with leads that look like one sent from another file: the value of ``--repeats``, or
            EXEMPT for a file that has only grown, whose other rows are new, and for a failures file.
        rows: The number of rows that the file had when it was last sent; 0 if it was not.
    """

    repeats: str = ""
    rows: int = 0


def find_run(job: Job) -> Run | None:
    """Return the run that this invocation resumes; None to begin a new one.

    Raises:
        RunConflictError: Earlier runs of this input forbid sending it with these flags.
        JournalError: The journal cannot be used.
    """
    if job.journal is None or job.scope is None or job.intake is None:
        return None
    return known_run(
        job.journal,
        job.request.key(job.scope, job.intake.source.sha256),
        host=job.request.host,
        fresh=job.request.delivery.fresh,
        clear=not job.dry,
    )


def plan_of_run(job: Job, run: Run) -> Plan:
    """Plan the remaining rows of a run that was staged before.

    Raises:
        RunConflictError: A flag needs the input, or cannot be used with this run.
    """
    journal, request = job.journal, job.request
    delivery = request.delivery
    assert journal is not None
    settled = _rows_of_run(job, run)
    found = remaining(journal, run, delivery, dry=job.dry)
    pending = found.counts[RowStatus.PENDING.value]
    if delivery.retry_unknown and not found.unsettled:
        _refuse_what_was_left_out(journal, run)
    warnings = about_token(request, pending)
    columns = job.intake.columns(job.intake.first_cells(SAMPLED)) if job.dry and job.intake is not None else ()
    events = tuple(row.body for row in row_table.pending(journal, run, 0, SAMPLES)) if job.dry else ()
    layout = layout_of(run) if job.intake is None else Layout(job.intake.header, job.intake.dialect)
    preview = Preview(
        file=job.intake.source.name if job.intake is not None else run.file,
        run=run.name,
        resumes=True,
        counts=found.counts,
        sums=found.sums,
        free=found.free,
        limit=delivery.limit,
        seconds=seconds_needed(request, pending),
        columns=columns,
        events=events,
        warnings=(*warnings, *about_changed_amounts(*found.changed)),
    )
    if job.dry:
        settled = found.settled(settled)
    problems = problems_of(journal, run, found if job.dry and found.planned else None)
    return Plan(run, False, preview, problems, warnings, settled, layout, found.reopened, found.unsettled)


def problems_of(journal: Journal, run: Run, planned: Remaining | None = None) -> list[Problem]:
    """Return the problems of the first failed rows of a run, in file order.

    Args:
        journal: The journal.
        run: The run.
        planned: The planned outcomes of its rows, to use instead of the recorded ones.
    """

    def rows(statuses: Iterable[RowStatus]) -> Generator[SettledRow, None, None]:
        return row_reports.settled(journal, run, statuses, texts=False)

    failed = islice((planned.settled(rows) if planned else rows)(FAILED), MOST_PROBLEMS)
    return [Problem(row.code or "", row.error or "", "", row.column, row.row, row.line) for row in failed]


def _rows_of_run(job: Job, run: Run) -> Settled:
    """Return a reader of a run's rows. If a finished run has dropped their cells, it takes them from the input.

    Raises:
        RunConflictError: The cells are needed, and there is no input.
    """
    journal, intake = job.journal, job.intake
    assert journal is not None
    if job.request.delivery.results is None or not row_reports.has_forgotten(journal, run):
        return lambda statuses: row_reports.settled(journal, run, statuses)
    if intake is None:
        raise RunConflictError(
            f"{run.name} was finished before, and the journal has forgotten what its rows said",
            "For --results, run the command that began it once more: nothing is sent again.",
        )
    return lambda statuses: with_cells(row_reports.settled(journal, run, statuses), intake.table())


def _refuse_what_was_left_out(journal: Journal, run: Run) -> None:
    """Refuse --retry-unknown for a run with rows that a failures file marked as unknown; they were never mapped.

    Raises:
        RunConflictError: The run has such rows.
    """
    rows = row_reports.left_in_doubt(journal, run)
    if rows:
        raise RunConflictError(
            f"{run.name} left {rows} {'row' if rows == 1 else 'rows'} out, which may have arrived before it began",
            f"Send them by themselves: cms runs failures {run.name} > again.csv, and "
            f"cms {run.kind} --from-csv again.csv with the same flags and --retry-unknown",
        )


def plan_of_input(job: Job, stack: ExitStack) -> Plan:
    """Stage an input, and plan its rows.

    Args:
        job: The invocation, with an input.
        stack: The stack that closes temporary files; it must stay open as long as the plan is used.

    Raises:
        InputError: The input cannot be used.
        MachineError: The journal or a temporary file cannot be written.
    """
    request, intake = job.request, job.intake
    assert intake is not None
    layout = Layout(intake.header, intake.dialect)
    earlier = _earlier(job, intake) if request.kind is EventKind.LEAD else Earlier()
    if job.dry:
        spool = Spool() if any(path for _, path in request.outputs) else None
        if spool is not None:
            stack.callback(spool.close)
        stager = _stage(job, intake, spool or Nowhere(), earlier)
        preview, warnings = _preview(request, intake, stager, None)
        settled: Settled = spool.settled if spool is not None else _no_rows
        return Plan(None, True, preview, stager.tally.problems, warnings, settled, layout)
    run, stager = _new_run(job, intake, earlier)
    preview, warnings = _preview(request, intake, stager, run.name)
    end = stager.end if request.kind is EventKind.LEAD else None
    return Plan(run, True, preview, stager.tally.problems, warnings, _rows_of_run(job, run), layout, end=end)


def _new_run(job: Job, intake: Intake, earlier: Earlier) -> tuple[Run, Stager]:
    journal, source = job.journal, intake.source
    assert journal is not None
    assert job.scope is not None
    run = runs.create(
        journal,
        job.request.key(job.scope, source.sha256),
        file=os.fsencode(source.path or source.name).decode("utf-8", "backslashreplace"),
        header=intake.header,
        now=Clock(journal.ahead).now(),
        dialect=intake.dialect.to_json(),
        repeats=earlier.repeats,
    )
    try:
        with journal.writing(run.texts) as texts:
            stager = _stage(job, intake, IntoJournal(journal, run, texts), earlier)
        return runs.staged(journal, run, texts.size), stager
    except BaseException:
        lifecycle.delete(journal, run)
        raise


def _stage(job: Job, intake: Intake, sink: Sink, earlier: Earlier) -> Stager:
    """Stage an input.

    Raises:
        InputError: The input cannot be read to its end, or was changed meanwhile.
        MachineError: The sink or a temporary file cannot be written.
    """
    stager = Stager(
        job.request.kind,
        sink,
        intake.now,
        sha256=intake.source.sha256,
        history=_history(job),
        repeats="send" if earlier.repeats == EXEMPT else earlier.repeats,
        refused_up_to=0 if job.request.delivery.retry_refused else earlier.rows,
        unknown_again=intake.resend_unknown,
        progress=job.watcher.reading,
    )
    stager.run(intake.planned())
    intake.source.check_unchanged()
    return stager


def _no_rows(_: Iterable[RowStatus]) -> Generator[SettledRow, None, None]:
    yield from ()


def _history(job: Job) -> History | None:
    """Return the lookup of events that earlier runs have sent; None without earlier runs, and with ``--fresh``."""
    if job.journal is None or job.scope is None or job.request.delivery.fresh:
        return None
    return History(job.journal, job.scope, job.request.kind)


def _earlier(job: Job, intake: Intake) -> Earlier:
    """Return what earlier runs say about a file of leads."""
    if job.request.delivery.fresh or intake.fed_back:
        return Earlier(EXEMPT)
    history = _history(job)
    ends = history.files() if history else set()
    rows = rows_known((row.cells for row in intake.table()), ends) if ends else 0
    return Earlier(EXEMPT, rows) if rows else Earlier(job.request.delivery.repeats)


def _preview(request: Request, intake: Intake, stager: Stager, run: str | None) -> tuple[Preview, tuple[str, ...]]:
    """Return the preview of an input that was just staged, and its warnings without those about changed amounts."""
    tally = stager.tally
    counts = {status.value: tally.counts[status.value] for status in RowStatus}
    pending = counts[RowStatus.PENDING.value]
    warnings = about_token(request, pending)
    if pending:
        warnings += about_ids(tally) + about_times(tally, intake.blueprint)
    else:
        rows = (row.cells for row in intake.table() if isinstance(row, SourceRow))
        warnings += about_nothing_left(tally, intake.blueprint, rows)
    warnings += about_mapping(intake.notices, intake.footers, intake.blueprint, tally)
    warnings += suggestion(request, intake.header)
    preview = Preview(
        file=intake.source.name,
        run=run,
        resumes=False,
        counts=counts,
        reasons=dict(tally.reasons),
        empty=intake.empty,
        sums={currency: tally.sums[currency] for currency in sorted(+tally.currencies)},
        free=tally.free,
        refunds=dict(sorted((+tally.refunds).items())),
        refunded=tally.refunded,
        first=tally.first,
        last=tally.last,
        limit=request.delivery.limit,
        seconds=seconds_needed(request, pending),
        columns=intake.columns(stager.samples),
        events=stager.events,
        problems=tuple(tally.groups.groups()),
        warnings=(*warnings, *about_changed_amounts(tally.changed_rows, tally.first_changed)),
        blocked=bool(counts[RowStatus.INVALID.value]) and not request.delivery.skip_invalid,
    )
    return preview, warnings
