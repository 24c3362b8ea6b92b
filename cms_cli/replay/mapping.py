"""A row of cells to an event that can be sent, or to what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Union

from cms_cli.replay import columns
from cms_cli.replay.columns import Source
from cms_cli.replay.model import InputError, PlannedEvent, RowProblem, SkippedRow, SourceRow
from cms_cli.replay.money import AmountFormat, MoneyProblem, parse_cli_amount, parse_minor
from cms_cli.replay.options import Shape
from cms_cli.replay.times import TimeProblem, check_date_format, parse_instant, zone_for_header, zone_named
from cms_python import LEAD_REQUIRED, SALE_REQUIRED, EventKind, encode_wire

Planned = Union[PlannedEvent, SkippedRow, "list[RowProblem]"]

_CACHED_VALUES = 4096  # distinct values of a field whose check is remembered: names, currencies, event names repeat


class _BadValueError(Exception):
    """One value breaks a rule; carries code, message and hint of its problem."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Mapper:
    """Maps the rows of one file. Made once, when the header and the column formats are known.

    Attributes:
        sources: By field, the columns it is read from.
        timestamp_mapped: Whether events get their own time, rather than the service's.
    """

    def __init__(
        self,
        kind: EventKind,
        header: Sequence[str],
        shape: Shape,
        now: datetime,
        amount_format: AmountFormat | None,
    ) -> None:
        """Find every field's source.

        Args:
            kind: Lead or sale.
            header: The file's column names.
            shape: What the flags say.
            now: What ``now`` means.
            amount_format: How amounts of major units are written in this file; None where none are read.

        Raises:
            InputError: A required field has no source, or a flag cannot be understood.
        """
        self._kind = kind
        self._header = header
        self._shape = shape
        self._now = now
        self._amount_format = amount_format
        self._required = LEAD_REQUIRED if kind is EventKind.LEAD else SALE_REQUIRED
        self._constants = {columns.field_named(kind, name): value for name, value in shape.constants}
        self.sources = columns.find_sources(kind, header, shape.mapping)
        missing = [name for name in self._required if name not in self.sources and name not in self._constants]
        if "click_id" in missing and shape.skip_unattributed:
            missing.remove("click_id")
        if missing:
            raise columns.lacking(kind, header, missing)
        self.timestamp_mapped = "timestamp" in self.sources or "timestamp" in self._constants
        self._zone = _zone(shape.timezone)
        if shape.date_format and (problem := check_date_format(shape.date_format)):
            raise InputError(f"--date-format {problem.message}", problem.hint)
        self._conditions = [_condition(header, text) for text in shape.where]
        self._amount_unit = amount_unit(self.sources, shape) if kind is EventKind.SALE else ""
        self._plan = [
            (field, self.sources.get(name, ()), self._constants.get(name, ""), self._reader(name))
            for name, field in columns.fields_of(kind).items()
            if name in self.sources or name in self._constants
        ]

    def map(self, row: SourceRow) -> Planned:
        """Give the event of a row, or why it is left out, or all that is wrong with it."""
        cells = row.cells
        for condition in self._conditions:
            if why := condition(cells):
                return SkippedRow(row.row, row.line, cells, "where", why)
        if self._shape.skip_unattributed and not self._value_of("click_id", cells):
            return SkippedRow(
                row.row, row.line, cells, "unattributed", "no click id: no link brought this customer"
            )
        wire: dict[str, object] = {}
        problems: list[RowProblem] = []
        currency = self._value_of("currency", cells).upper()
        for field, sources, constant, read in self._plan:
            text, column = _first(sources, cells)
            text = text or constant
            if not text:
                continue
            try:
                wire[field.wire] = read(text, column, currency)
            except _BadValueError as bad:
                where = column or field.name
                problems.append(
                    RowProblem(
                        row.row, row.line, cells, column or None, bad.code, f"{where} {bad.message}", bad.hint
                    )
                )
        problems.extend(self._missing(row, wire, problems))
        if problems:
            return problems
        return self._event(row, wire)

    def _event(self, row: SourceRow, wire: dict[str, object]) -> PlannedEvent:
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
        )

    def _missing(self, row: SourceRow, wire: dict[str, object], problems: Sequence[RowProblem]) -> list[RowProblem]:
        fields = columns.fields_of(self._kind)
        found = []
        for name in self._required:
            if fields[name].wire in wire:
                continue
            column = "|".join(source.column for source in self.sources.get(name, ())) or name
            if any(problem.column and problem.column in column.split("|") for problem in problems):
                continue  # it is there, and wrong: said already
            hint = (
                "rows that no link brought can be left out with --skip-unattributed" if name == "click_id" else ""
            )
            found.append(
                RowProblem(row.row, row.line, row.cells, column, f"{name}_missing", f"{column} is empty", hint)
            )
        if wire.get("mode") == "deferred" and "clickId" not in wire:
            message = 'mode is "deferred", which needs a click id'
            found.append(RowProblem(row.row, row.line, row.cells, None, "click_id_missing", message))
        return found

    def _value_of(self, name: str, cells: Sequence[str]) -> str:
        return _first(self.sources.get(name, ()), cells)[0] or self._constants.get(name, "")

    def _reader(self, name: str) -> Callable[[str, str, str], object]:
        """Give what turns a field's text into what goes on the wire.

        It gets the text, the name of its column ("" for a constant) and the row's currency.
        """
        if name == "amount":
            return self._read_amount
        if name == "timestamp":
            return self._read_time
        check = columns.fields_of(self._kind)[name].check
        cache: dict[str, object] = {}

        def read(text: str, _column: str, _currency: str) -> object:
            if text in cache:
                return cache[text]
            try:
                value = check(text)
            except ValueError as problem:
                raise _BadValueError(f"{name}_invalid", f"{_shown(text)} {problem}") from None
            if len(cache) < _CACHED_VALUES:
                cache[text] = value
            return value

        return read

    def _read_amount(self, text: str, column: str, currency: str) -> object:
        amount: int | MoneyProblem
        if self._amount_unit == "minor":
            amount = parse_minor(text)
        elif not column:
            amount = parse_cli_amount(text, currency)
        else:
            assert self._amount_format is not None
            parsed = self._amount_format.parse(text, currency)
            amount = parsed if isinstance(parsed, MoneyProblem) else parsed.minor
        if isinstance(amount, MoneyProblem):
            raise _BadValueError(amount.code, amount.message, amount.hint)
        return amount

    def _read_time(self, text: str, column: str, _currency: str) -> object:
        zone = zone_for_header(column, self._zone)
        instant = parse_instant(text, zone, date_format=self._shape.date_format or None, now=self._now)
        if isinstance(instant, TimeProblem):
            raise _BadValueError(instant.code, instant.message, instant.hint)
        return columns.fields_of(self._kind)["timestamp"].check(instant)


def amount_unit(sources: dict[str, tuple[Source, ...]], shape: Shape) -> str:
    """Give the unit that amounts are in: ``minor`` or ``major``.

    Raises:
        InputError: The amount comes from a column that is not called ``amount``, and nothing says its unit.
    """
    if shape.amount_unit:
        return shape.amount_unit
    other = [source.column for source in sources.get("amount", ()) if columns.folded(source.column) != "amount"]
    if other:
        raise InputError(
            f'the column "{other[0]}" may hold 49.99 or 4999 for the same price, and nothing says which',
            "Say --amount-unit major (49.99) or --amount-unit minor (4999, cents).",
        )
    return "minor"


def _first(sources: tuple[Source, ...], cells: Sequence[str]) -> tuple[str, str]:
    for source in sources:
        text = source.read(cells)
        if text:
            return text, source.column
    return "", ""


def _condition(header: Sequence[str], text: str) -> Callable[[Sequence[str]], str]:
    """Compile a ``--where``: gives why a row is left out, or ""."""
    column, equals, wanted = text.partition("=")
    negated = column.endswith("!")
    column = column[:-1] if negated else column
    if not equals or not column.strip():
        raise InputError(f'--where "{text}" is no condition', "Write COLUMN=VALUE or COLUMN!=VALUE.")
    index = columns.column_index(header, column.strip(), "--where")
    wanted = wanted.strip()

    def why_not(cells: Sequence[str]) -> str:
        if (cells[index].strip() == wanted) is negated:
            return f"--where {text}"
        return ""

    return why_not


def _zone(name: str) -> tzinfo:
    zone = zone_named(name)
    if isinstance(zone, TimeProblem):
        raise InputError(f"--timezone {zone.message}", zone.hint)
    return zone


def _shown(text: str) -> str:
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'


def _as_int(value: object) -> int:
    assert isinstance(value, int)
    return value
