"""Text to an instant, and to its wire form."""

from __future__ import annotations

import sys
import tracemalloc
import zoneinfo
from datetime import date, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_cli.replay.model import Problem
from cms_cli.replay.values.date_formats import check_date_format
from cms_cli.replay.values.times import (
    TimeColumn,
    parse_instant,
    to_wire,
)
from cms_cli.replay.values.zones import names_other_zone, zone_for_header, zone_named

UTC = timezone.utc
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Etc/UTC"]


def wire(text: str, zone: tzinfo = UTC, date_format: str | None = None) -> str:
    result = parse_instant(text, zone, date_format=date_format)
    assert isinstance(result, datetime), result
    assert result.tzinfo is UTC
    return to_wire(result)


def code_of(result: object) -> str:
    assert isinstance(result, Problem), result
    assert result.message
    assert result.hint
    return result.code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-10T12:34:56Z", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10T12:34:56.000Z", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10t12:34:56z", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10 14:34:56+02:00", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10T14:34:56+0200", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10T14:34:56+02", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10T09:04:56-03:30", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10T09:04:56\u221203:30", "2026-04-10T12:34:56.000Z"),
        ("2026-03-12 09:14:02 +0100", "2026-03-12T08:14:02.000Z"),  # Shopify
        ("2026-03-12 09:14:02 UTC", "2026-03-12T09:14:02.000Z"),  # Gumroad
        ("2026-03-12 09:14", "2026-03-12T09:14:00.000Z"),  # Stripe
        ("2026-03-12 09:14:02", "2026-03-12T09:14:02.000Z"),  # Stripe, WooCommerce
        ("2026-04-10", "2026-04-10T00:00:00.000Z"),
        (" 2026-04-10 ", "2026-04-10T00:00:00.000Z"),
        ("2026-04-10T12:34:56.1Z", "2026-04-10T12:34:56.100Z"),
        ("2026-04-10T12:34:56,123Z", "2026-04-10T12:34:56.123Z"),
        ("2026-12-31T23:59:59.999999999Z", "2026-12-31T23:59:59.999Z"),
        ("20260410T123456Z", "2026-04-10T12:34:56.000Z"),
        ("20260410T1434+0200", "2026-04-10T12:34:00.000Z"),
        ("20260410", "2026-04-10T00:00:00.000Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000Z"),
        ("1775824496", "2026-04-10T12:34:56.000Z"),
        ("1775824496.9999", "2026-04-10T12:34:56.999Z"),
        ("1775824496123", "2026-04-10T12:34:56.123Z"),
        ("1775824496123.0", "2026-04-10T12:34:56.123Z"),  # a program's whole number in a column with gaps
        ("1775824496123999", "2026-04-10T12:34:56.123Z"),  # Google Analytics
        ("1775824496123999999", "2026-04-10T12:34:56.123Z"),
        ("20260410123456", "2026-04-10T12:34:56.000Z"),
        ("2026/04/10", "2026-04-10T00:00:00.000Z"),
        ("2026-4-1", "2026-04-01T00:00:00.000Z"),
        ("2026/4/1 9:05", "2026-04-01T09:05:00.000Z"),
        ("2026.04.10 09:05:01", "2026-04-10T09:05:01.000Z"),
        ("2026-04-10 9:05:01 PM", "2026-04-10T21:05:01.000Z"),
        ("2026-04-10 12:34:56.123456+00", "2026-04-10T12:34:56.123Z"),  # PostgreSQL
        ("Fri Apr 10 12:34:56.123456 2026 UTC", "2026-04-10T12:34:56.123Z"),  # PostgreSQL, in its old style
        ("2026-04-10 12:34:56.1234567 +02:00", "2026-04-10T10:34:56.123Z"),  # SQL Server
        ("Apr 10 2026 12:34PM", "2026-04-10T12:34:00.000Z"),  # SQL Server, by default
        ("Apr  1 2026  9:05AM", "2026-04-01T09:05:00.000Z"),
        ("10 Apr 2026 12:34:56:123", "2026-04-10T12:34:56.123Z"),
        ("2026-04-10 12:34:56 UTC", "2026-04-10T12:34:56.000Z"),  # BigQuery
        ("2026-04-10 12:34:56.123 -0700", "2026-04-10T19:34:56.123Z"),  # Snowflake
        ("2026-04-10 12:34:56.123456789 +0000 UTC", "2026-04-10T12:34:56.123Z"),  # Go
        ("2026-04-10 14:34:56 +0200 CEST m=+0.0012", "2026-04-10T12:34:56.000Z"),
        ("2026-04-10T14:34:56+02:00[Europe/Berlin]", "2026-04-10T12:34:56.000Z"),  # Java
        ("2026-04-10T12:34:56.123Z[UTC]", "2026-04-10T12:34:56.123Z"),
        ("Fri Apr 10 12:34:56 UTC 2026", "2026-04-10T12:34:56.000Z"),
        ("Fri Apr 10 12:34:56 +0000 2026", "2026-04-10T12:34:56.000Z"),
        ("Fri Apr 10 2026 14:34:56 GMT+0200 (Central European Summer Time)", "2026-04-10T12:34:56.000Z"),
        ("Fri, 10 Apr 2026 14:34:56 +0200", "2026-04-10T12:34:56.000Z"),  # mail and feeds
        ("10/Apr/2026:14:34:56 +0200", "2026-04-10T12:34:56.000Z"),  # logs of web servers
        ("2026-04-10 14:34 UTC+2", "2026-04-10T12:34:00.000Z"),
        ("12-Mar-2026 09:14", "2026-03-12T09:14:00.000Z"),
        ("12mar2026", "2026-03-12T00:00:00.000Z"),
        ("2026-Mar-12 09:14", "2026-03-12T09:14:00.000Z"),
        ("Mar 12, 2026 9:14:02 AM", "2026-03-12T09:14:02.000Z"),
        ("Mar 12, 2026, 9:14:02\u202fPM", "2026-03-12T21:14:02.000Z"),
        ("Thursday, March 12th, 2026 at 9:14 a.m.", "2026-03-12T09:14:00.000Z"),
        ("Sept. 3, 2026", "2026-09-03T00:00:00.000Z"),
    ],
)
def test_the_forms_that_are_read(text: str, expected: str) -> None:
    """ISO 8601, the exports' own forms and Unix time are read, to the millisecond."""
    assert wire(text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "time_empty"),
        ("  ", "time_empty"),
        ("soon", "time_not_a_time"),
        ("now", "time_not_a_time"),
        ("2026-04-10 12:00 CET", "time_other_zone"),
        ("2026-04-10 12:00 +2", "time_not_a_time"),
        ("2026-04-10 12:00 Z CET", "time_not_a_time"),
        ("2026-04-10 13:00 PM", "time_impossible"),
        ("2026-04-10 0:30 AM", "time_impossible"),
        ("Feb 30, 2026", "time_impossible"),
        ("31-Apr-2026 10:00", "time_impossible"),
        ("2026-04-10Z", "time_not_a_time"),
        ("2026-W15-5", "time_not_a_time"),
        ("2026-W15-5T12:34:56", "time_not_a_time"),
        ("2026-04-10x12:34:56", "time_not_a_time"),
        ("2026-4/1", "time_not_a_time"),
        ("NaT", "time_not_a_time"),
        ("\u0662\u0660\u0662\u0666-04-10", "time_not_a_time"),
        ("2026-04-10T12:34:56.1234567890Z", "time_not_a_time"),
        (" " * 100_000 + "x" + " " * 100_000, "time_not_a_time"),
        ("2026-04-10" + " " * 100_000 + "x", "time_not_a_time"),
        ("2026-02-29", "time_impossible"),
        ("2026-02-30 10:00:00", "time_impossible"),
        ("2026-13-01T00:00:00Z", "time_impossible"),
        ("2026-01-01T24:00:00", "time_impossible"),
        ("2026-06-30T23:59:60Z", "time_impossible"),
        ("2026-01-01T10:00:00+25:00", "time_impossible"),
        ("2026-01-01T10:00:00+01:60", "time_impossible"),
        ("0000-00-00 00:00:00", "time_impossible"),
        ("0001-01-01T00:00:00+02:00", "time_impossible"),
        ("1970-01-01T00:00:00Z", "time_out_of_range"),
        ("0000000000", "time_out_of_range"),
        ("9999-12-31", "time_out_of_range"),
        ("9999999999", "time_out_of_range"),
        ("46122", "time_bare_number"),
        ("46122.524", "time_bare_number"),
        ("177582449612", "time_bare_number"),
        ("03/04/2026", "time_order_unknown"),
        ("13/04/2026", "time_order_unknown"),
        ("0104202614", "time_bare_number"),  # a time of day or a telephone number, and no instant of 1973
        ("0001775824496", "time_bare_number"),
        ("3.4.26", "time_order_unknown"),
        ("03-04-2026 10:00", "time_order_unknown"),
        ("99/99/2026", "time_order_unknown"),
    ],
)
def test_what_is_no_instant_is_refused(text: str, code: str) -> None:
    """A text that is no instant is a problem with a code, a short message and a hint."""
    result = parse_instant(text, UTC)
    assert code_of(result) == code
    assert len(result[1]) < 200  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("03/04/2026", ["%d/%m/%Y", "%m/%d/%Y"]),
        ("13/04/2026", ["%d/%m/%Y"]),
        ("04/13/2026 9:05", ["%m/%d/%Y %H:%M"]),
        ("03.04.26 09:05:01", ["%d.%m.%y %H:%M:%S", "%m.%d.%y %H:%M:%S"]),
        ("03/04/2026 9:05 PM", ["%d/%m/%Y %I:%M %p", "%m/%d/%Y %I:%M %p"]),
        ("13/4/2026, 9:05:01\u202fPM", ["%d/%m/%Y, %I:%M:%S %p"]),
        ("13/4/2026 9:05am", ["%d/%m/%Y %I:%M%p"]),
        ("13/04/2026 09:05:01.250 +0200", ["%d/%m/%Y %H:%M:%S.%f %z"]),
        ("13.04.2026T09:05Z", ["%d.%m.%YT%H:%M%z"]),
        ("32/04/2026", []),
        ("26/13/2026", []),
        ("26-04-10 09:05", ["%d-%m-%y %H:%M", "%y-%m-%d %H:%M"]),
        ("28.04.26", ["%d.%m.%y", "%y.%m.%d"]),
    ],
)
def test_the_way_out_of_a_shuffled_date_works(text: str, formats: list[str]) -> None:
    """The --date-format suggested for an ambiguous date is valid and reads it."""
    problem = parse_instant(text, UTC)
    assert code_of(problem) == "time_order_unknown"
    said = "say " + " or ".join(f'--date-format "{each}"' for each in formats)
    assert problem.hint == (said if formats else "write it as 2026-04-10")  # type: ignore[union-attr]
    for each in formats:
        assert check_date_format(each) is None
        assert wire(text, date_format=each)[:4] in ("2026", "2010", "2028")


def test_a_text_of_any_length_is_no_time_at_once() -> None:
    """A text of megabytes is refused without building a pattern of it."""
    long = "2026-03-12 09:14:00" + "x." * 10_000_000
    before = sys.getsizeof(long)
    tracemalloc.start()
    try:
        column = TimeColumn(UTC)
        found = [column.wire(long), column.wire(long)]
        assert tracemalloc.get_traced_memory()[1] < 5 * before
    finally:
        tracemalloc.stop()
    assert [code_of(each) for each in found] == ["time_not_a_time"] * 2


def test_the_way_out_says_what_it_leaves_out() -> None:
    """The hint says so if the suggested format covers only the date."""
    problem = parse_instant("13/04/2026 at nine", UTC)
    assert problem.hint == 'say --date-format "%d/%m/%Y", and add the form of the time'  # type: ignore[union-attr]


def test_a_date_format_goes_before_the_forms_that_leave_nothing_open() -> None:
    """--date-format decides ambiguous values, and unambiguous forms are still read."""
    assert wire("03/04/2026", BERLIN, "%d/%m/%Y") == "2026-04-02T22:00:00.000Z"
    assert wire("03/04/2026", UTC, "%m/%d/%Y") == "2026-03-04T00:00:00.000Z"
    assert wire("03/04/2026 10:00 +0530", BERLIN, "%d/%m/%Y %H:%M %z") == "2026-04-03T04:30:00.000Z"
    assert wire("03/04/2026 10:00 GMT+05:30", BERLIN, "%d/%m/%Y %H:%M") == "2026-04-03T04:30:00.000Z"
    for text in ("2026-04-03 00:00", "2026-04-02T22:00:00Z", "1775167200", "Apr 3, 2026"):
        assert wire(text, BERLIN, "%d/%m/%Y") == "2026-04-02T22:00:00.000Z"
    for text in ("x", "31/02/2026", "03/04/2026 10:00", "03/04/2026Z"):
        assert code_of(parse_instant(text, UTC, date_format="%d/%m/%Y")) == "time_other_format"
    assert code_of(parse_instant("29/03/2026 02:30", BERLIN, date_format="%d/%m/%Y %H:%M")) == "time_skipped"


def test_several_date_formats_are_tried_in_order() -> None:
    """Several --date-format are tried in order, and the first that fits is used."""
    formats = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y")
    for text, meant in (
        ("03/12/2026", "2026-03-12T00:00:00.000Z"),
        ("03/12/2026 09:14", "2026-03-12T09:14:00.000Z"),
        ("13/12/2026", "2026-12-13T00:00:00.000Z"),
    ):
        instant = parse_instant(text, UTC, date_format=formats)
        assert isinstance(instant, datetime)
        assert to_wire(instant) == meant
    problem = parse_instant("x", UTC, date_format=formats[:2])
    assert '"%m/%d/%Y" or "%m/%d/%Y %H:%M"' in problem.message  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("America/Los_Angeles", "Jan 1, 2026 12:03:11 AM PST", "2026-01-01T08:03:11.000Z"),
        ("America/Los_Angeles", "Jul 4, 2026 9:03:11 PM PDT", "2026-07-05T04:03:11.000Z"),
        ("Europe/Berlin", "2026-03-12 10:00 CET", "2026-03-12T09:00:00.000Z"),
        # 02:30 occurs twice on this day, and the abbreviation tells which.
        ("Europe/Berlin", "2026-10-25 02:30 CEST", "2026-10-25T00:30:00.000Z"),
        ("Europe/Berlin", "2026-10-25 02:30 CET", "2026-10-25T01:30:00.000Z"),
        ("Europe/Berlin", "2026-07-12 10:00 GMT", "2026-07-12T10:00:00.000Z"),
        ("Asia/Kolkata", "2026-03-12 10:00:00 IST", "2026-03-12T04:30:00.000Z"),
        ("Europe/Berlin", "Thu Mar 12 09:14:02 CET 2026", "2026-03-12T08:14:02.000Z"),
    ],
)
def test_an_abbreviation_is_accepted_when_the_zone_has_it_at_that_moment(
    zone: str, text: str, expected: str
) -> None:
    """An abbreviation is accepted if the zone uses it at that moment."""
    assert wire(text, zoneinfo.ZoneInfo(zone)) == expected


def test_an_abbreviation_is_accepted_behind_a_date_format_too() -> None:
    """An abbreviation is accepted after a time in --date-format."""
    form, zone = "%m/%d/%Y %H:%M:%S", zoneinfo.ZoneInfo("America/Los_Angeles")
    assert wire("06/21/2026 07:22:17 PDT", zone, form) == "2026-06-21T14:22:17.000Z"
    assert wire("12/01/2026 08:00:00 PST", zone, form) == "2026-12-01T16:00:00.000Z"
    assert code_of(parse_instant("12/01/2026 08:00:00 PDT", zone, date_format=form)) == "time_other_zone"


@pytest.mark.parametrize(
    ("zone", "text", "way_out"),
    [
        ("UTC", "2026-03-12 10:00 CET", "Europe/Berlin"),
        ("UTC", "Jul 4, 2026 9:03 PM PDT", "America/Los_Angeles"),
        ("Europe/Berlin", "2026-02-12 10:00 EST", "America/New_York"),
    ],
)
def test_the_way_out_of_an_abbreviation_of_another_zone_works(zone: str, text: str, way_out: str) -> None:
    """The zone suggested for an abbreviation reads the value."""
    problem = parse_instant(text, zoneinfo.ZoneInfo(zone))
    assert code_of(problem) == "time_other_zone"
    assert problem.hint.endswith(f"such as {way_out}")  # type: ignore[union-attr]
    assert wire(text, zoneinfo.ZoneInfo(way_out))


def test_an_abbreviation_that_its_zone_does_not_have_then_is_no_time() -> None:
    """An abbreviation that the zone does not use at that moment is a problem."""
    problem = parse_instant("Jul 4, 2026 9:03 PM PST", zoneinfo.ZoneInfo("America/Los_Angeles"))
    assert code_of(problem) == "time_other_zone"
    assert "has PDT then" in problem.message  # type: ignore[union-attr]
    assert "offset" in problem.hint  # type: ignore[union-attr]
    assert code_of(parse_instant("2026-03-29 02:30 CET", BERLIN)) == "time_skipped"


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("1 avr. 2026 00:05:12 UTC", "avr"),
        ("12 déc. 2026 10:05:12 UTC", "déc"),
        ("12. März 2026", "März"),
        ("12 de marzo de 2026 10:00", "marzo"),
        ("3. Juli 2026 10:00", "Juli"),
        ("Mai 3, 2026", "Mai"),
        ("12 мар. 2026", "мар"),
        ("12-ago-26", "ago"),
    ],
)
def test_a_month_that_is_not_english_says_so(text: str, month: str) -> None:
    """A month name that is not English is a problem that names it, with and without --date-format."""
    for date_format in (None, "%d %b %Y %H:%M:%S UTC"):
        problem = parse_instant(text, UTC, date_format=date_format)
        assert code_of(problem) == "time_month_unknown"
        assert f'has the month "{month}"' in problem.message  # type: ignore[union-attr]
    assert code_of(parse_instant("soon 12", UTC)) == "time_not_a_time"


def test_a_day_is_its_first_instant() -> None:
    """A date is its first instant, also if clocks skip midnight or show it twice; impossible days are refused."""
    days = {
        ("America/Sao_Paulo", "2018-11-04"): "2018-11-04T03:00:00.000Z",  # 0:00 became 1:00
        ("Asia/Beirut", "2022-03-27"): "2022-03-26T22:00:00.000Z",
        ("America/Toronto", "1919-03-31"): None,  # too long ago
        ("America/Havana", "2026-11-01"): "2026-11-01T04:00:00.000Z",  # 1:00 became 0:00
        ("Europe/Berlin", "2026-03-29"): "2026-03-28T23:00:00.000Z",
    }
    for (zone, text), expected in days.items():
        instant = parse_instant(text, zoneinfo.ZoneInfo(zone))
        assert (to_wire(instant) if isinstance(instant, datetime) else None) == expected
        shuffled = f"{text[8:]}/{text[5:7]}/{text[:4]}"
        assert parse_instant(shuffled, zoneinfo.ZoneInfo(zone), date_format="%d/%m/%Y") == instant or not expected
    assert code_of(parse_instant("2011-12-30", zoneinfo.ZoneInfo("Pacific/Apia"))) == "time_skipped"
    saying_midnight = parse_instant("2018-11-04 00:00", zoneinfo.ZoneInfo("America/Sao_Paulo"))
    assert code_of(saying_midnight) == "time_skipped"


@given(day=st.dates(date(1972, 1, 1), date(2100, 12, 30)), zone=st.sampled_from([*ZONES, "America/Asuncion"]))
def test_no_instant_of_a_day_is_before_its_first(day: date, zone: str) -> None:
    """The second before a day's first instant belongs to an earlier day."""
    there = zoneinfo.ZoneInfo(zone)
    first = parse_instant(day.isoformat(), there)
    assert isinstance(first, datetime)
    assert first.astimezone(there).date() == day
    assert (first - timedelta(seconds=1)).astimezone(there).date() < day


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("Sep-30-26", ["%b-%d-%y"]),
        ("12-Mar-26 09:14", ["%d-%b-%y %H:%M", "%y-%b-%d %H:%M"]),
        ("March 12, 26 9:14:02 AM", ["%B %d, %y %I:%M:%S %p"]),
    ],
)
def test_the_way_out_of_a_short_year_works(text: str, formats: list[str]) -> None:
    """The --date-format suggested for a two-digit year reads it."""
    problem = parse_instant(text, UTC)
    assert code_of(problem) == "time_order_unknown"
    said = "say " + " or ".join(f'--date-format "{each}"' for each in formats)
    assert problem.hint == said  # type: ignore[union-attr]
    for each in formats:
        assert check_date_format(each) is None
        assert wire(text, date_format=each)


def test_numbers_that_are_no_unix_time_say_what_they_may_be() -> None:
    """A number that is no Unix time is a problem that says what it may be."""
    for text, hint in (
        ("46122.524", "a spreadsheet's day number?"),
        ("46122,524", "a spreadsheet's day number?"),
        ("177582449612", "--date-format"),
        ("1.77582E+12", "without decimals"),
    ):
        problem = parse_instant(text, UTC)
        assert code_of(problem) == "time_bare_number"
        assert hint in problem.hint  # type: ignore[union-attr]


def test_numbers_that_run_together_need_their_zeros() -> None:
    """Digits without separators must have all their zeros."""
    assert wire("01122026", UTC, "%d%m%Y") == "2026-12-01T00:00:00.000Z"
    assert wire("20261201 0905", UTC, "%Y%m%d %H%M") == "2026-12-01T09:05:00.000Z"
    assert wire("20261201090501.5+0100", UTC, "%Y%m%d%H%M%S.%f%z") == "2026-12-01T08:05:01.500Z"
    assert wire("2026-1201", UTC, "%Y-%m%d") == "2026-12-01T00:00:00.000Z"
    assert wire("1/2/26", UTC, "%d/%m/%y") == "2026-02-01T00:00:00.000Z"
    for text, form in (
        ("1122026", "%d%m%Y"),
        ("2026113", "%Y%m%d"),
        ("20261201 905", "%Y%m%d %H%M"),
        ("2026120190501.5+0100", "%Y%m%d%H%M%S.%f%z"),
    ):
        problem = parse_instant(text, UTC, date_format=form)
        assert code_of(problem) == "time_other_format"
        assert "too few digits" in problem.message  # type: ignore[union-attr]
    assert wire("2026-10-25T02:30:00+02:00", BERLIN, "%Y%m%d") == "2026-10-25T00:30:00.000Z"


def test_the_form_suggested_for_a_repeated_time_works_beside_a_date_format() -> None:
    """The form that the hint for an ambiguous local time suggests is read beside any --date-format."""
    form = "%d/%m/%Y %H:%M"
    problem = parse_instant("25/10/2026 02:30", BERLIN, date_format=form)
    assert code_of(problem) == "time_twice"
    assert "2026-04-10T12:34:56+02:00" in problem.hint  # type: ignore[union-attr]
    assert wire("2026-10-25T02:30:00+02:00", BERLIN, form) == "2026-10-25T00:30:00.000Z"
    assert wire("2026-10-25T01:30:00Z", BERLIN, form) == "2026-10-25T01:30:00.000Z"
    for text, code in (("2026-10-25T02:30:00", "time_twice"), ("2026-13-25T02:30:00Z", "time_impossible")):
        assert code_of(parse_instant(text, BERLIN, date_format=form)) == code


def test_a_date_format_has_to_say_which_day() -> None:
    """A --date-format that is incomplete or has unknown directives is refused before any row is read."""
    bad = {
        "%d/%m": "date_format_incomplete",
        "%m/%Y": "date_format_incomplete",
        "%H:%M": "date_format_incomplete",
        "%%d/%m/%Y": "date_format_incomplete",
        "": "date_format_incomplete",
        "%d/%m/%Y %Z": "date_format_zone",
        "%d/%d/%m/%Y": "date_format_unknown",
        "%d/%m/%Y %Q": "date_format_unknown",
        "%d/%m/%Y %": "date_format_unknown",
        "%d/%m/%Y %H:%M %p": "date_format_half_day",  # 9:00 PM would be nine in the morning
        "%d/%m/%Y %I:%M": "date_format_half_day",  # 12:30 would be half past midnight
        "%d/%m/%Y %H:%M (%I %p)": "date_format_half_day",
        "%x %p": "date_format_half_day",
    }
    assert {each: code_of(check_date_format(each)) for each in bad} == bad
    for good in ("%d/%m/%Y", "%m/%d/%y %I:%M %p", "%d. %B %Y", "%Y%j", "%d %b %Y %H:%M:%S.%f %z", "%x %X", "%c"):
        assert check_date_format(good) is None


def test_now_is_what_the_caller_says() -> None:
    """ "now" is the time that the caller gives, beside any --date-format."""
    fixed = datetime(2026, 4, 10, 14, 34, 56, tzinfo=BERLIN)
    assert parse_instant("now", BERLIN, now=fixed) == fixed
    assert parse_instant(" NOW ", UTC, now=fixed, date_format="%d/%m/%Y") == fixed


def test_zone_less_times_are_read_in_the_zone() -> None:
    """Times without a zone are read in --timezone, in summer and winter; others ignore it."""
    assert wire("2026-01-10 12:00:00", BERLIN) == "2026-01-10T11:00:00.000Z"
    assert wire("2026-07-10 12:00", BERLIN) == "2026-07-10T10:00:00.000Z"
    assert wire("2026-07-10", BERLIN) == "2026-07-09T22:00:00.000Z"
    assert wire("2026-07-10 12:00:00 UTC", BERLIN) == "2026-07-10T12:00:00.000Z"
    assert wire("1775824496", BERLIN) == "2026-04-10T12:34:56.000Z"


@pytest.mark.parametrize(
    ("zone", "text", "code"),
    [
        ("Europe/Berlin", "2026-03-29 02:00:00", "time_skipped"),
        ("Europe/Berlin", "2026-03-29T02:59", "time_skipped"),
        ("Europe/Berlin", "2026-10-25 02:00:00", "time_twice"),
        ("Europe/Berlin", "2026-10-25 02:59:59", "time_twice"),
        ("Australia/Lord_Howe", "2026-10-04 02:15:00", "time_skipped"),
        ("Australia/Lord_Howe", "2026-04-05 01:45:00", "time_twice"),
        ("America/Sao_Paulo", "2018-11-04 00:30", "time_skipped"),
        ("Pacific/Apia", "2011-12-30 12:00:00", "time_skipped"),
    ],
)
def test_a_time_that_is_skipped_or_repeated_is_a_problem(zone: str, text: str, code: str) -> None:
    """A local time that the zone skips or repeats is a problem that names the zone."""
    found = zone_named(zone)
    assert isinstance(found, tzinfo)
    problem = parse_instant(text, found)
    assert code_of(problem) == code
    assert zone in problem[1]  # type: ignore[index]
    if len(text) > 10:
        assert wire(text + "+01:00", found)


def test_the_edges_of_a_change_are_read() -> None:
    """The last second before a clock change and the first one after it are read."""
    assert wire("2026-03-29 01:59:59", BERLIN) == "2026-03-29T00:59:59.000Z"
    assert wire("2026-03-29 03:00:00", BERLIN) == "2026-03-29T01:00:00.000Z"
    assert wire("2026-10-25 01:59:59", BERLIN) == "2026-10-24T23:59:59.000Z"
    assert wire("2026-10-25 03:00:00", BERLIN) == "2026-10-25T02:00:00.000Z"


def test_zones_are_iana_names() -> None:
    """A zone is an IANA name; an unknown one is a problem with the nearest name."""
    assert zone_named("UTC") is UTC
    assert zone_named(" utc ") is UTC
    near = {
        "Berlin": "Europe/Berlin",
        "Europe/Berln": "Europe/Berlin",
        "new york": "America/New_York",
        "AMERICA/NEW_YORK ": "America/New_York",
    }
    for name, meant in near.items():
        result = zone_named(name)
        if isinstance(result, Problem):  # A file system that ignores case finds some of these names.
            assert code_of(result) == "zone_unknown"
            assert meant in result.hint
    offsets = (
        ("GMT+1", "Etc/GMT-1", "+01:00"),
        ("UTC-05:00", "Etc/GMT+5", "-05:00"),
        ("+0200", "Etc/GMT-2", "+02"),
    )
    for name, meant, offset in offsets:
        result = zone_named(name)
        assert code_of(result) == "zone_unknown"
        assert f"; {meant} is always" in result.hint  # type: ignore[union-attr]
        assert wire("2026-07-10 12:00", zoneinfo.ZoneInfo(meant)) == wire(f"2026-07-10 12:00 {offset}")
    for name in ("CEST", "PST", "EDT", "BST", "IST", "GMT+5:30"):
        result = zone_named(name)
        assert code_of(result) == "zone_unknown"
        assert "did you mean" not in result.hint  # type: ignore[union-attr]
    for name in ("", "qqqqqq", "America", "../../etc/passwd", "/etc/localtime", "a\0b", "CEST+2"):
        assert code_of(zone_named(name)) == "zone_unknown"


def test_a_header_that_says_utc_overrides_the_zone() -> None:
    """A header that says UTC in brackets overrides --timezone."""
    for header in ("Created (UTC)", "Created date (UTC)", "Purchase Time (UTC timezone)", "at (utc)", "( UTC )"):
        assert zone_for_header(header, BERLIN) is UTC
    for header in ("Paid at", "Created (UTC+2)", "Created UTC", "(UTCX)", "Created (local)"):
        assert zone_for_header(header, BERLIN) is BERLIN


def test_a_header_that_names_another_zone() -> None:
    """A header that names another zone in brackets is recognised."""
    for header in (
        "Date (CET)",
        "Time (UTC+2)",
        "Paid at [GMT-05:00]",
        "Created (+0200)",
        "When (PDT)",
        "At (local time)",
    ):
        assert names_other_zone(header), header
    for header in (
        "Date (UTC)",
        "Date (GMT)",
        "Time",
        "Date (2026)",
        "Price (EUR)",
        "Paid (net)",
        "Order date (best)",
        "Date (-)",
    ):
        assert not names_other_zone(header), header


instants = st.datetimes(datetime(1972, 1, 1), datetime(2100, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    instant=instants,
    offset=st.integers(-14 * 60, 14 * 60),
    between=st.sampled_from(["T", " ", "t", "  "]),
    digits=st.integers(0, 9),
    style=st.sampled_from(["{h}:{m}", " {h}:{m}", "{h}{m}", " {h}{m}"]),
    zone=st.sampled_from(ZONES),
)
def test_what_is_written_with_an_offset_is_read_back(
    instant: datetime, offset: int, between: str, digits: int, style: str, zone: str
) -> None:
    """A time written with an offset is read back to the same millisecond."""
    local = instant.astimezone(timezone(timedelta(minutes=offset)))
    hours, minutes = divmod(abs(offset), 60)
    text = local.strftime(f"%Y-%m-%d{between}%H:%M:%S")
    fraction = f"{instant.microsecond:06d}000"[:digits]
    text += "." + fraction if digits else ""
    text += style[: style.index("{")] + ("-" if offset < 0 else "+")
    text += style[style.index("{") :].format(h=f"{hours:02d}", m=f"{minutes:02d}")
    expected = instant.strftime("%Y-%m-%dT%H:%M:%S.") + fraction[:3].ljust(3, "0") + "Z"
    assert wire(text, zoneinfo.ZoneInfo(zone)) == expected


@given(instant=instants, zone=st.sampled_from(ZONES))
def test_a_zone_less_time_is_its_instant_or_a_problem(instant: datetime, zone: str) -> None:
    """A local time is read as its instant, or is a problem if the zone repeats it."""
    instant = instant.replace(microsecond=0)
    found = zoneinfo.ZoneInfo(zone)
    local = instant.astimezone(found)
    result = parse_instant(local.strftime("%Y-%m-%d %H:%M:%S"), found)
    if isinstance(result, Problem):
        assert result.code == "time_twice"
        assert local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    else:
        assert result == instant


@given(
    text=st.text(max_size=30) | st.text(alphabet="0123456789-:T .+Z/", max_size=26),
    date_format=st.none() | st.sampled_from(["%d/%m/%Y", "%d.%m.%y %H:%M", "%Y-%m-%d %z"]),
)
def test_any_text_is_an_instant_or_a_problem(text: str, date_format: str | None) -> None:
    """Any text gives a problem or an instant whose wire form has 24 characters."""
    result = parse_instant(text, BERLIN, date_format=date_format)
    assert isinstance(result, Problem) or len(to_wire(result)) == 24


@given(st.text(alphabet="%dmYyHMSzZjcxbBfpI/. -Q", max_size=12))
def test_a_checked_date_format_never_raises(date_format: str) -> None:
    """A --date-format that passed the check never raises."""
    if check_date_format(date_format) is None:
        for text in ("03/04/2026", "", "2026-04-03 10:00", date_format):
            parse_instant(text, BERLIN, date_format=date_format)


hours = st.sampled_from(
    [
        "2026-03-29 01",
        "2026-03-29 02",
        "2026-03-29T02",
        "2026-10-25 02",
        "2026-04-10 12",
        "2026-04-05 01",
        "2026-02-30 10",
    ]
)
endings = st.sampled_from(
    ["", "Z", " UTC", "+02:00", " +0530", "+00:45", ".5", ".123Z", ".123456789", ",5", ". ", ".", "x", "0"]
)


@given(
    texts=st.lists(
        st.builds(
            lambda hour, minute, second, ending: hour + minute + second + ending,
            hours,
            st.sampled_from([":00", ":15", ":59", ":60", ":5", "", ":0x", "-10", ":\u0661\u0662"]),
            st.sampled_from([":00", ":59", ":60", "", ":7"]),
            endings,
        )
        | st.text(alphabet="0123456789-:T .+Z", max_size=24),
        max_size=12,
    ),
    zone=st.sampled_from(ZONES),
    date_format=st.sampled_from([None, None, None, "%Y-%m-%d %H:%M:%S"]),
)
def test_a_column_of_times_reads_as_each_time_alone(texts: list[str], zone: str, date_format: str | None) -> None:
    """A column's cache gives the same answers as reading each text alone."""
    found = zoneinfo.ZoneInfo(zone)
    column = TimeColumn(found, date_format=date_format)
    for text in [*texts, *texts]:
        expected = parse_instant(text, found, date_format=date_format)
        assert column.wire(text) == (expected if isinstance(expected, Problem) else to_wire(expected))


def test_a_column_of_times_remembers_a_bounded_number_of_hours() -> None:
    """A column caches a bounded number of hours."""
    column = TimeColumn(UTC)
    first = datetime(2000, 1, 1, tzinfo=UTC)
    for hour in range(20_000):
        text = (first + timedelta(hours=hour)).strftime("%Y-%m-%d %H")
        assert column.wire(f"{text}:01:02") == f"{text.replace(' ', 'T')}:01:02.000Z"
    assert len(column._known) < 10_000
