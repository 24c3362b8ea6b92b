"""Resolves the mapping of one file from its header, the rules of a preset or mapping file, and the flags.

A flag takes precedence over a rule, and a rule over a column with the name of a field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from cms_cli.replay.mapping import columns, presets, rules, suggest
from cms_cli.replay.mapping.columns import AnySource, Expression
from cms_cli.replay.mapping.conditions import CellFormats
from cms_cli.replay.mapping.rule import FieldRule, Rules
from cms_cli.replay.mapping.selection import Selection
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError, Problem
from cms_cli.replay.values.ids import IDS, NOTHING
from cms_cli.replay.values.money import AmountColumn, AmountFormat
from cms_cli.replay.values.zones import zone_named
from cms_python import LEAD_REQUIRED, SALE_REQUIRED, EventKind


@dataclass(frozen=True)
class Blueprint:
    """The resolved mapping of one file. Fields are given by their Python names.

    Attributes:
        kind: Lead or sale.
        header: The file's column names.
        shape: The flags, with the settings of the rules filled in.
        rules: The preset or mapping file; empty if there is none.
        sources: The sources of each field; the first with a value is used.
        constants: The value of each field for rows without one of their own.
        nothing: The values of each field that count as empty.
        required: The required fields.
        amount_unit: ``minor`` or ``major``; "" for a lead.
        refunds: The sources of the refunded amount; empty if there are none.
        selection: The rules and conditions for leaving out rows.
    """

    kind: EventKind
    header: Sequence[str]
    shape: Shape
    rules: Rules
    sources: Mapping[str, tuple[AnySource, ...]]
    constants: Mapping[str, str]
    nothing: Mapping[str, frozenset[str]]
    required: tuple[str, ...]
    amount_unit: str
    refunds: tuple[AnySource, ...]
    selection: Selection

    @property
    def timestamp_mapped(self) -> bool:
        """True if events have times of their own; otherwise the service dates them."""
        return "timestamp" in self.sources or "timestamp" in self.constants

    def read(self, field: str, cells: Sequence[str]) -> tuple[str, AnySource | None]:
        """Return the text of a field in a row, and its source.

        Args:
            field: The field's Python name.
            cells: The cells of the row.

        Returns:
            The text and the source that has it. If no source has one, the constant (or "") and None.
        """
        for source in self.sources.get(field, ()):
            text = source.read(cells)
            if text and text not in self.nothing.get(field, ()):
                return text, source
        return self.constants.get(field, ""), None


def settle(kind: EventKind, header: Sequence[str], shape: Shape) -> Blueprint:
    """Resolve the source of every field of a file.

    Args:
        kind: Lead or sale.
        header: The file's column names.
        shape: The flags, with preset or mapping file.

    Raises:
        InputError: A required field has no source, a column is missing, or a flag is malformed.
    """
    ruled = rules.from_json(shape.rules)
    zone = zone_of(shape)
    fields = columns.fields_of(kind)
    own = _mapped(kind, shape)
    sources: dict[str, tuple[AnySource, ...]] = {}
    by_rule = dict(ruled.fields)
    for name in fields:
        if own.get(name) == "":
            found = _left_out(kind, name)
        elif name in own:
            found = columns.every(header, own[name], f"--map {name}")
        elif name in by_rule:
            found = _by_rule(header, name, by_rule[name])
        else:
            found = columns.by_name(fields, header, name)
        if found:
            sources[name] = found
    constants = _constants(header, ruled, shape, fields)
    for name in [name for name, expression in own.items() if not expression]:
        constants.pop(name, None)
    required = LEAD_REQUIRED if kind is EventKind.LEAD else SALE_REQUIRED
    missing = [name for name in required if name not in sources and name not in constants]
    if "click_id" in missing and shape.skip_unattributed:
        missing.remove("click_id")
    if missing:
        raise _lacking(kind, header, shape, ruled, missing)
    sale = kind is EventKind.SALE
    return Blueprint(
        kind,
        header,
        shape,
        ruled,
        sources,
        constants,
        _nothing(ruled, own),
        required,
        amount_unit(sources, shape, ours=not any(name in own or name in by_rule for name in required))
        if sale
        else "",
        _refunds(header, ruled) if sale else (),
        _selection(header, shape, ruled, zone),
    )


def _selection(header: Sequence[str], shape: Shape, ruled: Rules, zone: tzinfo) -> Selection:
    try:
        return Selection(header, ruled, shape.where, CellFormats(zone, shape.date_format, _decimal_mark(shape)))
    except InputError as error:
        error.hint = _doubt(header, shape) + error.hint
        raise


def _doubt(header: Sequence[str], shape: Shape) -> str:
    """Return a question for a hint if the file does not look like an export of the preset that was named."""
    if not shape.preset or presets.suggested(header) is not None:
        return ""
    return f"Is it an export of {presets.preset(shape.preset).title}? Its header does not look like one.\n"


def fitting(kind: EventKind, header: Sequence[str], shape: Shape) -> int:
    """Return the number of fields that have a column in a header, to compare lines that may be the header."""
    ruled = rules.from_json(shape.rules)
    by_rule = {name: rule.expressions for name, rule in ruled.fields}
    own = _mapped(kind, shape)
    found = 0
    for name in columns.fields_of(kind):
        expressions = [own[name]] if name in own else by_rule.get(name, (name, columns.fields_of(kind)[name].wire))
        found += any(_has(header, expression) for expression in expressions)
    return found


def _has(header: Sequence[str], expression: Expression) -> bool:
    try:
        return bool(
            columns.every(header, expression, "")
            if isinstance(expression, str)
            else columns.like(header, expression)
        )
    except InputError:
        return False


def zone_of(shape: Shape) -> tzinfo:
    """Return the time zone for times without an offset.

    Raises:
        InputError: There is no zone with this name.
    """
    zone = zone_named(shape.timezone or "UTC")
    if isinstance(zone, Problem):
        raise InputError(f"--timezone {zone.message}", zone.hint)
    return zone


def _decimal_mark(shape: Shape) -> str:
    """Return the decimal mark that a flag or the rules set, or ""."""
    found = AmountColumn().decide(shape.decimal) if shape.decimal else None
    return found.decimal if isinstance(found, AmountFormat) else ""


def amount_unit(sources: Mapping[str, tuple[AnySource, ...]], shape: Shape, *, ours: bool) -> str:
    """Return the unit of amounts: ``minor`` or ``major``.

    Args:
        sources: The sources of each field.
        shape: The flags, with preset or mapping file.
        ours: Whether the file is plainly in our own form, as no required field had to be mapped. Its amounts are in
            minor units.

    Raises:
        InputError: Neither a flag nor the rules set the unit, and the file is not plainly in our own form.
    """
    if shape.amount_unit:
        return shape.amount_unit
    columns = sources.get("amount", ())
    if columns and not ours:
        raise InputError(
            f'the column "{columns[0].label}" may hold 49.99 or 4999 for the same price, and nothing says which',
            "Say --amount-unit major (49.99) or --amount-unit minor (4999, cents).",
        )
    return "minor"


def _nothing(ruled: Rules, own: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the values that count as empty, by field: those of the rules, and in columns of ids also NOTHING."""
    found = {name: frozenset(values) for name, values in ruled.nothing if name not in own}
    return {**found, **{name: found.get(name, frozenset()) | NOTHING for name in IDS}}


def _mapped(kind: EventKind, shape: Shape) -> dict[str, str]:
    """Return the column expressions of ``--map`` by field; "" for a field that is left out."""
    fields = columns.fields_of(kind)
    found: dict[str, str] = {}
    for name, expression in shape.mapping:
        field = columns.field_named(fields, name, f"a {kind.value}")
        if field in found:
            raise InputError(f"--map names {field} twice", f"Write --map '{field}=A|B' to try several columns.")
        found[field] = expression
    return found


def _left_out(kind: EventKind, name: str) -> tuple[AnySource, ...]:
    required = LEAD_REQUIRED if kind is EventKind.LEAD else SALE_REQUIRED
    if name in required:
        raise InputError(f"--map {name}= leaves out what a {kind.value} needs", "Name its column.")
    return ()


def _by_rule(header: Sequence[str], field: str, rule: FieldRule) -> tuple[AnySource, ...]:
    found: list[AnySource] = []
    for expression in rule.expressions:
        if rule.strict and isinstance(expression, str):
            found += columns.every(header, expression, f"map.{field}")
            continue
        alike = columns.like(header, expression, any_spelling=not rule.strict)
        if rule.strict and not alike:
            lost = next(part for part in expression if not columns.like(header, part))
            raise columns.absent(header, lost, f"map.{field}")
        # Several spellings in a list may mean the same column.
        found += [source for source in alike if source not in found]
    return tuple(found)


def _constants(header: Sequence[str], ruled: Rules, shape: Shape, fields: Mapping[str, object]) -> dict[str, str]:
    found = dict(ruled.defaults)
    for column, values in ruled.defaults_with:
        if columns.like(header, column):
            found.update(values)
    found.update(shape.constants)
    return {name: value for name, value in found.items() if name in fields}


def _refunds(header: Sequence[str], ruled: Rules) -> tuple[AnySource, ...]:
    names = ruled.refunds.columns if ruled.refunds is not None else ()
    return tuple(source for name in names for source in columns.like(header, name)[:1])


def _lacking(
    kind: EventKind, header: Sequence[str], shape: Shape, ruled: Rules, missing: Sequence[str]
) -> InputError:
    said = [f"--{name} {value}" for name in ("delimiter", "encoding") if (value := getattr(shape, name))]
    if len(header) == 1 and said:
        return InputError(
            f"no column for {', '.join(missing)}; the first line is one column: {columns.listed(header)}",
            f"Correct {' and '.join(said)}, or leave that out: it is found",
        )
    error = suggest.lacking(kind, header, missing, dict(ruled.lacking))
    # A user's own mapping is trusted to fit the file.
    known = presets.suggested(header) if shape.preset or not shape.rules else None
    if known is not None and known.name != shape.preset and kind is EventKind.SALE:
        error.hint = f"It looks like an export of {known.title}: try --preset {known.name}.\n{error.hint}"
    error.hint = _doubt(header, shape) + error.hint
    if shape.header_line:
        error.hint = f"Is the header on line {shape.header_line}, as --header-line says?\n{error.hint}"
    return error
