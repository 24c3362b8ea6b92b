"""What the sandbox has to tell, for people and for programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cms_cli.terminal.console import Console
from cms_cli.terminal.table import table

if TYPE_CHECKING:
    from cms_cli.sandbox import ClickReport, Report, SandboxEvent, Total

_COLUMNS = ("id", "kind", "click", "event", "customer", "invoice", "amount", "received (UTC)")
_NUMBERS = frozenset((0, 6))
_REPORT_COLUMNS = ("click", "leads", "sales", "revenue")
_REPORT_NUMBERS = frozenset((1, 2, 3))


def serving(console: Console, form: str, url: str, db: str, token: str) -> None:
    """Tell where the sandbox answers: the URL alone on stdout, for scripts, and to people what to do with it."""
    if form == "table":
        console.result(url)
    else:
        console.document({"url": url, "db": db}, "jsonl")
    console.note(f"sandbox: answering at {url}, keeping what comes in {db}")
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
    rows = [_row(each) for each in found]
    if rows:
        table(console, _COLUMNS, rows, right=_NUMBERS)
    else:
        console.note(f"no events in {store}")


def _row(each: SandboxEvent) -> tuple[str, ...]:
    from cms_cli.terminal.replay import amount

    return (
        str(each.id),
        each.kind,
        each.click_id if each.click_source == "sent" else f"{each.click_id} ({each.click_source})",
        str(each.event["eventName"]),
        each.customer,
        each.invoice_id or "",
        "" if each.amount is None else amount(each.amount, each.currency or ""),
        f"{datetime.fromtimestamp(each.received_at, timezone.utc):%Y-%m-%d %H:%M:%S}",
    )


def report(console: Console, form: str, found: Report, limit: int | None, store: str) -> None:
    """Show what each click brought, and all of them together.

    Args:
        console: Where to.
        form: ``table``, ``json`` or ``jsonl``; the last has a line a click, and the totals on its last.
        found: The book.
        limit: At most so many clicks; the totals are of all.
        store: Where the book is.
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
        rows = [row for click in clicks for row in _click_rows(click)]
        table(console, _REPORT_COLUMNS, rows + _total_rows(total), right=_REPORT_NUMBERS)
        if len(clicks) < total.clicks:
            console.note(f"{len(clicks):,} of {total.clicks:,} clicks; the totals are of all of them")
    else:
        console.note(f"no events in {store}")


def _click_rows(click: ClickReport) -> list[tuple[str, ...]]:
    """A row a currency; its leads stand in the first, so that every column adds up."""
    from cms_cli.terminal.replay import amount

    if not click.revenue:
        return [(click.click_id, str(click.leads), "0", "")]
    return [
        (click.click_id, "" if at else str(click.leads), str(each.sales), amount(each.amount, each.currency))
        for at, each in enumerate(click.revenue)
    ]


def _total_rows(total: Total) -> list[tuple[str, ...]]:
    from cms_cli.terminal.replay import amount

    name = "total: 1 click" if total.clicks == 1 else f"total: {total.clicks:,} clicks"
    if not total.revenue:
        return [(name, str(total.leads), "0", "")]
    return [
        (
            name if at == 0 else "total",
            "" if at else str(total.leads),
            str(each.sales),
            amount(each.amount, each.currency),
        )
        for at, each in enumerate(total.revenue)
    ]
