"""The config file: TOML with top-level keys and ``[profiles.NAME]``, checked as a whole before any value is used.

::

    profile = "shop"                    # the profile to use when none is named
    output = "json"                     # top level: for every profile without an output of its own

    [profiles.shop]
    token_command = "pass show cms"
    host = "https://api.cme.sh"

    [mappings.shop.map]                 # for --mapping shop; the same tables as in a mapping file
    invoice_id = "Order"

A top-level token belongs to the profile ``default`` only. Each profile is an account of its own, and if its token
is missing, events must not go to another account. Keys in ``[profiles.default]`` take precedence over top-level
ones.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from cms_cli.config import state_url, tomltext
from cms_cli.config.keys import CONFIG_FLAG, DEFAULT_PROFILE, KEYS, PLAIN_NAME, TOKEN_KEYS
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.nearest import suggestion

_TABLES = ("profiles", "mappings")


@dataclass(frozen=True)
class ConfigFile:
    """A config file that was read and checked.

    Attributes:
        path: The path, even if there is no file.
        exists: Whether there is a file.
        top: The top-level keys.
        profiles: The keys of each profile, by its name.
        mappings: The mappings for ``--mapping NAME``, by name. They are checked only when they are used.
    """

    path: Path
    exists: bool = False
    top: Mapping[str, Any] = field(default_factory=dict, repr=False)
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    mappings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    def value(self, key: str, profile: str) -> tuple[Any, str] | None:
        """Return the value that a key has for a profile.

        Args:
            key: The key, as in ``host``.
            profile: The profile's name.

        Returns:
            The checked value and the key's full name (``profiles.shop.host``); None if the file does not set it.
        """
        section = self.profiles.get(profile, {})
        if key in section:
            return KEYS[key].check(section[key]), f"profiles.{profile}.{key}"
        inherits = key not in TOKEN_KEYS or (
            profile == DEFAULT_PROFILE and not any(k in section for k in TOKEN_KEYS)
        )
        if key in self.top and inherits:
            return KEYS[key].check(self.top[key]), key
        return None

    def has_profile(self, name: str) -> bool:
        """Return True if a profile can be used: it is in the file, or is the default one."""
        return name == DEFAULT_PROFILE or name in self.profiles

    def secret(self) -> str:
        """Return the kind of secret in the file: ``token``, ``password``, or "" for none."""
        sections = [self.top, *self.profiles.values()]
        if any("token" in section for section in sections):
            return "token"
        urls = [str(section["state_url"]) for section in sections if "state_url" in section]
        return "password" if any(state_url.passwords_in(url) for url in urls) else ""

    def others_can_read(self) -> bool:
        """Return True if the file's mode lets other users read it. Windows has no such mode."""
        if not self.exists or sys.platform == "win32":
            return False
        return bool(self.path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def read(path: Path, *, named: bool = True) -> ConfigFile:
    """Read and check a config file.

    Args:
        path: The file. If it is missing, the result is an empty ``ConfigFile``.
        named: Whether the user named the file. The default path counts as missing if this user may not enter its
            folder, as may be the case in a container.

    Raises:
        CommandError: The file cannot be read, is not TOML, or has an unknown key or a bad value. The message names
            file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ConfigFile(path)
    except UnicodeDecodeError:
        raise CommandError(f"{path}: is not UTF-8") from None
    except OSError as error:
        if not named and isinstance(error, PermissionError) and not os.access(path, os.F_OK):
            return ConfigFile(path)
        raise CommandError(f"{path}: cannot be read: {error.strerror or error}") from None
    table = _parse(text, path)
    problems = list(_problems(table, text))
    if problems:
        raise CommandError("\n".join(f"{path}{where}: {problem}" for where, problem in problems))
    top = {key: value for key, value in table.items() if key not in _TABLES}
    return ConfigFile(path, True, top, table.get("profiles", {}), table.get("mappings", {}))


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomltext.loads(text)
    except ValueError as error:
        raise CommandError(f"{path}: is not TOML: {error}") from None


def _problems(table: Mapping[str, Any], text: str) -> list[tuple[str, str]]:
    """Return the problems of a file, each as its place (``, line 3``) and its message."""
    found = _section_problems({k: v for k, v in table.items() if k not in _TABLES}, "", text)
    for name, section in _tables(table.get("mappings", {})):
        if not isinstance(section, dict):
            where = _line(text, "mappings" if name else "", name or "mappings")
            found.append((where, "mappings must be tables, as in [mappings.shop]"))
    profiles = table.get("profiles", {})
    if not isinstance(profiles, dict):
        return [*found, (_line(text, "", "profiles"), "profiles must be a table, as in [profiles.shop]")]
    for name, section in profiles.items():
        where = _line(text, f"profiles.{name}", "")
        if not isinstance(section, dict):
            found.append((_line(text, "profiles", name), f"profiles.{name} must be a table, [profiles.{name}]"))
        elif not PLAIN_NAME.fullmatch(name):
            found.append((where, f'profile "{name}" must be a name of letters, digits, - and _'))
        else:
            found += _section_problems(section, f"profiles.{name}", text)
    return found


def _section_problems(section: Mapping[str, Any], name: str, text: str) -> list[tuple[str, str]]:
    found = []
    for key, value in section.items():
        full = f"{name}.{key}" if name else key
        if isinstance(value, dict) and not name:  # [profile.shop], where [profiles.shop] is meant
            heads = [_line(text, key, ""), *(_line(text, f"{key}.{under}", "") for under in value)]
            where = next(filter(None, heads), "") or _line(text, "", key)
            found.append((where, f"unknown table {key}{_meant(key, _TABLES)}"))
            continue
        if key not in KEYS or (name and not KEYS[key].in_profiles):
            found.append((_line(text, name, key), f"unknown key {full}{meant(key, bool(name))}"))
            continue
        try:
            KEYS[key].check(value)
        except ValueError as problem:
            found.append((_line(text, name, key), f"{full} {problem}"))
    return found


def meant(key: str, in_profile: bool) -> str:
    """Return ``; did you mean host?`` if a known key is similar, else ``; there are`` and all known keys."""
    return _meant(key, [name for name, each in KEYS.items() if each.in_profiles or not in_profile])


def _meant(key: str, known: Sequence[str]) -> str:
    return suggestion(key, known, f"; there are {', '.join(known)}")


def _tables(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, dict) else [("", value)]


def _line(text: str, section: str, key: str) -> str:
    """Return ``, line 3`` for a key, or for a section's header if ``key`` is ""; "" if it is not found."""
    number = tomltext.line_of(text, section, key)
    return f", line {number}" if number else ""


def default_path() -> Path:
    """Return the default path of the config file, in the platform's config directory."""
    if sys.platform == "linux" and not os.environ.keys() & {"XDG_CONFIG_HOME", "ANDROID_DATA"}:
        # The path that platformdirs returns, without the 5 ms of importing it; a test compares the two.
        return Path("~/.config/cms/config.toml").expanduser()
    import platformdirs

    return Path(platformdirs.user_config_path("cms", appauthor=False)) / "config.toml"


def change(path: Path, edit: Callable[[Any], None]) -> None:
    """Change a config file, keeping comments and everything else in it.

    The file is replaced atomically by one that only its owner can read. If the path is a symbolic link, its target
    is replaced.

    Args:
        path: The file; it and its folder are created if they are missing.
        edit: Changes the document that it is passed, a :class:`tomlkit.TOMLDocument`.

    Raises:
        CommandError: The file is not TOML, is not a regular file, or cannot be written.
    """
    try:
        _change(Path(os.path.realpath(path)), edit)
    except OSError as error:
        raise CommandError(
            f"{path}: cannot be written: {error.strerror or error}",
            f"Name another file: {CONFIG_FLAG} FILE",
            ExitCode.INTERNAL,
        ) from None


def _change(path: Path, edit: Callable[[Any], None]) -> None:
    import filelock
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    if path.exists() and not path.is_file():
        raise CommandError(f"{path} is not a regular file")  # as root, /dev/null would be replaced
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=10):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        try:
            document = tomlkit.parse(text)
        except TOMLKitError as error:
            raise CommandError(f"{path}: is not TOML: {error}") from None
        edit(document)
        _replace(path, tomlkit.dumps(document))


def _replace(path: Path, text: str) -> None:
    import tempfile

    # mkstemp creates the file with mode 0600; in the same folder, it can replace the old file by a rename.
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
