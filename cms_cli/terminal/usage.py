"""Rewords Typer's and Click's usage errors in the style of the program's other messages.

Their own words vary between versions, as in `Got unexpected extra argument(s) (a b)`.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from cms_cli.nearest import suggestion


def is_usage_error(error: Exception) -> bool:
    """Return True if an error is Click's, going by its attributes, since some versions of Typer bundle Click."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def explain(error: Any, arguments: Sequence[str]) -> tuple[str, str]:
    """Return the message and the hint for a usage error.

    Args:
        error: Click's exception.
        arguments: The command line.
    """
    ctx = getattr(error, "ctx", None)
    path = getattr(ctx, "command_path", "cms")
    return _message(error, path, arguments), f"See: {path} --help"


def _message(error: Any, path: str, arguments: Sequence[str]) -> str:
    kind, message = type(error).__name__, str(getattr(error, "message", "")).rstrip(".")
    flag = getattr(error, "option_name", "")
    if kind == "NoSuchOption":
        flags = [each for param in error.ctx.command.params if not param.hidden for each in param.opts]
        return f"{path} has no flag {flag}{suggestion(flag, flags)}"
    if kind == "BadOptionUsage":
        return f"{flag} takes no value" if "does not take" in message else f"{flag} needs a value"
    if kind == "MissingParameter":
        return f"missing: {', '.join(_missing(error))}"
    if kind == "BadParameter" and getattr(error, "param", None) is not None:
        return _bad_value(error, message, arguments)
    if "unexpected extra argument" in message:
        # "argument(s) (a b)", or with older versions "arguments (a b)".
        named = f" {message.replace('(s)', '', 1).partition('(')[2].removesuffix(')')} "
        words = [word for word in arguments if f" {word} " in named]
        instead = _joined(path, arguments) or _as_flag(error.ctx, words)
        return f"{path} takes no argument {' '.join(map(shlex.quote, words))}{instead}"
    return message


def _joined(path: str, arguments: Sequence[str]) -> str:
    """Return advice for several files, as a shell makes of ``--from-csv *.csv``; "" if the flag is not given."""
    if "--from-csv" not in arguments:
        return ""
    return f"; --from-csv takes one file, so join several with the same columns: cat *.csv | {path} --from-csv -"


def _missing(error: Any) -> list[str]:
    """Return the missing arguments: the one that Click names, and the required ones after it."""
    params = list(error.ctx.command.params)
    return [each.metavar or each.name for each in params[params.index(error.param) :] if each.required]


def _bad_value(error: Any, message: str, arguments: Sequence[str]) -> str:
    param = error.param
    name = max(param.opts, key=len) if param.param_type_name == "option" else param.metavar or param.name
    value = _value_after(param.opts, arguments) if param.param_type_name == "option" else ""
    return f"{' '.join(filter(None, (name, value)))}: {_requirement(error.ctx.command, param.name) or message}"


def _value_after(flags: Sequence[str], arguments: Sequence[str]) -> str:
    for at, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        if flag in flags:
            return shlex.quote(value if equals else "".join(arguments[at + 1 : at + 2]))
    return ""


def _requirement(command: Any, name: str) -> str:
    """Return what a flag's value must be, read from the command's annotations, or "" if they do not say.

    The parameter objects differ between Typer's versions; the annotations are our own.
    """
    declared = inspect.signature(inspect.unwrap(command.callback)).parameters[name].annotation
    info = declared.__metadata__[0]
    kind = getattr(declared.__origin__, "__args__", [declared.__origin__])[0]  # of Optional[int], int
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = [each.value for each in kind]
        return f"must be {', '.join(choices[:-1])} or {choices[-1]}"
    if kind not in (int, float):
        return ""
    number = "a whole number" if kind is int else "a number"
    if info.min is not None and info.max is not None:
        return f"must be {number} from {info.min} to {info.max}"
    return f"must be {number}" + (f" of at least {info.min}" if info.min is not None else "")


def _as_flag(ctx: Any, words: Sequence[str]) -> str:
    """Return ``; did you mean --from-csv sales.csv?`` if a word is a file, and the command takes files."""
    flags = {flag for param in ctx.command.params for flag in param.opts}
    for word in words:
        flag = "--from-jsonl" if Path(word).suffix in (".jsonl", ".ndjson") else "--from-csv"
        if flag in flags and Path(word).is_file():
            return f"; did you mean {flag} {shlex.quote(word)}?"
    return ""
