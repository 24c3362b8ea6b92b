"""Edits of the config file's TOML document, which keep comments and everything else as it is."""

from __future__ import annotations

from typing import Any

from cms_cli.config.file import meant
from cms_cli.config.keys import DEFAULT_PROFILE, KEYS
from cms_cli.errors import CommandError


def locate(name: str, profile: str | None) -> tuple[str, str]:
    """Split a key's full name into profile and key.

    Args:
        name: The name, as in ``host`` or ``profiles.shop.host``.
        profile: The profile that ``--profile`` names, or None.

    Returns:
        The profile, "" for a top-level key, and the key.

    Raises:
        CommandError: There is no such key.
    """
    section = profile or ""
    key = name.replace("-", "_")
    if "." in name:
        parts = name.split(".")
        if parts[0] != "profiles" or len(parts) != 3 or profile:
            raise CommandError(f"{name}: a profile's key is written profiles.NAME.KEY, or KEY with --profile NAME")
        section, key = parts[1], parts[2].replace("-", "_")
    if section:
        try:
            KEYS["profile"].check(section)
        except ValueError as problem:
            raise CommandError(f"the profile's name {problem}") from None
    if key not in KEYS or (section and not KEYS[key].in_profiles):
        raise CommandError(f"unknown key {name}{meant(key, bool(section))}")
    return section, key


def put(document: Any, section: str, key: str, value: object) -> None:
    """Set a top-level key (``section`` is "") or a key of a profile, which is created if it is missing."""
    import tomlkit

    if not section:
        document[key] = value
        return
    profiles = document.get("profiles")
    if profiles is None:
        # No [profiles] header is written: [profiles.NAME] implies it.
        profiles = document["profiles"] = tomlkit.table(is_super_table=True)
    if section not in profiles:
        profiles[section] = tomlkit.table()
    profiles[section][key] = value


def take(document: Any, section: str, key: str) -> bool:
    """Remove a key; return True if it was there. A profile stays, even if it is then empty."""
    table = document if not section else document.get("profiles", {}).get(section, {})
    if key not in table:
        return False
    del table[key]
    return True


def home_of_token(document: Any, profile: str) -> str:
    """Return the section for a profile's token: "" (top level) for the default profile, unless it has a table."""
    if profile == DEFAULT_PROFILE and DEFAULT_PROFILE not in document.get("profiles", {}):
        return ""
    return profile
