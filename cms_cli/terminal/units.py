"""Amounts, time spans and counts as people write them."""

from __future__ import annotations


def amount(minor: int, currency: str, *, grouped: bool = True) -> str:
    """Return an amount such as ``1,234.50 USD``; minor units if the currency is not known.

    Args:
        minor: Minor units.
        currency: ISO 4217.
        grouped: Whether digits are grouped, for people.
    """
    from cms_cli.replay.values.currencies import exponent

    digits, mark = exponent(currency), "," if grouped else ""
    if digits is None:
        return f"{minor:{mark}} {currency} (minor units)"
    if not digits:
        return f"{minor:{mark}} {currency}"
    whole, fraction = divmod(minor, 10**digits)
    return f"{whole:{mark}}.{fraction:0{digits}d} {currency}"


def duration(seconds: float) -> str:
    """Return a time span in two units at most: ``2 h 5 min``, ``45 s``."""
    rounded = int(seconds + 0.5)
    if rounded < 60:
        return f"{rounded} s"
    minutes, rest = divmod(rounded, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def rows(count: int) -> str:
    """Return a number of rows in words."""
    return "1 row" if count == 1 else f"{count:,} rows"


def events(count: int, kind: str) -> str:
    """Return a number of leads or sales in words."""
    return f"1 {kind}" if count == 1 else f"{count:,} {kind}s"
