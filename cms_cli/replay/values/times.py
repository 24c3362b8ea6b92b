"""Text to an instant, exactly, and to the form that goes over the wire: ``2026-04-10T12:34:56.000Z``.

Read without being told:

* ISO 8601: a date, or date and time with ``T`` or spaces between, to the minute, second or a fraction of up to
  nine digits, then nothing, ``Z``, ``UTC``, ``GMT`` or an offset (``+02:00``, ``+0200``, ``+02``), with spaces
  before it or not. That covers what Stripe, Shopify, WooCommerce and Gumroad export. The basic form
  (``20260410T123456Z``, ``20260410``) too.
* Unix time: ten digits are seconds (since September 2001), with a fraction or not; thirteen are milliseconds.
* ``now``, where the caller says what that is.

Fractions are cut to the millisecond, not rounded: rounding could move a sale into the next second, day or month.

A time without a zone is read in the zone given. One that this zone skips, or has twice, is refused: the file does
not say which instant was meant. Dates whose order has to be guessed (``03/04/2026``) are refused without a date
format.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from cms_cli.replay.problems import shown
from cms_cli.replay.values.cells import are_all_like
from cms_cli.replay.values.problem import ValueProblem

FIRST_YEAR, LAST_YEAR = 1971, 2100
"""The years that are taken. Earlier is Unix time 0, which databases write for "no date"; later is a typo."""

_UTC = timezone.utc
_EPOCH = datetime(1970, 1, 1, tzinfo=_UTC)
_TO_THE_SECOND = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")
_UTC_ENDINGS = frozenset(("Z", ".000Z", " UTC", "+00:00", " +0000"))
_ZONE = r"(?: *([Zz]|UTC|GMT|utc|gmt|([+\-\u2212])([0-9]{2})(?::?([0-9]{2}))?))?"
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:(?:[Tt]| +)([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?" + _ZONE + ")?"
)
_BASIC = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})"
    r"(?:[Tt]([0-9]{2})([0-9]{2})(?:([0-9]{2})(?:[.,]([0-9]{1,9}))?)?" + _ZONE + ")?"
)
_UNIX = re.compile(r"(?P<s>[1-9][0-9]{9}|0{10})(?:\.(?P<f>[0-9]{1,9}))?|(?P<ms>[1-9][0-9]{12})")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_SHUFFLED = re.compile(
    r"(?P<a>[0-9]{1,2})(?P<sep>[/.\-])(?P<b>[0-9]{1,2})(?P=sep)(?P<y>[0-9]{4}|[0-9]{2})(?P<rest>(?:,? |T).*)?"
)
_CLOCK = re.compile(
    r"(,? |T)[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?(\.[0-9]{1,6})?"
    r"(?:([ \u00a0\u202f])?[AaPp][Mm])?(?:( )?([+-][0-9]{2}:?[0-9]{2}|Z))?"
)
_DIRECTIVE = re.compile(r"%(.)", re.DOTALL)
_RUN_TOGETHER = re.compile("%[dmyYHIMSj]%[dmyYHIMSj]")
_DIGITS = {"d": 2, "m": 2, "y": 2, "Y": 4, "H": 2, "I": 2, "M": 2, "S": 2, "j": 3}
_BEHIND_A_TIME = re.compile(r"(?:\.[0-9]{1,6})? *(?:Z|[+-][0-9]{2}:?[0-9]{2})?$")
_LONGEST = 64
_TICKS = frozenset(f":{tick:02d}" for tick in range(60))
_TO_LAST_SECOND = timedelta(minutes=59, seconds=59)
_MOST_KNOWN = 1 << 13


def parse_instant(
    text: str, zone: tzinfo, *, date_format: str | None = None, now: datetime | None = None
) -> datetime | ValueProblem:
    """Read one time.

    Args:
        text: The cell.
        zone: What a time that names no zone is read in.
        date_format: A ``strptime`` pattern that :func:`check_date_format` has passed; then nothing else is read but
            what leaves nothing open, ``2026-04-10T12:34:56+02:00``: it is how a row is mended whose time the clocks
            showed twice.
        now: What ``now`` means; without it the word is no time.

    Returns:
        The instant, in UTC, to the microsecond.
    """
    # Nine in ten cells. fromisoformat reads this much in every Python, at a tenth of the cost of the rest.
    if date_format is None and _TO_THE_SECOND.fullmatch(text, 0, 19):
        ending = text[19:]
        if not ending or ending in _UTC_ENDINGS:
            try:
                return _in_zone(datetime.fromisoformat(text[:19]), _UTC if ending else zone, text)
            except ValueError:
                return _no_such_time(text)
    text = text.strip()
    if not text:
        return ValueProblem(
            "time_empty", "is empty", "fill it in, or map no timestamp: the service dates the event"
        )
    if now is not None and text.lower() == "now":
        return now.astimezone(_UTC)
    if date_format is not None:
        return _by_format(text, zone, date_format)
    if len(text) > _LONGEST:
        return _not_a_time(text)
    return _by_shape(text, zone)


def to_wire(instant: datetime) -> str:
    """The form that the API documents: UTC, three digits of a second (the rest is cut off), and ``Z``.

    Args:
        instant: An aware time, in any zone.
    """
    if instant.tzinfo is not _UTC:
        instant = instant.astimezone(_UTC)
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


class TimeColumn:
    """Reads the times of a column into their wire form: what parse_instant and to_wire say, in a tenth of the time.

    Rows come in bunches of the same hour, and what an hour is in UTC is the same for all of its minutes, unless the
    clocks change in it or the zone is off by a part of an hour. So hours are remembered, a bounded number of them.
    """

    def __init__(self, zone: tzinfo, *, date_format: str | None = None, now: datetime | None = None) -> None:
        """Begin with no hours; the arguments are those of :func:`parse_instant`."""
        self._zone = zone
        self._format = date_format
        self._now = now
        # "2026-03-12 09" + what follows the seconds -> "2026-03-12T08"; or, with a format, a text -> its wire form.
        # An empty string is an hour that is not to be remembered.
        self._known: dict[str, str] = {}

    def wire(self, text: str) -> str | ValueProblem:
        """The wire form of one cell."""
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

    def wires(self, texts: Sequence[str]) -> Sequence[str | ValueProblem]:
        """The wire forms of many cells: at once where they have one form and whole hours, else one by one."""
        ending = texts[0][19:] if texts else ""
        # (No time is so long; and a pattern of megabytes would take as many seconds, and be remembered.)
        if self._format is None and len(ending) <= _LONGEST and are_all_like(_same_form(ending), texts):
            hours: dict[str, str] = dict.fromkeys([text[:13] for text in texts], "")
            for hour in hours:
                if hour + ending not in self._known:
                    self.wire(f"{hour}:00:00{ending}")
                hours[hour] = self._known.get(hour + ending, "")
            if all(hours.values()):
                return [f"{hours[text[:13]]}{text[13:19]}.000Z" for text in texts]
        return list(map(self.wire, texts))

    def _slowly(self, text: str, key: str) -> str | ValueProblem:
        instant = parse_instant(text, self._zone, date_format=self._format, now=self._now)
        if isinstance(instant, ValueProblem):
            return instant
        wire = to_wire(instant)
        if key:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = wire if self._format is not None else self._whole_hour(key)
        return wire

    def _whole_hour(self, key: str) -> str:
        """The hour in UTC, or nothing where not all of it is, or where the text has no hour in this place."""
        if not _TO_THE_SECOND.fullmatch(f"{key[:13]}:00:00"):
            return ""
        first = parse_instant(f"{key[:13]}:00:00{key[13:]}", self._zone)
        last = parse_instant(f"{key[:13]}:59:59{key[13:]}", self._zone)
        if isinstance(first, ValueProblem) or isinstance(last, ValueProblem):
            return ""
        wire = to_wire(first)
        return wire[:13] if wire[13:] == ":00:00.000Z" and last - first == _TO_LAST_SECOND else ""


def check_date_format(date_format: str) -> ValueProblem | None:
    """What is wrong with a ``strptime`` pattern, if anything: it has to name a day, a month and a year."""
    found = set(_DIRECTIVE.findall(date_format.replace("%%", "")))
    lacking = [
        what
        for what, directives in (("day", "dcxj"), ("month", "mbBcxj"), ("year", "yYcx"))
        if not found & set(directives)
    ]
    if lacking:
        return ValueProblem(
            "date_format_incomplete",
            f"{shown(date_format)} leaves out the {' and the '.join(lacking)}",
            'as in "%d/%m/%Y" or "%m/%d/%y %H:%M"',
        )
    if "Z" in found:
        return ValueProblem(
            "date_format_zone",
            f"{shown(date_format)} has %Z, and a zone's short name does not say which zone it is",
            "use %z for offsets; or write the name itself into the format, and say --timezone",
        )
    if ("I" in found) != ("p" in found) or {"H", "I"} <= found:
        # strptime ignores a PM beside %H, and takes every hour without one for one of the morning.
        return ValueProblem(
            "date_format_half_day",
            f"{shown(date_format)} does not read the hour together with AM or PM",
            "hours up to 12 are %I and %p together, hours up to 24 are %H alone",
        )
    try:
        datetime.strptime(datetime(2026, 4, 10, tzinfo=_UTC).strftime(date_format), date_format)  # noqa: DTZ007 - only tried
    except (ValueError, re.error) as error:  # re.error: a part is named twice
        return ValueProblem("date_format_unknown", f"{shown(date_format)}: {error}", "see Python's strptime codes")
    return None


@lru_cache(maxsize=64)
def _same_form(ending: str) -> re.Pattern[str]:
    """What lines look like that are times to the second, all of them with this after the seconds."""
    day = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
    return re.compile(rf"(?:{day}[ T][0-9]{{2}}:[0-5][0-9]:[0-5][0-9]{re.escape(ending)}\n)*")


def _by_shape(text: str, zone: tzinfo) -> datetime | ValueProblem:
    found = _ISO.fullmatch(text) or _BASIC.fullmatch(text)
    if found:
        return _from_iso(found, zone, text)
    found = _UNIX.fullmatch(text)
    if found:
        if found["ms"]:
            since = timedelta(milliseconds=int(found["ms"]))
        else:
            since = timedelta(seconds=int(found["s"]), microseconds=_micro(found["f"] or "0"))
        return _checked(_EPOCH + since, text)
    return _not_a_time(text)


def _from_iso(found: re.Match[str], zone: tzinfo, text: str) -> datetime | ValueProblem:
    year, month, day, hour, minute, second, fraction, named, sign, ahead_h, ahead_m = found.groups("0")
    try:
        local = datetime(  # noqa: DTZ001 - it gets its zone below
            int(year), int(month), int(day), int(hour), int(minute), int(second), _micro(fraction)
        )
        if named == "0":
            return _in_zone(local, zone, text)
        offset = timedelta(hours=int(ahead_h), minutes=int(ahead_m))
        if int(ahead_m) > 59 or offset > timedelta(hours=18):
            return _no_such_time(text)
        return _checked(local.replace(tzinfo=_UTC) - (offset if sign == "+" else -offset), text)
    except (ValueError, OverflowError):
        return _no_such_time(text)


@lru_cache(maxsize=8)
def _digits_of(date_format: str) -> int:
    """How many digits a format has at least whose numbers follow each other without a sign; 0 for all others."""
    plain = date_format.replace("%%", "")
    return sum(_DIGITS.get(each, 0) for each in _DIRECTIVE.findall(plain)) if _RUN_TOGETHER.search(plain) else 0


def _by_format(text: str, zone: tzinfo, date_format: str) -> datetime | ValueProblem:
    # strptime takes 1122026 for the 11th of February, where a spreadsheet has cut the zero off the 1st of December.
    counted = _BEHIND_A_TIME.sub("", text) if "%z" in date_format or "%f" in date_format else text
    if sum(map(str.isdigit, counted)) < _digits_of(date_format):
        return ValueProblem(
            "time_other_format",
            f"{shown(text)} has too few digits for {shown(date_format)}",
            "write each number with its zeros in front",
        )
    try:
        parsed = datetime.strptime(text, date_format)  # noqa: DTZ007 - it gets its zone below
        return _in_zone(parsed, zone, text) if parsed.tzinfo is None else _checked(parsed.astimezone(_UTC), text)
    except (ValueError, OverflowError):
        found = _ISO.fullmatch(text)
        if found and found[8] and text[10] in "Tt":
            return _from_iso(found, zone, text)
        return ValueProblem(
            "time_other_format",
            f"{shown(text)} does not have the form {shown(date_format)}",
            "correct it, or correct --date-format",
        )


def _in_zone(local: datetime, zone: tzinfo, text: str) -> datetime | ValueProblem:
    """The instant that a clock in the zone showed this at, once and only once."""
    if zone is _UTC:
        return _checked(local.replace(tzinfo=_UTC), text)
    # Around a change of the clocks the two folds differ: the offset before it, and the one after it (PEP 495).
    before, after = zone.utcoffset(local), zone.utcoffset(local.replace(fold=1))
    if before is None or after is None or before < after:
        return _not_once("time_skipped", f"{shown(text)} is a time that the clocks of {zone} skipped")
    if before > after:
        return _not_once("time_twice", f"{shown(text)} is a time that the clocks of {zone} showed twice")
    return _checked(local.replace(tzinfo=_UTC) - before, text)


def _checked(instant: datetime, text: str) -> datetime | ValueProblem:
    if FIRST_YEAR <= instant.year <= LAST_YEAR:
        return instant
    return ValueProblem(
        "time_out_of_range",
        f"{shown(text)} is in the year {instant.year}",
        f"correct it: years from {FIRST_YEAR} to {LAST_YEAR} are taken",
    )


def _micro(fraction: str) -> int:
    return int(fraction[:6].ljust(6, "0"))


def _not_once(code: str, message: str) -> ValueProblem:
    return ValueProblem(code, message, "give it with its offset, as in 2026-04-10T12:34:56+02:00")


def _no_such_time(text: str) -> ValueProblem:
    return ValueProblem("time_impossible", f"{shown(text)} is on no calendar or clock", "correct it")


def _not_a_time(text: str) -> ValueProblem:
    shuffled = _SHUFFLED.fullmatch(text)
    if shuffled:
        return _order_unknown(text, shuffled)
    if _NUMBER.fullmatch(text):
        return ValueProblem(
            "time_bare_number",
            f"{shown(text)} is a number, but not Unix seconds (ten digits) or milliseconds (thirteen)",
            "a spreadsheet's day number? Format the column as a date there, year first, and export it again",
        )
    return ValueProblem(
        "time_not_a_time",
        f"{shown(text)} is not a time",
        "write it as 2026-04-10T12:34:56Z, or say what it is with --date-format",
    )


def _order_unknown(text: str, found: re.Match[str]) -> ValueProblem:
    """A date in an order that only the user knows, with the formats it may be in."""
    sep, year = found["sep"], "%Y" if len(found["y"]) == 4 else "%y"
    rest = found["rest"] or ""
    clock = _CLOCK.fullmatch(rest)
    time = ""
    if clock:
        begin, second, fraction, gap, offset_gap, offset = clock.groups("")
        half = "M" in rest.upper()
        time = f"{begin}{'%I' if half else '%H'}:%M{second and ':%S'}{fraction and '.%f'}"
        time += f"{gap and ' '}{'%p' if half else ''}{offset_gap}{offset and '%z'}"
    first, second, last = found["a"], found["b"], found["y"]
    possible = [(f"%d{sep}%m{sep}{year}", first, second), (f"%m{sep}%d{sep}{year}", second, first)]
    # 26-04-10 is some day of 2026 at least as likely as the 26th of one in 2010.
    year_first = len(first) == len(last) == 2 and int(first) > 12
    if year_first:
        possible.append((f"%y{sep}%m{sep}%d", last, second))
    orders = [order for order, day, month in possible if 1 <= int(day) <= 31 and 1 <= int(month) <= 12]
    formats = " or ".join(f'--date-format "{order}{time}"' for order in orders)
    return ValueProblem(
        "time_order_unknown",
        f"{shown(text)} does not say which is the day{', which the month' if year_first else ''} and which the "
        f"{'year' if year_first else 'month'}",
        f"say {formats}{', and add the form of the time' if rest and not clock else ''}"
        if formats
        else "write it as 2026-04-10",
    )
