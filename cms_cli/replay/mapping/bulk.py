"""Rows to events, a column at a time: what :class:`Mapper` says of each row, in a tenth of the time.

Rows come in batches of a few thousand, and most of what a row needs is done for all of them by one call into C:
strip a column, see that it is ASCII and nowhere too long, turn it into numbers. Whatever is not plainly right is
left to :meth:`Mapper.event_of`, which looks with care and says what is wrong. So a shortcut here may be narrower
than the rules of the fields, and never wider; a test holds the two to each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import repeat
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from cms_cli.replay.mapping.amounts import have_two_decimals, plain_minor
from cms_cli.replay.mapping.batch import Batch
from cms_cli.replay.mapping.columns import Source, fields_of
from cms_cli.replay.mapping.mapper import UNATTRIBUTED, BadValueError, Mapper, Planned
from cms_cli.replay.model import PlannedEvent, SkippedRow, SourceRow
from cms_cli.replay.values.cells import are_all_like
from cms_cli.replay.values.ids import IDS, shortened
from cms_cli.replay.values.money import parse_minor
from cms_cli.replay.values.problem import ValueProblem
from cms_cli.replay.values.times import TimeColumn
from cms_cli.replay.values.zones import zone_for_header
from cms_python import Field

_LONGEST = 255  # characters; the rules of the fields allow as many
_LONGEST_INT = 15  # digits; the largest amount has 16
_PLAIN_EMAILS = re.compile(r"(?:(?:[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)?\n)*")
_PLAIN_TEXTS = ("click_id", "event_name", "customer_external_id", "invoice_id", "customer_name")
_NO_REFUND = frozenset(("", "0", "0.0", "0.00", "0.000", "0,00"))

_Values = list[Any]  # by row: what goes on the wire, or "" where there is nothing


class Mapped(NamedTuple):
    """Rows as columns; see :class:`PlannedEvent`.

    The columns do not apply to rows that are aside; those with a refund always are.

    Attributes:
        aside: By place, what becomes of the rows that were looked at one by one.
    """

    rows: Sequence[int]
    lines: Sequence[int]
    cells: Sequence[list[str]]
    bodies: Sequence[str]
    customers: Sequence[str]
    invoices: Sequence[str]
    clicks: Sequence[str]
    amounts: Sequence[int]
    currencies: Sequence[str]
    times: Sequence[str]
    aside: Mapping[int, Planned]

    def each(self) -> list[Planned]:
        """Give the rows one by one."""
        planned: list[Planned] = list(map(PlannedEvent._make, zip(*self[:10], repeat(0))))
        for at, other in self.aside.items():
            planned[at] = other
        return planned


class Bulk:
    """Maps batches of rows that are not left out by their place or a condition."""

    def __init__(self, mapper: Mapper, *, bodies: bool) -> None:
        """Get ready.

        Args:
            mapper: Looks at rows one by one.
            bodies: Whether events are to have their body.
        """
        self._mapper = mapper
        self._blueprint = mapper.blueprint
        self._bodies = bodies
        self._fields = [
            field
            for name, field in fields_of(mapper.blueprint.kind).items()
            if name in mapper.blueprint.sources or name in mapper.blueprint.constants
        ]
        self._times = [
            TimeColumn(
                zone_for_header(source.column, mapper.zone),
                date_format=mapper.blueprint.shape.date_format or None,
                now=mapper.now,
            )
            for source in mapper.blueprint.sources.get("timestamp", ())
        ]
        self._always = {name: self._constant(name) for name in mapper.blueprint.constants}

    def plan(self, numbers: Sequence[int], lines: Sequence[int], all_cells: Sequence[list[str]]) -> Mapped:
        """Give what becomes of rows.

        Args:
            numbers: The number of each, as :class:`SourceRow` has it.
            lines: The line that each starts on.
            all_cells: The cells of each.
        """
        batch = Batch(all_cells)
        doubtful: set[int] = set()
        values: dict[str, _Values] = {}
        # The currency first: an amount of major units needs it.
        for field in sorted(self._fields, key=lambda field: field.name != "currency"):
            values[field.name] = self._values(field, batch, values, doubtful)
        nothing = [""] * len(numbers)
        clicks = values.get("click_id", nothing)
        aside: dict[int, Planned] = {}
        if self._blueprint.shape.skip_unattributed and "" in clicks:
            for at in set(_empty(clicks)).difference(doubtful):  # a click that breaks a rule is no missing one
                aside[at] = SkippedRow(numbers[at], lines[at], all_cells[at], "unattributed", UNATTRIBUTED)
        for name in self._blueprint.required:
            column = values.get(name, nothing)
            if "" in column:
                doubtful.update(_empty(column))
        if any(values.get("mode", ())):
            doubtful.update(_empty(clicks))
        self._doubt_refunds(batch, doubtful)
        for at in doubtful.difference(aside):
            aside[at] = self._mapper.event_of(SourceRow(numbers[at], lines[at], all_cells[at]))
        return Mapped(
            numbers,
            lines,
            all_cells,
            self._written(values) if self._bodies else nothing,
            values.get("customer_external_id", nothing),
            values.get("invoice_id", nothing),
            clicks,
            values.get("amount") or [0] * len(numbers),
            values.get("currency", nothing),
            values.get("timestamp", nothing),
            aside,
        )

    def _values(self, field: Field, batch: Batch, values: dict[str, _Values], doubtful: set[int]) -> _Values:
        """Give a field's values; rows that have to be looked at one by one are added to the doubtful ones."""
        name = field.name
        sources = self._blueprint.sources.get(name, ())
        if not sources:
            return self._filled([""] * len(batch.cells), name, doubtful)
        nothing = self._blueprint.nothing.get(name, frozenset())
        texts = batch.column(sources[0], nothing)
        if name == "timestamp":
            found = self._instants(texts, doubtful)
            if len(sources) > 1 and "" in found:
                # Another column may have other words for its zone.
                doubtful.update(_empty(found))
                return found
            return self._filled(found, name, doubtful)
        for source in sources[1:]:
            if "" in texts:
                texts = [text or more for text, more in zip(texts, batch.column(source, nothing))]
        if name in IDS:
            doubtful.update(at for at, text in enumerate(texts) if shortened(text))
        if name == "amount":
            found = self._amounts(texts, values.get("currency", []), doubtful)
        else:
            # What is taken out of a cell may be what the cell is not: {"key": "\\ud800"} is ASCII.
            whole = all(isinstance(source, Source) and not source.keys for source in sources)
            found = _checked(texts, field, doubtful, ascii_only=batch.plain and whole)
        return self._filled(found, name, doubtful)

    def _filled(self, values: _Values, name: str, doubtful: set[int]) -> _Values:
        """Give values with the constant where there is none."""
        if name not in self._blueprint.constants or "" not in values:
            return values
        always = self._always[name]
        if always is None:
            doubtful.update(_empty(values))
            return values
        return [always if value == "" else value for value in values]

    def _constant(self, name: str) -> object | None:
        """Give a constant as it goes on the wire; None where that depends on the row, or it breaks a rule."""
        if name == "amount":
            return None
        try:
            return self._mapper.constant(name)
        except BadValueError:
            return None

    def _amounts(self, texts: list[str], currencies: _Values, doubtful: set[int]) -> _Values:
        if self._blueprint.amount_unit == "minor":
            together = "".join(texts)
            if (
                together.isdigit()
                and together.isascii()
                and max(map(len, texts)) <= _LONGEST_INT
                and "" not in texts
            ):
                return list(map(int, texts))
            found: _Values = [parse_minor(text) if text else "" for text in texts]
            doubtful.update(at for at, value in enumerate(found) if value != "" and type(value) is not int)
            return found
        assert self._mapper.amount_format is not None
        if have_two_decimals(currencies):
            plain = plain_minor(texts, self._mapper.amount_format.decimal)
            if plain is not None:
                return plain
        parse = self._mapper.amount_format.parse
        read = [parse(text, currency) for text, currency in zip(texts, currencies or [""] * len(texts))]
        found = [amount if type(amount) is int else "" for amount in read]
        if "" in found:
            doubtful.update(_empty(found))
        return found

    def _instants(self, texts: list[str], doubtful: set[int]) -> _Values:
        found: _Values = list(self._times[0].wires(texts))
        if ValueProblem in set(map(type, found)):
            doubtful.update(at for at, value in enumerate(found) if type(value) is ValueProblem and texts[at])
            return ["" if type(value) is ValueProblem else value for value in found]
        return found

    def _doubt_refunds(self, batch: Batch, doubtful: set[int]) -> None:
        for source in self._blueprint.refunds:
            texts = batch.column(source, frozenset())
            if not _NO_REFUND.issuperset(texts):
                doubtful.update(at for at, text in enumerate(texts) if text not in _NO_REFUND)

    def _written(self, values: dict[str, _Values]) -> list[str]:
        """Write the requests' JSON, the very text that the SDK's own writer gives."""
        parts = []
        for field in self._fields:
            column = values[field.name]
            key = f'"{field.wire}":'
            if field.name == "amount":
                parts.append([f"{key}{value}" for value in column])
            elif "" in column:
                parts.append([key + encode_basestring(value) if value else "" for value in column])
            else:
                parts.append([key + text for text in map(encode_basestring, column)])
        return ["{" + ",".join(filter(None, row)) + "}" for row in zip(*parts)]


def _checked(texts: list[str], field: Field, doubtful: set[int], *, ascii_only: bool) -> _Values:
    """Give texts as their field's rule lets them through; those that it does not are doubtful."""
    if max(map(len, texts)) <= _LONGEST:
        if field.name in _PLAIN_TEXTS and (ascii_only or "".join(texts).isascii()):
            return texts
        if field.name == "customer_email" and are_all_like(_PLAIN_EMAILS, texts):
            return texts
    known: dict[str, object] = {"": ""}
    wrong = set()
    for text in set(filter(None, texts)):
        try:
            known[text] = field.check(text)
        except ValueError:
            known[text] = ""
            wrong.add(text)
    if wrong:
        doubtful.update(at for at, text in enumerate(texts) if text in wrong)
    return list(map(known.__getitem__, texts))


def _empty(values: _Values) -> list[int]:
    return [at for at, value in enumerate(values) if value == ""]
