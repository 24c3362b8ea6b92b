"""``cms help``."""

import sys
from typing import Annotated, Optional

import typer

from cms_cli.commands import completions
from cms_cli.commands import options as o
from cms_cli.commands.begin import begin
from cms_cli.config.settings import Flags
from cms_cli.errors import CommandError
from cms_cli.nearest import suggestion
from cms_cli.terminal.console import write
from cms_cli.terminal.help import Command

EXAMPLES = """
cms help exit-codes
cms help runs resume
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("help", cls=Command, epilog=EXAMPLES)
def help_(
    ctx: typer.Context,
    topic: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="TOPIC",
            help="A command, or exit-codes, environment or files.",
            autocompletion=completions.topics,
            show_default=False,
        ),
    ] = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Show the page of a command, or a topic."""
    from cms_cli.terminal.topics import TOPICS

    words = list(topic or ())
    root = ctx.find_root()
    if len(words) == 1 and words[0] in TOPICS:
        formatter = root.make_formatter()
        TOPICS[words[0]](formatter, begin(Flags(quiet=quiet, no_color=no_color)).settings)
        write(sys.stdout, formatter.getvalue().lstrip("\n"))
        return
    command, parent = root.command, root
    for word in words:
        found = command.get_command(parent, word) if hasattr(command, "get_command") else None
        if found is None:
            known = [*TOPICS, *(command.list_commands(parent) if hasattr(command, "list_commands") else ())]
            raise CommandError(
                f"there is no help on {' '.join(words)}{suggestion(word, known)}",
                f"Topics: {', '.join(TOPICS)}. Commands: cms --help",
            )
        command = found
        parent = typer.Context(command, info_name=word, parent=parent, **command.context_settings)
    write(sys.stdout, command.get_help(parent).rstrip("\n") + "\n")
