"""How a file writes its amounts of major units, found by looking through the whole column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from cms_cli.replay.mapping.batch import Batch
from cms_cli.replay.mapping.blueprint import Blueprint
from cms_cli.replay.model import Block, InputError, SourceRow
from cms_cli.replay.reading.rows import Table
from cms_cli.replay.values.cells import are_all_like
from cms_cli.replay.values.currencies import EXPONENTS
from cms_cli.replay.values.money import AmountColumn, AmountFormat
from cms_cli.replay.values.problem import ValueProblem

_BLOCK = 256  # rows looked at together


def amount_format(blueprint: Blueprint, table: Table) -> AmountFormat | None:
    """Look through the column of amounts, where it holds major units, and find how they are written.

    Raises:
        InputError: That cannot be known.
    """
    amounts = blueprint.sources.get("amount", ())
    if blueprint.amount_unit != "major" or not amounts:
        return None
    column = AmountColumn()
    decimal = blueprint.shape.decimal or None
    if decimal is None:
        _look_through(blueprint, table, column)
    found = column.decide(decimal)
    if isinstance(found, ValueProblem):
        raise InputError(f"{' | '.join(source.label for source in amounts)} {found.message}", found.hint)
    return found


def _look_through(blueprint: Blueprint, table: Table, column: AmountColumn) -> None:
    left_out = blueprint.selection.begin()
    [first, *more] = blueprint.sources["amount"]
    nothing = blueprint.nothing.get("amount", frozenset())
    for block in table.blocks(_BLOCK):
        if (
            isinstance(block, Block)
            and blueprint.selection.takes_all
            and not more
            and not blueprint.sources.get("currency")
        ):
            texts = Batch(block.cells).column(first, nothing)
            if not any(are_all_like(_two_decimals(sign), texts) for sign in column.decimals):
                for line, text in enumerate(texts, block.line):
                    column.observe(text, line, blueprint.constants.get("currency", ""))
            continue
        for item in block.rows() if isinstance(block, Block) else block:
            # What is left out may be written in other ways, or hold sums.
            if isinstance(item, SourceRow) and left_out(item) is None:
                text, source = blueprint.read("amount", item.cells)
                if source is not None:
                    column.observe(text, item.line, blueprint.read("currency", item.cells)[0])


def plain_minor(texts: Sequence[str], decimal: str) -> list[int] | None:
    """Read amounts that all have two decimals and nothing but digits else; None where one is otherwise.

    Returns:
        Each without its decimal sign: the minor units where the currency has two decimals.
    """
    if not are_all_like(_two_decimals(decimal), texts):
        return None
    return list(map(int, "\n".join(texts).replace(decimal, "").split("\n")))


def have_two_decimals(currencies: Iterable[str]) -> bool:
    """Tell whether all of these currencies have cents."""
    return {EXPONENTS.get(currency) for currency in set(currencies)} == {2}


@lru_cache(maxsize=2)
def _two_decimals(decimal: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[0-9]{{1,12}}{re.escape(decimal)}[0-9]{{2}}\n)*")
