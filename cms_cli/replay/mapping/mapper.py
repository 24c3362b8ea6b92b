"""A row of cells to an event that can be sent, to why it is left out, or to all that is wrong with it. Pure.

Rows are looked at one by one here, with care. What :mod:`~cms_cli.replay.mapping.bulk` can vouch for never gets
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Callable, NamedTuple

from cms_cli.replay.mapping.blueprint import Blueprint
from cms_cli.replay.mapping.columns import AnySource, Source, argument, fields_of
from cms_cli.replay.model import (
    SAMPLES,
    InputError,
    MappedColumn,
    PlannedEvent,
    PlannedRow,
    Problem,
    RowProblem,
    SkippedRow,
    SourceRow,
)
from cms_cli.replay.problems import shown
from cms_cli.replay.values import refunds
from cms_cli.replay.values.ids import IDS, shortened
from cms_cli.replay.values.money import AmountFormat, parse_cli_amount, parse_minor
from cms_cli.replay.values.problem import ValueProblem
from cms_cli.replay.values.times import check_date_format, parse_instant
from cms_cli.replay.values.zones import zone_for_header, zone_named
from cms_python import Field, encode_wire

Planned = PlannedRow

_ANOTHER = "fill it in; or try another column, as in --map {name}=A|B; or leave such rows out with {{where}}"
_WAYS_OUT = {
    "click_id": "rows that no link brought can be left out with --skip-unattributed",
    "event_name": "fill it in, or say --event-name for the rows that have none",
    "customer_external_id": _ANOTHER.format(name="customer_external_id"),
    "invoice_id": _ANOTHER.format(name="invoice_id"),
    "amount": "fill it in, 0 for a free order; or leave such rows out with {where}",
    "currency": "fill it in, or say --currency for the rows that have none",
}
"""What to do about a row that lacks a field."""

UNATTRIBUTED = "no click id: no link brought this customer"


class BadValueError(Exception):
    """One value breaks a rule; carries code, message and hint of its problem."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class _Step(NamedTuple):
    field: Field
    read: Callable[[str, AnySource | None, str], object]


class Mapper:
    """Maps the rows of one file. Made once, when the header and the column formats are known.

    Attributes:
        blueprint: Where everything comes from.
        now: What ``now`` means.
        amount_format: How amounts of major units are written in this file; None where none are read.
    """

    def __init__(self, blueprint: Blueprint, now: datetime, amount_format: AmountFormat | None) -> None:
        """Get ready.

        Raises:
            InputError: A flag cannot be understood.
        """
        self.blueprint = blueprint
        self.now = now
        if amount_format is not None:
            amount_format = amount_format._replace(zero_decimals=blueprint.rules.zero_decimals)
        self.amount_format = amount_format
        shape = blueprint.shape
        zone = zone_named(shape.timezone or "UTC")
        if isinstance(zone, ValueProblem):
            raise InputError(f"--timezone {zone.message}", zone.hint)
        self.zone = zone
        if shape.date_format and (problem := check_date_format(shape.date_format)):
            raise InputError(f"--date-format {problem.message}", problem.hint)
        self._steps = [
            _Step(field, self._reader(field))
            for name, field in fields_of(blueprint.kind).items()
            if name in blueprint.sources or name in blueprint.constants
        ]

    def event_of(self, row: SourceRow) -> Planned:
        """Give the event of a row that is not left out by its place or a condition."""
        blueprint, cells = self.blueprint, row.cells
        if blueprint.shape.skip_unattributed and not blueprint.read("click_id", cells)[0]:
            return SkippedRow(row.row, row.line, cells, "unattributed", UNATTRIBUTED)
        wire: dict[str, object] = {}
        problems: list[Problem] = []
        wrong: set[str] = set()
        currency = blueprint.read("currency", cells)[0].upper()
        for field, read in self._steps:
            text, source = blueprint.read(field.name, cells)
            if not text:
                continue
            try:
                wire[field.wire] = read(text, source, currency)
            except BadValueError as bad:
                column = source.column if source else None
                message = f"{column or field.name} {bad.message}"
                problems.append(Problem(bad.code, message, bad.hint, column, row.row, row.line))
                wrong.add(field.name)
        problems += self._missing(row, wire, wrong)
        if problems:
            return RowProblem(row.row, row.line, cells, tuple(problems), wire)
        refunded = self._refunded(row, wire)
        return _event(row, wire, refunded) if isinstance(refunded, int) else refunded

    def constant(self, name: str) -> object:
        """Give a constant as it goes on the wire.

        Raises:
            BadValueError: It breaks a rule.
        """
        read = next(step.read for step in self._steps if step.field.name == name)
        return read(self.blueprint.constants[name], None, "")

    def _refunded(self, row: SourceRow, wire: dict[str, object]) -> int | SkippedRow | RowProblem:
        """Give how much of an order was paid back; why it is left out where that was all of it."""
        rule = self.blueprint.rules.refunds
        if rule is None or not self.blueprint.refunds:
            return 0
        amount = _as_int(wire["amount"])
        for source in self.blueprint.refunds:
            found = refunds.read(source.read(row.cells), rule.each, str(wire["currency"]), self._amount)
            if isinstance(found, ValueProblem):
                message = f"{source.column} {found.message}"
                problem = Problem(found.code, message, found.hint, source.column, row.row, row.line)
                return RowProblem(row.row, row.line, row.cells, (problem,), wire)
            if found:
                if rule.in_full and found >= amount:
                    return SkippedRow(row.row, row.line, row.cells, "rule", rule.in_full)
                return found
        return 0

    def _missing(self, row: SourceRow, wire: dict[str, object], wrong: set[str]) -> list[Problem]:
        fields = fields_of(self.blueprint.kind)
        found = []
        for name in self.blueprint.required:
            sources = self.blueprint.sources.get(name, ())
            if fields[name].wire in wire or name in wrong:
                continue  # it is there; or it is there and wrong, which is said already
            column = "|".join(source.label for source in sources) or name
            by_itself = len(sources) == 1 and isinstance(sources[0], Source)
            where = f"--where {argument(f'{column}!=')}" if by_itself else "--where"
            hint = _WAYS_OUT[name].format(where=where)
            code, message = f"{name}_missing", f"{column} is empty"
            found.append(Problem(code, message, hint, column, row.row, row.line))
        if wire.get("mode") == "deferred" and "clickId" not in wire:
            message = 'mode is "deferred", which needs a click id'
            found.append(Problem("click_id_missing", message, row=row.row, line=row.line))
        return found

    def _reader(self, field: Field) -> Callable[[str, AnySource | None, str], object]:
        """Give what turns a field's text into what goes on the wire, or raises BadValueError.

        It gets the text, where it stood (None for a constant), and the row's currency.
        """
        if field.name == "amount":
            return self._read_amount
        if field.name == "timestamp":
            return self._read_time

        def read(text: str, _source: AnySource | None, _currency: str) -> object:
            if field.name in IDS and (problem := shortened(text)):
                raise BadValueError(problem.code, problem.message, problem.hint)
            try:
                return field.check(text)
            except ValueError as error:
                raise BadValueError(f"{field.name}_invalid", f"{shown(text)} {error}") from None

        return read

    def _read_amount(self, text: str, source: AnySource | None, currency: str) -> object:
        if source is not None or self.blueprint.amount_unit == "minor":
            amount = self._amount(text, currency)
        else:
            amount = parse_cli_amount(text, currency)
        if isinstance(amount, ValueProblem):
            hint = amount.hint
            if source is not None:
                hint = hint.replace('"COLUMN>=0"', argument(f"{source.label}>=0"))
            raise BadValueError(amount.code, amount.message, hint)
        return amount

    def _amount(self, text: str, currency: str) -> int | ValueProblem:
        """Read an amount out of a cell."""
        if self.blueprint.amount_unit == "minor":
            said, zeros = bool(self.blueprint.shape.amount_unit), self.blueprint.rules.zero_decimals
            return parse_minor(text, currency, unit_said=said, zero_decimals=zeros)
        assert self.amount_format is not None
        return self.amount_format.parse(text, currency)

    def _read_time(self, text: str, source: AnySource | None, _currency: str) -> object:
        zone = zone_for_header(source.column, self.zone) if source else self.zone
        date_format = self.blueprint.shape.date_format or None
        # --date-format is of the file; --timestamp takes what it takes for one event, too.
        instant = parse_instant(text, zone, date_format=date_format if source else None, now=self.now)
        if isinstance(instant, ValueProblem) and date_format and not source:
            instant = parse_instant(text, zone, date_format=date_format)
        if isinstance(instant, ValueProblem):
            raise BadValueError(instant.code, instant.message, instant.hint)
        return fields_of(self.blueprint.kind)["timestamp"].check(instant)


def _event(row: SourceRow, wire: dict[str, object], refunded: int) -> PlannedEvent:
    text = wire.get
    return PlannedEvent(
        row.row,
        row.line,
        row.cells,
        encode_wire(wire).decode(),
        str(wire["customerExternalId"]),
        str(text("invoiceId", "")),
        str(text("clickId", "")),
        _as_int(text("amount", 0)),
        str(text("currency", "")),
        str(text("timestamp", "")),
        refunded,
    )


def _as_int(value: object) -> int:
    assert isinstance(value, int)
    return value


def mapped_columns(blueprint: Blueprint, rows: Sequence[Sequence[str]]) -> tuple[MappedColumn, ...]:
    """Give every field, what it is read from, and a few of its values among some rows."""
    found = []
    for name in fields_of(blueprint.kind):
        sources = blueprint.sources.get(name, ())
        constant = blueprint.constants.get(name)
        if not sources and constant is None:
            continue
        texts = (text for cells in rows for text, source in (blueprint.read(name, cells),) if source is not None)
        samples = tuple(islice(dict.fromkeys(texts), SAMPLES))
        places = [source.label for source in sources]
        found.append(MappedColumn(name, " | ".join(places), samples, constant))
    return tuple(found)
