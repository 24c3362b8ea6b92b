"""Builds a replay's :class:`Shape` from flags, presets and mapping files."""

from __future__ import annotations

from dataclasses import replace

from cms_cli.commands.request import FileFlags, TrackRequest
from cms_cli.config.homes import expanded
from cms_cli.config.origin import OriginKind
from cms_cli.config.settings import Settings
from cms_cli.errors import CommandError
from cms_cli.replay.mapping import mapping_file, presets
from cms_cli.replay.mapping.rule import Rules
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError
from cms_python import EventKind


def shape_of(request: TrackRequest, settings: Settings) -> Shape:
    """Build the shape from the flags, and from the preset or mapping file that they name.

    Raises:
        CommandError: A flag or the mapping file cannot be used.
    """
    flags = request.file
    lines = flags.from_jsonl is not None
    of_csv = {
        "--delimiter": flags.delimiter,
        "--header-line": flags.header_line,
        "--footer-lines": flags.footer_lines,
    }
    for flag, value in of_csv.items():
        if lines and value:
            raise CommandError(f"{flag} cannot be used with --from-jsonl")
    _check_decimal(flags.decimal)
    constants = {name: text for name, text in request.event.texts(request.kind).items() if text is not None}
    zone = settings.get("timezone")
    shape = Shape(
        format="jsonl" if lines else "csv",
        mapping=tuple(_pair("--map", text) for text in flags.map or ()),
        constants=tuple(sorted(constants.items())),
        where=tuple(flags.where or ()),
        skip_unattributed=flags.skip_unattributed,
        amount_unit=request.event.unit,
        decimal=flags.decimal or "",
        timezone="" if zone.origin.kind is OriginKind.DEFAULT else str(zone.value),
        date_format=tuple(flags.date_format or ()),
        encoding=flags.encoding or "",
        delimiter=flags.delimiter or "",
        header_line=flags.header_line or 0,
        footer_lines=flags.footer_lines or 0,
    )
    return _with_rules(shape, request.kind, flags, settings)


def _check_decimal(text: str | None) -> None:
    """Refuse an unknown decimal mark, even for a file whose amounts have none."""
    if not text:
        return
    from cms_cli.replay.model import Problem
    from cms_cli.replay.values.money import AmountColumn

    found = AmountColumn().decide(text)
    if isinstance(found, Problem):
        raise CommandError(f"--decimal {found.message}", found.hint)


def _with_rules(shape: Shape, kind: EventKind, flags: FileFlags, settings: Settings) -> Shape:
    preset, mapping = flags.preset, flags.mapping
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
    """Return the rules and the JSON of what ``--mapping`` names: a table of the config file, else a file."""
    config = settings.config
    if name in config.mappings:
        text = config.path.read_text(encoding="utf-8")
        return mapping_file.checked(config.mappings[name], str(config.path), text, f"mappings.{name}")
    path = expanded(name)
    if not path.exists() and path.name == name and not path.suffix:
        known = f"it has {', '.join(config.mappings)}" if config.mappings else "it has none"
        raise InputError(
            f"--mapping {name}: there is no such file, and no [mappings.{name}] in {config.path}, {known}",
            f"It is a preset: --preset {name}"
            if name in presets.names()
            else "cms presets shopify > mine.toml makes a file to begin with.",
        )
    return mapping_file.read(path)


def _pair(flag: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise CommandError(f'{flag} "{text}" is not FIELD=COLUMN')
    return name.strip(), value.strip()
