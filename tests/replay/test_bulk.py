"""Columns at a time and rows one by one come to the same."""

from __future__ import annotations

import json
from datetime import timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mapped import NOW, SALE, mapper, shape

from cms_cli.replay.mapping.bulk import Bulk
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import PlannedEvent, SourceRow
from cms_cli.replay.values.money import AmountFormat
from cms_cli.replay.values.times import TimeColumn, parse_instant
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
        ),
        amount_unit="minor",
    ),
    shape(
        {
            "amount_unit": "minor",
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


def _both(header: list[str], asked: Shape, kind: str, rows: list[tuple[str, ...]], decimal: str = ".") -> None:
    one = mapper(header, asked, kind)
    one.amount_format = AmountFormat(decimal)
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


# Cells at the edge of each rule, by column.
ODD_TEXTS = (
    *("", "0", "clk", "a|b", "x" * 254, "x" * 255, "x" * 256, "é" * 255, "日本", "a: b\nclick_id: zz", "null"),
    *('{"a":"\\ud800"}', "/p?a=q%E9&cms_rf=r", "/p?a=%C3%A9", '{"a":"\\u00e9 x"}'),
    *('{"a":"j","k":1.50}', '[{"key":"a","value":"v"}]', "/p?a=q&cms_rf=r", "😀"),
)
ODD_AMOUNTS = (
    *("", "0", "00", "4999", "49.99", "49,99", "1,249.00", "1.249,00", "-5", "\u22125", "(5)", "$5", "5 USD"),
    *("1e3", "1_000", "\u0663", "\uff19", "+5", ".5", "5.", "1000.00", "1.000", "1'000.50", "1\xa0000.50"),
    *("9007199254740991", "9007199254740992", "9" * 15, "9" * 16, "0" * 16 + "5"),
)
ODD_CURRENCIES = ("", "usd", "JPY", "KWD", "CLF", "XXX", "US", "ÄÖÜ", "\u017f\u017f\u017f", "\u0131us")
ODD_EMAILS = (
    *("", "a@b.c.d", "a@b_c.de", "a..b@c.de", "a@-b.de", "a@b.de,c@d.ef", "a@[1.2.3.4]", ".a@b.de", "a b@c.d"),
    *("x" * 248 + "@b.de", "x" * 249 + "@b.de", "x" * 250 + "@b.de", "a@" + "b" * 70 + ".de"),
)
ODD_TIMES = (
    *("", "2026-03-12T09:14:02Z", "2026-03-12 09:14:02 UTC", "2026-03-12 09:14:02 +0100", "2026-03-12 09:14"),
    *("2026-03-29 02:30:00", "2026-10-25 02:30:00", "1773306842123", "0", "-1", "0001-01-01", "now"),
    *("9999-12-31 23:59:59", "2026-02-29", "12/03/2026", "13/03/2026", "20260312", "2026-03-12 09:14:60"),
    "2026-03-12T09:14:02,5Z",
)
ODD_REFUNDS = (
    "0",
    "5",
    "-5",
    "0,00",
    "000",
    "0.",
    "-0.00",
    "amount:",
    "amount:1|amount:2",
    "1,000.00",
    "5000",
    "?",
)
ODD_HEADER = [*SALE, "customer_name", "customer_email", "Created (UTC)", "Refunded"]
ODD_CELLS = (
    *(ODD_TEXTS, ODD_TEXTS, ODD_TEXTS, ODD_TEXTS, ODD_AMOUNTS, ODD_CURRENCIES, ODD_TEXTS, ODD_EMAILS, ODD_TIMES),
    ODD_REFUNDS,
)
FINE = (*SALE.values(), "Ann", "ann@example.com", "2026-03-12 09:14:02", "")
DRESSES = ("{}", " {}", "{} ", '="{}"', "\xa0{}\u3000", "\t{}\n", "{}\x1c", "\x00{}", "{}\x7f")
TIMED = {"timestamp": ["Created (UTC)"]}
REFUNDED = {"refunds": {"column": "Refunded", "each": "amount", "in_full": "refunded"}}


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize(
    "asked",
    [
        shape({"map": TIMED, **REFUNDED}, timezone="Europe/Berlin"),
        shape(
            {
                "map": {**TIMED, "customer_external_id": ["customer_external_id", "customer_email"]},
                "nothing": {"customer_external_id": ["0", "clk"]},
                "zero_decimals": True,
                **REFUNDED,
            },
            amount_unit="major",
            skip_unattributed=True,
            constants=(("currency", "eur"), ("customer_external_id", "u")),
        ),
    ],
)
def test_odd_cells_one_at_a_time(asked: Shape, decimal: str) -> None:
    """In a row that is fine otherwise, since in one that is all wrong no shortcut is ever taken."""
    for place, texts in enumerate(ODD_CELLS):
        for dress in DRESSES:
            for text in texts:
                row = (*FINE[:place], dress.format(text), *FINE[place + 1 :])
                _both(ODD_HEADER, asked, "sale", [row], decimal)


@st.composite
def _odd_rows(draw: st.DrawFn) -> list[tuple[str, ...]]:
    """Rows that are fine but for a cell or two."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = list(FINE)
        for place in draw(st.lists(st.integers(0, len(FINE) - 1), max_size=2)):
            texts = st.builds(str.format, st.sampled_from(DRESSES), st.sampled_from(ODD_CELLS[place]))
            row[place] = draw(texts | st.text(max_size=5))
        rows.append(tuple(row))
    return rows


FIELDS = st.sampled_from(list(SALE_FIELDS))
COLUMN = st.sampled_from([*ODD_HEADER, "click_id[a]", "customer_name[click_id]", "event_name[a][b]"])
JOINED = st.lists(st.sampled_from(ODD_HEADER), min_size=2, max_size=2).map(lambda parts: {"join": parts})
NOTHING = st.lists(st.sampled_from(["0", "clk", "USD", "4999", "now", "null"]), max_size=2)
CONSTANTS = {
    "currency": ("eur", "nope", "JPY"),
    "event_name": ("buy",),
    "timestamp": ("now", "2026-01-01", "bad", "2026-03-29 02:30"),
    "amount": ("9.99", "5", "x", "1e3"),
    "click_id": ("c",),
    "customer_email": ("broken", "a@b.co"),
    "customer_avatar": ("https://x.y/z", "nourl"),
    "invoice_id": ("i", "x" * 300),
}


@st.composite
def _shapes(draw: st.DrawFn) -> Shape:
    """Any flags, and any rules that this header allows."""
    constants = draw(st.lists(st.sampled_from(list(CONSTANTS)), unique=True, max_size=3))
    sources = st.dictionaries(FIELDS, st.lists(COLUMN | JOINED, min_size=1, max_size=3), max_size=2)
    table = {
        "map": {**TIMED, **draw(sources)},
        "nothing": draw(st.dictionaries(FIELDS, NOTHING, max_size=3)),
        "zero_decimals": draw(st.booleans()),
        **draw(st.sampled_from([{}, REFUNDED, {"refunds": {"column": ["customer_name", "Refunded"]}}])),
    }
    return shape(
        table,
        amount_unit=draw(st.sampled_from(["minor", "major"])),
        skip_unattributed=draw(st.booleans()),
        timezone=draw(st.sampled_from(["", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Tokyo"])),
        date_format=draw(st.sampled_from(["", "", "", "%d/%m/%Y", "%Y-%m-%d"])),
        constants=tuple(sorted((name, draw(st.sampled_from(CONSTANTS[name]))) for name in constants)),
    )


@settings(max_examples=250, deadline=None)
@given(_shapes(), _odd_rows(), st.sampled_from([".", ","]))
def test_odd_cells_under_any_rules(asked: Shape, rows: list[tuple[str, ...]], decimal: str) -> None:
    """Likewise for whatever a mapping file and flags may ask for."""
    _both(ODD_HEADER, asked, "sale", rows, decimal)


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
    from cms_cli.replay.values.problem import ValueProblem
    from cms_cli.replay.values.times import to_wire
    from cms_cli.replay.values.zones import zone_named

    found = zone_named(zone)
    assert not isinstance(found, ValueProblem)
    alone = [parse_instant(text, found, now=NOW) for text in texts]
    expected = [each if isinstance(each, ValueProblem) else to_wire(each) for each in alone]
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


@pytest.mark.parametrize("cell", ['{"a":"\\ud800"}', "https://shop.example/?a=%E9", "x=1&a=%ED%A0%80", "a: é"])
@pytest.mark.parametrize("field", ["click_id", "event_name", "customer_external_id", "invoice_id", "customer_name"])
def test_what_stands_in_a_cell_may_be_no_text_where_the_cell_is(field: str, cell: str) -> None:
    """Escapes in plain ASCII, of JSON and of addresses, can stand for what no request can hold."""
    rows = [(*SALE.values(), "", "", "", ""), (*SALE.values(), "", "", "", cell)]
    for asked in (
        Shape(mapping=((field, f"Refunded[a]|{field}"),), amount_unit="minor"),
        shape({"amount_unit": "minor", "map": {field: [{"join": [field, "Refunded[a]"]}]}}),
    ):
        _both(HEADER, asked, "sale", rows)


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
