"""Help pages and wrong commands: flags in groups, examples as they are typed, plain text.

Typer's own pages load rich and its Markdown renderer, which more than doubles the time to a page (80 ms to 200 ms
on a small machine); and in a pipe they draw boxes.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from cms_cli.errors import CommandError
from cms_cli.terminal.console import Console, write

_OTHER_FLAGS = "Other"


def _write_page(command: Any, ctx: Any, formatter: Any) -> None:
    formatter.write_usage(ctx.command_path, " ".join(_usage_pieces(command, ctx)))
    summary, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
    formatter.write_paragraph()
    formatter.write_text(summary)
    if rest:
        formatter.write_paragraph()
        formatter.write_text(rest)
    if isinstance(command, Group):
        command.write_commands(ctx, formatter)
    _write_flags(command, ctx, formatter)
    if command.epilog:
        formatter.write_paragraph()
        formatter.write(f"{_heading('Examples')}\n")
        for line in inspect.cleandoc(command.epilog).splitlines():
            formatter.write(f"  {line}".rstrip() + "\n")


def _usage_pieces(command: Any, ctx: Any) -> list[str]:
    """Name what a command takes, in the same words under every Typer."""
    pieces = []
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            name = f"{param.metavar or param.name}{'...' if param.nargs != 1 else ''}"
            pieces.append(name if param.required else f"[{name}]")
    return [*(["COMMAND"] if isinstance(command, Group) else []), *pieces, "[FLAGS]"]


def _write_flags(command: Any, ctx: Any, formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            panel = "Arguments" if param.param_type_name == "argument" else _OTHER_FLAGS
            panels.setdefault(getattr(param, "rich_help_panel", None) or panel, []).append(record)
    for panel, records in panels.items():
        formatter.write_paragraph()
        formatter.write(f"{_heading(panel)}\n")
        formatter.indent()
        formatter.write_dl(records)
        formatter.dedent()


def _takes(command: Any, ctx: Any, flag: str) -> bool:
    """Whether a command has a flag, or one of those under it has."""
    if any(flag in param.opts for param in command.params):
        return True
    under = (
        (command.get_command(ctx, name) for name in command.list_commands(ctx))
        if isinstance(command, Group)
        else ()
    )
    return any(_takes(each, ctx, flag) for each in under)


def _as_flag(words: Iterable[str]) -> str:
    """Give ``; did you mean --from-csv sales.csv?`` where one of the words is a file."""
    import shlex
    from pathlib import Path

    for word in words:
        if Path(word).is_file():
            flag = "--from-jsonl" if Path(word).suffix in (".jsonl", ".ndjson") else "--from-csv"
            return f"; did you mean {flag} {shlex.quote(word)}?"
    return ""


def _check_values(command: Any, ctx: Any, words: Iterable[str]) -> None:
    """Refuse a flag for the value of another one, where it stands apart from it.

    It stands there where a variable of a script was empty: `--customer-name $NAME --dry-run` would send an event.

    Raises:
        CommandError: There is such a flag.
    """
    flags = {}
    for param in command.get_params(ctx):
        if param.param_type_name == "option":
            flags.update(dict.fromkeys((*param.opts, *param.secondary_opts), param))
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        param = flags.get(word)
        if param is None or param.is_flag or param.count:
            continue
        value = next(rest, "")
        if (value.partition("=")[0] if value.startswith("--") else value) in flags:
            raise CommandError(
                f"{word} has no value: {value} comes next",
                f"An empty variable? Put it in quotation marks. If that is the value: {word}={value}",
            )


def _heading(text: str) -> str:
    return Console(no_color="--no-color" in sys.argv).heading(f"{text}:")


class Command(TyperCommand):
    """A command whose help page is ours; its epilog is its examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Read the arguments, and have every mistake in them name the command whose help page there is."""
        given = list(args)
        if not ctx.resilient_parsing:
            _check_values(self, ctx, given)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # By its looks: Typer brings click along in some versions, and imports it in others.
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            message = str(getattr(error, "message", ""))
            if "unexpected extra argument" in message and _takes(self, ctx, "--from-csv"):
                error.message = message + _as_flag(word for word in given if word in message)  # type: ignore[attr-defined]
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_page(self, ctx, formatter)


class Group(TyperGroup):
    """A command with commands under it. Without one it shows its help page, and that is no error."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_page(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Show the first page where nothing is asked for."""
        if not args and not ctx.resilient_parsing:
            write(sys.stdout, self.first_page(ctx) + "\n")
            ctx.exit(0)
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            flag = getattr(error, "option_name", None)
            name = next((word for word in given if self.get_command(ctx, word) is not None), None)
            if flag and name and _takes(self.get_command(ctx, name), ctx, flag):
                path = f"{ctx.command_path} {name}"
                raise CommandError(
                    f"{flag} goes after the command: {path} ... {flag}", f"see: {path} --help"
                ) from None
            raise

    def first_page(self, ctx: Any) -> str:
        """Give what is shown when nothing is asked for."""
        return str(ctx.get_help())

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:
        """Give each command's name and purpose."""
        return [(name, self._summary(ctx, name)) for name in self.list_commands(ctx)]

    def _summary(self, ctx: Any, name: str) -> str:
        command = self.get_command(ctx, name)
        return inspect.cleandoc(getattr(command, "help", "") or "").partition("\n\n")[0].replace("\n", " ")

    def write_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands' names and purposes."""
        formatter.write_paragraph()
        formatter.write(f"{_heading('Commands')}\n")
        formatter.indent()
        formatter.write_dl(self.summaries(ctx))
        formatter.dedent()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is meant, and name the nearest where there is none."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            self.no_such_command(ctx, name)
        return super().resolve_command(ctx, args)

    def no_such_command(self, ctx: Any, name: str) -> NoReturn:
        """Say that there is no such command, and which may be meant.

        Raises:
            CommandError: Always.
        """
        near = difflib.get_close_matches(name, self.list_commands(ctx), n=3)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise CommandError(f"{ctx.command_path} has no command {name}{meant}", f"see: {ctx.command_path} --help")


class Entry(NamedTuple):
    """A command that is loaded when it is needed.

    Attributes:
        module: The module whose ``app`` it is.
        purpose: The first line of its help; a test holds the two together.
    """

    module: str
    purpose: str


class LazyGroup(Group):
    """A group whose commands are imported one by one, on demand: most invocations need one."""

    entries: Mapping[str, Entry] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is click's
        """List the commands in the order of the help page."""
        return list(self.entries)

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - the signature is click's
        """Give each command's name and purpose without loading it."""
        return [(name, entry.purpose) for name, entry in self.entries.items()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is click's
        """Load a command, or give None where there is no such command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = typer.main.get_command(import_module(entry.module).app)
        return self.commands[cmd_name]
