"""Shows the report of a replay, as text or JSON, and the commands that may follow."""

from __future__ import annotations

import json

from cms_cli.replay.journal.rows import RowStatus, SettledRow
from cms_cli.replay.report import ReplayReport
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.staging.preview import Preview
from cms_cli.terminal import actions
from cms_cli.terminal.console import Console
from cms_cli.terminal.preview import show_preview, show_problems, show_warnings
from cms_cli.terminal.table import Column, report
from cms_cli.terminal.text import shown
from cms_cli.terminal.units import rows

_MEANINGS = {
    RowStatus.ACCEPTED: "the service took them",
    RowStatus.DUPLICATE: "already there; counted once",
    RowStatus.REFUSED: "the service said no",
    RowStatus.UNKNOWN: "sent without an answer; they may have arrived",
    RowStatus.PENDING: "still to be sent",
    RowStatus.INVALID: "not sent: something is wrong in the file",
    RowStatus.SKIPPED: "left out on purpose",
}


_BY_SIGNAL = {
    Stop.INTERRUPTED: "Ctrl-C",
    Stop.HUNG_UP: "the terminal was closed (SIGHUP)",
    Stop.TERMINATED: "SIGTERM",
}

# Outcomes that are neither good nor bad have no colour.
COLOURS = {
    RowStatus.ACCEPTED.value: "green",
    RowStatus.REFUSED.value: "red",
    RowStatus.UNKNOWN.value: "yellow",
    RowStatus.PENDING.value: "yellow",
    RowStatus.INVALID.value: "red",
}

_COLUMNS = (Column("outcome"), Column("rows", right=True), Column("meaning", shortened=True))


def show_rehearsal(console: Console, form: str, preview: Preview, found: ReplayReport, rate: str) -> None:
    """Show the result of a dry run."""
    show_problems(console, preview.problems)
    show_warnings(console, found.warnings)
    if form == "table":
        show_preview(console, preview, rate)
        _show_counts(console, found)
    else:
        value = {
            "dry_run": True,
            **found.to_dict(),
            "mapping": {
                column.field: {
                    "column": column.column or None,
                    "constant": column.constant,
                    "samples": list(column.samples),
                }
                for column in preview.columns
            },
            "events": [json.loads(event) for event in preview.events],
            "skipped": preview.reasons,
            "empty": preview.empty,
            "sums": preview.sums,
            "free": preview.free,
            "refunded": {"rows": preview.refunded, "sums": preview.refunds},
            "first": preview.first or None,
            "last": preview.last or None,
            "least_seconds": preview.seconds,
        }
        console.document(value, form)
    actions.tell(console, found, sent=False)
    console.note("nothing was sent" + ("; the file has to be corrected first" if preview.blocked else ""))


def show_report(console: Console, form: str, found: ReplayReport) -> None:
    """Show the result of a replay: the report on stdout, explanations and next commands on stderr."""
    if form != "table":
        console.document(found.to_dict(), form)
    else:
        _show_counts(console, found)
    show_warnings(console, found.new_warnings)
    _show_failures(console, found)
    _show_next(console, found)
    actions.tell(console, found)


def row_json(row: SettledRow) -> dict[str, object]:
    """Return a row as ``--output jsonl`` writes it."""
    return {
        "row": row.row,
        "line": row.line,
        "status": row.status,
        "invoice_id": row.invoice_id,
        "status_code": row.status_code,
        "attempts": row.attempts,
        "error": row.error,
    }


def _show_counts(console: Console, found: ReplayReport) -> None:
    if console.quiet:
        return
    lines = [
        (status.value, f"{found.counts[status.value]:,}", meaning)
        for status, meaning in _MEANINGS.items()
        if found.counts[status.value]
    ]
    lines.append(("total", f"{found.total:,}", found.file))
    report(console, _COLUMNS, lines, totals=1, title=found.run or "", styles=COLOURS)


def _show_failures(console: Console, found: ReplayReport) -> None:
    if found.blocked or found.run is None:
        return
    shown_first = 5
    failed = [problem for problem in found.problems if problem.code]
    for problem in failed[:shown_first]:
        console.note(f"line {problem.line}: {shown(problem.message)}")
    more = sum(found.counts[status.value] for status in (RowStatus.INVALID, RowStatus.REFUSED, RowStatus.UNKNOWN))
    if more > shown_first:
        console.note(f"and {more - shown_first:,} more: {console.next_command(f'runs failures {found.run}')}")


def _show_next(console: Console, found: ReplayReport) -> None:
    run = found.run
    if found.blocked:
        console.error(
            "nothing was sent: some rows are invalid",
            "Correct them, or send the others with --skip-invalid; --failures FILE lists the bad ones.",
        )
        return
    resume = console.next_command(f"runs resume {run}", sends=True)
    failures = console.next_command(f"runs failures {run}")
    if found.finished_before:
        console.note(f"{run} was finished before; nothing was sent (--fresh sends it all again)")
    if found.reason:
        reason = f"stopped: {_BY_SIGNAL.get(found.stop) or shown(found.reason)}"
        console.error(reason) if found.exit_code else console.note(reason)
    if found.pending:
        console.note(f"{rows(found.pending)} left; resume with: {resume}")
    unknown, refused, invalid = (
        found.counts[status.value] for status in (RowStatus.UNKNOWN, RowStatus.REFUSED, RowStatus.INVALID)
    )
    if unknown:
        console.error(
            f"{rows(unknown)} may or may not have arrived",
            f"Look them up at the service, or send them again with: {resume} --retry-unknown",
        )
    if refused:
        console.error(
            f"the service refused {rows(refused)}",
            f"To correct them and send them again: {failures} > failures.csv",
        )
    if invalid:
        console.error(f"{rows(invalid)} invalid and not sent", f"They are in: {failures}")
