"""A replay for people and for programs: the preview, the report, the next command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from cms_cli.replay.journal.rows import RowStatus, SettledRow
from cms_cli.replay.model import MappedColumn
from cms_cli.replay.problems import ProblemGroup
from cms_cli.replay.report import ReplayReport
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.values.currencies import exponent
from cms_cli.terminal import actions
from cms_cli.terminal.console import RED, YELLOW, Console
from cms_cli.terminal.table import GREEN, table
from cms_cli.terminal.text import cut, shown, width

_MEANINGS = {
    RowStatus.ACCEPTED: "the service took them",
    RowStatus.DUPLICATE: "there already; counted once",
    RowStatus.REFUSED: "the service said no",
    RowStatus.UNKNOWN: "sent without an answer; they may have arrived",
    RowStatus.PENDING: "still to be sent",
    RowStatus.INVALID: "not sent: something is wrong in the file",
    RowStatus.SKIPPED: "left out, as you asked",
}

_RESUME = re.compile(r"cms (runs resume (?:(?:lead|sale)-\w+|--all))")

_BY_SIGNAL = {
    Stop.INTERRUPTED: "Ctrl-C",
    Stop.HUNG_UP: "the terminal was closed (SIGHUP)",
    Stop.TERMINATED: "SIGTERM",
}

# Colour where it tells good from bad; what is neither has none.
COLOURS = {
    RowStatus.ACCEPTED.value: GREEN,
    RowStatus.REFUSED.value: RED,
    RowStatus.UNKNOWN.value: YELLOW,
    RowStatus.PENDING.value: YELLOW,
    RowStatus.INVALID.value: RED,
}


def amount(minor: int, currency: str) -> str:
    """Give an amount as people write it: ``1,234.50 USD``; minor units where the currency is not known."""
    digits = exponent(currency)
    if digits is None:
        return f"{minor:,} {currency} (minor units)"
    if not digits:
        return f"{minor:,} {currency}"
    whole, fraction = divmod(minor, 10**digits)
    return f"{whole:,}.{fraction:0{digits}d} {currency}"


def duration(seconds: float) -> str:
    """Give a time span in two units at most: ``2 h 5 min``, ``45 s``."""
    rounded = int(seconds + 0.5)
    if rounded < 60:
        return f"{rounded} s"
    minutes, rest = divmod(rounded, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def rows(count: int) -> str:
    """Give a number of rows in words."""
    return "1 row" if count == 1 else f"{count:,} rows"


def summary_lines(preview: Preview, rate: str) -> list[str]:
    """Give what a preview says, line by line, without columns, samples and problems; no ``rate`` is no limit."""
    pending = preview.counts[RowStatus.PENDING.value]
    others = [
        f"{preview.counts[status.value]:,} {status.value}"
        for status in RowStatus
        if status is not RowStatus.PENDING and preview.counts[status.value]
    ]
    now = f", {preview.limit:,} of them now" if preview.limit is not None and preview.limit < pending else ""
    lines = [f"{rows(pending)} to send{now}" + (f"; {', '.join(others)}" if others else "")]
    lines += [f"  {shown(reason)}: {count:,}" for reason, count in sorted(preview.reasons.items())]
    if preview.sums:
        lines.append(f"sum: {_amounts(preview.sums)}")
    if preview.refunded:
        lines.append(f"refunded in part: {rows(preview.refunded)}, {_amounts(preview.refunds)}; sent in full")
    if preview.free:
        lines.append(f"{rows(preview.free)} with amount 0")
    if preview.first:
        span = preview.first if preview.first == preview.last else f"{preview.first} to {preview.last}"
        lines.append(f"dated {span} (UTC)")
    if pending:
        least = f"at least {duration(preview.seconds)}" if preview.seconds else "at once"
        lines.append(
            f"time: {least} at {rate}" if rate else "time: as fast as the service answers, without a limit"
        )
    return lines


def show_preview(console: Console, preview: Preview, rate: str) -> None:
    """Show what is about to happen, on stderr: made to fit a terminal, complete anywhere else."""
    what = f"{preview.run}: going on with {preview.file}" if preview.going_on else preview.file
    console.note(shown(what))
    if preview.columns:
        room = console.columns if console.draws_on_stderr else None
        console.note("\n".join(_mapping_lines(preview.columns, room)))
    if preview.events:
        console.note("as they would be sent, the first of them:")
    for event in preview.events:
        # With blanks, since a terminal's lines break there.
        text = json.dumps(json.loads(event), ensure_ascii=False) if console.draws_on_stderr else event
        console.note(f"  {shown(text)}")
    for line in summary_lines(preview, rate):
        console.note(line)


def _sample(text: str) -> str:
    """Give a value as one of several between commas: 19,90 is not two."""
    return f'"{shown(text)}"' if "," in text else shown(text)


def _mapping_lines(columns: Sequence[MappedColumn], room: int | None) -> list[str]:
    """Give each field, where it comes from and a few values; ``room`` is the width, or None for no limit."""
    entries = []
    for column in columns:
        constant = None if column.constant is None else f'"{shown(column.constant)}"'
        origin, values = shown(column.column), ", ".join(map(_sample, column.samples))
        if not origin:
            origin, values = "always", constant or ""
        elif constant is not None:
            origin += f", else {constant}"
        entries.append((column.field, origin, values))
    names = max(width(name) for name, _, _ in entries)
    origins = max(width(origin) for _, origin, _ in entries)
    if room is not None:
        origins = min(origins, max(12, (room - names - 6) // 2))
    lines = []
    for name, origin, values in entries:
        fitting = cut(origin, origins)
        line = f"  {name:<{names}}  {fitting}{' ' * (origins - width(fitting))}  {values}".rstrip()
        lines.append(line if room is None else cut(line, room))
    return lines


def _amounts(sums: Mapping[str, int]) -> str:
    return ", ".join(amount(total, currency) for currency, total in sums.items())


def show_problems(console: Console, groups: Iterable[ProblemGroup]) -> None:
    """Show what is wrong with rows, grouped, with the way out of each."""
    for group in groups:
        console.error(shown(str(group)), f"       {shown(group.problem.hint)}" if group.problem.hint else "")


def show_warnings(console: Console, warnings: Iterable[str]) -> None:
    """Show warnings; the commands in them get the flags that they need here."""
    for warning in warnings:
        console.warn(_RESUME.sub(lambda found: console.next_command(found[1], sends=True), shown(warning)))


def show_rehearsal(console: Console, form: str, preview: Preview, report: ReplayReport, rate: str) -> None:
    """Show the result of a dry run."""
    show_problems(console, preview.problems)
    show_warnings(console, report.warnings)
    if form == "table":
        show_preview(console, preview, rate)
        _show_counts(console, report)
    else:
        value = {
            "dry_run": True,
            **report.to_dict(),
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
            "sums": preview.sums,
            "free": preview.free,
            "refunded": {"rows": preview.refunded, "sums": preview.refunds},
            "first": preview.first or None,
            "last": preview.last or None,
            "least_seconds": preview.seconds,
        }
        console.document(value, form)
    actions.tell(console, report, sent=False)
    console.note("nothing was sent" + ("; the file has to be mended first" if preview.blocked else ""))


def show_report(console: Console, form: str, report: ReplayReport) -> None:
    """Show the result of a replay: the report on stdout, what it means and what to do next on stderr."""
    if form != "table":
        console.document(report.to_dict(), form)
    elif not console.quiet:
        _show_counts(console, report)
    show_warnings(console, report.new_warnings)
    _show_failures(console, report)
    _show_next(console, report)
    actions.tell(console, report)


def row_json(row: SettledRow) -> dict[str, object]:
    """Give a row as ``--output jsonl`` writes it."""
    return {
        "row": row.row,
        "line": row.line,
        "status": row.status,
        "invoice_id": row.invoice_id,
        "status_code": row.status_code,
        "attempts": row.attempts,
        "error": row.error,
    }


def _show_counts(console: Console, report: ReplayReport) -> None:
    lines = [
        (status.value, f"{report.counts[status.value]:,}", meaning)
        for status, meaning in _MEANINGS.items()
        if report.counts[status.value]
    ]
    lines.append(("total", f"{report.total:,}", report.file))
    table(console, ("outcome", "rows", ""), lines, right=frozenset({1}), title=report.run or "", styles=COLOURS)


def _show_failures(console: Console, report: ReplayReport) -> None:
    if report.blocked or report.run is None:
        return
    shown_first = 5
    failed = [problem for problem in report.problems if problem.code]
    for problem in failed[:shown_first]:
        console.note(f"line {problem.line}: {shown(problem.message)}")
    more = sum(report.counts[status.value] for status in (RowStatus.INVALID, RowStatus.REFUSED, RowStatus.UNKNOWN))
    if more > shown_first:
        console.note(f"and {more - shown_first:,} more: {console.next_command(f'runs failures {report.run}')}")


def _show_next(console: Console, report: ReplayReport) -> None:
    run = report.run
    if report.blocked:
        console.error(
            "nothing was sent: some rows are invalid",
            "Mend them, or send the others with --skip-invalid; --failures FILE lists the bad ones.",
        )
        return
    resume = console.next_command(f"runs resume {run}", sends=True)
    failures = console.next_command(f"runs failures {run}")
    if report.finished_before:
        console.note(f"{run} was finished before; nothing was sent (--fresh sends it all again)")
    if report.reason:
        reason = f"stopped: {_BY_SIGNAL.get(report.stop) or shown(report.reason)}"
        console.error(reason) if report.exit_code else console.note(reason)
    if report.pending:
        console.note(f"{rows(report.pending)} left; go on with: {resume}")
    unknown, refused, invalid = (
        report.counts[status.value] for status in (RowStatus.UNKNOWN, RowStatus.REFUSED, RowStatus.INVALID)
    )
    if unknown:
        console.error(
            f"{rows(unknown)} may or may not have arrived",
            f"Look them up at the service, or send them again with: {resume} --retry-unknown",
        )
    if refused:
        console.error(
            f"the service refused {rows(refused)}",
            f"To mend and send again: {failures} > failures.csv",
        )
    if invalid:
        console.error(f"{rows(invalid)} invalid and not sent", f"They are in: {failures}")
