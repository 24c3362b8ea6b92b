"""Parses mapping files and mappings in the config file to rules, and reports mistakes with their lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cms_cli.config import tomltext
from cms_cli.replay.mapping import rules
from cms_cli.replay.mapping.rule import Rules
from cms_cli.replay.mapping.rules import RulesError
from cms_cli.replay.model import InputError

_HOW_TO_WRITE_ONE = "cms presets shopify shows what such a file looks like."


def read(path: Path) -> tuple[Rules, str]:
    """Read a mapping file; return its rules, and the part of it that shapes events as JSON.

    Raises:
        InputError: The file cannot be read or has mistakes; the message names file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8", "Save it as UTF-8.") from None
    except OSError as error:
        hint = "Name a mapping file, or a table of the config file's [mappings]."
        raise InputError(f"{path}: {error.strerror or error}", hint) from error
    return parse(text, str(path))


def parse(text: str, name: str) -> tuple[Rules, str]:
    """Parse the text of a mapping file; return the same as :func:`read`.

    Args:
        text: The TOML text.
        name: The file's name, for messages.

    Raises:
        InputError: The text is not TOML, or has mistakes.
    """
    try:
        table = tomltext.loads(text)
    except ValueError as error:
        raise InputError(f"{name}: is not TOML: {error}", _HOW_TO_WRITE_ONE) from None
    return checked(table, name, text)


def checked(table: Mapping[str, Any], name: str, text: str, within: str = "") -> tuple[Rules, str]:
    """Check the table of a mapping; return the same as :func:`read`.

    Args:
        table: The parsed table.
        name: The file's name, for messages.
        text: The text of the whole file, to find line numbers.
        within: The name of the table in the file, as in ``mappings.shop``; "" if the table is the whole file.

    Raises:
        InputError: The table has mistakes.
    """
    try:
        found = rules.read(table)
    except RulesError as error:
        lines = []
        for wrong in error.wrong:
            section = ".".join(filter(None, (within, wrong.section)))
            outer, _, last = section.rpartition(".")
            line = (
                tomltext.line_of(text, section, wrong.key, wrong.nth)
                or tomltext.line_of(text, section, "", wrong.nth)
                or tomltext.line_of(text, outer, last)  # map = { amount = "Total" }
            )
            lines.append(f"{name}{f', line {line}' if line else ''}: {wrong.message}")
        raise InputError("\n".join(lines), _HOW_TO_WRITE_ONE) from None
    return found, rules.to_json(table)
