"""What became of one event, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping

from cms_cli.terminal.console import Console
from cms_cli.terminal.table import pairs
from cms_cli.terminal.text import shown, to_json
from cms_python import EventKind, Outcome, Status

_HEADLINES = {
    Status.ACCEPTED: "accepted",
    Status.DUPLICATE: "duplicate: the service has this invoice already",
    Status.REFUSED: "the service refused the {kind}",
    Status.UNAUTHORIZED: "the service does not accept the token",
    Status.BUSY: "the service could not take the {kind}",
    Status.NOT_API: "what answered is not the API",
    Status.UNSENT: "the {kind} could not be sent",
    Status.UNANSWERED: "the {kind} was sent, and no answer came",
}


def dry_run(console: Console, form: str, url: str, body: Mapping[str, object]) -> None:
    """Show what would be sent."""
    value = {"dry_run": True, "url": url, "body": dict(body)}
    if form != "table":
        console.document(value, form)
        return
    pairs(console, [("POST", url), *((name, _plain(field)) for name, field in body.items())])
    console.note("nothing was sent")


def outcome(console: Console, form: str, kind: EventKind, found: Outcome) -> None:
    """Show what became of an event: the result on stdout, and on stderr what went wrong, if anything.

    Args:
        console: Where to.
        form: ``table``, ``json`` or ``jsonl``.
        kind: Lead or sale.
        found: What became of it.
    """
    accepted = found.status in (Status.ACCEPTED, Status.DUPLICATE)
    if form != "table":
        console.document(found.to_dict(), form)
    elif accepted and not console.quiet:
        pairs(console, _rows(kind, found), style="green" if found.status is Status.ACCEPTED else "yellow")
    if not accepted:
        _failure(console, kind, found)


def headline(kind: EventKind, found: Outcome) -> str:
    """Give what became of an event in a few words."""
    return _HEADLINES[found.status].format(kind=kind.value)


def _rows(kind: EventKind, found: Outcome) -> list[tuple[str, str]]:
    rows = [(kind.value, _HEADLINES[found.status]), ("message", found.message)]
    return rows + [(name, _plain(value)) for name, value in {**found.data, **found.details}.items()]


def _failure(console: Console, kind: EventKind, found: Outcome) -> None:
    code = f" ({found.status_code})" if found.status_code and str(found.status_code) not in found.message else ""
    lines = [f"{headline(kind, found)}: {shown(found.message)}{code}"]
    lines += [f"  {name}: {shown(_plain(value))}" for name, value in found.details.items()]
    if kind is EventKind.LEAD and found.may_have_arrived:
        lines.append("It may have been recorded: sending it again might count it twice.")
    elif kind is EventKind.SALE and found.may_have_arrived:
        lines.append("It may have been recorded; the same command again is safe, the invoice counts once.")
    elif found.status in (Status.BUSY, Status.UNSENT):
        lines.append("Nothing was recorded: the same command again is safe.")
    if found.attempts > 1:
        lines.append(f"Tried {found.attempts} times.")
    console.error("\n".join(lines))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)


def log_requests(console: Console) -> None:
    """Have the SDK's log on stderr: waits for a retry, and with ``--verbose`` each request and answer."""
    if console.quiet:
        return
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.note(record.getMessage())

    log = logging.getLogger("cms_python")
    log.addHandler(Handler())
    log.setLevel(logging.DEBUG if console.verbose else logging.INFO)
    log.propagate = False
