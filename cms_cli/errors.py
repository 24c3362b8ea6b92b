"""Errors that end a command with a message and an exit code, for the one except ladder in app.py."""

from __future__ import annotations

from cms_cli.exit_codes import ExitCode


class CommandError(Exception):
    """A command cannot do what it was asked.

    Attributes:
        message: What is wrong, for people; one line, or several where several things are wrong.
        hint: What to do about it, one line; empty if there is nothing to say.
        code: The exit code.
    """

    code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "", code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code
