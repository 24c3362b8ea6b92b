"""Shows settings with their origins, as text or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cms_cli.access.tokens import TokenSource
from cms_cli.config.origin import Origin, Setting
from cms_cli.config.settings import Settings
from cms_cli.config.state_url import without_password
from cms_cli.terminal.console import Console
from cms_cli.terminal.table import Column, report

HIDDEN = "(hidden)"
"""Shown instead of a token."""


def settings(
    console: Console, known: Settings, found: Mapping[str, Setting[Any]], sources: Sequence[TokenSource]
) -> None:
    """Show every setting and its origin; of a token only the origin."""
    rows: dict[str, tuple[Any, Origin | None]] = {key: (each.value, each.origin) for key, each in found.items()}
    rows["token"] = (HIDDEN, sources[0].origin) if sources else (None, None)
    url, origin = rows["state_url"]
    rows["state_url"] = (url and without_password(url), origin)
    if known.output == "table":
        cells = [(key, _plain(value), str(origin or "")) for key, (value, origin) in rows.items()]
        report(console, (Column("setting"), Column("value"), Column("from")), cells)
        missing = "" if known.config.exists else " (there is no such file yet)"
        console.note(f"config file: {known.config.path}{missing}")
        return
    value = {
        "path": str(known.config.path),
        "exists": known.config.exists,
        "profiles": sorted(known.config.profiles),
        "settings": {key: _entry(value, origin) for key, (value, origin) in rows.items()},
    }
    console.document(value, known.output)


def one(console: Console, form: str, key: str, value: object, origin: Origin | None) -> None:
    """Show the bare value of one setting; as text, nothing if it has none."""
    name = key.rpartition(".")[2]
    if name == "token" and value is not None:
        value = HIDDEN
    if name == "state_url" and isinstance(value, str):
        value = without_password(value)
    if form != "table":
        console.document({"key": key, **_entry(value, origin)}, form)
    elif value is not None:
        console.result(_plain(value))


def _entry(value: object, origin: Origin | None) -> dict[str, object]:
    return {"value": value, "origin": origin.to_dict() if origin else None}


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()  # as it is written in the file
    return " ".join(value) if isinstance(value, list) else str(value)
