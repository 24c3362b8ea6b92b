"""The warnings about a replay, as texts for preview, report and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from cms_cli.replay.journal import row_reports, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.mapping import presets
from cms_cli.replay.mapping.blueprint import Blueprint
from cms_cli.replay.mapping.mapper import UNATTRIBUTED
from cms_cli.replay.mapping.notices import Notices
from cms_cli.replay.problems import shown
from cms_cli.replay.request import Request
from cms_cli.replay.sending.pacing import ideal_seconds
from cms_cli.replay.staging.preview import Tally
from cms_cli.replay.values.cells import folded
from cms_cli.replay.values.zones import names_other_zone
from cms_python import EventKind

Warnings = tuple[str, ...]

SHOWN_VALUES = 5
"""The most values of a column that a warning names."""

_OF_SALES = ("invoice_id", "amount", "currency")
"""The fields that a lead does not have."""

NOT_CHECKED = "without a token the account is not known, so earlier runs were not checked"


def seconds_needed(request: Request, rows: int) -> float:
    """Return the least seconds that sending a number of rows takes at the request's rate and limit."""
    limit = request.delivery.limit
    return ideal_seconds(rows if limit is None else min(rows, limit), request.delivery.rate)


def about_token(request: Request, rows: int) -> Warnings:
    """Warn if the token expires before all rows can be sent."""
    if request.token_expires is None:
        return ()
    left = request.token_expires - datetime.now(timezone.utc).timestamp()
    if left > seconds_needed(request, rows):
        return ()
    when = datetime.fromtimestamp(request.token_expires, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"the token expires at {when}, before this would end; when it stops, run the same command with a new token",
    )


def about_times(tally: Tally, blueprint: Blueprint) -> Warnings:
    """Warn of events without a time, of times whose zone is a guess, and of times in the future."""
    found = []
    if not blueprint.timestamp_mapped:
        found.append(
            "no column gives the time of an event: the service will date all of them now; "
            "say where it is with --map timestamp=COLUMN"
        )
    elif tally.undated:
        found.append(f"{_rows(tally.undated)} without a time: the service will date them now")
    if blueprint.rules.local_times and not blueprint.shape.timezone:
        found.append(
            "the times of this export are in the shop's time zone and do not name it; they are read as UTC: "
            "if that is not the shop's, say --timezone"
        )
    elif not blueprint.shape.timezone:
        named = [each.column for each in blueprint.sources.get("timestamp", ()) if names_other_zone(each.column)]
        if named:
            found.append(
                f'the header "{named[0]}" seems to name a time zone. It is ignored; times without an offset are '
                "read as UTC; say --timezone"
            )
    if tally.future:
        found.append(f"{_rows(tally.future)} dated in the future: is --timezone right?")
    return tuple(found)


def about_ids(tally: Tally) -> Warnings:
    """Warn of columns of ids that all end in ``.0``; to the service, 17.0 and 17 are two customers."""
    return tuple(
        f"every {field} ends in .0, as {shown(example)} does: a program has turned these ids into numbers, "
        "and they are sent as they are; read the column as text, and export it again"
        for field, example in tally.whole_floats.examples.items()
    )


def about_mapping(
    notices: Notices, footers: Sequence[tuple[int, str]], blueprint: Blueprint, tally: Tally
) -> Warnings:
    """Warn of values left out of events, of rows without a click or customer, and of lines that are not rows.

    Args:
        notices: The notices about the rows.
        footers: The number and text of each line that --footer-lines left out.
        blueprint: The source of the fields.
        tally: The counts of the rows.
    """
    found = [f"left out of {group}; the events are sent without it" for group in notices.left_out.groups()]
    left_out = tally.counts[RowStatus.INVALID.value] + tally.counts[RowStatus.SKIPPED.value]
    events = sum(tally.counts.values()) - left_out
    if notices.without_click:
        many = "1 follow-up" if notices.without_click == 1 else f"{notices.without_click:,} follow-ups"
        found.append(
            f"{many} without a click: the service knows them only after a deferred lead; "
            "--skip-unattributed leaves them out"
            + (_without_clicks(blueprint) if notices.without_click == events else "")
        )
    if notices.without_customer:
        many = "1 row names" if notices.without_customer == 1 else f"{notices.without_customer:,} rows name"
        found.append(f"{many} no customer: the sale's own id is used instead")
    if footers:
        found.append(
            "left out by --footer-lines: " + "; ".join(f"{shown(text)} (line {line})" for line, text in footers)
        )
    return tuple(found)


def _without_clicks(blueprint: Blueprint) -> str:
    """Return where no row has a click, for a warning; a mistyped key is empty everywhere."""
    labels = [source.label for source in blueprint.sources.get("click_id", ())]
    return f"; no row has a click in {' | '.join(map(shown, labels))}" if labels else ""


def about_nothing_left(tally: Tally, blueprint: Blueprint, rows: Iterable[Sequence[str]]) -> Warnings:
    """Warn if every row was left out, as may happen if the export has its statuses in another language.

    Args:
        tally: The counts of the rows.
        blueprint: The source of the fields, with the rules and conditions that left the rows out.
        rows: The cells of all rows, from the beginning of the input.
    """
    skipped = tally.counts[RowStatus.SKIPPED.value]
    if not skipped or skipped < sum(tally.counts.values()):
        return ()
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in tally.reasons.most_common())
    found = [f"all rows were left out: {reasons}"]
    if UNATTRIBUTED in tally.reasons:
        found[0] += _without_clicks(blueprint)
    for column, values in blueprint.selection.values_left_out(rows).items():
        more = f" and {len(values) - SHOWN_VALUES:,} more" if len(values) > SHOWN_VALUES else ""
        found.append(f'the column "{column}" has {", ".join(map(shown, values[:SHOWN_VALUES]))}{more}')
    return ("; ".join(found),)


def suggestion(request: Request, header: Sequence[str]) -> Warnings:
    """Suggest a preset if the header looks like one of a known export; warn of sales that are sent as leads."""
    if request.kind is EventKind.LEAD and not request.shape.rules:
        columns = {folded(name) for name in header}
        if all(folded(name) in columns for name in _OF_SALES):
            return ("this looks like a file of sales, and each row would be a lead: cms sale sends sales",)
        return ()
    if request.shape.rules or request.kind is not EventKind.SALE:
        return ()
    known = presets.suggested(header)
    if known is None:
        return ()
    return (f"this looks like an export of {known.title}, which --preset {known.name} can read",)


def about_changed_amounts(rows: int, first: str) -> Warnings:
    """Warn of rows whose invoice was accepted before with another amount, which the service does not change.

    Args:
        rows: The number of such rows.
        first: The first of them, for the message.
    """
    if not rows:
        return ()
    have = "1 row has an invoice that was" if rows == 1 else f"{rows:,} rows have invoices that were"
    return (f"{have} accepted before with another amount, which the service does not change: {first}",)


def about_unfinished_runs(journal: Journal, scope: int, but: str | None) -> Warnings:
    """Warn of the unfinished runs of an account, the oldest first.

    Args:
        journal: The journal.
        scope: The journal's id of host and account.
        but: The name of a run to leave out, or None.
    """
    found = []
    for run in runs.unfinished_of(journal, scope):
        if run.name != but:
            pending = row_reports.counts(journal, run)[RowStatus.PENDING.value]
            if pending:
                rows = "1 row" if pending == 1 else f"{pending:,} rows"
                found.append(f"{run.name} ({run.file}) is not finished, {rows} pending: cms runs resume {run.name}")
    if len(found) > 1:
        found.append("resume all unfinished runs, the oldest first: cms runs resume --all")
    return tuple(found)


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"
