"""Finds the format of a file's amounts in major units by reading the whole column."""

from __future__ import annotations

from cms_cli.replay.mapping.blueprint import Blueprint
from cms_cli.replay.model import InputError, Problem, SourceRow
from cms_cli.replay.reading.rows import Table
from cms_cli.replay.values.money import AmountColumn, AmountFormat


def amount_format(blueprint: Blueprint, table: Table) -> AmountFormat | None:
    """Return the format of the amounts; None if they are in minor units or no column has them.

    Args:
        blueprint: The resolved mapping.
        table: The rows, which are read once if no decimal mark was given.

    Raises:
        InputError: The values do not tell the format.
    """
    amounts = blueprint.sources.get("amount", ())
    if blueprint.amount_unit != "major" or not amounts:
        return None
    column = AmountColumn()
    decimal = blueprint.shape.decimal or None
    if decimal is None:
        _look_through(blueprint, table, column)
    found = column.decide(decimal)
    if isinstance(found, Problem):
        raise InputError(f"{' | '.join(source.label for source in amounts)} {found.message}", found.hint)
    return found


def _look_through(blueprint: Blueprint, table: Table, column: AmountColumn) -> None:
    left_out = blueprint.selection.begin()
    for row in table:
        # Rows that are left out do not count: they may have totals, or amounts in another format.
        if isinstance(row, SourceRow) and left_out(row) is None:
            text, source = blueprint.read("amount", row.cells)
            if source is not None:
                column.observe(text, row.line, blueprint.read("currency", row.cells)[0])
