"""Shows presets, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cms_cli.replay.mapping.presets import Preset
from cms_cli.terminal.console import Console
from cms_cli.terminal.table import Column, listing


def all_presets(console: Console, form: str, presets: Sequence[Preset]) -> None:
    """Show the name and description of every preset."""
    if form == "json":
        console.json([_as_dict(preset) for preset in presets])
        return
    if form == "jsonl":
        for preset in presets:
            console.json_line(_as_dict(preset))
        return
    rows = [(preset.name, preset.rules.about) for preset in presets]
    listing(console, (Column("preset"), Column("reads")), rows)
    console.note("Show one, to copy and change: cms presets NAME")
    console.note("Use one: cms sale --from-csv FILE --preset NAME")


def one(console: Console, form: str, preset: Preset) -> None:
    """Show a preset: as the text of a mapping file, or as JSON."""
    if form == "table":
        console.result(preset.text.rstrip("\n"))
    else:
        content: dict[str, Any] = json.loads(preset.content)
        console.document({**_as_dict(preset), "known_by": preset.rules.known_by, **content}, form)


def _as_dict(preset: Preset) -> dict[str, Any]:
    return {"preset": preset.name, "about": preset.rules.about}
