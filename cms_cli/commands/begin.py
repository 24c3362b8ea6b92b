"""What every command begins with: somewhere to write to, and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cms_cli.access.tokens import Token
from cms_cli.config.settings import Flags, Settings
from cms_cli.terminal.console import Console


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
    settings = Settings(Flags.of(parameters), creating=creating)
    console = console_of(parameters, own_state=settings.profile_has_own_state)
    for warning in settings.warnings:
        console.warn(warning)
    return Session(console, settings)


def console_of(parameters: Mapping[str, Any], *, own_state: bool = False) -> Console:
    """Make the console that a command's flags ask for.

    Args:
        parameters: All parameters of the command, by name.
        own_state: Whether the profile has a state folder of its own: then commands to copy need ``--profile``.
    """
    place, account = ["config", "state_dir"], ["token_file"]
    (place if own_state else account).append("profile")
    return Console(
        quiet=bool(parameters.get("quiet")),
        verbose=bool(parameters.get("verbose")),
        no_color=bool(parameters.get("no_color")),
        place=_as_given(parameters, *place),
        account=_as_given(parameters, *account),
    )


def _as_given(parameters: Mapping[str, Any], *names: str) -> str:
    given = {name: parameters.get(name) for name in names}
    if not any(given.values()):
        return ""
    import shlex

    flags = (f" --{name.replace('_', '-')} {shlex.quote(str(value))}" for name, value in given.items() if value)
    return "".join(flags)


def fetch_token(console: Console, settings: Settings) -> Token:
    """Get the token; where that may take time (a command, a file that is a pipe), say what is waited for.

    Raises:
        TokenError: There is none, or it cannot be fetched.
    """
    first = next(iter(settings.token_sources()), None)
    if first is None or (first.at_hand and settings.flags.token_file is None):
        return settings.token()
    with console.patience(f"waiting for the token of {first.origin}"):
        return first.token()
