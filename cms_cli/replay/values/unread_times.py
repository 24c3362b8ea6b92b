"""Explains why a text was not read as a time, and how to fix it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cms_cli.replay.model import Problem
from cms_cli.replay.problems import shown
from cms_cli.replay.values.instants import no_time
from cms_cli.replay.values.time_forms import BEFORE_A_DATE, LONGEST, MONTH, MONTHS, WEEKDAY

_NOTHING = ("nat", "null", "none", "nan", "n/a", "#n/a", "undefined", "(null)", "[null]", "<null>", "<na>", "\\n")
"""The words of databases and programs for no time, in lower case."""
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_DAY_NUMBER = re.compile(r"[1-6][0-9]{4}(?:[.,][0-9]+)?")  # a spreadsheet's number of a day from 1927 to 2091
_SHORTENED = re.compile(r"[0-9][.,][0-9]+[Ee]\+[0-9]{2}")
_SHUFFLED = re.compile(
    r"(?P<a>[0-9]{1,2})(?P<sep>[/.\-])(?P<b>[0-9]{1,2})(?P=sep)(?P<y>[0-9]{4}|[0-9]{2})(?P<rest>(?:,? |T).*)?"
)
_SHORT_YEAR = re.compile(
    rf"{BEFORE_A_DATE}(?:(?P<day>[0-9]{{1,2}})(?P<gap>[ /-]){MONTH}(?P=gap)|{MONTH.replace('<month>', '<first>')}"
    r"(?P<gap2>[ /-])[0-9]{1,2}(?P<gap3>, |[ /-]))(?P<y>[0-9]{2})(?P<rest> [0-9].*)?"
)
_CLOCK = re.compile(
    r"(,? |T)[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?(\.[0-9]{1,6})?"
    r"(?:([ \u00a0\u202f])?[AaPp][Mm])?(?:( )?([+-][0-9]{2}:?[0-9]{2}|Z)| [A-Z]{2,5})?"
)
_WORD_BY_A_DAY = re.compile(
    r"(?:^|[^\w:])[0-9]{1,2}\.?[ -]?(?:de )?([^\W\d_]{3,})|([^\W\d_]{3,})\.?[ -]?[0-9]{1,2}\b"
)

_DIGITS = re.compile("[0-9]+")
_NO_MONTH = re.compile(rf"{WEEKDAY}|[A-Z]+")  # capitals are the abbreviation of a zone


def why(text: str, formats: Sequence[str]) -> Problem:
    """Return the problem of a text that is a time in none of the formats and unambiguous forms.

    Args:
        text: The cell, without white space around it.
        formats: The values of ``--date-format``.
    """
    short = text if len(text) <= LONGEST else ""
    if short.casefold() in _NOTHING:
        return Problem(
            "time_not_a_time",
            f"{shown(text)} is not a time",
            no_time(text),
        )
    month = _other_month(short)
    if month:
        return Problem(
            "time_month_unknown",
            f"{shown(text)} has the month {shown(month)}, and only English names of months are read",
            "export it in English, or with the month as a number, as in 2026-04-10 12:34:56",
        )
    if formats:
        named = " or ".join(shown(each) for each in formats)
        return Problem(
            "time_other_format",
            f"{shown(text)} does not have the form {named}",
            "correct it, or say its form with a further --date-format",
        )
    shuffled = _SHUFFLED.fullmatch(short)
    if shuffled:
        return _order_unknown(text, shuffled)
    year = _SHORT_YEAR.fullmatch(short)
    if year:
        return _year_unknown(text, year)
    if _SHORTENED.fullmatch(short):
        return Problem(
            "time_bare_number",
            f"{shown(text)} is a number that a spreadsheet has shortened",
            "format the column as a number without decimals there, from the original file, and export it again",
        )
    if _NUMBER.fullmatch(short):
        return Problem(
            "time_bare_number",
            f"{shown(text)} is a number, and no Unix time: that has 10 digits (seconds), 13, 16 or 19",
            "a spreadsheet's day number? Format the column as a date there, year first, and export it again"
            if _DAY_NUMBER.fullmatch(short)
            else "correct it, or say what it is with --date-format",
        )
    return Problem(
        "time_not_a_time",
        f"{shown(text)} is not a time",
        "write it as 2026-04-10T12:34:56Z, or say what it is with --date-format",
    )


def _other_month(text: str) -> str:
    """Return the name of the month in a date if it is not English; "" for any other text."""
    if len(_DIGITS.findall(text)) < 2:
        return ""  # a date has a day and a year
    words = (found[1] or found[2] for found in _WORD_BY_A_DAY.finditer(text))
    others = (word for word in words if word.lower() not in MONTHS and not _NO_MONTH.fullmatch(word))
    return next(others, "")


def _clock_format(rest: str) -> str | None:
    """Return the strptime format of the text after a day; None if it has another form."""
    clock = _CLOCK.fullmatch(rest)
    if clock is None:
        return "" if not rest else None
    begin, second, fraction, gap, offset_gap, offset = clock.groups("")
    half = bool(re.search(r"[0-9][ \u00a0\u202f]?[AaPp][Mm]", rest))
    time = f"{begin}{'%I' if half else '%H'}:%M{second and ':%S'}{fraction and '.%f'}"
    return f"{time}{gap and ' '}{'%p' if half else ''}{offset_gap}{offset and '%z'}"


def _order_unknown(text: str, found: re.Match[str]) -> Problem:
    """Return the problem of a date in an unclear order, with the formats that it may have."""
    sep, year = found["sep"], "%Y" if len(found["y"]) == 4 else "%y"
    first, second, last = found["a"], found["b"], found["y"]
    possible = [(f"%d{sep}%m{sep}{year}", first, second), (f"%m{sep}%d{sep}{year}", second, first)]
    # In 26-04-10, the year is as likely to be 2026 as 2010.
    year_first = len(first) == len(last) == 2 and int(first) > 12
    if year_first:
        possible.append((f"%y{sep}%m{sep}%d", last, second))
    orders = [order for order, day, month in possible if 1 <= int(day) <= 31 and 1 <= int(month) <= 12]
    return Problem(
        "time_order_unknown",
        f"{shown(text)} does not say which is the day{', which the month' if year_first else ''} and which the "
        f"{'year' if year_first else 'month'}",
        _formats(orders, found["rest"] or ""),
    )


def _year_unknown(text: str, found: re.Match[str]) -> Problem:
    """Return the problem of a date whose year has two digits, which may also be the day."""
    name = found["month"] or found["first"]
    month = "%b" if len(name) == 3 else "%B"
    if found["month"]:
        gap = found["gap"]
        orders = [f"%d{gap}{month}{gap}%y", f"%y{gap}{month}{gap}%d"]
        orders = [order for order, day in zip(orders, (found["day"], found["y"])) if 1 <= int(day) <= 31]
    else:
        orders = [f"{month}{found['gap2']}%d{found['gap3']}%y"]
    return Problem(
        "time_order_unknown",
        f"{shown(text)} has a year of two digits, which may be a day as well",
        _formats(orders, found["rest"] or ""),
    )


def _formats(orders: Sequence[str], rest: str) -> str:
    """Return the hint with a ``--date-format`` for each order that a date may have."""
    clock = _clock_format(rest)
    formats = " or ".join(f'--date-format "{order}{clock or ""}"' for order in orders)
    if not formats:
        return "write it as 2026-04-10"
    return f"say {formats}{', and add the form of the time' if clock is None else ''}"
