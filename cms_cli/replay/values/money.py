"""Parses amounts to minor units exactly: digits are moved, and no number is a float.

There are two kinds of columns:

* Minor units (``4999``): :func:`parse_minor` reads each value by itself.
* Major units (``49.99``, ``1.234,56 €``): the meaning of ``.`` and ``,`` is decided for the whole column. An
  :class:`AmountColumn` observes every value, its ``decide()`` returns the :class:`AmountFormat`, and that parses
  the values. So the file is read twice, in constant memory.

If the values contradict each other, or some are ambiguous and none decides, the user has to give ``--decimal``. The
number of decimals of a currency is no evidence, with one exception: amounts in a currency without decimals have no
decimal mark, so they do not count.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cms_cli.replay.model import Problem
from cms_cli.replay.problems import shown
from cms_cli.replay.values.currencies import EXPONENTS, currencies_of, exponent
from cms_cli.replay.values.numbers import Number, decimal_mark, split, split_without_decimals, taken_apart

MAX_MINOR = 2**53 - 1
"""The largest amount that is accepted, in minor units. JSON parsers that use doubles would round larger ones.

The service documents no limit.
"""
_MAX_DIGITS = len(str(MAX_MINOR))
_ZEROS = ("", "0", "00", "000", "0000")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[Ee][+-]?[0-9]+")
_WHOLE = re.compile(r"([0-9]+)(?:[.,](0{1,2}))?")
_ALLOW_ZEROS = "let zeros pass, by zero_decimals = true in a --mapping file"
_DECIMAL_NAMES = {".": ".", ",": ",", "point": ".", "dot": ".", "period": ".", "comma": ","}


def plain_minor(text: str) -> int | None:
    """Parse an amount in minor units that consists of digits only; None for other text and very large amounts."""
    return int(text) if text.isdigit() and text.isascii() and len(text) < _MAX_DIGITS else None


def parse_minor(
    text: str, currency: str = "", *, unit_said: bool = False, zero_decimals: bool = False
) -> int | Problem:
    """Parse an amount in minor units, which may have only the digits 0 to 9 and white space around them.

    ``4999.00`` and ``4,999`` are problems, since the column may be in major units, a difference of a factor of 100.
    So is ``+``, which marks a difference instead of a price.

    Args:
        text: The cell.
        currency: The row's currency, or "". Without decimals, zeros after a mark are accepted; it is also for
            hints.
        unit_said: Whether a flag, preset or mapping file sets the unit. Then ``4999.0`` is 4999, since programs
            write whole numbers so in columns with gaps.
        zero_decimals: Whether a mapping file allows ``4999.00`` as well.

    Returns:
        The amount in minor units, or the problem.
    """
    text = text.strip()
    plain = plain_minor(text)
    if plain is not None:
        return plain
    found = _WHOLE.fullmatch(text)
    if found:
        digits, zeros = found.groups()
        if not zeros or (unit_said and (zeros == "0" or zero_decimals)) or exponent(currency) == 0:
            return _within_limit(text, digits)
    no_amount = _no_amount(text)
    if no_amount is not None:
        return no_amount
    message = f"{shown(text)} is not a whole number of minor units (cents), digits only"
    if found:
        return _factor_of_100(message, found[1], found[2], currency, unit_said)
    return Problem(
        "amount_not_minor",
        message,
        "cents are written as 4999; if the column holds 49.99 for as much, say --amount-unit major",
    )


def parse_cli_amount(text: str, currency: str) -> int | Problem:
    """Parse an amount in major units from the command line, where ``.`` is always the decimal mark.

    It may have digits and one point, but no grouping, which could be a decimal comma, and no currency sign.

    Args:
        text: The value of the flag.
        currency: The ISO 4217 code.

    Returns:
        The amount in minor units, or the problem.
    """
    stripped = text.strip()
    whole, point, fraction = stripped.partition(".")
    plain = (whole + fraction).isdigit() and stripped.isascii() and bool(fraction) == bool(point)
    if plain:
        return _to_minor(stripped, whole or "0", fraction, currency)
    return _no_amount(stripped) or Problem(
        "amount_not_plain",
        f"{shown(stripped)} is not a plain number",
        "write digits with a decimal point, as in 1234.56, and the currency as its own flag",
    )


class AmountFormat(NamedTuple):
    """The number format of a column in major units.

    Attributes:
        decimal: The decimal mark, ``.`` or ``,``. The other one groups digits, as do apostrophes and blanks.
        said: Whether the user gave the mark. If not, either mark may group digits in a currency without decimals.
        zero_decimals: Whether amounts may have more decimals than the currency if they are zeros.
    """

    decimal: str
    said: bool = False
    zero_decimals: bool = False

    def parse(self, text: str, currency: str) -> int | Problem:
        """Parse a value.

        Args:
            text: The cell.
            currency: The row's ISO 4217 code, or "" to use the code or sign beside the number.

        Returns:
            The amount in minor units, 0 or more, or the problem.
        """
        whole, mark, fraction = text.partition(self.decimal)
        if whole.isdigit() and text.isascii() and (fraction.isdigit() or not mark):
            # Nine in ten cells; inline, since a call would cost more.
            missing = EXPONENTS.get(currency, -1) - len(fraction)
            if missing >= 0:
                digits = whole + fraction + _ZEROS[missing]
                return int(digits) if len(digits) < _MAX_DIGITS else _within_limit(text, digits)
        number = taken_apart(text)
        if number is None:
            return _not_a_number(text.strip())
        if number.negative:
            return _negative(text)
        return self._of(number, text.strip(), currency)

    def _of(self, number: Number, text: str, currency: str) -> int | Problem:
        if number.odd:
            return _not_a_number(text, f": {shown(number.odd)} is no currency known here")
        beside = [currencies_of(each) for each in number.beside]
        named = {code for meant in beside if len(meant) == 1 for code in meant}
        code = currency.upper() or min(named, default="")
        if code and any(code not in meant for meant in beside):
            return _other_currency(text, code)
        if exponent(code) == 0:
            parts = split_without_decimals(number.digits, self.decimal if self.said else "")
        else:
            parts = split(number.digits, self.decimal)
        if parts is None:
            return Problem(
                "amount_other_format",
                f"{shown(text)} does not fit a column whose decimal mark is {shown(self.decimal)}",
                "correct it, or say --decimal if the other mark is meant throughout",
            )
        return _to_minor(text, *parts, code, zero_decimals=self.zero_decimals)


class AmountColumn:
    """Finds the format that all values of a column in major units share.

    It keeps at most three examples, regardless of the number of values.
    """

    def __init__(self) -> None:
        self._decisive: dict[str, str] = {}  # the first value that shows a decimal mark, by the mark
        self._ambiguous = ""

    def observe(self, text: str, line: int = 0, currency: str = "") -> None:
        """Observe a value, which may be negative; text that is not an amount is ignored.

        Args:
            text: The cell.
            line: Its line number, for messages; 0 if it is not known.
            currency: The row's currency, or "". Values in a currency without decimals are ignored.
        """
        # A mark before the last two digits is certainly the decimal mark, so a second such value adds nothing.
        if text[-3:-2] in self._decisive and text[-2:].isdigit():
            return
        number = taken_apart(text)
        if number is None or number.odd:
            return
        codes = {currency.upper()} if currency else {code for each in number.beside for code in currencies_of(each)}
        if codes and {exponent(code) for code in codes} == {0}:
            return
        mark = decimal_mark(number.digits)
        if mark is None or mark in self._decisive:
            return
        where = f"{shown(text.strip())} (line {line})" if line else shown(text.strip())
        if mark:
            self._decisive[mark] = where
        elif not self._ambiguous:
            self._ambiguous = where

    def decide(self, decimal: str | None = None) -> AmountFormat | Problem:
        """Return the column's format, or the problem if the values do not tell it.

        Args:
            decimal: The decimal mark that the user gave: ``.``, ``,``, ``point`` or ``comma``; or None. It takes
                precedence over the values; those that do not fit are then problems of their rows.
        """
        if decimal is not None:
            mark = _DECIMAL_NAMES.get(decimal.strip().lower())
            if mark is None:
                return Problem(
                    "decimal_unknown", f"{shown(decimal)} is no decimal mark", "say --decimal . or --decimal ,"
                )
            return AmountFormat(mark, True)
        if len(self._decisive) == 2:
            return Problem(
                "amount_formats_mixed",
                f"has a decimal point in {self._decisive['.']} and a decimal comma in {self._decisive[',']}",
                "say which one is right with --decimal . or --decimal , (the other values are then invalid)",
            )
        if self._ambiguous and not self._decisive:
            return Problem(
                "amount_ambiguous",
                f"{self._ambiguous} may be thousands or decimals, and no other value tells",
                "say what the decimal mark is: --decimal . or --decimal ,",
            )
        # If no value has a mark, any format can read them.
        return AmountFormat(min(self._decisive, default="."))


def _to_minor(text: str, whole: str, fraction: str, currency: str, *, zero_decimals: bool = False) -> int | Problem:
    places = exponent(currency)
    if places is None:
        return _unknown_currency(text, currency)
    # Three digits may be thousands, as in 1.500.
    only_zeros = not fraction[places:].strip("0") and len(fraction) != 3
    if len(fraction) > places and only_zeros and zero_decimals:
        fraction = fraction[:places]
    if len(fraction) > places:
        return Problem(
            "amount_too_many_decimals",
            f"{shown(text)} has more decimals than {currency.upper()} has ({places})",
            "nothing is rounded: correct it, or check the currency and --decimal"
            + (f"; or {_ALLOW_ZEROS}" if only_zeros else ""),
        )
    return _within_limit(text, whole + fraction + _ZEROS[places - len(fraction)])


def _within_limit(text: str, digits: str) -> int | Problem:
    # Check the length first, since int() refuses thousands of digits.
    digits = digits.lstrip("0") or "0"
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_MINOR:
        return Problem(
            "amount_too_large",
            f"{shown(text)} is more than {MAX_MINOR} minor units",
            "check that the column holds amounts, and not numbers of orders or cards",
        )
    return int(digits)


def _factor_of_100(message: str, digits: str, zeros: str, currency: str, unit_said: bool) -> Problem:
    """Return the problem of an amount such as ``4999.0``, with its two readings as 49.99 and 4999.00."""
    places = exponent(currency)
    currency = currency.upper()
    cents = f"{digits} minor units (cents)"
    major = f"{digits}.{zeros} in the currency's own unit"
    if places is not None:
        padded = digits.rjust(places + 1, "0")
        cents = (
            f"{padded[: len(padded) - places]}{'.' if places else ''}{padded[len(padded) - places :]} {currency}"
        )
        major = f"{digits}{'.' if places else ''}{_ZEROS[places]} {currency}"
    minor = "say --amount-unit minor"
    if zeros != "0":
        minor = _ALLOW_ZEROS if unit_said else f"{minor} and {_ALLOW_ZEROS}"
    return Problem(
        "amount_not_minor", message, f"if it is {cents}, {minor}; if it is {major}, say --amount-unit major"
    )


def _no_amount(text: str) -> Problem | None:
    """Return the problem of a text that is not an amount in any format; None if it may be one."""
    number = taken_apart(text)
    if number is None:
        return _not_a_number(text)
    return _negative(text) if number.negative else None


def _not_a_number(text: str, why: str = "") -> Problem:
    if not text:
        return Problem(
            "amount_empty", "is empty", "fill it in, write 0 for a free order, or leave the row out with --where"
        )
    if any(char.isdigit() and not char.isascii() for char in text):
        why = ": its digits are not 0 to 9"
    if _SCIENTIFIC.fullmatch(text):
        return Problem(
            "amount_not_a_number",
            f"{shown(text)} is in scientific notation, in which digits may be lost",
            "export the file again and do not open it in a spreadsheet; or write out the amount",
        )
    if text.startswith("+"):
        why = ' without a sign: "+" marks a difference'
    return Problem(
        "amount_not_a_number",
        f"{shown(text)} is not a number{why}",
        "correct it, or leave such rows out with --where",
    )


def _negative(text: str) -> Problem:
    return Problem(
        "amount_negative",
        f"{shown(text.strip())} is negative, and a sale's amount is 0 or more",
        'leave refunds and corrections out with --where "COLUMN>=0"'
        if any(digit in text for digit in "123456789")
        else "write 0 for a free order, or leave the row out with --where",
    )


def _other_currency(text: str, currency: str) -> Problem:
    return Problem(
        "amount_other_currency",
        f"{shown(text)} is not an amount of {currency}",
        "map the column that holds the currency, or correct the row",
    )


def _unknown_currency(text: str, currency: str) -> Problem:
    if not currency:
        return Problem(
            "currency_missing",
            f"{shown(text)} is in no known currency",
            "say --currency, or map the column that holds it",
        )
    return Problem(
        "currency_unknown",
        f"{shown(text)} is in {shown(currency)}, whose number of decimals ISO 4217 does not give",
        "correct the currency, or give the amount in minor units (--amount-unit minor)",
    )
