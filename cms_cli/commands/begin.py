"""The first step of every command: reads the settings and makes the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cms_cli.access.tokens import Token
from cms_cli.config.settings import Flags, Settings
from cms_cli.config.state_url import passwords_in
from cms_cli.terminal.console import Console
from cms_cli.terminal.text import hide


class Session(NamedTuple):
    """The console and settings of a command."""

    console: Console
    settings: Settings


def begin(flags: Flags, *, creating: bool = False) -> Session:
    """Read the settings, make the console, and show the warnings about the settings.

    Args:
        flags: The common flags.
        creating: Whether the command creates a missing config file or profile, so that neither is an error.

    Raises:
        CommandError: A flag, a variable or the config file cannot be used.
    """
    settings = Settings(flags, creating=creating)
    console = console_of(flags, own_state=settings.profile_has_own_state)
    if settings.state_url is not None:
        for password in passwords_in(settings.state_url):
            hide(password)
    for warning in settings.warnings:
        console.warn(warning)
    return Session(console, settings)


def console_of(flags: Flags, *, own_state: bool = False) -> Console:
    """Make the console for a command's flags.

    Args:
        flags: The common flags.
        own_state: Whether the profile has state of its own, so that every suggested command needs ``--profile``.
    """
    location = {"--config": flags.config, "--state-dir": flags.state_dir}
    account = {"--token-file": flags.token_file}
    (location if own_state else account)["--profile"] = flags.profile
    return Console(
        quiet=flags.quiet,
        verbose=flags.verbose,
        no_color=flags.no_color,
        location_flags=_as_given(location),
        account_flags=_as_given(account),
    )


def _as_given(flags: Mapping[str, str | None]) -> str:
    if not any(flags.values()):
        return ""
    import shlex

    return "".join(f" {name} {shlex.quote(value)}" for name, value in flags.items() if value)


def fetch_token(console: Console, settings: Settings) -> Token:
    """Fetch the token. While that takes time (a command, a pipe), show what the command is waiting for.

    Raises:
        TokenError: There is no token, or it cannot be fetched.
    """
    first = next(iter(settings.token_sources()), None)
    if first is None or (first.at_hand and settings.flags.token_file is None):
        return settings.token()
    with console.patience(f"waiting for the token of {first.origin}"):
        return first.token()
