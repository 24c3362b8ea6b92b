"""Checks the formats of ``--date-format``, which are those of Python's strptime, and reads times in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from cms_cli.replay.model import Problem
from cms_cli.replay.problems import shown
from cms_cli.replay.values import time_forms
from cms_cli.replay.values.instants import Reading

_DIRECTIVE = re.compile(r"%(.)", re.DOTALL)
_RUN_TOGETHER = re.compile("%[dmyYHIMSj]%[dmyYHIMSj]")
_DIGITS = {"d": 2, "m": 2, "y": 2, "Y": 4, "H": 2, "I": 2, "M": 2, "S": 2, "j": 3}
_OF_A_CLOCK = frozenset("HIcX")
_BEHIND_A_TIME = re.compile(r"(?:\.[0-9]{1,6})? *(?:Z|[+-][0-9]{2}:?[0-9]{2})?$")
_ZONE_BEHIND = re.compile(r" ?(?:[A-Z]{1,5}|(?:UTC|GMT)? ?[+\-\u2212][0-9:]{1,5})$")


def check_date_format(date_format: str | Sequence[str]) -> Problem | None:
    """Return the problem of a ``strptime`` format, or None. It must have day, month and year.

    Args:
        date_format: A format, or several. Of several, the problem of the first that has one is returned.
    """
    if not isinstance(date_format, str):
        return next(filter(None, map(check_date_format, date_format)), None)
    found = _directives(date_format)
    lacking = [
        what
        for what, directives in (("day", "dcxj"), ("month", "mbBcxj"), ("year", "yYcx"))
        if not found & set(directives)
    ]
    if lacking:
        return Problem(
            "date_format_incomplete",
            f"{shown(date_format)} leaves out the {' and the '.join(lacking)}",
            'as in "%d/%m/%Y" or "%m/%d/%y %H:%M"',
        )
    if "Z" in found:
        return Problem(
            "date_format_zone",
            f"{shown(date_format)} has %Z, and a zone's short name does not say which zone it is",
            "leave %Z out, and say --timezone: a short name behind the time is read where that zone has it",
        )
    if ("I" in found) != ("p" in found) or {"H", "I"} <= found:
        # strptime ignores %p beside %H, and reads %I without %p as an hour of the morning.
        return Problem(
            "date_format_half_day",
            f"{shown(date_format)} does not read the hour together with AM or PM",
            "hours up to 12 are %I and %p together, hours up to 24 are %H alone",
        )
    try:
        datetime.strptime(datetime(2026, 4, 10, tzinfo=timezone.utc).strftime(date_format), date_format)  # noqa: DTZ007 - only tried
    except (ValueError, re.error) as error:  # re.error if a directive occurs twice
        return Problem("date_format_unknown", f"{shown(date_format)}: {error}", "see Python's strptime codes")
    return None


def read_as(text: str, date_format: str) -> Reading | Problem | None:
    """Parse a time in a format that :func:`check_date_format` has accepted; None if the text has another form.

    After the time of day there may be an offset or the abbreviation of a zone, even if the format has none.

    Args:
        text: The cell, without white space around it.
        date_format: The format.
    """
    found = _directives(date_format)
    # strptime reads 1122026 as 11 February, but it is 1 December if a spreadsheet has removed the leading zero.
    counted = _BEHIND_A_TIME.sub("", text) if found & {"z", "f"} else text
    if sum(map(str.isdigit, counted)) < _digits_of(date_format):
        return Problem(
            "time_other_format",
            f"{shown(text)} has too few digits for {shown(date_format)}",
            "write each number with its zeros in front",
        )
    parsed = _parsed(text, date_format)
    zone: tuple[timedelta | None, str] = (None, "")
    if parsed is None and "z" not in found and found & _OF_A_CLOCK:
        behind = _ZONE_BEHIND.search(text)
        try:
            zone = (time_forms.zone_behind(behind[0]) if behind else None) or zone
        except ValueError:
            return None
        parsed = _parsed(text[: behind.start()], date_format) if behind and zone != (None, "") else None
    if parsed is None:
        return None
    if parsed.tzinfo is not None:
        return Reading(parsed.replace(tzinfo=None), parsed.utcoffset())
    return Reading(parsed, *zone, day=not found & _OF_A_CLOCK)


def _parsed(text: str, date_format: str) -> datetime | None:
    try:
        return datetime.strptime(text, date_format)  # noqa: DTZ007 - the zone is read by the caller
    except ValueError:
        return None


@lru_cache(maxsize=16)
def _directives(date_format: str) -> frozenset[str]:
    return frozenset(_DIRECTIVE.findall(date_format.replace("%%", "")))


@lru_cache(maxsize=16)
def _digits_of(date_format: str) -> int:
    """Return the least number of digits of a format in which numbers follow each other directly; 0 for others."""
    plain = date_format.replace("%%", "")
    return sum(_DIGITS.get(each, 0) for each in _DIRECTIVE.findall(plain)) if _RUN_TOGETHER.search(plain) else 0
