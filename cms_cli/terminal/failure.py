"""Reports a command that failed before it had a result: on stderr, and on stdout if the output is JSON."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from cms_cli.config.keys import CONFIG_FLAG, KEYS, OUTPUTS, Output
from cms_cli.config.settings import Flags, Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.console import Console, has_document
from cms_cli.terminal.text import sentence


def show(console: Console, form: str, code: ExitCode, message: str, hint: str = "") -> int:
    """Show an error and its hint.

    Args:
        console: The console to write to.
        form: The format of the result: ``table``, ``json`` or ``jsonl``.
        code: The exit code.
        message: The problem. ``INTERRUPTED`` is shown only in JSON.
        hint: What to do about it, or "".

    Returns:
        The exit code.
    """
    if message != INTERRUPTED:
        console.error(message, hint)
    if form == "jsonl" or (form == "json" and not has_document()):
        # If stdout cannot be written, the message says so or cannot be shown at all.
        with suppress(OSError):
            console.document(
                {"success": False, "error": message, "exit_code": int(code), "hint": sentence(hint)}, form
            )
    return code


INTERRUPTED = "interrupted"
"""The message of Ctrl-C. Only JSON has it, since people know that they pressed it."""


def form_of(arguments: Sequence[str], *, writes_json: bool) -> str:
    """Return the format of the result, for a command that may have failed before it had settings.

    Args:
        arguments: The command line.
        writes_json: Whether the command can write JSON. If not, variables and the config file do not count.
    """
    if "--json" in arguments:
        return Output.json.value
    form = _value(arguments, "--output")
    if form is None and writes_json:
        flags = Flags(config=_value(arguments, CONFIG_FLAG), profile=_value(arguments, KEYS["profile"].flag))
        try:
            form = Settings(flags, creating=True).output
        except CommandError:  # possibly the error that is reported
            form = os.environ.get(KEYS["output"].variable)
    return form if form in OUTPUTS else Output.table.value


def _value(arguments: Sequence[str], flag: str) -> str | None:
    for at, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name == flag:
            return value if equals else "".join(arguments[at + 1 : at + 2])
    return None
