"""`cms lead` and `cms sale` for a file of events, and `cms runs resume`: from flags to exit code."""

from __future__ import annotations

import errno
import os
import shlex
from dataclasses import replace
from pathlib import Path

from cms_cli.access.account import is_profile, owner_in
from cms_cli.commands.begin import begin
from cms_cli.commands.explained import explained
from cms_cli.commands.request import DeliveryFlags, ResumeRequest, TrackRequest
from cms_cli.commands.shape import shape_of
from cms_cli.commands.signals import stoppable
from cms_cli.commands.target import SANDBOX, Target, open_target, sandbox_dir
from cms_cli.config.settings import Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode, first_of
from cms_cli.replay.journal import moved, runs
from cms_cli.replay.journal.journal import Journal
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.journal.sqlite_file import JournalError
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.report import ReplayReport
from cms_cli.replay.request import Request
from cms_cli.replay.run import rehearse, replay, resume
from cms_cli.replay.sending.options import DEFAULT_CONCURRENCY, DEFAULT_MAX_WAIT, Delivery
from cms_cli.replay.sending.pacing import DOCUMENTED_RATE, parse_rate
from cms_cli.replay.sending.stop import Stop
from cms_cli.terminal import replay as output
from cms_cli.terminal.console import Console
from cms_cli.terminal.event import log_requests
from cms_cli.terminal.progress import ReplayView
from cms_python import CMSClient, EventKind

_ENDS_ALL = (ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.HUNG_UP, ExitCode.INTERNAL, ExitCode.AUTH)
"""Exit codes after which ``resume_all`` resumes no further run."""

_OTHER_FORMATS = (".json", ".xlsx", ".xls", ".ods", ".parquet", ".gz", ".zip")
"""Endings that promise another format than ``--results`` and ``--failures`` write."""


def replay_file(request: TrackRequest) -> ExitCode:
    """Replay a file, or with ``--dry-run`` rehearse it, and show the report.

    Raises:
        CommandError: A flag, the file, the token or the state cannot be used.
    """
    console, settings = begin(request.flags)
    shape = shape_of(request, settings)
    ((flag, path),) = request.file.inputs.items()
    # Before a token is fetched. Path.exists() raises for a name that is too long.
    if path != "-" and not os.path.exists(path):  # noqa: PTH110
        raise _no_input(flag, path, request.kind)
    delivery = delivery_of(request.delivery, settings, sandbox=request.sandbox)
    sending = not request.dry_run
    if sending and request.file.save_mapping is not None:
        raise CommandError(
            "--save-mapping: only with --dry-run", "Look at the preview first, then send with --mapping."
        )
    with (
        explained(console),
        open_target(settings, console, sandbox=request.sandbox, sending=sending) as target,
    ):
        if sending:
            require_state(target, console)
        saved = _path(request.file.save_mapping)
        replay_request = replace(request_for(request.kind, path, shape, delivery, target), save_mapping=saved)
        view = view_of(request.kind, target, console, delivery, ask=not request.delivery.yes)
        if not sending:
            with view:
                preview, report = rehearse(replay_request, view)
            output.show_rehearsal(console, settings.output, preview, report, view.rate)
            if saved is not None:
                console.note(
                    f"saved {saved}: cms {request.kind.value} {flag} FILE --mapping {shlex.quote(str(saved))}"
                )
            return report.exit_code
        with client_for(target, settings) as client, log_requests(console), stoppable(view), view:
            report = replay(replay_request, client.attempt, view)
        output.show_report(console, settings.output, report)
    return report.exit_code


def _no_input(flag: str, path: str, kind: EventKind) -> CommandError:
    if not path:
        return CommandError(f"{flag}: the name of the file is empty", "Is the variable set that it comes from?")
    hint = "Check the path, and the folder you are in."
    if path.startswith("~"):
        hint = f"The shell turns ~ into a folder where it begins an unquoted word, as in {flag} ~/sales.csv"
    elif path.startswith(("http://", "https://")):
        hint = (
            f"A file is read, not an address. Fetch it: curl -fsSL {shlex.quote(path)} | cms {kind.value} {flag} -"
        )
    return CommandError(f"{path}: {os.strerror(errno.ENOENT)}", hint)


def require_state(target: Target, console: Console) -> None:
    """Check that the state folder was initialised if that is required; warn of an unencrypted database connection.

    Raises:
        JournalError: The folder has to be initialised and was not, or the URL of the database cannot be used.
    """
    if target.state_url is not None:
        from cms_cli.replay.journal.postgres_server import Server

        server = Server(target.state_url)
        if server.plain_text:
            console.warn(f"{server.name}: the connection is not encrypted, as sslmode=disable asks for")
    elif target.state_required:
        from cms_cli.replay.journal import state_mark

        state_mark.require(target.state_dir)


def resume_run(run: Run, resume_request: ResumeRequest) -> ExitCode:
    """Resume one run and show its report.

    Raises:
        CommandError: A flag, the token or the state cannot be used, or the token is of another account than the
            run.
    """
    return _resume(run, resume_request, show=True).exit_code


def resume_all(resume_request: ResumeRequest) -> ExitCode:
    """Resume every unfinished run of the account, then of the sandbox, the oldest first, and show their reports.

    Raises:
        CommandError: A flag, the token or the state cannot be used.
    """
    if resume_request.delivery.failures is not None or resume_request.delivery.results is not None:
        raise CommandError(
            "--failures and --results name one file, and --all resumes many runs",
            "Resume one at a time: cms runs resume ID",
        )
    console, settings = begin(resume_request.flags)
    with explained(console):
        in_sandbox = _unfinished_in_sandbox(settings, console)
        found: list[Run] = []
        if not in_sandbox or settings.token_sources() or _leaves_work_at_the_service(settings):
            found += _unfinished_of_account(settings, console)
        found += in_sandbox  # last, so that a sandbox that fails holds no run of the account up
    if not found:
        console.note("there is no unfinished run of this account")
    reports: list[ReplayReport] = []
    codes: list[ExitCode] = []
    for run in found:
        try:
            report = _resume(run, resume_request, show=settings.output != "json")
        except CommandError as error:
            if error.code in _ENDS_ALL:
                raise
            console.error(f"{run.name}: {error.message}", error.hint)
            codes.append(error.code)
            continue
        reports.append(report)
        codes.append(report.exit_code)
        if report.exit_code in _ENDS_ALL or report.stop in (Stop.UNREACHABLE, Stop.NOT_API):
            break
    if settings.output == "json":
        console.json([report.to_dict() for report in reports])
    return first_of(codes)


def _unfinished_of_account(settings: Settings, console: Console) -> list[Run]:
    with open_target(settings, console, sandbox=False) as target:
        require_state(target, console)
        assert target.account is not None
        assert target.local_account is not None
        journal = Journal.open_to_read(target.state_dir, target.state_url)
        if journal is None:
            return []
        with journal, journal.reading():
            # The folder's unfinished runs may have been imported into a database, or still have to be.
            state = journal.identity()
            moved.check(target.state_dir, state, target.name, target.local_account, target.account.key)
            return _unfinished(journal, target.name, target.account.key)


def _unfinished_in_sandbox(settings: Settings, console: Console) -> list[Run]:
    try:
        journal = Journal.open_to_read(sandbox_dir(settings), None)
        if journal is None:
            return []
        with journal, journal.reading():
            return _unfinished(journal, SANDBOX, SANDBOX)
    except JournalError as error:  # must not keep the runs of the account from being resumed
        reset = console.next_command("sandbox reset")
        console.warn(f"the runs of the sandbox are left out: {error.message}; to clear them: {reset}")
        return []


def _leaves_work_at_the_service(settings: Settings) -> bool:
    """Return True if the state may contain unfinished runs of an account, which only its token can resume.

    A database is not searched: the result is True for any.
    """
    if settings.state_url is not None:
        return True
    journal = Journal.open_to_read(settings.state_dir, None)
    if journal is None:
        return False
    with journal, journal.reading():
        return any(run.state is RunState.UNFINISHED for run in runs.all_runs(journal))


def _unfinished(journal: Journal, host: str, account: str) -> list[Run]:
    scope = runs.find_scope(journal, host, account)
    return [] if scope is None else list(runs.unfinished_of(journal, scope))


def _resume(run: Run, resume_request: ResumeRequest, *, show: bool) -> ReplayReport:
    sandbox = run.host == SANDBOX
    console, settings = begin(replace(resume_request.flags, host=None if sandbox else run.host))
    delivery = delivery_of(resume_request.delivery, settings, sandbox=sandbox)
    with explained(console), open_target(settings, console, sandbox=sandbox) as target:
        require_state(target, console)
        _check_account(run, target, console)
        request = request_for(EventKind(run.kind), run.file, Shape.from_json(run.shape), delivery, target)
        view = view_of(request.kind, target, console, delivery, ask=not resume_request.delivery.yes)
        with (
            client_for(target, settings) as client,
            Journal.open(target.state_dir, target.state_url) as journal,
            log_requests(console),
            stoppable(view),
            view,
        ):
            report = resume(journal, run, request, client.attempt, view)
        if show:
            output.show_report(console, settings.output, report)
    return report


def _check_account(run: Run, target: Target, console: Console) -> None:
    """Refuse a token that names another account than the run's; warn if only the profile differs."""
    account = target.account
    if account is None or account.key == run.account:
        return
    theirs, ours = owner_in(run.account), owner_in(account.key)
    if theirs and ours:
        if theirs != ours:
            raise CommandError(
                f"{run.name} belongs to the account {theirs}, and this token to {ours}",
                "Use a token of the run's own account.",
            )
    elif is_profile(account.key) and is_profile(run.account):  # it may have a new name
        console.warn(
            f"{run.name} was begun with the token of the {run.account}, "
            f"and is resumed with that of the {account.key}"
        )


def delivery_of(flags: DeliveryFlags, settings: Settings, *, sandbox: bool) -> Delivery:
    """Build the delivery options from flags and settings.

    Args:
        flags: The flags.
        settings: The command's settings, for the timeout and the wait.
        sandbox: Whether the sandbox is the target, which has no rate limit by default.

    Raises:
        CommandError: ``--rate`` is not a rate, or an output's name says another format than it would have.
    """
    rate = None if sandbox else DOCUMENTED_RATE
    if flags.rate is not None:
        try:
            rate = parse_rate(flags.rate)
        except ValueError as problem:
            raise CommandError(f'--rate "{flags.rate}" {problem}') from None
    return Delivery(
        limit=flags.limit,
        rate=rate,
        concurrency=flags.concurrency or DEFAULT_CONCURRENCY,
        timeout=settings.timeout,
        max_wait=settings.max_wait(DEFAULT_MAX_WAIT),
        max_failures=flags.max_failures,
        max_duration=flags.max_duration,
        skip_invalid=flags.skip_invalid,
        fresh=flags.fresh,
        retry_unknown=flags.retry_unknown,
        retry_refused=flags.retry_refused,
        repeats=flags.repeats or "",
        failures=_output("--failures", flags.failures),
        results=_output("--results", flags.results),
    )


def _output(flag: str, file: str | None) -> Path | None:
    path = _path(file)
    if path is not None and path.suffix.lower() in _OTHER_FORMATS:
        raise CommandError(
            f"{flag} {file}: the file would be CSV or JSON Lines, and its name says {path.suffix}",
            "Name it .csv or .jsonl.",
        )
    return path


def request_for(kind: EventKind, path: str, shape: Shape, delivery: Delivery, target: Target) -> Request:
    """Build the request to replay a file or to resume a run; ``path`` is the input or, to resume, its name."""
    account = target.account
    return Request(
        kind,
        path,
        shape,
        delivery,
        target.name,
        account.key if account is not None else "",
        target.state_dir,
        account.expires_at.timestamp() if account is not None and account.expires_at is not None else None,
        state_url=target.state_url,
        local_account=target.local_account,
        state_required=target.state_required,
    )


def view_of(kind: EventKind, target: Target, console: Console, delivery: Delivery, *, ask: bool) -> ReplayView:
    """Return the view that shows a replay and asks before anything is sent."""
    form = target.settings.output
    return ReplayView(console, form, delivery, kind=kind.value, target=target.for_people, ask=ask)


def client_for(target: Target, settings: Settings) -> CMSClient:
    """Return a client without retries, since the replay does its own.

    Raises:
        CommandError: The token or the host cannot be used.
    """
    try:
        return CMSClient(target.token, target.url, timeout=settings.timeout, retries=0)
    except ValueError as problem:
        raise CommandError(str(problem)) from None


def _path(text: str | None) -> Path | None:
    return Path(text) if text is not None else None
