"""`cms lead` and `cms sale` for one event: from flags to exit code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional, Union

from cms_cli.commands.begin import begin
from cms_cli.commands.replay_options import ESSENTIAL
from cms_cli.commands.request import EventFlags, TrackRequest, given
from cms_cli.commands.target import Target, open_target
from cms_cli.config.settings import Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode, of_event
from cms_cli.terminal import event as output
from cms_cli.terminal.console import Console
from cms_cli.terminal.help import Command
from cms_python import (
    CMSClient,
    EventKind,
    InvalidEventError,
    LeadEvent,
    Outcome,
    SaleEvent,
)

if TYPE_CHECKING:
    from cms_cli.replay.model import Problem

Event = Union[LeadEvent, SaleEvent]

MAX_WAIT = 90.0
"""Default of ``--max-wait`` for one event, in seconds. The service may ask to wait 60."""

RETRIES = 4
"""The most retries of one event. Those after a 429 or an answer with ``Retry-After`` do not count."""

# Hints that replace the parser's, which speak of a file's columns or of flags for files only.
_HINTS: Mapping[str, str] = {
    "amount_empty": "write 0 for a free order",
    "amount_not_a_number": "write 4999 for 49.99, or 49.99 with --amount-unit major",
    "amount_not_minor": "write 4999 for 49.99, or say --amount-unit major",
    "amount_negative": "",
    "amount_too_large": "",
    "amount_too_many_decimals": "nothing is rounded: correct it, or check the currency",
    "time_empty": "leave the flag out, and the service dates the event",
    "time_bare_number": "",
    "time_not_a_time": "write it as 2026-04-10T12:34:56Z",
    "time_order_unknown": "write it as 2026-04-10",
}


class EventCommand(Command):
    """A command whose ``--help`` shows the flags that most people need; ``--help-all`` shows every flag."""

    essential = ESSENTIAL


def track_or_replay(request: TrackRequest) -> ExitCode:
    """Track one event, or replay a file of events if a flag names one.

    Raises:
        CommandError: Flags, settings or the file cannot be used.
    """
    inputs = request.file.inputs
    if len(inputs) > 1:
        raise CommandError(f"{' and '.join(inputs)} contradict each other", "Replay one file after the other.")
    for flag, path in inputs.items():
        if path == "-" == request.flags.token_file:
            raise CommandError(
                f"{flag} - and --token-file - cannot both read stdin",
                "Give the token in CMS_BEARER_TOKEN, or one of the two as a file.",
            )
        from cms_cli.commands.replay import replay_file

        return replay_file(request)
    astray = [*given(request.file), *given(request.delivery)]
    if astray:
        raise CommandError(
            f"{', '.join(astray)}: only with --from-csv or --from-jsonl", f"See: cms {request.kind.value} --help"
        )
    return track(request)


def track(request: TrackRequest) -> ExitCode:
    """Check one event, send it and show its outcome.

    Raises:
        CommandError: Flags or settings cannot be used, or there is no token; nothing was sent.
    """
    kind = request.kind
    console, settings = begin(request.flags)
    event = read_event(kind, request.event, settings.timezone)
    sending = not request.dry_run
    with open_target(settings, console, sandbox=request.sandbox, sending=sending) as target:
        if not sending:
            output.dry_run(console, settings.output, f"{target.url}/track/{kind.value}", event.to_wire())
            return ExitCode.OK
        outcome = _send(event, kind, target, settings, console)
        try:
            output.outcome(console, settings.output, kind, outcome)
        except OSError:
            # stdout cannot be written (a full disk). If the outcome went unseen, the event would be sent again.
            console.error(f"the outcome of the {kind.value}: {output.headline(kind, outcome)}")
            raise
    return of_event(kind, outcome)


def _send(event: Event, kind: EventKind, target: Target, settings: Settings, console: Console) -> Outcome:
    client = CMSClient(
        target.token,
        target.url,
        timeout=settings.timeout,
        retries=RETRIES,
        total_wait=settings.max_wait(MAX_WAIT),
    )
    with client, output.log_requests(console), console.waiting(f"sending to {target.name}"):
        try:
            return client.send(event)
        except KeyboardInterrupt:
            console.error(f"stopped before an answer came: the {kind.value} may or may not have been recorded")
            raise


def read_event(kind: EventKind, flags: EventFlags, zone: str) -> Event:
    """Build an event from flags.

    Args:
        kind: Lead or sale.
        flags: The fields as text.
        zone: The IANA name of the time zone for a time without an offset.

    Raises:
        CommandError: Values are missing or break a rule. All of them are named at once, by their flags.
    """
    values: dict[str, Any] = dict(flags.texts(kind))
    problems: dict[str, str] = {}
    if values["timestamp"] is not None:
        values["timestamp"] = _timestamp(values["timestamp"], zone, problems)
    if values.get("amount") is not None:
        values["amount"] = _amount(values["amount"], flags, problems)
    event: Optional[Event] = None
    try:
        event = LeadEvent(**values) if kind is EventKind.LEAD else SaleEvent(**values)
    except InvalidEventError as error:
        # A problem found above is more specific than "is required".
        problems = {**error.problems, **problems}
    if problems or event is None:
        lines = [f"  --{name.replace('_', '-')} {problems[name]}" for name in values if name in problems]
        raise CommandError(
            "\n".join([f"this {kind.value} cannot be sent:", *lines]), f"See: cms {kind.value} --help"
        )
    return event


def _timestamp(text: str, zone: str, problems: dict[str, str]) -> Optional[datetime]:
    from cms_cli.replay.model import Problem
    from cms_cli.replay.values.times import parse_instant
    from cms_cli.replay.values.zones import zone_named

    where = zone_named(zone)
    if isinstance(where, Problem):
        raise CommandError(f"--timezone {where.message}", where.hint)
    instant = parse_instant(text, where, now=datetime.now(timezone.utc))
    if isinstance(instant, Problem):
        problems["timestamp"] = _with_hint(instant)
        return None
    return instant


def _amount(text: str, flags: EventFlags, problems: dict[str, str]) -> Optional[int]:
    major = flags.unit == "major"
    if not major and text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    from cms_cli.replay.model import Problem
    from cms_cli.replay.values.money import parse_cli_amount, parse_minor

    currency = flags.currency or ""
    if major and not currency:
        return None  # the missing --currency is a problem already, and the amount cannot be converted without it
    amount = parse_cli_amount(text, currency) if major else parse_minor(text)
    if isinstance(amount, Problem):
        problems["amount"] = _with_hint(amount)
        return None
    return amount


def _with_hint(problem: Problem) -> str:
    hint = _HINTS.get(problem.code, problem.hint)
    return f"{problem.message} ({hint})" if hint else problem.message
