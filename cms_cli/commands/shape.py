"""From flags, presets and mapping files to what shapes the events of a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cms_cli.config.homes import expanded
from cms_cli.config.origin import OriginKind
from cms_cli.config.settings import Settings
from cms_cli.errors import CommandError
from cms_cli.replay.mapping import mapping_file, presets
from cms_cli.replay.mapping.rules import Rules
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError
from cms_python import LEAD_FIELDS, SALE_FIELDS, EventKind


def input_of(parameters: Mapping[str, Any]) -> str:
    """Give the file that is to be replayed: ``--from-csv`` or ``--from-jsonl``."""
    path = parameters["from_jsonl"] if parameters["from_csv"] is None else parameters["from_csv"]
    return str(path)


def shape_of(kind: EventKind, parameters: Mapping[str, Any], settings: Settings) -> Shape:
    """Read the flags that shape events, with the preset or mapping file that they name.

    Raises:
        CommandError: A flag or the mapping file cannot be used.
    """
    lines = parameters["from_jsonl"] is not None
    if lines and parameters["delimiter"]:
        raise CommandError("--delimiter means nothing with --from-jsonl")
    _check_decimal(parameters.get("decimal"))
    fields = LEAD_FIELDS if kind is EventKind.LEAD else SALE_FIELDS
    constants = {name: parameters[name] for name in fields if parameters.get(name) is not None}
    if parameters.get("deferred"):
        constants.setdefault("mode", "deferred")
    unit = parameters.get("amount_unit")
    zone = settings.get("timezone")
    shape = Shape(
        format="jsonl" if lines else "csv",
        mapping=tuple(_pair("--map", text) for text in parameters["map"] or ()),
        constants=tuple(sorted(constants.items())),
        where=tuple(parameters["where"] or ()),
        skip_unattributed=bool(parameters.get("skip_unattributed")),
        amount_unit=unit.value if unit is not None else "",
        decimal=parameters.get("decimal") or "",
        timezone="" if zone.origin.kind is OriginKind.DEFAULT else str(zone.value),
        date_format=parameters["date_format"] or "",
        encoding=parameters["encoding"] or "",
        delimiter=parameters["delimiter"] or "",
    )
    return _with_rules(shape, kind, parameters, settings)


def _check_decimal(text: str | None) -> None:
    """Refuse a sign that no amount has, also for a file whose amounts have none."""
    if not text:
        return
    from cms_cli.replay.values.money import AmountColumn
    from cms_cli.replay.values.problem import ValueProblem

    found = AmountColumn().decide(text)
    if isinstance(found, ValueProblem):
        raise CommandError(f"--decimal {found.message}", found.hint)


def _with_rules(shape: Shape, kind: EventKind, parameters: Mapping[str, Any], settings: Settings) -> Shape:
    preset, mapping = parameters["preset"], parameters["mapping"]
    if preset is not None and mapping is not None:
        raise CommandError(
            "--preset and --mapping contradict each other",
            f"Copy the preset and change it: cms presets {preset} > mine.toml, then --mapping mine.toml",
        )
    try:
        if preset is not None:
            known = presets.preset(preset)
            rules, content, name = known.rules, known.content, f"the preset {known.name}"
            shape = replace(shape, preset=known.name)
        elif mapping is not None:
            rules, content = _mapping(mapping, settings)
            name = f"the mapping {mapping}"
        else:
            return shape
    except InputError as error:
        raise CommandError(error.message, error.hint) from error
    if rules.event and rules.event != kind.value:
        raise CommandError(
            f"{name} is for {rules.event}s", f"Use cms {rules.event}, or a mapping file of your own."
        )
    return shape.under(rules, content)


def _mapping(name: str, settings: Settings) -> tuple[Rules, str]:
    """Read what ``--mapping`` names: a table of the config file, else a file."""
    config = settings.config
    if name in config.mappings:
        text = config.path.read_text(encoding="utf-8")
        return mapping_file.checked(config.mappings[name], str(config.path), text, f"mappings.{name}")
    path = expanded(name)
    if not path.exists() and path.name == name and not path.suffix:
        known = f"it has {', '.join(config.mappings)}" if config.mappings else "it has none"
        raise InputError(
            f"--mapping {name}: there is no such file, and no [mappings.{name}] in {config.path}, {known}",
            "cms presets shopify > mine.toml makes a file to begin with.",
        )
    return mapping_file.read(path)


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise CommandError(f'{flag} "{text}" is not FIELD=COLUMN')
    return name.strip(), value.strip()
