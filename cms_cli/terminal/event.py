"""Shows the outcome of one event, as text or JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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

_TITLES = {
    Status.ACCEPTED: ("accepted", "green"),
    Status.DUPLICATE: ("counted before", "yellow"),
    Status.REFUSED: ("refused", "red"),
    Status.UNAUTHORIZED: ("not accepted", "red"),
    Status.UNANSWERED: ("without an answer", "yellow"),
    Status.NOT_API: ("without an answer", "red"),
}


def dry_run(console: Console, form: str, url: str, body: Mapping[str, object]) -> None:
    """Show the request that would be sent."""
    value = {"dry_run": True, "url": url, "body": dict(body)}
    if form != "table":
        console.document(value, form)
        return
    pairs(console, [("POST", url), *((name, _plain(field)) for name, field in body.items())], "Would be sent")
    console.note("nothing was sent")


def outcome(console: Console, form: str, kind: EventKind, found: Outcome) -> None:
    """Write the outcome to stdout, and an error, if it is one, to stderr.

    Args:
        console: The console to write to.
        form: ``table``, ``json`` or ``jsonl``.
        kind: Lead or sale.
        found: The outcome.
    """
    if form != "table":
        console.document(found.to_dict(), form)
    elif not console.quiet:
        what, style = _TITLES.get(found.status, ("not sent", "red"))
        pairs(console, _rows(kind, found), f"{kind.value} {what}".capitalize(), style=style)
    if found.status not in (Status.ACCEPTED, Status.DUPLICATE):
        drawn = form == "table" and not console.quiet and console.draws_on_stdout and console.draws_on_stderr
        _failure(console, kind, found, drawn=drawn)


def headline(kind: EventKind, found: Outcome) -> str:
    """Return the outcome of an event in a few words."""
    return _HEADLINES[found.status].format(kind=kind.value)


def _rows(kind: EventKind, found: Outcome) -> list[tuple[str, str]]:
    rows = [(kind.value, headline(kind, found))]
    if found.status in (Status.ACCEPTED, Status.DUPLICATE):
        rows += [("message", found.message)]
    else:
        rows.append(("error", found.message))
        if found.status_code:
            rows.append(("status_code", str(found.status_code)))
    return rows + [(name, _plain(value)) for name, value in {**found.data, **found.details}.items()]


def _failure(console: Console, kind: EventKind, found: Outcome, *, drawn: bool) -> None:
    code = f" ({found.status_code})" if found.status_code and str(found.status_code) not in found.message else ""
    lines = [headline(kind, found)]
    if not drawn:  # otherwise the table just above has the details
        lines = [f"{lines[0]}: {shown(found.message)}{code}"]
        lines += [f"  {name}: {shown(_plain(value))}" for name, value in found.details.items()]
    if found.attempts > 1:
        lines.append(f"Tried {found.attempts} times.")
    console.error("\n".join(lines), _hint(console, kind, found))


def _hint(console: Console, kind: EventKind, found: Outcome) -> str:
    if found.may_have_arrived:
        if kind is EventKind.LEAD:
            return "It may have been recorded: sending it again might count it twice."
        return "It may have been recorded. The same command again is safe: the invoice counts once."
    if found.status is Status.REFUSED:
        return f"Nothing was recorded. Correct it and send it again; see: cms {kind.value} --help"
    if found.status is Status.UNAUTHORIZED:
        return f"See which token is used, and keep another: {console.next_command('auth status', sends=True)}"
    if found.status in (Status.BUSY, Status.UNSENT):
        return "Nothing was recorded: the same command again is safe."
    return ""


def _plain(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)


@contextmanager
def log_requests(console: Console) -> Iterator[None]:
    """Write the SDK's log to stderr while the block runs: retries and, with ``--verbose``, requests and answers."""
    if console.quiet:
        yield
        return
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.note(record.getMessage())

    log, handler = logging.getLogger("cms_python"), Handler()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if console.verbose else logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
