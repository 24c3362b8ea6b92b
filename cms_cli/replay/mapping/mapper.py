"""Maps a row of cells to an event, a skipped row or a list of problems. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Callable

from cms_cli.replay.mapping.blueprint import Blueprint, zone_of
from cms_cli.replay.mapping.columns import AnySource, Column, argument, fields_of
from cms_cli.replay.mapping.notices import OPTIONAL, Notices
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
from cms_cli.replay.values.cells import keys_of_object
from cms_cli.replay.values.date_formats import check_date_format
from cms_cli.replay.values.ids import IDS, NOTHING, spoiled
from cms_cli.replay.values.money import AmountFormat, parse_cli_amount, parse_minor, plain_minor
from cms_cli.replay.values.times import TimeColumn, parse_instant, to_wire
from cms_cli.replay.values.zones import zone_for_header
from cms_python import EventKind, Field

_ANOTHER = "fill it in; or try another column, as in --map {name}=A|B; or leave such rows out with {{where}}"
_WAYS_OUT = {
    "click_id": "rows that no link brought can be left out with --skip-unattributed",
    "event_name": "fill it in, or say --event-name for the rows that have none",
    "customer_external_id": _ANOTHER.format(name="customer_external_id"),
    "invoice_id": _ANOTHER.format(name="invoice_id"),
    "amount": "fill it in, 0 for a free order; or leave such rows out with {where}",
    "currency": "fill it in, or say --currency for the rows that have none",
}
"""The hints for rows that lack a required field, by its Python name."""

_FOR_LACK_OF_A_CURRENCY = ("currency_missing", "currency_unknown")
_FEW = 256
_new = tuple.__new__  # half the time of calling the named tuple

UNATTRIBUTED = "no click id: no link brought this customer"


_Read = Callable[[Sequence[str]], object]
"""Returns a field's wire value for the cells of a row, or a Problem with its column; None if the row has none."""


_Step = tuple[str, str, _Read, Sequence[_Read]]
"""A field: its Python name, its wire name, the reader of its first source, and those of further sources.

It is a plain tuple because unpacking it takes half the time of a named one.
"""


class Mapper:
    """Maps the rows of one file to events.

    Attributes:
        blueprint: The resolved mapping.
        notices: The notices about the rows so far.
        now: The time to use for the value ``now``.
        amount_format: The format of amounts in major units; None if there are none.
        empty: The number of cells of each column of ids that were a word for nothing, by that word.
        zone: The time zone for times without an offset.
    """

    def __init__(self, blueprint: Blueprint, now: datetime, amount_format: AmountFormat | None) -> None:
        """Prepare a reader for each field.

        Args:
            blueprint: The resolved mapping.
            now: The time to use for the value ``now``.
            amount_format: The format of amounts in major units; None if there are none.

        Raises:
            InputError: A time zone or date format is not valid.
        """
        self.blueprint = blueprint
        self.now = now
        if amount_format is not None:
            amount_format = amount_format._replace(zero_decimals=blueprint.rules.zero_decimals)
        self.amount_format = amount_format
        shape = blueprint.shape
        self.zone = zone_of(shape)
        if shape.date_format and (problem := check_date_format(shape.date_format)):
            raise InputError(f"--date-format {problem.message}", problem.hint)
        self.empty: dict[str, Counter[str]] = {}
        self.notices = Notices()
        ids = blueprint.sources.get("invoice_id", ())
        # Columns that have the invoice's id and also serve as the customer's id if other columns are empty.
        self._own_id = frozenset(blueprint.sources.get("customer_external_id", ())[1:]).intersection(ids)
        self._skip_unattributed = shape.skip_unattributed
        self._watches = bool(self._own_id) or blueprint.kind is EventKind.LEAD
        self._steps: list[_Step] = []
        for field in fields_of(blueprint.kind).values():
            readers = self._readers(field)
            if readers:
                self._steps.append((field.name, field.wire, readers[0], readers[1:]))

    def event_of(self, row: SourceRow) -> PlannedRow:
        """Map a row that no rule or condition has left out."""
        number, line, cells = row.row, row.line, row.cells
        if self._skip_unattributed and not self.blueprint.read("click_id", cells)[0]:
            for click in self.blueprint.sources.get("click_id", ()):
                self._count_empty(click, click.read(cells))
            return SkippedRow(number, line, cells, "unattributed", UNATTRIBUTED)
        wire: dict[str, Any] = {}
        wrong: dict[str, Problem] = {}
        for name, key, read, others in self._steps:
            value = read(cells)
            if value is None and others:
                value = next((found for other in others if (found := other(cells)) is not None), None)
            if type(value) is Problem:
                wrong[name] = value._replace(row=number, line=line)
            elif value is not None:
                wire[key] = value
        if len(wire) < len(self._steps) or "mode" in wire:
            missing = self._missing(row, wire, wrong)
            if "currency" not in wire and "amount" in wrong and wrong["amount"].code in _FOR_LACK_OF_A_CURRENCY:
                del wrong["amount"]  # the currency's own problem says it
            problems = [problem for name, problem in wrong.items() if name not in OPTIONAL]
            problems += missing
            if problems:
                return RowProblem(number, line, cells, tuple(problems), wire)
        refunded = self._refunded(row, wire) if self.blueprint.refunds else 0
        if not isinstance(refunded, int):
            return refunded
        if wrong or self._watches:
            self._notice(cells, wire, wrong.values())
        return _new(PlannedEvent, (number, line, cells, wire, refunded))

    def _notice(self, cells: Sequence[str], wire: dict[str, Any], optional: Iterable[Problem]) -> None:
        for problem in optional:
            self.notices.left_out.add(problem)
        if self.blueprint.kind is EventKind.LEAD:
            self.notices.without_click += "clickId" not in wire and "mode" not in wire
        elif self._own_id and wire["customerExternalId"] == wire["invoiceId"]:
            source = self.blueprint.read("customer_external_id", cells)[1]
            self.notices.without_customer += source in self._own_id

    def _count_empty(self, source: AnySource, text: str) -> None:
        if text in NOTHING:
            self.empty.setdefault(source.label, Counter())[text] += 1

    def _refunded(self, row: SourceRow, wire: dict[str, Any]) -> int | SkippedRow | RowProblem:
        """Return the refunded amount in minor units, the skipped row if it was refunded in full, or its problem."""
        rule = self.blueprint.rules.refunds
        assert rule is not None
        amount: int = wire["amount"]
        for source in self.blueprint.refunds:
            found = refunds.read(source.read(row.cells), rule.each, str(wire["currency"]), self._amount)
            if isinstance(found, Problem):
                message = f"{source.column} {found.message}"
                problem = Problem(found.code, message, found.hint, source.column, row.row, row.line)
                return RowProblem(row.row, row.line, row.cells, (problem,), wire)
            if found:
                if rule.in_full and found >= amount:
                    return SkippedRow(row.row, row.line, row.cells, "rule", rule.in_full)
                return found
        return 0

    def _missing(self, row: SourceRow, wire: dict[str, Any], wrong: Container[str]) -> list[Problem]:
        fields = fields_of(self.blueprint.kind)
        found = []
        for name in self.blueprint.required:
            sources = self.blueprint.sources.get(name, ())
            if fields[name].wire in wire or name in wrong:
                continue  # it is there, or its problem is already reported
            column = "|".join(source.label for source in sources) or name
            by_itself = len(sources) == 1 and isinstance(sources[0], Column)
            where = f"--where {argument(f'{column}!=')}" if by_itself else "--where"
            hint = _WAYS_OUT[name].format(where=where)
            code, message = f"{name}_missing", f"{column} is empty"
            found.append(Problem(code, message, hint, column, row.row, row.line))
        if wire.get("mode") == "deferred" and "clickId" not in wire:
            message = 'mode is "deferred", which needs a click id'
            found.append(Problem("click_id_missing", message, row=row.row, line=row.line))
        return found

    def _readers(self, field: Field) -> list[_Read]:
        """Return the readers of a field in order of precedence: one for each source, then one for the constant."""
        sources = self.blueprint.sources.get(field.name, ())
        readers = [self._reader(field, source, source.read) for source in sources]
        constant = self.blueprint.constants.get(field.name)
        return [*readers, self._reader(field, None, lambda _: constant)] if constant else readers

    def _reader(self, field: Field, source: AnySource | None, text_of: Callable[[Sequence[str]], str]) -> _Read:
        """Return the reader of a field for one source, or for the constant if the source is None."""
        name = field.name
        column, label = (source.column, source.column or name) if source else (None, name)
        nothing = self.blueprint.nothing.get(name, frozenset())
        holds_id = name in IDS
        check: Callable[[str], object] = field.check
        # An amount is read together with the currency of its row.
        amount_of = self._amount_of(source) if name == "amount" else None
        if name == "timestamp":
            check = self._time_of(source)
        elif name in ("event_name", "currency"):
            check = lru_cache(_FEW)(check)  # a file has few of them

        def read(cells: Sequence[str]) -> object:
            text = text_of(cells)
            if not text:
                return None
            if source is not None and text in nothing:
                self._count_empty(source, text)
                return None
            if text[0] in "{[" and source is not None and (keys := keys_of_object(text)) is not None:
                return _object(text, name, label, keys).in_column(column, label)
            try:
                value = amount_of(text, cells) if amount_of else (holds_id and spoiled(text)) or check(text)
            except ValueError as error:
                value = Problem(f"{name}_invalid", f"{shown(text)} {error}")
            return value.in_column(column, label) if type(value) is Problem else value

        return read

    def _amount_of(self, source: AnySource | None) -> Callable[[str, Sequence[str]], object]:
        minor = self.blueprint.amount_unit == "minor"

        def amount_of(text: str, cells: Sequence[str]) -> object:
            amount: object = plain_minor(text) if minor else None
            if amount is not None:
                return amount
            currency = self.blueprint.read("currency", cells)[0].upper()
            if source is None and not minor:
                return parse_cli_amount(text, currency)
            amount = self._amount(text, currency)
            if type(amount) is Problem and source is not None:
                hint = amount.hint.replace('"COLUMN>=0"', argument(f"{source.label}>=0"))
                return amount._replace(hint=hint)
            return amount

        return amount_of

    def _amount(self, text: str, currency: str) -> int | Problem:
        """Parse an amount to minor units."""
        if self.blueprint.amount_unit == "minor":
            said, zeros = bool(self.blueprint.shape.amount_unit), self.blueprint.rules.zero_decimals
            return parse_minor(text, currency, unit_said=said, zero_decimals=zeros)
        assert self.amount_format is not None
        return self.amount_format.parse(text, currency)

    def _time_of(self, source: AnySource | None) -> Callable[[str], object]:
        formats = self.blueprint.shape.date_format or None
        zone = zone_for_header(source.column, self.zone) if source else self.zone
        column = TimeColumn(zone, date_format=formats if source else None, now=self.now)
        if source is not None or not formats:
            return column.wire

        def time_of(text: str) -> object:
            found = column.wire(text)
            if isinstance(found, Problem):
                # The constant of --timestamp may be in any form that a single event accepts, or in --date-format.
                instant = parse_instant(text, self.zone, date_format=formats)
                return instant if isinstance(instant, Problem) else to_wire(instant)
            return found

        return time_of


def _object(text: str, field: str, label: str, keys: Sequence[str]) -> Problem:
    key = keys[0] if keys else "KEY"
    return Problem(
        f"{field}_object",
        f"{shown(text)} is JSON, and not a single value",
        f"say which value in it is meant, as in --map {argument(f'{field}={label}[{key}]')}",
    )


def mapped_columns(blueprint: Blueprint, rows: Sequence[Sequence[str]]) -> tuple[MappedColumn, ...]:
    """Return every mapped field with its columns and a few of its values.

    Args:
        blueprint: The resolved mapping.
        rows: The cells of the rows to take values from.
    """
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
