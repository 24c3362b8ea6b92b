"""Writes the mapping file of ``--save-mapping``, with everything that was given or detected for an input."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cms_cli.replay.mapping.blueprint import Blueprint
from cms_cli.replay.mapping.columns import AnySource, Joined
from cms_cli.replay.model import InputError, MachineError
from cms_cli.replay.values.ids import IDS, NOTHING

_DELIMITERS = {"\t": "tab", " ": "space"}


def write(path: Path, blueprint: Blueprint, *, decimal: str, encoding: str, delimiter: str) -> None:
    """Write the mapping file of an input.

    Args:
        path: The path of the file.
        blueprint: The resolved mapping.
        decimal: The decimal mark of amounts in major units; "" if there are none.
        encoding: The input's encoding.
        delimiter: The input's delimiter; "" for JSON Lines.

    Raises:
        InputError: The file cannot be written.
        MachineError: There is no room for it.
    """
    table = table_of(blueprint, decimal=decimal, encoding=encoding, delimiter=delimiter)
    try:
        path.write_text(_toml(table), encoding="utf-8")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            with suppress(OSError):  # a nightly job must not find half of it
                if path.is_file():
                    path.unlink()
            raise MachineError(
                f"--save-mapping {path}: {error.strerror}", "Make room, and save it again."
            ) from error
        raise InputError(
            f"--save-mapping {path}: {error.strerror or error}", "Name a file that can be written."
        ) from error


def table_of(blueprint: Blueprint, *, decimal: str, encoding: str, delimiter: str) -> dict[str, Any]:
    """Return the content of the mapping file; for the arguments, see :func:`write`."""
    shape = blueprint.shape
    kept: dict[str, Any] = json.loads(shape.rules) if shape.rules else {}
    table: dict[str, Any] = {
        "event": blueprint.kind.value,
        "amount_unit": blueprint.amount_unit,
        "decimal": decimal,
        "zero_decimals": blueprint.rules.zero_decimals,
        "timezone": shape.timezone or "UTC",
        "date_format": list(shape.date_format),
        "encoding": encoding,
        "delimiter": _DELIMITERS.get(delimiter, delimiter),
        "header_line": shape.header_line,
        "footer_lines": shape.footer_lines,
        "skip_unattributed": shape.skip_unattributed,
        "where": list(shape.where),
        "map": {name: _expression(sources, blueprint.header) for name, sources in blueprint.sources.items()},
        "defaults": dict(blueprint.constants),
        "nothing": {name: sorted(words) for name, words in _nothing(blueprint).items()},
    }
    table["map"].update((name, []) for name, expression in shape.mapping if not expression)
    table.update((key, kept[key]) for key in ("skip", "fold", "refunds", "lacking") if key in kept)
    return {key: value for key, value in table.items() if value}


def _nothing(blueprint: Blueprint) -> dict[str, frozenset[str]]:
    own = {name: words - NOTHING if name in IDS else words for name, words in blueprint.nothing.items()}
    return {name: words for name, words in own.items() if words}


def _expression(sources: Sequence[AnySource], header: Sequence[str]) -> object:
    """Return sources as an expression as in ``--map``, or as a list if a name contains a separator."""
    each = [
        [part.label for part in source.parts] if isinstance(source, Joined) else [source.label]
        for source in sources
    ]
    if any("|" in text or "+" in text for text in (*header, *(label for labels in each for label in labels))):
        return [labels[0] if len(labels) == 1 else {"join": labels} for labels in each]
    return "|".join("+".join(labels) for labels in each)


def _toml(table: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not _is_section(value)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(f"{_key(name)} = {_value(each)}" for name, each in value.items())]
        elif _is_section(value):
            for section in value:
                lines += ["", f"[[{key}]]", *(f"{_key(name)} = {_value(each)}" for name, each in section.items())]
    return "\n".join(lines) + "\n"


def _is_section(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # A JSON string is a TOML string, except that TOML does not allow an unescaped DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else _value(name)
