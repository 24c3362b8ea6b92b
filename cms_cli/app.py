"""The program: its commands, and the one place where errors become messages and exit codes."""

# No `from __future__ import annotations` here and in commands: on Python 3.9 Typer reads none of what stands in
# Annotated where annotations are text.
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn, Optional

import typer

from cms_cli.config import homes
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.console import Console, write
from cms_cli.terminal.help import Entry, LazyGroup
from cms_cli.terminal.shells import mend_words, name_the_shell, take_over
from cms_python import __version__

ISSUES = "https://github.com/CutMeShort/cms-python-client/issues"

_FIRST_PAGE = """\
cms tracks leads and sales with CutMeShort, one at a time or a file of them.

Try it, without an account and with nothing leaving this machine:
  cms lead --click-id c1 --event-name signup --customer-external-id u1 --sandbox
  cms sandbox events

Then for real:
  cms auth login                        keep your token
  cms lead --help                       track a lead: a sign-up, a trial
  cms sale --help                       track a sale
  cms sale --from-csv sales.csv         replay a file, safely and only once

Commands:
{commands}

Each has its flags and examples behind --help."""

# What people type who know another tool, or this one half.
_MEANT = {
    "login": "cms auth login",
    "logout": "cms auth logout",
    "status": "cms auth status",
    "whoami": "cms auth status",
    "resume": "cms runs resume ID",
    "replay": "cms sale --from-csv FILE",
    "import": "cms sale --from-csv FILE",
    "track": "cms lead or cms sale",
    "events": "cms sandbox events",
    "serve": "cms sandbox serve",
    "help": "cms --help",
    "version": "cms --version",
}


class _Cms(LazyGroup):
    entries = {  # noqa: RUF012 - never changed
        "lead": Entry("cms_cli.commands.lead", "Track a lead: somebody did something short of paying."),
        "sale": Entry("cms_cli.commands.sale", "Track a sale: somebody paid."),
        "runs": Entry("cms_cli.commands.runs", "Look at earlier replays, go on with one, forget old ones."),
        "auth": Entry("cms_cli.commands.auth", "Keep a token, drop it, or see which one is used."),
        "config": Entry("cms_cli.commands.config", "See and change settings."),
        "presets": Entry("cms_cli.commands.presets", "The exports that are known by name, and what one maps."),
        "sandbox": Entry("cms_cli.commands.sandbox", "A stand-in for the service, on this machine."),
    }

    def first_page(self, ctx: Any) -> str:
        names = max(len(name) for name in self.entries)
        commands = "\n".join(f"  {name:{names}}  {purpose}" for name, purpose in self.summaries(ctx))
        return _FIRST_PAGE.format(commands=commands)

    def no_such_command(self, ctx: Any, name: str) -> NoReturn:
        if name in _MEANT:
            raise CommandError(f"cms has no command {name}; did you mean {_MEANT[name]}?", "see: cms --help")
        super().no_such_command(ctx, name)


app = typer.Typer(
    cls=_Cms,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        write(sys.stdout, f"cms {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Track leads and sales with CutMeShort, one at a time or a file of them."""


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program.

    Args:
        argv: The arguments, without the program's name; those of the process when left out.

    Returns:
        The exit code. Nothing is raised.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    console = Console(no_color="--no-color" in arguments)
    stdout = sys.stdout
    if "_CMS_COMPLETE" in os.environ:
        # Typer would load rich to take the markup out of help texts that have none: 80 ms more at each TAB.
        sys.modules["rich"] = None  # type: ignore[assignment]
        mend_words()
    try:
        homes.settle()
        name_the_shell(arguments)
        return int(
            take_over(typer.main.get_command(app)).main(args=arguments, prog_name="cms", standalone_mode=False) or 0
        )
    except CommandError as error:
        console.error(error.message, error.hint)
        return error.code
    except typer.Abort:
        if console.draws_on_stderr:
            write(sys.stderr, "\n")  # the question's line is still open, and the shell would go on behind it
        return ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        if sys.stdout is not stdout:  # Typer's doing when nobody reads a help page to its end (`cms | head`)
            return ExitCode.OK
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            # Pythons before 3.12 wrap what is raised while a class is made, as it is where a module is loaded.
            return ExitCode.INTERRUPTED
        if _is_usage_error(error):
            return _usage_error(console, error)
        return _failure(console, error)


def _is_usage_error(error: Exception) -> bool:
    # By its looks, since Typer brings click along in some versions and imports it in others.
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def _usage_error(console: Console, error: Any) -> int:
    path = getattr(getattr(error, "ctx", None), "command_path", "cms")
    message = error.format_message()
    if getattr(error, "possibilities", None):
        message = f"{str(error.message).rstrip('.')}; did you mean {' or '.join(error.possibilities)}?"
    elif type(error).__name__ == "MissingParameter":
        message = f"missing: {', '.join(_missing(error))}"
    console.error(message, f"see: {path} --help")
    return ExitCode.USAGE


def _missing(error: Any) -> list[str]:
    """Name every argument that is missing: the one that was seen first, and those that come after it."""
    params = list(error.ctx.command.params)
    return [each.metavar or each.name for each in params[params.index(error.param) :] if each.required]


def _failure(console: Console, error: Exception) -> int:
    if isinstance(error, OSError) and not os.environ.get("CMS_DEBUG"):
        console.error(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
        return ExitCode.INTERNAL
    console.error(
        f"cms itself failed: {type(error).__name__}: {error}",
        f"Please report it: {ISSUES} (CMS_DEBUG=1 shows where it happened)",
    )
    if os.environ.get("CMS_DEBUG"):
        import traceback

        console.error("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return ExitCode.INTERNAL
