"""Shows events and reports of the sandbox, as text or JSON."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cms_cli.terminal.console import Console
from cms_cli.terminal.table import Column, listing
from cms_cli.terminal.units import amount

if TYPE_CHECKING:
    from cms_cli.sandbox import ClickReport, Report, SandboxEvent, Total

_EVENTS = (
    Column("id", right=True, dropped=2),
    Column("kind"),
    Column("click"),
    Column("click from", dropped=1),
    Column("event", shortened=True, dropped=4),
    Column("customer"),
    Column("invoice"),
    Column("amount", right=True),
    Column("received (UTC)", dropped=3),
)
_REPORT = (
    Column("click"),
    Column("leads", right=True),
    Column("sales", right=True),
    Column("revenue", right=True),
)


def serving(console: Console, form: str, url: str, db: str, token: str) -> None:
    """Write the sandbox's URL to stdout, for scripts, and how to use it to stderr."""
    if form == "table":
        console.result(url)
    else:
        console.document({"url": url, "db": db}, "jsonl")
    console.note(f"sandbox: listening at {url}, storing events in {db}")
    console.note(f"watch it in a browser: {url}/")
    environment = f"CMS_HOST={url} CMS_BEARER_TOKEN={shlex.quote(token)}"
    console.note(f"use it with: {environment} cms lead ...   (Ctrl-C ends it)")


def events(console: Console, form: str, found: Iterable[SandboxEvent], store: str) -> None:
    """Show events with the click that each resolved to."""
    if form == "jsonl":
        for each in found:
            console.document(each.to_dict(), form)
        return
    if form == "json":
        console.document([each.to_dict() for each in found], form)
        return
    rows = [_row(each, grouped=console.draws_on_stdout) for each in found]
    if rows:
        listing(console, _EVENTS, rows)
    else:
        console.note(f"no events in {store}")


def _row(each: SandboxEvent, *, grouped: bool) -> tuple[str, ...]:
    return (
        str(each.id),
        each.kind,
        each.click_id,
        each.click_source,
        str(each.event["eventName"]),
        each.customer,
        each.invoice_id or "",
        "" if each.amount is None else amount(each.amount, each.currency or "", grouped=grouped),
        f"{datetime.fromtimestamp(each.received_at, timezone.utc):%Y-%m-%d %H:%M:%S}",
    )


def report(console: Console, form: str, found: Report, limit: int | None, store: str) -> None:
    """Show the leads, sales and revenue of each click, and their totals.

    Args:
        console: The console to write to.
        form: ``table``, ``json`` or ``jsonl``. JSON Lines have a line for each click, and the totals last.
        found: The report.
        limit: The most clicks to show, or None; the totals are of all clicks.
        store: The path of the store.
    """
    total = found.total()
    if form == "jsonl":
        for click in found.clicks(limit):
            console.document(click.to_dict(), form)
        console.document({"total": total.to_dict()}, form)
        return
    clicks = list(found.clicks(limit))
    if form == "json":
        console.document({"clicks": [each.to_dict() for each in clicks], "total": total.to_dict()}, form)
    elif clicks:
        grouped = console.draws_on_stdout
        rows = [row for click in clicks for row in _rows(click.click_id, click, grouped)]
        name = "total: 1 click" if total.clicks == 1 else f"total: {total.clicks:,} clicks"
        totals = _rows(name, total, grouped)
        listing(console, _REPORT, [*rows, *totals], totals=len(totals))
        if len(clicks) < total.clicks:
            console.note(f"{len(clicks):,} of {total.clicks:,} clicks; the totals are of all of them")
    else:
        console.note(f"no events in {store}")


def _rows(name: str, counted: ClickReport | Total, grouped: bool) -> list[tuple[str, ...]]:
    """Return a row for each currency. Only the first has the leads, so that every column adds up."""
    if not counted.revenue:
        return [(name, str(counted.leads), "0", "")]
    return [
        (
            "" if at and grouped else name,  # in a drawn table, only once; in tab-separated lines, in each
            "" if at else str(counted.leads),
            str(each.sales),
            amount(each.amount, each.currency, grouped=grouped),
        )
        for at, each in enumerate(counted.revenue)
    ]
