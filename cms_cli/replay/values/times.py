"""Text to an instant, exactly, and to its wire form: ``2026-04-10T12:34:56.000Z``.

What leaves nothing open is read without being told (:mod:`~cms_cli.replay.values.time_forms`), other forms as
``--date-format`` says (:mod:`~cms_cli.replay.values.date_formats`), and ``now`` where the caller says what that is.

Fractions are cut to the millisecond, not rounded: rounding could move a sale into the next second, day or month.

A time without a zone is read in the zone given. One that this zone skips, or has twice, is refused: the file does
not say which instant was meant. A day alone is its first instant. Dates whose order has to be guessed
(``03/04/2026``) are refused without a date format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo

from cms_cli.replay.model import Problem
from cms_cli.replay.values import time_forms, unread_times
from cms_cli.replay.values.date_formats import check_date_format, read_as
from cms_cli.replay.values.instants import impossible, in_zone, instant_of

__all__ = ["TimeColumn", "check_date_format", "parse_instant", "to_wire"]

_UTC = timezone.utc
_TO_THE_SECOND = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")
_UTC_ENDINGS = frozenset(("Z", ".000Z", " UTC", "+00:00", " +0000"))
_TICKS = frozenset(f":{tick:02d}" for tick in range(60))
_TO_LAST_SECOND = timedelta(minutes=59, seconds=59)
_MOST_KNOWN = 1 << 13


def parse_instant(
    text: str, zone: tzinfo, *, date_format: str | Sequence[str] | None = None, now: datetime | None = None
) -> datetime | Problem:
    """Read one time.

    Args:
        text: The cell.
        zone: The zone of times that name none.
        date_format: ``strptime`` patterns that :func:`check_date_format` has passed. They are tried in this order,
            and after them the forms that are read without being told.
        now: The time that ``now`` stands for; without it the word is no time.

    Returns:
        The instant, in UTC, to the microsecond.
    """
    # Nine in ten cells. fromisoformat reads this much in every Python, at a tenth of the cost of the rest.
    if not date_format and _TO_THE_SECOND.fullmatch(text, 0, 19):
        ending = text[19:]
        if not ending or ending in _UTC_ENDINGS:
            try:
                return in_zone(datetime.fromisoformat(text[:19]), _UTC if ending else zone, text)
            except ValueError:
                return impossible(text)
    text = text.strip()
    if not text:
        return Problem("time_empty", "is empty", "fill it in, or map no timestamp: the service dates the event")
    if now is not None and text.lower() == "now":
        return now.astimezone(_UTC)
    formats = (date_format,) if isinstance(date_format, str) else tuple(date_format or ())
    for each in formats:
        found = read_as(text, each)
        if found is not None:
            return found if isinstance(found, Problem) else instant_of(found, zone, text)
    try:
        reading = time_forms.read(text)
    except (ValueError, OverflowError):
        return impossible(text)
    if reading is not None:
        return instant_of(reading, zone, text)
    return unread_times.why(text, formats)


def to_wire(instant: datetime) -> str:
    """Return the form that the API documents: UTC, three digits of a second (the rest is cut off), and ``Z``.

    Args:
        instant: An aware time, in any zone.
    """
    if instant.tzinfo is not _UTC:
        instant = instant.astimezone(_UTC)
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class TimeColumn:
    """Reads a column of times into their wire form like parse_instant and to_wire, in a tenth of the time.

    Rows come in bunches of the same hour, and what an hour is in UTC is the same for all of its minutes, unless the
    clocks change in it or the zone is off by a part of an hour. So hours are remembered, a bounded number of them.
    """

    def __init__(
        self, zone: tzinfo, *, date_format: str | Sequence[str] | None = None, now: datetime | None = None
    ) -> None:
        """Begin with no hours; the arguments are those of :func:`parse_instant`."""
        self._zone = zone
        self._format = date_format
        self._now = now
        # "2026-03-12 09" + what follows the seconds -> "2026-03-12T08"; or, with a format, a text -> its wire form.
        # An empty string is an hour that is not to be remembered.
        self._known: dict[str, str] = {}

    def wire(self, text: str) -> str | Problem:
        """Return the wire form of one cell."""
        if self._format is not None:
            return self._known.get(text) or self._slowly(text, text)
        minute = text[13:16]
        second, ending, thousandths = ":00", text[16:], ".000"
        if ending[:1] == ":":
            second, ending = text[16:19], text[19:]
            if ending[:1] == ".":
                digits = ending[1:10]
                digits = digits[: len(digits) - len(digits.lstrip("0123456789"))]
                ending = ending[1 + len(digits) :]
                thousandths = f".{digits[:3]:0<3}" if digits else "?"
        key = text[:13] + ending
        hour = self._known.get(key)
        if hour and minute in _TICKS and second in _TICKS and thousandths != "?":
            return f"{hour}{minute}{second}{thousandths}Z"
        return self._slowly(text, key if hour is None else "")

    def _slowly(self, text: str, key: str) -> str | Problem:
        instant = parse_instant(text, self._zone, date_format=self._format, now=self._now)
        if isinstance(instant, Problem):
            return instant
        wire = to_wire(instant)
        if key:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = wire if self._format is not None else self._whole_hour(key)
        return wire

    def _whole_hour(self, key: str) -> str:
        """Return the hour in UTC; "" if it is not one whole hour there, or if the text has no hour there."""
        if not _TO_THE_SECOND.fullmatch(f"{key[:13]}:00:00"):
            return ""
        first = parse_instant(f"{key[:13]}:00:00{key[13:]}", self._zone)
        last = parse_instant(f"{key[:13]}:59:59{key[13:]}", self._zone)
        if isinstance(first, Problem) or isinstance(last, Problem):
            return ""
        wire = to_wire(first)
        return wire[:13] if wire[13:] == ":00:00.000Z" and last - first == _TO_LAST_SECOND else ""
