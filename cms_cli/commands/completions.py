"""Completes the values of flags and arguments. Nothing here may fail or take long.

Only names of a safe form are offered, never arbitrary text from a file, since zsh evaluates it.
"""

from pathlib import Path
from typing import Any, Optional

import typer

from cms_cli.config import file as configfile
from cms_cli.config.keys import DEFAULT_PROFILE, KEYS, PLAIN_NAME

_IMPATIENT = "connect_timeout=2"
"""The timeout for a database, in seconds. It is appended to the URL, where the last of several values counts."""


def profiles(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the profiles of the config file, or of the one that ``--config`` names."""
    config = _config(ctx)
    names = [DEFAULT_PROFILE, *config.profiles] if config else []
    return [name for name in names if name.startswith(incomplete)]


def mappings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the mappings of the config file; if none matches, the shell offers files."""
    config = _config(ctx)
    names = [name for name in config.mappings if PLAIN_NAME.fullmatch(name)] if config else []
    return [name for name in names if name.startswith(incomplete)]


def _config(ctx: typer.Context) -> Optional[configfile.ConfigFile]:
    from cms_cli.config.settings import Flags, config_path
    from cms_cli.errors import CommandError

    try:
        return configfile.read(config_path(Flags(config=ctx.params.get("config"))).value)
    except (CommandError, OSError):
        return None


def currencies(incomplete: str) -> list[str]:
    """Offer the currencies of ISO 4217, in the letter case of what was typed."""
    from cms_cli.replay.values.currencies import EXPONENTS

    codes = [code.lower() for code in EXPONENTS] if incomplete.islower() else EXPONENTS
    return sorted(code for code in codes if code.startswith(incomplete))


def modes(incomplete: str) -> list[str]:
    """Offer ``deferred``, the only mode."""
    return [name for name in ("deferred",) if name.startswith(incomplete)]


def keys(incomplete: str) -> list[str]:
    """Offer the keys of the config file."""
    return [name for name in KEYS if name.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Offer the known CSV formats."""
    folder = Path(__file__).parent.parent / "presets"
    return sorted(file.stem for file in folder.glob("*.toml") if file.stem.startswith(incomplete))


def shells(incomplete: str) -> list[str]:
    """Offer the shells for which the package ships a completion script."""
    from cms_cli.terminal.shells import FILES

    return [name for name in FILES if name.startswith(incomplete)]


def topics(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the topics of `cms help`, and the commands below those that were typed."""
    from cms_cli.terminal.topics import TOPICS

    words = list(ctx.params.get("topic") or ())
    parent = ctx.find_root()
    command: Any = parent.command
    for word in words:
        command = command.get_command(parent, word) if hasattr(command, "get_command") else None
    known = command.list_commands(parent) if hasattr(command, "list_commands") else []
    return [name for name in [*known, *([] if words else TOPICS)] if name.startswith(incomplete)]


def zones(incomplete: str) -> list[str]:
    """Offer the IANA zones."""
    from zoneinfo import available_timezones

    return sorted(name for name in available_timezones() if name.startswith(incomplete))


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the replays in the journal, the newest first."""
    return _runs(ctx, incomplete, unfinished=False)


def unfinished_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the replays that can be resumed, the newest first."""
    return _runs(ctx, incomplete, unfinished=True)


def _runs(ctx: typer.Context, incomplete: str, *, unfinished: bool) -> list[str]:
    try:
        found = [run for folder, url in _places(ctx) for run in _read(folder, url)]
    except Exception:  # a broken config or journal: there is nothing to offer, and no place for an error
        return []
    found.sort(key=lambda run: run.created, reverse=True)
    known = [run.name for run in found if not unfinished or run.state.value == "unfinished"]
    return [name for name in known if name.startswith(incomplete)]


def _places(ctx: typer.Context) -> list[tuple[Path, Optional[str]]]:
    from cms_cli.commands.target import sandbox_dir
    from cms_cli.config.settings import Flags, Settings

    given = ctx.params
    settings = Settings(
        Flags(config=given.get("config"), state_dir=given.get("state_dir"), profile=given.get("profile"))
    )
    url = settings.state_url
    if url is not None:
        url += ("&" if "?" in url else "?") + _IMPATIENT
    return [(settings.state_dir, url), (sandbox_dir(settings), None)]


def _read(folder: Path, url: Optional[str]) -> list[Any]:
    from cms_cli.replay.journal import runs as book
    from cms_cli.replay.journal.journal import Journal

    journal = Journal.open_to_read(folder, url)
    if journal is None:
        return []
    with journal:
        return list(book.all_runs(journal))
