"""Converts a local time to its instant in UTC. A time that a zone skips or has twice is a problem."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple

from cms_cli.replay.model import Problem
from cms_cli.replay.problems import shown

FIRST_YEAR, LAST_YEAR = 1971, 2100
"""The years that are accepted. Databases write Unix time 0 (1970) for no date, and later years are typos."""

_UTC = timezone.utc
# A zone for each abbreviation, only for hints. Zones share abbreviations (IST, CST, BST), so none is read by this
# table.
_HAVE = {
    "PST PDT": "America/Los_Angeles",
    "MST MDT": "America/Denver",
    "CST CDT": "America/Chicago",
    "EST EDT": "America/New_York",
    "BST": "Europe/London",
    "WET WEST": "Europe/Lisbon",
    "CET CEST": "Europe/Berlin",
    "EET EEST": "Europe/Athens",
    "MSK": "Europe/Moscow",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "AEST AEDT": "Australia/Sydney",
    "NZST NZDT": "Pacific/Auckland",
}
_SAID_WITH_OFFSET = "say it with its offset, as in 2026-04-10T12:34:56+02:00"


class Reading(NamedTuple):
    """A time as it was written.

    Attributes:
        local: The local time.
        offset: The offset from UTC, or None if none was written.
        abbreviation: The abbreviation of the zone, as in ``PST``; "" if there is none or an offset was written.
        day: Whether only a date was written.
    """

    local: datetime
    offset: timedelta | None = None
    abbreviation: str = ""
    day: bool = False


def instant_of(reading: Reading, zone: tzinfo, text: str) -> datetime | Problem:
    """Return the instant of a time in UTC, or its problem.

    Args:
        reading: The time as it was written.
        zone: The zone for a time without an offset.
        text: The cell, for messages.
    """
    try:
        if reading.offset is not None:
            return checked(reading.local.replace(tzinfo=_UTC) - reading.offset, text)
        if reading.abbreviation:
            return _abbreviated(reading.local, reading.abbreviation, zone, text)
        if reading.day:
            return _start_of_day(reading.local, zone, text)
        return in_zone(reading.local, zone, text)
    except OverflowError:
        return impossible(text)


def in_zone(local: datetime, zone: tzinfo, text: str) -> datetime | Problem:
    """Return the instant of a local time in a zone, or the problem that the zone skips it or has it twice."""
    if zone is _UTC:
        return checked(local.replace(tzinfo=_UTC), text)
    before, after = _offsets(local, zone)
    if before < after:
        return _skipped(text, zone)
    if before > after:
        message = f"{shown(text)} is a time that the clocks of {zone} showed twice"
        return Problem("time_twice", message, _SAID_WITH_OFFSET)
    return checked(local.replace(tzinfo=_UTC) - before, text)


def checked(instant: datetime, text: str) -> datetime | Problem:
    """Return an instant, or the problem that its year is out of range."""
    if FIRST_YEAR <= instant.year <= LAST_YEAR:
        return instant
    return Problem(
        "time_out_of_range",
        f"{shown(text)} is in the year {instant.year}",
        f"correct it: years from {FIRST_YEAR} to {LAST_YEAR} are taken",
    )


def impossible(text: str) -> Problem:
    """Return the problem of a time that does not exist, such as 30 February."""
    hint = no_time(text) if text.startswith("0000-00-00") else "correct it"  # so MySQL writes no time
    return Problem("time_impossible", f"{shown(text)} is on no calendar or clock", hint)


def no_time(text: str) -> str:
    """Return the hint for a word that may stand for no time; a guess would date the event today."""
    # TOML has no escapes within single quotes.
    return f"if such rows have no time, say so in a --mapping file: timestamp = ['{text}'] under [nothing]"


def _offsets(local: datetime, zone: tzinfo) -> tuple[timedelta, timedelta]:
    """Return the zone's offsets before and after a change of its clocks; equal if there is none at the time."""
    before, after = zone.utcoffset(local), zone.utcoffset(local.replace(fold=1))  # PEP 495
    assert before is not None
    assert after is not None
    return before, after


def _start_of_day(midnight: datetime, zone: tzinfo, text: str) -> datetime | Problem:
    """Return the first instant of a day, also if the clocks skip midnight or show it twice."""
    before, _ = _offsets(midnight, zone)
    # Clocks that skip midnight change at the instant that is midnight by the old offset.
    first = midnight.replace(tzinfo=_UTC) - before
    days = [(first - timedelta(seconds=back)).astimezone(zone).date() for back in (1, 0)]
    if not days[0] < midnight.date() == days[1]:
        return _skipped(text, zone)  # the zone has skipped the day when it changed sides of the date line
    return checked(first, text)


def _abbreviated(local: datetime, abbreviation: str, zone: tzinfo, text: str) -> datetime | Problem:
    """Return the instant of a local time at which the zone has this abbreviation, or the problem."""
    if abbreviation in ("UTC", "GMT"):
        return checked(local.replace(tzinfo=_UTC), text)
    names = []
    for fold in (0, 1):
        there = local.replace(tzinfo=zone, fold=fold)
        back = there.astimezone(_UTC).astimezone(zone)
        if back.replace(tzinfo=None) != local:
            return _skipped(text, zone)
        names.append(there.tzname() or "")
        if names[-1] == abbreviation:
            return checked(there.astimezone(_UTC), text)
    known = next((known for names, known in _HAVE.items() if abbreviation in names.split()), "Europe/Berlin")
    return Problem(
        "time_other_zone",
        f"{shown(text)} is in {abbreviation}, and {zone} has {names[0]} then",
        "correct it, or write an offset in its place, as in 2026-04-10T12:34:56+02:00"
        if known == str(zone)
        else f"say --timezone with the name of the zone whose clocks these are, such as {known}",
    )


def _skipped(text: str, zone: tzinfo) -> Problem:
    return Problem("time_skipped", f"{shown(text)} is a time that the clocks of {zone} skipped", _SAID_WITH_OFFSET)
