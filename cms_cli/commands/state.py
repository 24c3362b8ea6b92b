"""``cms state``: where it is kept what was sent."""

import typer

from cms_cli.commands import options as o
from cms_cli.commands.begin import begin
from cms_cli.config.settings import Flags
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.help import Command, Group

EXAMPLES = """
cms state init
cms state status
"""

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, epilog=EXAMPLES)


@app.callback()
def state() -> None:
    """Prepare the state folder, or see what is in it."""


@app.command("init", cls=Command, epilog="cms state init\ncms state init --state-dir /var/lib/cms")
def init(
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Mark the state folder as initialised, so that a lost one can be told from a new one.

    With CMS_STATE_REQUIRED=1, or state_required in the config file, a replay on any other folder ends with exit 3.
    """
    from cms_cli.commands.replay import explained
    from cms_cli.replay.journal import state_mark

    console, settings = begin(
        Flags(config=config, profile=profile, state_dir=state_dir, quiet=quiet, no_color=no_color)
    )
    with explained(console):
        new = state_mark.initialise(settings.state_dir)
    console.note(f"{'initialised' if new else 'already initialised'}: {settings.state_dir}")
    return ExitCode.OK


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
    from cms_cli.commands.replay import explained
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
        found = state_report.of_folder(settings.state_dir)
    render.status(console, settings.output, found)
    return ExitCode.OK
