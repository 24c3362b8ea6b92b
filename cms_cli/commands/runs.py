"""``cms runs``: list, show, resume and remove earlier replays, and export their failed rows."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cms_cli.commands import completions
from cms_cli.commands import options as o
from cms_cli.commands import replay_options as r
from cms_cli.commands.begin import begin, console_of
from cms_cli.commands.request import DeliveryFlags, ResumeRequest
from cms_cli.commands.target import sandbox_dir
from cms_cli.config.settings import Flags, Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal.rows import FAILED
from cms_cli.terminal.console import Console
from cms_cli.terminal.help import Command, Group

if TYPE_CHECKING:
    from cms_cli.replay.journal.journal import Journal
    from cms_cli.replay.journal.runs import Run

EXAMPLES = """
cms runs list
cms runs show sale-7kq3m
cms runs resume sale-7kq3m
cms runs failures sale-7kq3m > failures.csv
"""

RESUME_EXAMPLES = """
cms runs resume sale-7kq3m
cms runs resume lead-2x9fd --retry-unknown
cms runs resume --all
"""

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, epilog=EXAMPLES)

Name = Annotated[
    str, typer.Argument(metavar="ID", help="The run, as cms runs list names it.", autocompletion=completions.runs)
]


@app.callback()
def runs() -> None:
    """Look at earlier replays, resume one, forget old ones."""


@app.command("list", cls=Command, epilog="cms runs list\ncms runs list --json")
def list_runs(
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Show every replay that the journal knows, the newest first."""
    from cms_cli.replay.journal import row_reports
    from cms_cli.replay.journal import runs as book
    from cms_cli.terminal import runs as render

    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            state_dir=state_dir,
            json=json,
            output=output,
            quiet=quiet,
            no_color=no_color,
        )
    )
    found = []
    with _journals(console, settings) as journals:
        for journal in journals:
            found += [(run, run.counts or row_reports.counts(journal, run)) for run in book.all_runs(journal)]
    found.sort(key=lambda each: each[0].created, reverse=True)
    render.all_runs(console, settings.output, found)
    return ExitCode.OK


@app.command("show", cls=Command, epilog="cms runs show sale-7kq3m\ncms runs show sale-7kq3m --json")
def show(
    name: Name,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Show the progress and counts of a replay; also while it runs."""
    from cms_cli.replay.plan import problems_of
    from cms_cli.terminal import runs as render

    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            state_dir=state_dir,
            json=json,
            output=output,
            quiet=quiet,
            no_color=no_color,
        )
    )
    with _journals(console, settings) as journals:
        journal, run = _find(journals, name)
        from cms_cli.replay.journal import row_reports

        counts = run.counts or row_reports.counts(journal, run)
        render.details(console, settings.output, run, counts, problems_of(journal, run))
    return ExitCode.OK


@app.command("resume", cls=Command, epilog=RESUME_EXAMPLES)
def resume(
    name: Annotated[
        Optional[str],
        typer.Argument(
            metavar="ID", help="The run, as cms runs list names it.", autocompletion=completions.unfinished_runs
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Resume every unfinished run of this account and of the sandbox.")
    ] = False,
    limit: r.Limit = None,
    rate: r.Rate = None,
    concurrency: r.Concurrency = None,
    retry_unknown: r.RetryUnknown = False,
    retry_refused: r.RetryRefused = False,
    repeats: r.Repeats = None,
    failures: r.Failures = None,
    results: r.Results = None,
    max_failures: r.MaxFailures = None,
    max_duration: r.MaxDuration = None,
    yes: r.Yes = False,
    timeout: o.Timeout = None,
    max_wait: o.MaxWait = None,
    allow_http: o.AllowHttp = False,
    token_file: o.TokenFile = None,
    profile: o.Profile = None,
    config: o.Config = None,
    state_dir: o.StateDir = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    no_color: o.NoColor = False,
) -> int:
    """Resume a replay where it stopped. The file itself is not needed; a renewed token may be used."""
    from cms_cli.commands.replay import resume_all, resume_run

    request = ResumeRequest(
        DeliveryFlags(
            rate=rate,
            concurrency=concurrency,
            limit=limit,
            failures=failures,
            results=results,
            max_failures=max_failures,
            max_duration=max_duration,
            retry_unknown=retry_unknown,
            retry_refused=retry_refused,
            repeats=repeats.value if repeats else None,
            yes=yes,
        ),
        Flags(
            config=config,
            profile=profile,
            allow_http=allow_http,
            token_file=token_file,
            timeout=timeout,
            max_wait=max_wait,
            state_dir=state_dir,
            json=json,
            output=output,
            quiet=quiet,
            verbose=verbose,
            no_color=no_color,
        ),
    )
    if every is (name is not None):
        raise CommandError("name one run, or say --all", "cms runs list shows them.")
    if name is None:
        return resume_all(request)
    with _journals(console_of(request.flags), Settings(request.flags)) as journals:
        _, run = _find(journals, name)
    return resume_run(run, request)


@app.command(
    "failures",
    cls=Command,
    epilog="cms runs failures sale-7kq3m > failures.csv\ncms sale --from-csv failures.csv --dry-run",
)
def failures(
    name: Name,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Write the rows that were invalid, refused or unknown, with their own columns and the reason.

    Correct the file and replay it with the same flags: it is in the format of the input.
    """
    from cms_cli.replay.journal import row_reports
    from cms_cli.replay.journal.runs import RunState
    from cms_cli.replay.rowfiles import layout_of

    console, settings = begin(
        Flags(config=config, profile=profile, state_dir=state_dir, quiet=quiet, no_color=no_color)
    )
    with _journals(console, settings) as journals:
        journal, _ = _find(journals, name)
        with journal.snapshot():  # a run that finishes meanwhile moves its rows to another file
            _, run = _find([journal], name)
            if run.state is RunState.STAGING:
                raise CommandError(
                    f"{name} is still being read, or was interrupted then: nothing was sent",
                    "--failures FILE lists the bad rows once all are read; so does --dry-run.",
                )
            layout = layout_of(run, to_feed_back=True)
            if heading := layout.heading():
                console.data(heading.rstrip("\n"), layout.dialect.encoding)
            for row in row_reports.settled(journal, run, FAILED):
                console.data(layout.line(row).rstrip("\n"), layout.dialect.encoding)
    return ExitCode.OK


@app.command("prune", cls=Command, epilog="cms runs prune\ncms runs prune sale-7kq3m")
def prune(
    names: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="ID", help="Only these; finished or not.", autocompletion=completions.runs),
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Forget what was accepted too; it could then be sent twice.")
    ] = False,
    yes: r.Yes = False,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Remove finished replays with the personal data in them, for good.

    What was accepted stays in the ledger, as hashes, so that it is not sent twice.
    """
    from cms_cli.commands.explained import explained
    from cms_cli.replay.journal import lifecycle
    from cms_cli.replay.journal.journal import Journal
    from cms_cli.terminal import runs as render

    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            state_dir=state_dir,
            json=json,
            output=output,
            quiet=quiet,
            no_color=no_color,
        )
    )
    if ledger and not yes:
        if not console.asks:
            raise CommandError("--ledger forgets what was accepted, and needs --yes without a terminal")
        if not typer.confirm("Forget what was accepted? The same sales could then be sent again.", err=True):
            raise typer.Abort
    gone = 0
    with explained(console):
        if names:
            with _journals(console, settings) as journals:
                for name in names:
                    _find(journals, name)
        for folder, url in _places(settings):
            with Journal.open(folder, url) as journal:
                # A database may also have the ledgers of other people's accounts; a folder is this user's own.
                every = url is None or (names and not ledger)
                scope = None if every else _own_scope(console, settings, journal)
                gone += lifecycle.prune(journal, names, ledger_too=ledger, scope=scope)
    render.pruned(console, settings.output, gone, ledger)
    return ExitCode.OK


def _own_scope(console: Console, settings: Settings, journal: "Journal") -> int:
    """Return the journal's id of the host and account of the token.

    Raises:
        CommandError: There is no token, or it does not name an account.
    """
    from cms_cli.commands.target import open_target
    from cms_cli.replay.journal import runs as book

    with open_target(settings, console, sandbox=False) as target:
        assert target.account is not None
        return book.scope_of(journal, target.name, target.account.key)


def _places(settings: Settings) -> list[tuple[Path, Optional[str]]]:
    """Return the folder and the database URL of each journal there is: the service's and the sandbox's."""
    from cms_cli.replay.journal.sqlite_file import has_journal

    places = [(settings.state_dir, settings.state_url), (sandbox_dir(settings), None)]
    return [(folder, url) for folder, url in places if url is not None or has_journal(folder)]


@contextmanager
def _journals(console: Console, settings: Settings) -> Iterator[list["Journal"]]:
    """Open the journals of the service and of the sandbox for reading, as far as they exist."""
    from cms_cli.commands.explained import explained
    from cms_cli.replay.journal.journal import Journal

    with explained(console), ExitStack() as stack:
        opened = [Journal.open_to_read(folder, url) for folder, url in _places(settings)]
        yield [stack.enter_context(journal) for journal in opened if journal is not None]


def _find(journals: list["Journal"], name: str) -> tuple["Journal", "Run"]:
    """Return the run with a name, and its journal.

    Raises:
        CommandError: There is no such run.
    """
    from cms_cli.replay.journal import runs as book

    for journal in journals:
        run = book.by_name(journal, name)
        if run is not None:
            return journal, run
    raise CommandError(f"there is no run {name}", "See: cms runs list")
