"""Formats amounts, time spans and counts for people."""

from __future__ import annotations


def amount(minor: int, currency: str, *, grouped: bool = True) -> str:
    """Return an amount such as ``1,234.50 USD``; in minor units if the currency is not known.

    Args:
        minor: The amount in minor units.
        currency: The currency's ISO 4217 code.
        grouped: Whether to group digits by commas.
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
    """Return a time span in at most two units: ``2 h 5 min``, ``45 s``."""
    rounded = int(seconds + 0.5)
    if rounded < 60:
        return f"{rounded} s"
    minutes, rest = divmod(rounded, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def rows(count: int) -> str:
    """Return a count with its noun: ``1 row``, ``1,200 rows``."""
    return "1 row" if count == 1 else f"{count:,} rows"


def events(count: int, kind: str) -> str:
    """Return a count with its noun: ``1 lead``, ``1,200 sales``."""
    return f"1 {kind}" if count == 1 else f"{count:,} {kind}s"
