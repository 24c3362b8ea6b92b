"""What every command begins with: somewhere to write to, and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cms_cli.output.console import Console
from cms_cli.settings import Flags, Settings


class Session(NamedTuple):
    """A command's surroundings."""

    console: Console
    settings: Settings


def begin(parameters: Mapping[str, Any], *, creating: bool = False) -> Session:
    """Read a command's common flags.

    Args:
        parameters: All parameters of the command, by name; what is not a common flag is left alone.
        creating: Whether the command makes what is missing: a config file, a profile.

    Raises:
        CommandError: A flag, a variable or the config file cannot be used.
    """
    console = console_of(parameters)
    settings = Settings(Flags.of(parameters), creating=creating)
    for warning in settings.warnings:
        console.warn(warning)
    return Session(console, settings)


def console_of(parameters: Mapping[str, Any]) -> Console:
    """Make the console that a command's flags ask for."""
    return Console(
        quiet=bool(parameters.get("quiet")),
        verbose=bool(parameters.get("verbose")),
        no_color=bool(parameters.get("no_color")),
    )
