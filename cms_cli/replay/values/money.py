"""Text to minor units, exactly: digits are moved, never computed with, and no number here has a fraction.

Two kinds of column:

* minor units (``4999``): :func:`parse_minor`, each value by itself;
* major units (``49.99``, ``1.234,56 €``): what ``.`` and ``,`` mean is decided for the column as a whole. An
  :class:`AmountColumn` looks at every value first, ``decide()`` gives the :class:`AmountFormat`, and that reads the
  values. One pass over the file to look, one to read; neither remembers rows.

What a value says about its column:

========================  ===================================================================
``1,234.56``              of two kinds, the last one is the decimal sign
``1'234.567``             beside an apostrophe or a space, which can only group, it is as well
``1.234.567``             what stands twice groups, so the other one is the decimal sign
``49.9``, ``49.99``       one sign before other than three digits is the decimal sign
``1.000``, ``0.125``      one sign before exactly three digits: nothing, in any currency
``1234``                  nothing
========================  ===================================================================

Where the values of a column contradict each other, or none says anything and one of them would need it, there is
no format and the user has to give ``--decimal``. The currency's number of decimals is never taken as a hint.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cms_cli.replay.problems import shown
from cms_cli.replay.values.currencies import EXPONENTS, currencies_of, exponent
from cms_cli.replay.values.problem import ValueProblem

MAX_MINOR = 2**53 - 1
"""The largest amount taken, in minor units: the last one that every JSON reader holds exactly.

The service documents no limit; a larger amount could be another one by the time it is read.
"""
_MAX_DIGITS = len(str(MAX_MINOR))
_ZEROS = ("", "0", "00", "000", "0000")
# No amount is longer, with its sign and spaces. It also keeps the pattern below away from text of any length.
_MAX_TEXT = 64

_SPACES = " \u00a0\u2007\u2009\u202f"  # plain, no-break, figure, thin, narrow no-break
_APOSTROPHES = "'\u2019"
_MINUS = "\\-\u2212\u2013\ufe63\uff0d"  # hyphen, minus, en dash, small and full-width hyphen
# A currency mark is what stands beside the number: no digit, no bracket, no minus, nothing that groups digits.
_MARK = rf"[^\d\s.,()'\u2019{_MINUS}][^\d\s,()'\u2019{_MINUS}]*"
_VALUE = re.compile(
    rf"(\()?\s*([{_MINUS}])?\s*({_MARK})?\s*([{_MINUS}])?\s*"
    rf"([.,]?[0-9](?:[0-9.,{_SPACES}{_APOSTROPHES}]*[0-9])?)"
    rf"\s*([{_MINUS}])?\s*({_MARK})?\s*([{_MINUS}])?\s*(\))?"
)
_ONE_OF_EACH = str.maketrans({**dict.fromkeys(_SPACES, " "), **dict.fromkeys(_APOSTROPHES, "'")})
_ONLY_ZEROS = "; or let zeros pass, by zero_decimals = true in a --mapping file"
_DECIMAL_NAMES = {".": ".", ",": ",", "point": ".", "dot": ".", "period": ".", "comma": ","}
_OTHER = {".": ",", ",": "."}


class _Parts(NamedTuple):
    number: str
    marks: tuple[str, ...]
    negative: bool


def parse_minor(text: str) -> int | ValueProblem:
    """Read an amount of minor units: the digits 0 to 9, and nothing beside them but white space.

    ``4999.00`` and ``4,999`` are refused rather than understood: in a column of minor units they are the trace of
    a mistake worth a factor of 100. So is ``+``, which marks a difference and not a price.
    """
    text = text.strip()
    if text.isdigit() and text.isascii():
        if len(text) < _MAX_DIGITS:
            return int(text)
        return _within_limit(text, text)
    return _no_amount(text) or ValueProblem(
        "amount_not_minor",
        f"{shown(text)} is not a whole number of minor units (cents), digits only",
        "cents are written as 4999; if the column holds 49.99 for as much, say --amount-unit major",
    )


def parse_cli_amount(text: str, currency: str) -> int | ValueProblem:
    """Read an amount of major units from the command line, where ``.`` is always the decimal sign.

    Digits and one point, no grouping and no currency sign: a comma there is more often a decimal sign than not.

    Returns:
        The amount in minor units.
    """
    stripped = text.strip()
    whole, point, fraction = stripped.partition(".")
    plain = (whole + fraction).isdigit() and stripped.isascii() and bool(fraction) == bool(point)
    if plain:
        return _to_minor(stripped, whole or "0", fraction, currency)
    return _no_amount(stripped) or ValueProblem(
        "amount_not_plain",
        f"{shown(stripped)} is not a plain number",
        "write digits with a decimal point, as in 1234.56, and the currency as its own flag",
    )


class AmountFormat(NamedTuple):
    """How a column of major units is to be read.

    Attributes:
        decimal: The decimal sign, ``.`` or ``,``. The other one groups, as an apostrophe and a space do.
    """

    decimal: str

    def parse(self, text: str, currency: str) -> int | ValueProblem:
        """Read one value.

        Args:
            text: The cell.
            currency: The row's ISO 4217 code. Where it is empty, a code or sign beside the number stands in for it.

        Returns:
            The amount in minor units, 0 or more.
        """
        whole, sign, fraction = text.partition(self.decimal)
        if whole.isdigit() and text.isascii() and (fraction.isdigit() or not sign):
            # Nine in ten cells. In here so that they cost no further call.
            missing = EXPONENTS.get(currency, -1) - len(fraction)
            if missing >= 0 and len(text) + missing < _MAX_DIGITS:
                return int(whole + fraction + _ZEROS[missing])
            return _to_minor(text, whole, fraction, currency)
        return self._parse_dressed(text.strip(), currency)

    def _parse_dressed(self, text: str, currency: str) -> int | ValueProblem:
        """The way of a value that has grouping, a sign or a code."""
        parts = _parts(text)
        if parts is None:
            return _not_a_number(text)
        if parts.negative:
            return _negative(text)
        odd = _unknown_mark(parts)
        if odd:
            return _not_a_number(text, f": {shown(odd)} is no currency known here")
        split = _split(parts.number, self.decimal)
        if split is None:
            return ValueProblem(
                "amount_other_format",
                f"{shown(text)} does not fit a column whose decimal sign is {shown(self.decimal)}",
                "correct it, or say --decimal if the other sign is meant throughout",
            )
        seen: str | None = None
        for mark in parts.marks:
            meant = currencies_of(mark)
            if len(meant) == 1:
                (code,) = meant
                if seen not in (None, code):
                    return _other_currency(text, seen or "")
                seen = code
            if currency and currency.upper() not in meant:
                return _other_currency(text, currency)
        return _to_minor(text, split[0], split[1], currency or seen or "")


class AmountColumn:
    """Looks at every value of a column of major units and finds the format that all of them share.

    It keeps three examples, whatever the number of values.
    """

    def __init__(self) -> None:
        self._decisive: dict[str, str] = {}  # decimal sign -> the first value that says so
        self._ambiguous = ""

    @property
    def decimals(self) -> tuple[str, ...]:
        """The decimal signs seen for certain: another value with two digits after one of them is no news."""
        return tuple(self._decisive)

    def observe(self, text: str, line: int = 0) -> None:
        """Take one value into account, negative ones too; what is no amount says nothing.

        Args:
            text: The cell.
            line: The line it is on, for the message; 0 where that is not known.
        """
        # A sign before two last digits can be nothing but the decimal one, so a second such value is no news.
        if text[-3:-2] in self._decisive and text[-2:].isdigit():
            return
        parts = _parts(text.strip())
        if parts is None or _unknown_mark(parts):
            return
        sign = _decimal_sign(parts.number)
        if sign is None or sign in self._decisive:
            return
        where = f"{shown(text.strip())} (line {line})" if line else shown(text.strip())
        if sign:
            self._decisive[sign] = where
        elif not self._ambiguous:
            self._ambiguous = where

    def decide(self, decimal: str | None = None) -> AmountFormat | ValueProblem:
        """The column's format.

        Args:
            decimal: The user's word (``--decimal``): ``.``, ``,``, ``point`` or ``comma``. It wins over what the
                values say, and those that do not fit are refused one by one.
        """
        if decimal is not None:
            sign = _DECIMAL_NAMES.get(decimal.strip().lower())
            if sign is None:
                return ValueProblem(
                    "decimal_unknown", f"{shown(decimal)} is no decimal sign", "say --decimal . or --decimal ,"
                )
            return AmountFormat(sign)
        if len(self._decisive) == 2:
            return ValueProblem(
                "amount_formats_mixed",
                f"has a decimal point in {self._decisive['.']} and a decimal comma in {self._decisive[',']}",
                "say which one is right with --decimal . or --decimal , (the other values are then invalid)",
            )
        if self._decisive:
            (sign,) = self._decisive
            return AmountFormat(sign)
        if self._ambiguous:
            return ValueProblem(
                "amount_ambiguous",
                f"{self._ambiguous} may be thousands or decimals, and no other value tells",
                "say what the decimal sign is: --decimal . or --decimal ,",
            )
        # No value has a sign, so any format reads them all.
        return AmountFormat(".")


def is_number(text: str) -> bool:
    """Tell whether a text is an amount in any form, a negative one too."""
    parts = _parts(text.strip())
    return parts is not None and not _unknown_mark(parts)


def _parts(text: str) -> _Parts | None:
    """A value taken apart, or None where it is no number."""
    if len(text) > _MAX_TEXT:
        return None
    found = _VALUE.fullmatch(text)
    if found is None:
        return None
    bracket, minus1, before, minus2, number, minus3, after, minus4, closing = found.groups()
    if bool(bracket) != bool(closing):
        return None
    marks = tuple(filter(None, (before, after)))
    return _Parts(number.translate(_ONE_OF_EACH), marks, bool(bracket or minus1 or minus2 or minus3 or minus4))


def _no_amount(text: str) -> ValueProblem | None:
    """Why a text is no amount however it is written; None where it could be one."""
    parts = _parts(text)
    if parts is None:
        return _not_a_number(text)
    return _negative(text) if parts.negative else None


def _unknown_mark(parts: _Parts) -> str:
    """What stands beside a number and is no currency, as in ``12,5 %``; "" where nothing does."""
    return next((mark for mark in parts.marks if not currencies_of(mark)), "")


def _decimal_sign(number: str) -> str | None:
    """What a number says of its column's decimal sign: that sign, ``""`` for either, None for nothing."""
    points, commas = number.count("."), number.count(",")
    if not points and not commas:
        return None
    if points and commas:
        sign = "." if number.rindex(".") > number.rindex(",") else ","
    elif points + commas > 1:
        sign = "," if points else "."
    else:
        sign = "." if points else ","
        whole, _, fraction = number.partition(sign)
        if len(fraction) == 3 and (whole.isdigit() or not whole):
            return ""
    return None if _split(number, sign) is None else sign


def _split(number: str, decimal: str) -> tuple[str, str] | None:
    """The digits before and after the decimal sign, ungrouped; None where the number has another format."""
    whole, sign, fraction = number.partition(decimal)
    if sign and not fraction.isdigit():
        return None
    if whole.isdigit():
        return whole, fraction
    if not whole:
        return "0", fraction
    for separator in (_OTHER[decimal], "'", " "):
        if separator in whole:
            groups = whole.split(separator)
            return ("".join(groups), fraction) if _well_grouped(groups, separator) else None
    return None


def _well_grouped(groups: list[str], separator: str) -> bool:
    """Whether digits are in threes; or, with commas, in twos before a last three, as in India."""
    if not all(group.isdigit() for group in groups) or groups[0].startswith("0") or len(groups[-1]) != 3:
        return False
    between = {len(group) for group in groups[1:-1]}
    return (between <= {3} and len(groups[0]) <= 3) or (separator == "," and between == {2} and len(groups[0]) <= 2)


def _to_minor(text: str, whole: str, fraction: str, currency: str) -> int | ValueProblem:
    places = EXPONENTS.get(currency)
    if places is None:
        places = exponent(currency)
        if places is None:
            return _unknown_currency(text, currency)
    missing = places - len(fraction)
    if missing < 0:
        return ValueProblem(
            "amount_too_many_decimals",
            f"{shown(text)} has more decimals than {currency.upper()} has ({places})",
            "nothing is rounded: correct it, or check the currency and --decimal"
            + ("" if fraction[places:].strip("0") or len(fraction) == 3 else _ONLY_ZEROS),
        )
    digits = f"{whole}{fraction}{'0' * missing}"
    return int(digits) if len(digits) < _MAX_DIGITS else _within_limit(text, digits)


def _within_limit(text: str, digits: str) -> int | ValueProblem:
    # The length first: Python refuses to read a number of thousands of digits.
    digits = digits.lstrip("0") or "0"
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_MINOR:
        return ValueProblem(
            "amount_too_large",
            f"{shown(text)} is more than {MAX_MINOR} minor units",
            "check that the column holds amounts, and not numbers of orders or cards",
        )
    return int(digits)


def _not_a_number(text: str, why: str = "") -> ValueProblem:
    if not text:
        return ValueProblem(
            "amount_empty", "is empty", "fill it in, write 0 for a free order, or leave the row out with --where"
        )
    if any(char.isdigit() and not char.isascii() for char in text):
        why = ": its digits are not 0 to 9"
    return ValueProblem(
        "amount_not_a_number",
        f"{shown(text)} is not a number{why}",
        "correct it, or leave such rows out with --where",
    )


def _negative(text: str) -> ValueProblem:
    return ValueProblem(
        "amount_negative",
        f"{shown(text)} is negative, and a sale's amount is 0 or more",
        "leave refunds and corrections out with --where",
    )


def _other_currency(text: str, currency: str) -> ValueProblem:
    return ValueProblem(
        "amount_other_currency",
        f"{shown(text)} is not an amount of {currency.upper()}",
        "map the column that holds the currency, or correct the row",
    )


def _unknown_currency(text: str, currency: str) -> ValueProblem:
    if not currency:
        return ValueProblem(
            "currency_missing",
            f"{shown(text)} is in no known currency",
            "say --currency, or map the column that holds it",
        )
    return ValueProblem(
        "currency_unknown",
        f"{shown(text)} is in {shown(currency)}, whose number of decimals ISO 4217 does not give",
        "correct the currency, or give the amount in minor units (--amount-unit minor)",
    )
