"""Help pages: flags in groups, examples that can be copied, plain text in a pipe.

Typer's own pages draw boxes into pipes, read ``A[key]`` as markup, and import rich, which takes as long as
everything else together.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from cms_cli.errors import CommandError
from cms_cli.nearest import suggestion
from cms_cli.terminal.console import Console

EVENT = "Event"
"""The group of the flags for an event's fields, each of which can be given once."""

_OWN, _HELP = "Flags", "Help"
_ALL = "cms_cli.help_all"
_BEFORE = ("--json", "-q", "--quiet", "-v", "--verbose", "--no-color")
"""Output flags that may also be given before the command."""
_ONCE = ("--from-csv", "--from-jsonl")


def show_all(ctx: typer.Context, wanted: bool) -> None:
    """Write the help page with every flag, and exit."""
    if wanted and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        typer.echo(ctx.get_help(), color=ctx.color)
        raise typer.Exit


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
        write_heading(formatter, "Examples")
        for line in re.sub(r" *\\\n *", " ", inspect.cleandoc(command.epilog)).splitlines():
            if line.startswith("cms "):
                write_command(formatter, line)
            else:
                write_wrapped(formatter, line, "  ", "  # ")


def _usage_pieces(command: Any, ctx: Any) -> list[str]:
    """Return the arguments of a usage line, which Typer's versions would write differently."""
    pieces = []
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            name = f"{param.metavar or param.name}{'...' if param.nargs != 1 else ''}"
            pieces.append(name if param.required else f"[{name}]")
    return [*(["COMMAND"] if isinstance(command, Group) else []), *pieces, "[FLAGS]"]


def _write_flags(command: Any, ctx: Any, formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = {}
    essential = () if ctx.meta.get(_ALL) else getattr(command, "essential", ())
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        panel = _panel_of(param)
        if record is None or (essential and panel not in (EVENT, _HELP) and not set(param.opts) & set(essential)):
            continue
        panels.setdefault(panel, []).append((styled(record[0], "cyan"), record[1]))
    for panel, records in panels.items():
        write_heading(formatter, panel)
        write_rows(formatter, records)
    if essential:
        formatter.write_paragraph()
        formatter.write_text(
            f"These are the flags that most people need. All of them: {ctx.command_path} --help-all"
        )


def _panel_of(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    helps = "--help" in param.opts or "--help-all" in param.opts
    return getattr(param, "rich_help_panel", None) or (_HELP if helps else _OWN)


def _takes(command: Any, ctx: Any, flag: str) -> bool:
    """Return True if a command or one of its subcommands has a flag."""
    if any(flag in param.opts for param in command.params):
        return True
    names = command.list_commands(ctx) if isinstance(command, Group) else ()
    return any(_takes(command.get_command(ctx, name), ctx, flag) for name in names)


def _check_values(command: Any, ctx: Any, words: Iterable[str]) -> None:
    """Refuse a flag that is given as another flag's value, and a field or an input that is given twice.

    With an empty variable, `--customer-name $NAME --dry-run` would otherwise send an event.

    Raises:
        CommandError: A flag has another flag as its value, or is given twice.
    """
    flags = {}
    for param in command.get_params(ctx):
        if param.param_type_name == "option":
            flags.update(dict.fromkeys((*param.opts, *param.secondary_opts), param))
    seen = set()
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        name, equals, _ = word.partition("=")
        param = flags.get(name if word.startswith("--") else word)
        if param is None or param.is_flag or param.count:
            continue
        if name in seen and (name in _ONCE or _panel_of(param) == EVENT):
            raise CommandError(f"{name} is given twice", "One input and one event a command.")
        seen.add(name)
        value = "" if equals else next(rest, "")
        if (value.partition("=")[0] if value.startswith("--") else value) in flags:
            raise CommandError(
                f"{word} has no value: {value} comes next",
                f"An empty variable? Put it in quotation marks. If that is the value: {word}={value}",
            )


def styled(text: str, style: str) -> str:
    """Return text in a style, if stdout shows styles."""
    return Console(no_color="--no-color" in sys.argv).styled(text, style, stdout=True)


def write_heading(formatter: Any, text: str) -> None:
    """Write an empty line and a heading."""
    formatter.write_paragraph()
    write_wrapped(formatter, f"{text}:", style="bold")


def write_wrapped(formatter: Any, text: str, first: str = "", rest: str = "", *, style: str = "") -> None:
    """Write a text in lines that fit, without breaking words.

    Args:
        formatter: Click's help formatter.
        text: The text.
        first: The indentation of the first line.
        rest: The indentation of the other lines.
        style: A style, as in ``bold``.
    """
    room = formatter.width
    lines = textwrap.wrap(
        text, room, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    for line in lines or [""]:
        formatter.write(f"{styled(line, style) if style else line}\n")


def write_command(formatter: Any, command: str) -> None:
    """Write a command that can be copied, in lines that fit: a backslash ends each but the last.

    Lines are broken before flags and aligned after ``cms COMMAND``; a flag and its value stay together.
    """
    first, *pieces = re.split(r" (?=-|\||>)", command)
    indent = " " * (len(" ".join(command.split()[:2])) + 1)
    lines = [first]
    for at, piece in enumerate(pieces, 1):
        end = "" if at == len(pieces) else " \\"
        if len(f"  {lines[-1]} {piece}{end}") <= formatter.width:
            lines[-1] += f" {piece}"
        else:
            lines.append(indent + piece)
    for line in lines[:-1]:
        formatter.write(f"  {styled(line, 'cyan')} \\\n")
    formatter.write(f"  {styled(lines[-1], 'cyan')}\n")


def write_rows(formatter: Any, rows: Sequence[tuple[str, str]]) -> None:
    """Write names and their descriptions in two columns, indented."""
    formatter.indent()
    formatter.write_dl(rows)
    formatter.dedent()


class Command(TyperCommand):
    """A command with our own help page; its epilog has its examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the arguments; make every usage error name this command, for the hint to its help page."""
        if not ctx.resilient_parsing:
            _check_values(self, ctx, list(args))
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "ctx", ctx) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_page(self, ctx, formatter)


class Group(TyperGroup):
    """A command with subcommands. Without a subcommand, it shows its help page and exits with 0."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_page(self, ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Show the help page if no command is given; accept output flags before the command."""
        if not args and not ctx.resilient_parsing:
            args = ["--help"]
        first = [
            word for at, word in enumerate(args) if args[: at + 1] == [w for w in args[: at + 1] if w in _BEFORE]
        ]
        name, rest = args[len(first) : len(first) + 1], args[len(first) + 1 :]
        if first and name and self.get_command(ctx, name[0]) is not None:
            args = [*name, *first, *rest]
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            flag = getattr(error, "option_name", None)
            name = [word for word in given if self.get_command(ctx, word) is not None][:1]
            if flag and name and _takes(self.get_command(ctx, name[0]), ctx, flag):
                path = f"{ctx.command_path} {name[0]}"
                raise CommandError(
                    f"{flag} goes after the command: {path} ... {flag}", f"See: {path} --help"
                ) from None
            raise

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:
        """Return each command's name and purpose."""
        return [(name, self._summary(ctx, name)) for name in self.list_commands(ctx)]

    def _summary(self, ctx: Any, name: str) -> str:
        command = self.get_command(ctx, name)
        return inspect.cleandoc(getattr(command, "help", "") or "").partition("\n\n")[0].replace("\n", " ")

    def write_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands' names and purposes."""
        write_heading(formatter, "Commands")
        write_rows(formatter, [(styled(name, "cyan"), purpose) for name, purpose in self.summaries(ctx)])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the subcommand that the arguments name; report an unknown one."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            self.no_such_command(ctx, name)
        return super().resolve_command(ctx, args)

    def no_such_command(self, ctx: Any, name: str) -> NoReturn:
        """Report an unknown command, and suggest similar ones.

        Raises:
            CommandError: Always.
        """
        path, known = ctx.command_path, self.list_commands(ctx)
        raise CommandError(f"{path} has no command {name}{suggestion(name, known)}", f"See: {path} --help")


class Entry(NamedTuple):
    """A command that is imported when it is needed.

    Attributes:
        module: The module whose ``app`` is the command.
        purpose: The first line of its help, repeated here so that lists need no import; a test compares the two.
    """

    module: str
    purpose: str


class LazyGroup(Group):
    """A group whose commands are imported on demand, since most invocations need only one."""

    entries: Mapping[str, Entry] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the commands' names in the order of the help page."""
        return list(self.entries)

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - the signature is click's
        """Return each command's name and purpose without loading it."""
        return [(name, entry.purpose) for name, entry in self.entries.items()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the signature is click's
        """Load a command, or return None if there is no such command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = typer.main.get_command(import_module(entry.module).app)
        return self.commands[cmd_name]
