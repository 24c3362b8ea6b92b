"""The presets: known exports, each a mapping file in :mod:`cms_cli.presets`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from cms_cli.nearest import did_you_mean
from cms_cli.replay.mapping import mapping_file
from cms_cli.replay.mapping.columns import folded
from cms_cli.replay.mapping.rule import Rules
from cms_cli.replay.model import InputError


class Preset(NamedTuple):
    """A known export.

    Attributes:
        name: Its name for ``--preset``, the file's name without its ending.
        text: The text of the mapping file.
        rules: Its rules.
        content: The part of it that shapes events, as JSON.
    """

    name: str
    text: str
    rules: Rules
    content: str

    @property
    def title(self) -> str:
        """The name of the product whose export it reads, for people."""
        return self.rules.title


@cache
def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    folder = resources.files("cms_cli.presets")
    return tuple(sorted(each.name[: -len(".toml")] for each in folder.iterdir() if each.name.endswith(".toml")))


@cache
def preset(name: str) -> Preset:
    """Return a preset.

    Args:
        name: Its name, in any spelling.

    Raises:
        InputError: There is no preset with this name.
    """
    key = folded(name)
    if key not in names():
        is_file = name.endswith(".toml")
        meant = f"A mapping file is named with --mapping {name}." if is_file else did_you_mean(name, names())
        listed = f"There are {', '.join(names())}; cms presets shows them."
        raise InputError(f'there is no preset "{name}"', f"{meant} {listed}".lstrip())
    text = (resources.files("cms_cli.presets") / f"{key}.toml").read_text(encoding="utf-8")
    rules, content = mapping_file.parse(text, f"the preset {key}")
    return Preset(key, text, rules, content)


def suggested(header: Sequence[str]) -> Preset | None:
    """Return the preset for whose export a header is typical, or None."""
    own = {folded(name) for name in header}
    for name in names():
        found = preset(name)
        if any(own.issuperset(map(folded, names)) for names in found.rules.known_by):
            return found
    return None
