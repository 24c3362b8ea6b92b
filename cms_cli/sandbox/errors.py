"""The exceptions of the sandbox itself; the errors that it answers with are in :mod:`answers`."""

from __future__ import annotations


class SandboxError(Exception):
    """The base class of the sandbox's errors."""


class OptionError(SandboxError, ValueError):
    """An option (a rate, a fault, a scenario) has a bad value. The message says which values are allowed."""


class StoreError(SandboxError):
    """The store cannot be used: it is from another program or version, damaged, or on a failing disk.

    Attributes:
        cleared_by_reset: Whether :func:`cms_cli.sandbox.reset` makes it usable again.
    """

    def __init__(self, message: str, *, cleared_by_reset: bool = False) -> None:
        super().__init__(message)
        self.cleared_by_reset = cleared_by_reset
