"""Reads the unambiguous forms of a time, which need no ``--date-format``.

* ISO 8601 and other forms with the year first: ``2026-04-10T12:34:56Z``, ``2026/3/2 9:14``, ``20260410T123456Z``.
* English month names and a year of four digits: ``12-Mar-2026 09:14``, ``Mar 12, 2026 9:14:02 AM``,
  ``Thu, 12 Mar 2026 09:14:02 +0100``, ``Thu Mar 12 09:14:02 CET 2026``.
* Unix time: 10 digits are seconds (since September 2001), 13 milliseconds, 16 microseconds, 19 nanoseconds.

A zone may follow the time of day: ``Z``, an offset, an abbreviation, and the names that Go, Java and JavaScript
write after an offset. This covers the exports of shops, and the formats of PostgreSQL, SQL Server, BigQuery and
pandas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from cms_cli.replay.values.instants import Reading

LONGEST = 100
"""The most characters of a time; JavaScript writes the full name of the zone."""

_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
MONTHS: Mapping[str, int] = {
    **{name: at for at, name in enumerate(_NAMES, 1)},
    **{name[:3]: at for at, name in enumerate(_NAMES, 1)},
    "sept": 9,
}
"""The number of each month by its English name and abbreviation, in lower case."""

WEEKDAY = "(?i:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?)"
BEFORE_A_DATE = rf"(?:{WEEKDAY}\.?,? )?"
MONTH = rf"(?P<month>(?i:{'|'.join(sorted(MONTHS, key=len, reverse=True))}))\.?"
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>[0-9]{4})"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_YEAR}(?P<mark>[-/.])(?P<month>[0-9]{{1,2}})(?P=mark)(?P<day>[0-9]{{1,2}})",
        rf"{BEFORE_A_DATE}{_DAY}[ ./-]{{0,2}}{MONTH}[ ,/-]{{0,2}}{_YEAR}",
        rf"{BEFORE_A_DATE}{MONTH}[ /-]?{_DAY}[ ,/-]{{1,2}}{_YEAR}",
        rf"{_YEAR}[ /-]?{MONTH}[ /-]?{_DAY}",
    )
)
_ZONE = (
    r"(?: ?(?P<utc>Z|z|UTC|GMT|utc|gmt))?"
    r"(?: ?(?P<sign>[+\-\u2212])(?P<hours>[0-9]{1,2})(?::?(?P<minutes>[0-9]{2}))?)?"
    r"(?: ?(?P<name>[A-Z]{2,5}))?"
    r"(?: ?\[[\w/+\-]+\]| \([^()]*\)| m=[+\-][0-9.]+)?"
)
_ZONE_ALONE = re.compile(_ZONE)
_TIME = re.compile(
    r"(?:[Tt]|,? (?:at )?|:)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9})|:(?P<ms>[0-9]{3}))?)?"
    rf"(?: ?(?P<half>[AaPp])\.? ?[Mm]\.?)?{_ZONE}"
)
_BASIC = re.compile(rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})")
_BASIC_TIME = re.compile(
    r"(?:[Tt]|(?=[0-9]{6}$))(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})"
    r"(?:(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?" + _ZONE
)
# Unix, Java and PostgreSQL may write the year after the time of day.
_YEAR_LAST = re.compile(
    rf"(?P<date>{BEFORE_A_DATE}[A-Za-z]{{3,9}} [0-9]{{1,2}}) (?P<time>[0-9]{{1,2}}:[0-9:.]+)"
    rf"(?P<zone> [A-Z0-9+:\-]+)? {_YEAR}(?P<end> [A-Z0-9+:\-]+)?"
)
_UNIX = re.compile(r"([1-9][0-9]{9}(?:[0-9]{3}){0,3}|0{10})(?:\.([0-9]{1,9}))?")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a Reading has the offset separately


def read(text: str) -> Reading | None:
    """Parse a time; None if it has none of the forms.

    Args:
        text: The cell, without white space around it.

    Raises:
        ValueError: The text has one of the forms, but there is no such time.
        OverflowError: The same.
    """
    if len(text) > LONGEST:
        return None
    text = " ".join(text.split())  # the blank before AM may be a narrow one
    found = _UNIX.fullmatch(text)
    if found:
        return _since_1970(found[1], found[2] or "")
    found = _YEAR_LAST.fullmatch(text)
    if found:
        text = f"{found['date']} {found['year']} {found['time']}{found['zone'] or ''}{found['end'] or ''}"
    for pattern in _DATES:
        found = pattern.match(text)
        if found:
            return _with_time(found, text, _TIME)
    found = _BASIC.match(text)
    return _with_time(found, text, _BASIC_TIME) if found else None


def zone_behind(text: str) -> tuple[timedelta | None, str] | None:
    """Parse the text after a time of day to an offset (or None) and an abbreviation (or ""); None if it is no zone.

    Raises:
        ValueError: No zone has such an offset.
    """
    found = _ZONE_ALONE.fullmatch(text)
    return None if found is None else _zone(found)


def micro(fraction: str) -> int:
    """Return the microseconds of a fraction of a second, truncated."""
    return int(fraction[:6].ljust(6, "0"))


def _since_1970(whole: str, fraction: str) -> Reading:
    seconds, rest = whole[:10], whole[10:] + fraction
    return Reading(_EPOCH + timedelta(seconds=int(seconds), microseconds=micro(rest)), timedelta(0))


def _with_time(date: re.Match[str], text: str, form: re.Pattern[str]) -> Reading | None:
    rest = text[date.end() :]
    found = form.fullmatch(rest)
    zone = None if found is None else _zone(found)
    if rest and zone is None:
        return None
    month = date["month"].lower()
    local = datetime(int(date["year"]), MONTHS.get(month) or int(month), int(date["day"]))  # noqa: DTZ001
    if found is None or zone is None:
        return Reading(local, day=True)
    parts = found.groupdict("")
    hour = int(parts["hour"])
    if parts.get("half"):
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if parts["half"] in "Pp" else 0)
    clock = local.replace(
        hour=hour,
        minute=int(parts["minute"]),
        second=int(parts["second"] or 0),
        microsecond=micro(parts["fraction"] or parts.get("ms", "")),
    )
    return Reading(clock, *zone)


def _zone(found: re.Match[str]) -> tuple[timedelta | None, str] | None:
    parts = found.groupdict("")
    if not parts["sign"]:
        if parts["utc"]:
            return None if parts["name"] else (timedelta(0), "")
        return None, parts["name"]
    if len(parts["hours"]) == 1 and not parts["utc"]:
        return None
    offset = timedelta(hours=int(parts["hours"]), minutes=int(parts["minutes"] or 0))
    if offset > timedelta(hours=18) or int(parts["minutes"] or 0) > 59:
        raise ValueError(offset)
    # Go writes the zone's name after the offset, which is enough.
    return (offset if parts["sign"] == "+" else -offset), ""
