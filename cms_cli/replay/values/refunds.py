"""Reads the refunded amount of an order from a cell."""

from __future__ import annotations

import re
from typing import Callable

from cms_cli.replay.model import Problem


def read(text: str, each: str, currency: str, parse: Callable[[str, str], int | Problem]) -> int | Problem:
    """Return the refunded amount in a cell.

    Args:
        text: The cell: an amount, which may be negative, or ``amount:5.00|reason:late;amount:1.00|reason:broken``.
        each: The key of the amounts in such a list; "" if cells are never lists.
        currency: The row's currency.
        parse: Parses an amount and currency in the format of the file.

    Returns:
        The sum in minor units, 0 for an empty cell; or the problem of an amount.
    """
    parts = [text]
    if each and re.search(rf"(?:^|[|;])\s*{re.escape(each)}:", text):
        parts = re.findall(rf"(?:^|[|;])\s*{re.escape(each)}:\s*([^|;]*)", text)
    total = 0
    for part in parts:
        amount = part.strip().lstrip("-\u2212").strip()
        if amount.strip("0.,"):  # not zero; a zero may have more decimals than the currency
            minor = parse(amount, currency)
            if isinstance(minor, Problem):
                return minor
            total += minor
    return total
