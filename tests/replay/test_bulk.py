"""Columns at a time and rows one by one come to the same."""

from __future__ import annotations

import json
from datetime import timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mapped import NOW, SALE, mapper, shape

from cms_cli.replay.bulk import Bulk
from cms_cli.replay.model import PlannedEvent, SourceRow
from cms_cli.replay.options import Shape
from cms_cli.replay.times import TimeColumn, parse_instant
from cms_python import LEAD_FIELDS, SALE_FIELDS

TEXT = st.one_of(
    st.sampled_from(
        ["", " ", "0", "clk_1", " clk_2 ", '="007"', "naïve", "x" * 255, "x" * 256, "a\tb", '"\\', "=", "a = b"]
    ),
    st.text(max_size=8),
)
AMOUNT = st.one_of(st.sampled_from(["", "0", "4999", "49.99", "1,249.00", "-5", "n/a", "9" * 17, "٣", " 7 "]), TEXT)
CURRENCY = st.sampled_from(["USD", "usd", " EUR", "JPY", "XXX", "dollars", "", "ÄÖÜ"])
EMAIL = st.sampled_from(
    [
        "",
        "a@example.com",
        "a+b@x-y.example",
        "a@b",
        "ä@example.com",
        "a@b..c",
        "a b@c.d",
        "@",
        "a@example.com\nb",
        "a@b.co\nc@d.co",
    ]
)
TIME = st.sampled_from(
    [
        *("", "2026-03-12T09:14:02Z", "2026-03-12 09:14:02", "2026-03-12T09:15:59Z", "2026-03-12T09:14:02.123Z"),
        *("2026-03-12", "1773306842", "now", "2026-13-12T09:14:02Z", "2026-03-12T09:60:02Z", "2026-03-29 02:30:00"),
        "2026-03-12 09:14:02\n2026-03-12 09:14:02",
        *("2026-10-25 02:30:00", "2026-03-12T09:14:02+02:00", "soon", "2026-03-12 24:00:00"),
    ]
)
REFUND = st.sampled_from(["", "0.00", "5", "49.99", "amount:1.00|reason:x", "?"])
ROW = st.tuples(TEXT, TEXT, TEXT, TEXT, AMOUNT, CURRENCY, TEXT, EMAIL, TIME, REFUND)
HEADER = [*SALE, "customer_name", "customer_email", "timestamp", "Refunded"]

SHAPES = [
    Shape(),
    Shape(skip_unattributed=True, amount_unit="major", timezone="Europe/Berlin"),
    Shape(
        constants=(("currency", "eur"), ("event_name", "buy"), ("timestamp", "now"), ("customer_email", "broken"))
    ),
    Shape(amount_unit="major", constants=(("amount", "9.99"), ("click_id", "clk_9"))),
    Shape(date_format="%Y-%m-%d"),
    Shape(
        mapping=(
            ("customer_external_id", "customer_name|customer_external_id"),
            ("timestamp", "timestamp|event_name"),
        )
    ),
    shape(
        {
            "nothing": {"customer_external_id": ["0"], "currency": ["XXX"]},
            "map": {"customer_external_id": ["customer_external_id", "customer_email"]},
        }
    ),
    shape(
        {
            "amount_unit": "major",
            "refunds": {"column": "Refunded", "each": "amount", "in_full": "refunded"},
            "map": {
                "customer_name": {"join": ["event_name", "invoice_id"]},
                "click_id": ["click_id[a]", "click_id"],
            },
        }
    ),
]


def _both(header: list[str], asked: Shape, kind: str, rows: list[tuple[str, ...]]) -> None:
    one = mapper(header, asked, kind)
    cells = [list(row) for row in rows]
    many = Bulk(one, bodies=True).plan(range(1, len(rows) + 1), range(2, len(rows) + 2), cells).each()
    careful = [one.event_of(SourceRow(number, number + 1, row)) for number, row in enumerate(cells, 1)]
    assert many == careful
    lean = Bulk(one, bodies=False).plan(range(1, len(rows) + 1), range(2, len(rows) + 2), cells).each()
    assert [each._replace(body="") if isinstance(each, PlannedEvent) else each for each in lean] == [
        each._replace(body="") if isinstance(each, PlannedEvent) else each for each in careful
    ]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SHAPES), st.lists(ROW, min_size=1, max_size=6))
@example(
    SHAPES[0], [("clk_1", "buy", "u", "i", "5", "USD", "Ann B", "a@example.com", "2026-03-12T09:14:02Z", "")] * 3
)
@example(SHAPES[0], [("a|", "buy", "u", "i ", "5", "USD", "", "", "", "")] * 2)
def test_sales_come_to_the_same(asked: Shape, rows: list[tuple[str, ...]]) -> None:
    """Whatever a file holds, events, skips and problems of a batch are those of its rows looked at one by one."""
    _both(HEADER, asked, "sale", rows)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([Shape(), Shape(constants=(("mode", "deferred"),)), Shape(skip_unattributed=True)]),
    st.lists(st.tuples(TEXT, TEXT, TEXT, st.sampled_from(["", "deferred", "now"]), TIME), min_size=1, max_size=6),
)
def test_leads_come_to_the_same(asked: Shape, rows: list[tuple[str, ...]]) -> None:
    """Likewise for leads, whose modes and missing clicks have rules of their own."""
    _both(["event_name", "customer_external_id", "click_id", "mode", "timestamp"], asked, "lead", rows)


PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255).filter(
    lambda text: text == text.strip()
)


@given(PLAIN)
def test_what_passes_at_once_passes_the_fields_own_rule(text: str) -> None:
    """Printable ASCII of up to 255 characters is what the rules of all text fields let through unchanged."""
    for name in ("click_id", "event_name", "customer_external_id", "invoice_id", "customer_name"):
        field = SALE_FIELDS.get(name) or LEAD_FIELDS[name]
        assert field.check(text) == text


@given(
    st.from_regex(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", fullmatch=True).filter(
        lambda text: len(text) < 256
    )
)
def test_addresses_that_pass_at_once_pass_the_rule(text: str) -> None:
    """The short way for e-mail addresses is narrower than the field's rule."""
    assert SALE_FIELDS["customer_email"].check(text) == text


@settings(max_examples=200)
@given(st.lists(TIME, max_size=5), st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]))
def test_times_read_together_are_those_read_alone(texts: list[str], zone: str) -> None:
    """A column's times at once, and each by itself, in zones with odd hours too."""
    from cms_cli.replay.times import TimeProblem, to_wire, zone_named

    found = zone_named(zone)
    assert not isinstance(found, TimeProblem)
    alone = [parse_instant(text, found, now=NOW) for text in texts]
    expected = [each if isinstance(each, TimeProblem) else to_wire(each) for each in alone]
    assert list(TimeColumn(found, now=NOW).wires(texts)) == expected
    same = [f"2026-03-12 09:14:{second:02d}" for second in range(60)]
    assert list(TimeColumn(timezone.utc).wires(same))[7] == "2026-03-12T09:14:07.000Z"


def test_the_body_is_the_sdks_own_text() -> None:
    """Quotes, line breaks, control characters and other scripts are written as the SDK writes them."""
    from cms_python import SaleEvent

    odd = 'Ä "q" \\ \t\x01\u2028 日本'
    cells = [*SALE.values(), odd, "", "", ""]
    (event,) = Bulk(mapper(HEADER), bodies=True).plan((1,), (2,), [cells]).each()
    assert isinstance(event, PlannedEvent)
    values: dict[str, Any] = {**SALE, "amount": 4999, "customer_name": odd}
    assert event.body.encode() == SaleEvent(**values).encode().body
    assert json.loads(event.body)["customerName"] == odd


@pytest.mark.parametrize("cell", ["|", "a|b", "| ", " |", "|=", '="|"'])
def test_a_delimiter_inside_a_cell_changes_nothing(cell: str) -> None:
    """What is used to look at many cells at once may itself stand in one."""
    rows = [(*list(SALE.values())[:1], cell, *list(SALE.values())[2:], cell, "", "", "")]
    _both(HEADER, Shape(), "sale", rows)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("customer_email", "a@example.com\nb@example.com"),
        ("timestamp", "2026-03-12 09:14:02\n2026-03-12 09:14:02"),
        ("amount", "1.00\n2.00"),
    ],
)
def test_a_cell_of_two_lines_is_one_value(column: str, cell: str) -> None:
    """Cells are looked at as the lines of one text; a line end in one of them must not make it pass for two."""
    row = dict(zip(HEADER, (*SALE.values(), "", "a@example.com", "2026-03-12 09:14:02", "")))
    row["amount"] = "49.99"
    rows = [tuple(row.values()), tuple({**row, column: cell}.values())]
    _both(HEADER, Shape(amount_unit="major"), "sale", rows)
