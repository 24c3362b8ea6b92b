"""``cms presets``."""

from typing import Annotated, Optional

import typer

from cms_cli.commands import completions
from cms_cli.commands import options as o
from cms_cli.commands.begin import begin
from cms_cli.config.settings import Flags
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.help import Command

EXAMPLES = """
cms presets
cms presets shopify

# a preset to change, and to use as a mapping file
cms presets shopify > mine.toml
cms sale --from-csv orders_export.csv --mapping mine.toml --dry-run
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("presets", cls=Command, epilog=EXAMPLES)
def presets(
    name: Annotated[
        Optional[str],
        typer.Argument(
            metavar="NAME", help="Show this one.", autocompletion=completions.presets, show_default=False
        ),
    ] = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """List the known export formats, or show one.

    With a name, the preset is shown as a mapping file, ready to copy and to change.
    """
    from cms_cli.replay.mapping import presets as book
    from cms_cli.replay.model import InputError
    from cms_cli.terminal import presets as render

    console, settings = begin(Flags(config=config, json=json, output=output, quiet=quiet, no_color=no_color))
    if name is None:
        render.all_presets(console, settings.output, [book.preset(each) for each in book.names()])
        return ExitCode.OK
    try:
        found = book.preset(name)
    except InputError as error:
        raise CommandError(error.message, error.hint) from error
    render.one(console, settings.output, found)
    return ExitCode.OK
