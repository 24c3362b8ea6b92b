"""The program: its commands, and the one place where errors become messages and exit codes."""

# No `from __future__ import annotations` here and in commands: on Python 3.9, Typer ignores the content of
# Annotated if annotations are strings.
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn, Optional

import typer

from cms_cli.commands import completions
from cms_cli.config import homes
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal import failure, shells
from cms_cli.terminal.console import Console, columns, write
from cms_cli.terminal.help import Entry, LazyGroup, styled, write_command, write_heading, write_rows, write_wrapped
from cms_cli.terminal.usage import explain, is_usage_error
from cms_python import __version__

HOME_PAGE = "https://github.com/CutMeShort/cms-python-client"
ISSUES = f"{HOME_PAGE}/issues"

_TRY = (
    "cms lead --click-id c1 --event-name signup --customer-external-id u1 --sandbox",
    "cms sandbox events",
)
_FOR_REAL = (
    ("cms auth login", "store your token"),
    ("cms sale --help", "track a sale"),
    ("cms sale --from-csv sales.csv", "replay a file, safely and only once"),
)
_MORE = "More: cms COMMAND --help; cms help exit-codes, environment or files; cms -V"

# What users of similar tools may type, and the command of ours that they want.
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
    "version": "cms --version",
}


class _Cms(LazyGroup):
    entries = {  # noqa: RUF012 - never changed
        "lead": Entry("cms_cli.commands.lead", "Track a lead, such as a sign-up or a trial."),
        "sale": Entry("cms_cli.commands.sale", "Track a sale: a customer paid."),
        "runs": Entry("cms_cli.commands.runs", "Look at earlier replays, resume one, forget old ones."),
        "auth": Entry("cms_cli.commands.auth", "Store a token, remove it, or see which one is used."),
        "config": Entry("cms_cli.commands.config", "See and change settings."),
        "presets": Entry("cms_cli.commands.presets", "List the known export formats, or show one."),
        "sandbox": Entry("cms_cli.commands.sandbox", "A local stand-in for the service."),
        "state": Entry("cms_cli.commands.state", "Prepare the state of one machine or of many, or look at it."),
        "help": Entry("cms_cli.commands.help", "Show the page of a command, or a topic."),
    }

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page of `cms --help`, and of `cms` alone; it fits a terminal of 24 lines."""
        write_wrapped(formatter, "cms tracks leads and sales with CutMeShort, one or a file of them.")
        write_heading(formatter, "Try it without an account, and with nothing leaving this machine")
        for line in _TRY:
            write_command(formatter, line)
        write_heading(formatter, "Then for real")
        write_rows(formatter, [(styled(command, "cyan"), purpose) for command, purpose in _FOR_REAL])
        self.write_commands(ctx, formatter)
        formatter.write_paragraph()
        write_wrapped(formatter, _MORE, "", "      ")
        write_wrapped(formatter, f"cms --install-completion; {HOME_PAGE}", "      ", "      ")

    def no_such_command(self, ctx: Any, name: str) -> NoReturn:
        if name in _MEANT:
            raise CommandError(f"cms has no command {name}; did you mean {_MEANT[name]}?", "See: cms --help")
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


def _show_completion(shell: Optional[str]) -> None:
    if shell is not None:
        shells.show(shell)
        raise typer.Exit


def _install_completion(shell: Optional[str]) -> None:
    if shell is not None:
        shells.install(shell)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
    install: Annotated[
        Optional[str],
        typer.Option(
            "--install-completion",
            metavar="SHELL",
            help="Set up completion for this shell, or for the one named.",
            callback=_install_completion,
            is_eager=True,
            autocompletion=completions.shells,
        ),
    ] = None,
    show: Annotated[
        Optional[str],
        typer.Option(
            "--show-completion",
            metavar="SHELL",
            help="Write the completion script of a shell.",
            callback=_show_completion,
            is_eager=True,
            autocompletion=completions.shells,
        ),
    ] = None,
) -> None:
    """Track leads and sales with CutMeShort, one at a time or a file of them."""


def command() -> Any:
    """Return the program's root command.

    It has our completion flags, which use the scripts that the package ships, and not the two of Typer. Typer has
    to add those all the same, or it would not answer the shells' requests for completions.
    """
    built = typer.main.get_command(app)
    built.params = [param for param in built.params if param.name not in ("install_completion", "show_completion")]
    return built


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the program.

    Args:
        argv: The arguments, without the program's name; by default, those of the process.

    Returns:
        The exit code. Errors become messages and exit codes; none is raised.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    console = Console(no_color="--no-color" in arguments)
    stdout = sys.stdout
    if "_CMS_COMPLETE" in os.environ:
        # Typer would load rich to strip markup, which our help texts do not have: 80 ms for each TAB.
        sys.modules["rich"] = None  # type: ignore[assignment]
        shells.join_words()
    try:
        return _run(arguments, console)
    except CommandError as error:
        return _fail(console, arguments, error.code, error.message, error.hint)
    except typer.Abort:
        if console.draws_on_stderr:
            write(sys.stderr, "\n")  # end the line of the question, so that the shell's prompt begins a new one
        return _fail(console, arguments, ExitCode.INTERRUPTED, failure.INTERRUPTED)
    except KeyboardInterrupt:
        return _fail(console, arguments, ExitCode.INTERRUPTED, failure.INTERRUPTED)
    except typer.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        if sys.stdout is not stdout:  # Typer replaces it when a reader closes the pipe (`cms | head`)
            return ExitCode.OK
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            # Before Python 3.12, what is raised while a class is created (such as during an import) arrives
            # wrapped.
            return _fail(console, arguments, ExitCode.INTERRUPTED, failure.INTERRUPTED)
        if is_usage_error(error):
            return _fail(console, arguments, ExitCode.USAGE, *explain(error, arguments))
        return _unexpected(console, arguments, error)


def _run(arguments: list[str], console: Console) -> int:
    homes.ensure_home()
    shells.name_shell(arguments)
    code = command().main(
        args=list(arguments),
        prog_name="cms",
        standalone_mode=False,
        color=console.colors_stdout,
        terminal_width=min(columns(), 80),
    )
    return int(code or 0)


def _fail(console: Console, arguments: Sequence[str], code: ExitCode, message: str, hint: str = "") -> int:
    meant = command()
    for word in arguments:
        meant = (meant.get_command(None, word) if hasattr(meant, "get_command") else None) or meant
    writes_json = hasattr(meant, "get_command") or any("--json" in param.opts for param in meant.params)
    return failure.show(console, failure.form_of(arguments, writes_json=writes_json), code, message, hint)


def _unexpected(console: Console, arguments: Sequence[str], error: Exception) -> int:
    if isinstance(error, OSError) and not os.environ.get("CMS_DEBUG"):
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return _fail(console, arguments, ExitCode.INTERNAL, message)
    message, hint = f"cms itself failed: {type(error).__name__}: {error}", f"Please report it: {ISSUES}"
    code = _fail(console, arguments, ExitCode.INTERNAL, message, f"{hint} (CMS_DEBUG=1 shows where it happened)")
    if os.environ.get("CMS_DEBUG"):
        import traceback

        console.error("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return code
