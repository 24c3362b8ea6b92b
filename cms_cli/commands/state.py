"""``cms state``: initialise, inspect and upgrade the state, and import it into a database."""

import shlex
from pathlib import Path
from typing import Annotated, Optional

import typer

from cms_cli.commands import options as o
from cms_cli.commands.begin import begin
from cms_cli.config.settings import Flags, Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.help import Command, Group

EXAMPLES = """
cms state init
cms state status
"""

_NAME_IT = "Name it: CMS_STATE_URL=postgresql://user@host/database"

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, epilog=EXAMPLES)


@app.callback()
def state() -> None:
    """Prepare the state of one machine or of many, or look at it."""


@app.command("init", cls=Command, epilog="cms state init\ncms state init --print > cms.sql")
def init(
    print_: Annotated[
        bool, typer.Option("--print", help="Show the SQL that creates the tables, for a database administrator.")
    ] = False,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Create the tables in the database that CMS_STATE_URL names or, without one, mark the state folder.

    With CMS_STATE_REQUIRED=1, or state_required in the config file, a replay on a folder without the mark ends with
    exit 3, so that a lost folder is not taken for a new one.
    """
    from cms_cli.commands.explained import explained
    from cms_cli.terminal import state as render

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
    with explained(console):
        if print_:
            from cms_cli.replay.journal import postgres_setup

            console.result(postgres_setup.script().rstrip())
            return ExitCode.OK
        where, new = _initialise(settings)
    render.initialised(console, settings.output, where, new)
    return ExitCode.OK


def _initialise(settings: Settings) -> tuple[str, bool]:
    """Initialise the state; return its place for messages, and True if it was not initialised before."""
    if settings.state_url is None:
        from cms_cli.replay.journal import state_mark

        return str(settings.state_dir), state_mark.initialise(settings.state_dir)
    from cms_cli.replay.journal import postgres_setup

    return postgres_setup.name_of(settings.state_url), postgres_setup.create(settings.state_url)


@app.command("status", cls=Command, epilog="cms state status\ncms state status --json")
def status(
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Show where the state is kept, whether it was initialised, and how much is in it."""
    from cms_cli.commands.explained import explained
    from cms_cli.replay.journal import state_report
    from cms_cli.terminal import state as render

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
    with explained(console):
        if settings.state_url is None:
            found = state_report.of_folder(settings.state_dir)
        else:
            found = state_report.of_database(settings.state_dir, settings.state_url)
    render.status(console, settings.output, found)
    return ExitCode.OK


@app.command("upgrade", cls=Command, epilog="cms state upgrade\ncms state upgrade --profile shop --json")
def upgrade(
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Upgrade the tables of shared state to this version's format, once no older version uses them."""
    from cms_cli.commands.explained import explained
    from cms_cli.terminal import state as render

    console, settings = begin(
        Flags(config=config, profile=profile, json=json, output=output, quiet=quiet, no_color=no_color)
    )
    if settings.state_url is None:
        raise CommandError(
            "CMS_STATE_URL names no database; a state folder is upgraded by the first command that uses it",
            _NAME_IT,
        )
    with explained(console):
        from cms_cli.replay.journal import postgres_setup

        before, now = postgres_setup.upgrade(settings.state_url)
        where = postgres_setup.name_of(settings.state_url)
    render.upgraded(console, settings.output, where, before, now)
    return ExitCode.OK


@app.command("import", cls=Command, epilog="cms state import\ncms state import --profile shop")
def import_(
    from_account: Annotated[
        Optional[str],
        typer.Option(
            "--from", metavar="KEY", help="The account's key in the folder, where the token had another one."
        ),
    ] = None,
    host: o.Host = None,
    allow_http: o.AllowHttp = False,
    token_file: o.TokenFile = None,
    profile: o.Profile = None,
    config: o.Config = None,
    state_dir: o.StateDir = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Copy what this machine has sent, and its unfinished runs, into the database that CMS_STATE_URL names.

    For the account of the token. From then on the state folder is no longer used for it. Importing once more, after
    an interruption, takes over what is missing.
    """
    from cms_cli.commands.explained import explained
    from cms_cli.commands.target import open_target
    from cms_cli.terminal import state as render

    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            host=host,
            allow_http=allow_http,
            token_file=token_file,
            state_dir=state_dir,
            json=json,
            output=output,
            quiet=quiet,
            no_color=no_color,
        )
    )
    if settings.state_url is None:
        raise CommandError("CMS_STATE_URL names no database", _NAME_IT)
    with explained(console), open_target(settings, console, sandbox=False) as target:
        from cms_cli.replay.journal.journal import Journal
        from cms_cli.replay.journal.locks import RunBusyError
        from cms_cli.replay.journal.postgres_setup import name_of
        from cms_cli.replay.journal.state_import import import_state

        assert target.account is not None
        assert target.local_account is not None
        if from_account is not None:
            _check_known(settings.state_dir, target.name, from_account)
        where = name_of(settings.state_url)
        with Journal.open(settings.state_dir, settings.state_url) as journal:
            try:
                found = import_state(
                    settings.state_dir,
                    journal,
                    host=target.name,
                    local=from_account or target.local_account,
                    account=target.account.key,
                    where=where,
                )
            except RunBusyError as error:
                raise CommandError(
                    "another cms is at work on this account: a replay on this machine, or an import",
                    "Wait for it, or stop it first. Nothing was imported.",
                    ExitCode.UNAVAILABLE,
                ) from error
    render.imported(console, settings.output, str(settings.state_dir), where, found)
    return ExitCode.OK


def _check_known(folder: Path, host: str, key: str) -> None:
    """Check that a state folder has an account: one that was mistyped would look like one that sent nothing."""
    from cms_cli.replay.journal import runs
    from cms_cli.replay.journal.journal import Journal

    keys: list[str] = []
    journal = Journal.open_to_read(folder)
    if journal is not None:
        with journal, journal.reading():
            keys = [account for _, at, account in runs.scopes(journal) if at == host]
    if key not in keys:
        raise CommandError(
            f"--from {key}: {folder} has no such account at {host}",
            f"It has: {', '.join(map(shlex.quote, keys))}" if keys else "It has none.",
        )
