"""The refunded amount of an order, read from one cell."""

from __future__ import annotations

import re
from typing import Callable

from cms_cli.replay.model import Problem


def read(text: str, each: str, currency: str, parse: Callable[[str, str], int | Problem]) -> int | Problem:
    """Read a cell of refunds.

    Args:
        text: The cell: one amount, below zero or not, or ``amount:5.00|reason:late;amount:1.00|reason:broken``.
        each: The key of the amounts in such a list; "" if the cell is never one.
        currency: The row's.
        parse: Reads an amount as those of the file are written.

    Returns:
        The sum in minor units; 0 for an empty cell.
    """
    parts = [text]
    if each and re.search(rf"(?:^|[|;])\s*{re.escape(each)}:", text):
        parts = re.findall(rf"(?:^|[|;])\s*{re.escape(each)}:\s*([^|;]*)", text)
    total = 0
    for part in parts:
        amount = part.strip().lstrip("-\u2212").strip()
        if amount.strip("0.,"):  # zero, whatever its number of decimals
            minor = parse(amount, currency)
            if isinstance(minor, Problem):
                return minor
            total += minor
    return total
