"""Parses a number as people and programs write it: digits, separators, sign and currency.

A number shows the decimal mark of its column as follows:

========================  ===================================================================
``1,234.56``              of two kinds of marks, the last one is the decimal mark
``1'234.567``             an apostrophe or blank groups digits, so the other mark is decimal
``1.234.567``             a mark that occurs twice groups digits, so the other one is decimal
``49.9``, ``49.99``       a single mark that is not followed by exactly three digits is decimal
``1.000``, ``0.125``      a single mark before exactly three digits shows nothing
``1234``                  shows nothing
========================  ===================================================================
"""

from __future__ import annotations

import html
import re
from typing import NamedTuple

from cms_cli.replay.values.currencies import currencies_of

OTHER = {".": ",", ",": "."}
"""The mark that groups digits, by the decimal mark."""

# Amounts are shorter, even with sign and blanks. The limit also keeps the pattern below from long texts.
_MAX_TEXT = 64

_BLANKS = " \u00a0\u2007\u2009\u202f"  # plain, no-break, figure, thin, narrow no-break
_APOSTROPHES = "'\u2019"
_MINUS = "\\-\u2212\u2013\ufe63\uff0d"  # hyphen, minus, en dash, small and full-width hyphen
# A currency beside a number: anything without digits, brackets, minus signs and marks that group digits.
_BESIDE = rf"[^\d\s.,()'\u2019{_MINUS}][^\d\s,()'\u2019{_MINUS}]*"
_NUMBER = re.compile(
    rf"(\()?\s*([{_MINUS}])?\s*({_BESIDE})?\s*([{_MINUS}])?\s*"
    rf"([.,]?[0-9](?:[0-9.,{_BLANKS}{_APOSTROPHES}]*[0-9])?)"
    rf"\s*([{_MINUS}])?\s*({_BESIDE})?\s*([{_MINUS}])?\s*(\))?"
)
_ONE_OF_EACH = str.maketrans({**dict.fromkeys(_BLANKS, " "), **dict.fromkeys(_APOSTROPHES, "'")})


class Number(NamedTuple):
    """The parts of a number.

    Attributes:
        digits: Its digits with the marks between them.
        beside: The texts before and after it, which may be signs or codes of currencies.
        negative: Whether it has a minus sign, or brackets as in accounting.
    """

    digits: str
    beside: tuple[str, ...]
    negative: bool

    @property
    def odd(self) -> str:
        """The text beside the number that is not a currency, as in ``12,5 %``; "" if there is none."""
        return next((each for each in self.beside if not currencies_of(each)), "")


def taken_apart(text: str) -> Number | None:
    """Split a text into the parts of a number; None if it is not a number.

    HTML entities, as some web shops export them (``1.249&nbsp;&euro;``), are decoded.
    """
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return None
    if "&" in text:
        text = html.unescape(text).strip()
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    bracket, minus1, before, minus2, digits, minus3, after, minus4, closing = found.groups()
    if bool(bracket) != bool(closing):
        return None
    beside = tuple(filter(None, (before, after)))
    return Number(digits.translate(_ONE_OF_EACH), beside, bool(bracket or minus1 or minus2 or minus3 or minus4))


def is_number(text: str) -> bool:
    """Return True if a text is a number in any form, with or without a currency."""
    number = taken_apart(text)
    return number is not None and not number.odd


def decimal_mark(digits: str) -> str | None:
    """Return the decimal mark that a number shows: ``""`` if it may be either, None if the number has no marks."""
    points, commas = digits.count("."), digits.count(",")
    if not points and not commas:
        return None
    if points and commas:
        mark = "." if digits.rindex(".") > digits.rindex(",") else ","
    elif points + commas > 1:
        mark = "," if points else "."
    else:
        mark = "." if points else ","
        whole, _, fraction = digits.partition(mark)
        if len(fraction) == 3 and (whole.isdigit() or not whole):
            return ""
    return None if split(digits, mark) is None else mark


def split(digits: str, decimal: str) -> tuple[str, str] | None:
    """Return the digits before and after a decimal mark, without grouping; None if the mark does not fit."""
    whole, mark, fraction = digits.partition(decimal)
    if mark and not fraction.isdigit():
        return None
    if not whole:
        return "0", fraction
    ungrouped = _ungrouped(whole, OTHER[decimal] + "' ")
    return None if ungrouped is None else (ungrouped, fraction)


def split_without_decimals(digits: str, decimal: str = "") -> tuple[str, str] | None:
    """Do the same for a currency without decimals, in which a mark before three digits groups them.

    One or two zeros after a mark (``5500.00``) are dropped; three may be thousands.

    Args:
        digits: The digits with the marks between them.
        decimal: The decimal mark if the user gave it, which then never groups digits; else "".
    """
    grouping = (OTHER[decimal] if decimal else ".,") + "' "
    whole = _ungrouped(digits, grouping)
    if whole is not None:
        return whole, ""
    for mark in decimal or ".,":
        found = split(digits, mark)
        if found is not None:
            return (found[0], "") if found[1] in ("0", "00") else found
    return None


def _ungrouped(digits: str, separators: str) -> str | None:
    """Return digits without the separator that groups them; None if they are not properly grouped."""
    if digits.isdigit():
        return digits
    for separator in separators:
        if separator in digits:
            groups = digits.split(separator)
            return "".join(groups) if _well_grouped(groups, separator) else None
    return None


def _well_grouped(groups: list[str], separator: str) -> bool:
    """Return True if digits are grouped in threes or, with commas, in twos before the last three, as in India."""
    if not all(group.isdigit() for group in groups) or groups[0].startswith("0") or len(groups[-1]) != 3:
        return False
    between = {len(group) for group in groups[1:-1]}
    return (between <= {3} and len(groups[0]) <= 3) or (separator == "," and between == {2} and len(groups[0]) <= 2)
