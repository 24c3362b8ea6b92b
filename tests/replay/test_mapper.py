"""Any row becomes an event that the SDK would build, a skipped row or a problem that says why."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapped import NOW, SALE, mapper, shape

from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError, PlannedEvent, Problem, RowProblem, SourceRow
from cms_cli.replay.values.times import TimeColumn, parse_instant, to_wire
from cms_cli.replay.values.zones import zone_named
from cms_python import LeadEvent, SaleEvent
from cms_python.fields import PYTHON_NAMES

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


def _built(event: PlannedEvent, kind: type[LeadEvent | SaleEvent]) -> dict[str, Any]:
    """Return the wire form that the SDK builds of an event's values."""
    values: dict[str, Any] = {PYTHON_NAMES[name]: value for name, value in json.loads(event.body).items()}
    if "timestamp" in values:
        values["timestamp"] = datetime.fromisoformat(values["timestamp"].replace("Z", "+00:00"))
    return kind(**values).to_wire()


def _hold(header: list[str], asked: Shape, kind: str, cells: list[str]) -> None:
    row = mapper(header, asked, kind).event_of(SourceRow(7, 8, cells))
    assert (row.row, row.line, row.cells) == (7, 8, cells)
    if isinstance(row, PlannedEvent):
        assert json.loads(row.body) == _built(row, SaleEvent if kind == "sale" else LeadEvent)
        assert row.refunded >= 0
    elif isinstance(row, RowProblem):
        assert row.problems
        assert all(problem.code and problem.message and problem.line == 8 for problem in row.problems)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SHAPES), ROW)
def test_any_sale(asked: Shape, row: tuple[str, ...]) -> None:
    """Any row of a sale gives an event that the SDK would build, a skipped row or a problem."""
    _hold(HEADER, asked, "sale", list(row))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([Shape(), Shape(constants=(("mode", "deferred"),)), Shape(skip_unattributed=True)]),
    st.tuples(TEXT, TEXT, TEXT, st.sampled_from(["", "deferred", "now"]), TIME),
)
def test_any_lead(asked: Shape, row: tuple[str, ...]) -> None:
    """Any row of a lead gives an event that the SDK would build, a skipped row or a problem."""
    _hold(["event_name", "customer_external_id", "click_id", "mode", "timestamp"], asked, "lead", list(row))


@settings(max_examples=200)
@given(st.lists(TIME, max_size=5), st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]))
def test_times_read_one_after_the_other_are_those_read_alone(texts: list[str], zone: str) -> None:
    """Caching an hour's offset does not change how other times are read."""
    found = zone_named(zone)
    assert not isinstance(found, Problem)
    alone = [parse_instant(text, found, now=NOW) for text in texts]
    expected = [each if isinstance(each, Problem) else to_wire(each) for each in alone]
    column = TimeColumn(found, now=NOW)
    assert [column.wire(text) for text in texts] == expected


def test_the_body_is_the_sdks_own_text() -> None:
    """A body is the same text that the SDK writes, for any characters."""
    odd = 'Ä "q" \\ \t\x01\u2028 日本'
    event = mapper(HEADER).event_of(SourceRow(1, 2, [*SALE.values(), odd, "", "", ""]))
    assert isinstance(event, PlannedEvent)
    values: dict[str, Any] = {**SALE, "amount": 4999, "customer_name": odd}
    assert event.body.encode() == SaleEvent(**values).encode().body
    assert json.loads(event.body)["customerName"] == odd


@pytest.mark.parametrize("cell", ['{"a":"\\ud800"}', "https://shop.example/?a=%E9", "x=1&a=%ED%A0%80"])
@pytest.mark.parametrize("field", ["click_id", "event_name", "customer_external_id", "invoice_id"])
def test_an_escape_may_stand_for_what_no_request_can_hold(field: str, cell: str) -> None:
    """A value that an escape turns into something that cannot be encoded is a problem."""
    asked = Shape(mapping=((field, f"Refunded[a]|{field}"),), amount_unit="minor")
    row = mapper(HEADER, asked).event_of(SourceRow(1, 2, [*SALE.values(), "", "", "", cell]))
    assert isinstance(row, RowProblem)
    assert [problem.code for problem in row.problems] == [f"{field}_invalid"]


def test_a_bad_optional_value_costs_no_sale() -> None:
    """A bad optional value is left out and counted, and a bad required one is a problem."""
    one = mapper([*SALE, "customer_email", "customer_avatar", "customer_name"])
    cells = [*SALE.values(), "ann@mail,example", "no address", "x" * 256]
    event = one.event_of(SourceRow(1, 2, cells))
    assert isinstance(event, PlannedEvent)
    assert set(event.wire).isdisjoint({"customerEmail", "customerAvatar", "customerName"})
    assert sorted((group.problem.code, group.rows, group.lines) for group in one.notices.left_out.groups()) == [
        (f"customer_{name}_invalid", 1, (2,)) for name in ("avatar", "email", "name")
    ]
    broken = one.event_of(SourceRow(2, 3, ["c" * 256, *cells[1:]]))
    assert isinstance(broken, RowProblem)
    assert [problem.code for problem in broken.problems] == ["click_id_invalid"]


def test_what_rows_lack_is_counted() -> None:
    """Leads without a click, and sales whose own id stands for the customer, are counted."""
    leads = mapper(["event_name", "customer_external_id", "click_id", "mode"], kind="lead")
    for cells in (["e", "u", "", ""], ["e", "u", "c", ""], ["e", "u", "c", "deferred"], ["e", "v", "", ""]):
        leads.event_of(SourceRow(1, 2, cells))
    assert leads.notices.without_click == 2
    sales = mapper(
        [*SALE, "Customer"],
        Shape(mapping=(("customer_external_id", "Customer|invoice_id"),), amount_unit="minor"),
    )
    for customer in ("", "cus_1", "", "inv_1"):
        sales.event_of(SourceRow(1, 2, [*SALE.values(), customer]))
    assert sales.notices.without_customer == 2


@pytest.mark.parametrize("name", ["customer_email", "timestamp"])
def test_an_optional_field_can_be_left_out(name: str) -> None:
    """--map FIELD= leaves out an optional field even if a column has its name."""
    row = [*SALE.values(), "ann@example.com" if name == "customer_email" else "2026-04-10"]
    for mapping, there in (((), True), (((name, ""),), False)):
        event = mapper([*SALE, name], Shape(mapping=mapping)).event_of(SourceRow(1, 2, row))
        assert isinstance(event, PlannedEvent)
        assert (("customerEmail" if name == "customer_email" else name) in event.wire) is there
    with pytest.raises(InputError, match="leaves out what a sale needs"):
        mapper(list(SALE), Shape(mapping=(("amount", ""),)))
