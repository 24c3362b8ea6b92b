"""What the sandbox has to tell, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cms_cli.output.console import Console
from cms_cli.output.table import table

if TYPE_CHECKING:
    from cms_cli.sandbox import SandboxEvent

_COLUMNS = ("id", "kind", "click", "event", "customer", "invoice", "amount", "received (UTC)")
_NUMBERS = frozenset((0, 6))


def serving(console: Console, form: str, url: str, db: str) -> None:
    """Tell where the sandbox answers: the URL alone on stdout, for scripts, and to people what to do with it."""
    if form == "table":
        console.result(url)
    else:
        console.document({"url": url, "db": db}, "jsonl")
    console.note(f"sandbox: answering at {url}, keeping what comes in {db}")
    console.note(f"use it with: CMS_HOST={url} CMS_BEARER_TOKEN=anything cms lead ...   (Ctrl-C ends it)")


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
    return (
        str(each.id),
        each.kind,
        each.click_id if each.click_source == "sent" else f"{each.click_id} ({each.click_source})",
        str(each.event["eventName"]),
        each.customer,
        each.invoice_id or "",
        "" if each.amount is None else f"{each.amount} {each.currency}",
        f"{datetime.fromtimestamp(each.received_at, timezone.utc):%Y-%m-%d %H:%M:%S}",
    )
