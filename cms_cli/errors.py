"""The error that ends a command with a message and an exit code; app.py turns it into both."""

from __future__ import annotations

from cms_cli.exit_codes import ExitCode


class CommandError(Exception):
    """Ends a command with a message and an exit code.

    Attributes:
        message: What is wrong, for people: one line for each problem.
        hint: What to do about it, in one line; "" for no hint.
        code: The exit code; USAGE by default.
    """

    code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "", code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code
