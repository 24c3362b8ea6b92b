"""What can go wrong with the sandbox itself, as opposed to what it answers."""

from __future__ import annotations


class SandboxError(Exception):
    """Base of everything that the sandbox raises of its own."""


class OptionError(SandboxError, ValueError):
    """An option has a value that is not allowed: a rate, a fault, a scenario. The message says how to write it."""


class StoreError(SandboxError):
    """The store cannot be used: not the sandbox's file, another version's, damaged, or the disk says no.

    Attributes:
        cleared_by_reset: Whether :func:`cms_cli.sandbox.reset` makes it usable again.
    """

    def __init__(self, message: str, *, cleared_by_reset: bool = False) -> None:
        super().__init__(message)
        self.cleared_by_reset = cleared_by_reset
