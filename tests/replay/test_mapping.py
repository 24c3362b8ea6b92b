"""Rows to events: the source of each field, the rows that are skipped, and the problems."""

from __future__ import annotations

import re
import shlex

import pytest
from mapped import SALE, SENT, blueprint, body, planned, shape

from cms_cli.replay.mapping import presets
from cms_cli.replay.mapping.mapper import mapped_columns
from cms_cli.replay.mapping.selection import LeftOut
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError, RowProblem, SkippedRow, SourceRow


def _problems(
    cells: dict[str, str], asked: Shape | None = None, kind: str = "sale"
) -> list[tuple[str | None, str]]:
    found = planned(cells, asked, kind)
    assert isinstance(found, RowProblem), found
    return [(problem.column, problem.code) for problem in found.problems]


def _left_out(header: list[str], rows: list[list[str]], asked: Shape) -> list[LeftOut | None]:
    ask = blueprint([*SALE, *header], asked).selection.begin()
    same = list(SALE.values())
    return [ask(SourceRow(number, number + 1, [*same, *cells])) for number, cells in enumerate(rows, 1)]


def _reasons(header: list[str], rows: list[list[str]], asked: Shape) -> list[str]:
    found = _left_out(header, rows, asked)
    return [
        each.message if isinstance(each, SkippedRow) else "" if each is None else each.problems[0].code
        for each in found
    ]


def test_columns_called_like_fields_need_no_flag() -> None:
    """A file whose columns are named like the fields needs no mapping."""
    assert body({**SALE, "whatever": "x"}) == SENT


def test_a_flag_is_the_value_of_rows_that_have_none() -> None:
    """An event flag fills in empty or missing values and never overrides a row's own."""
    asked = Shape(constants=(("currency", "eur"), ("event_name", "renewal")))
    assert body({**SALE, "currency": "", "event_name": "signup"}, asked) == {
        **SENT,
        "currency": "EUR",
        "eventName": "signup",
    }
    without = {name: value for name, value in SALE.items() if name != "currency"}
    assert body(without, asked)["currency"] == "EUR"


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        *(("Ann", "Lee", "Ann Lee"), ("Ann", "", "Ann"), ("", "Lee", "Lee"), ("Ali", "Ali", "Ali Ali")),
        ("2026-03-12", "09:14:02", "2026-03-12 09:14:02"),
        ("2026-03-12", "2026-03-12 09:14:02 UTC", "2026-03-12 09:14:02 UTC"),
        ("2026-03-12", "2026-03-12", "2026-03-12"),
    ],
)
def test_several_columns_make_one_value(first: str, second: str, together: str) -> None:
    """A date that is repeated with the time is not doubled, and a name of two equal parts keeps both."""
    asked = shape({"map": {"customer_name": {"join": ["First", "Second"]}}})
    assert body({**SALE, "First": first, "Second": second}, asked)["customerName"] == together


def test_the_first_source_that_is_not_empty_counts() -> None:
    """`A|B` takes the first value that is not empty, row by row."""
    asked = Shape(mapping=(("click_id", "Notes[click_id] | Landing[cms_rf]"),), amount_unit="minor")
    rest = {name: value for name, value in SALE.items() if name != "click_id"}
    assert body({**rest, "Notes": "click_id: a", "Landing": "/?cms_rf=b"}, asked)["clickId"] == "a"
    assert body({**rest, "Notes": "gift: yes", "Landing": "/?cms_rf=b"}, asked)["clickId"] == "b"
    assert _problems({**rest, "Notes": " ", "Landing": ""}, asked) == [
        ("Notes[click_id]|Landing[cms_rf]", "click_id_missing")
    ]


def test_a_mapping_goes_before_a_column_of_the_fields_name() -> None:
    """--map wins over a column that is named like the field."""
    asked = Shape(mapping=(("invoiceId", "Bill"),), amount_unit="minor")
    assert body({**SALE, "Bill": "b7"}, asked)["invoiceId"] == "b7"


def test_the_unit_of_amounts_is_never_guessed() -> None:
    """The unit of an amount must be given unless the file is mapped by its own column names."""
    rest = {name: value for name, value in SALE.items() if name != "amount"}
    mapped = (("amount", "Total"),)
    with pytest.raises(InputError, match=r'"Total" may hold 49\.99 or 4999'):
        blueprint([*rest, "Total"], Shape(mapping=mapped))
    assert body({**rest, "Total": "49.99"}, Shape(mapping=mapped, amount_unit="major"))["amount"] == 4999
    assert body({**rest, "Total": "4999"}, Shape(mapping=mapped, amount_unit="minor"))["amount"] == 4999
    assert (
        body({**rest, "Total": "49.99"}, shape({"amount_unit": "major", "map": {"amount": "Total"}}))["amount"]
        == 4999
    )
    with pytest.raises(InputError, match="may hold"):
        blueprint([*SALE, "x"], Shape(mapping=(("amount", "amount[major]"),)))
    # A required field that had to be mapped shows that the file is a shop's, whose "amount" may be either.
    for asked in (Shape(mapping=(("customer_external_id", "Who"),)), shape({"map": {"click_id": ["Who"]}})):
        with pytest.raises(InputError, match=r'"amount" may hold 49\.99 or 4999'):
            blueprint([*SALE, "Who"], asked)
    assert body(SALE, Shape(mapping=(("customer_name", "currency"),)))["amount"] == 4999
    assert (
        body(rest, Shape(constants=(("amount", "4999"),), mapping=(("click_id", "invoice_id"),)))["amount"] == 4999
    )


def test_a_constant_amount_is_read_as_on_the_command_line() -> None:
    """--amount with a file is read as it is without one, with a decimal point."""
    rest = {name: value for name, value in SALE.items() if name != "amount"}
    asked = Shape(constants=(("amount", "49.99"),), amount_unit="major")
    assert body(rest, asked)["amount"] == 4999


def test_all_that_is_wrong_with_a_row_is_said_at_once() -> None:
    """A row's problems are all reported together, each once and by its column."""
    assert _problems({**SALE, "amount": "n/a", "currency": "dollars", "invoice_id": "", "click_id": "x" * 256}) == [
        ("click_id", "click_id_invalid"),
        ("amount", "amount_not_a_number"),
        ("currency", "currency_invalid"),
        ("invoice_id", "invoice_id_missing"),
    ]


def test_a_header_without_a_needed_field_says_what_to_write() -> None:
    """A missing required field is an error with the likely --map and flags."""
    with pytest.raises(InputError) as caught:
        blueprint(["Click", "Customer ID", "Invoice No", "Total"])
    assert "no column for click_id, event_name, customer_external_id, invoice_id, amount, currency" in str(
        caught.value
    )
    assert '--map "click_id=Click"' in caught.value.hint
    assert '--map "invoice_id=Invoice No"' in caught.value.hint
    assert "--event-name purchase_completed" in caught.value.hint
    assert "--currency CODE" in caught.value.hint


def test_a_field_cannot_be_mapped_twice() -> None:
    """Two --map for one field are an error."""
    with pytest.raises(InputError, match="--map names amount twice"):
        blueprint(list(SALE), Shape(mapping=(("amount", "amount"), ("Amount", "amount"))))


def test_rows_without_a_click_can_be_left_out() -> None:
    """--skip-unattributed skips rows without a click, even if there is no column of clicks."""
    asked = Shape(skip_unattributed=True)
    found = planned({**SALE, "click_id": " "}, asked)
    assert isinstance(found, SkippedRow)
    assert found.code == "unattributed"
    assert body(SALE, asked) == SENT
    rest = {name: value for name, value in SALE.items() if name != "click_id"}
    assert isinstance(planned(rest, asked), SkippedRow)


def test_conditions_keep_or_leave_out() -> None:
    """A row is kept if all `=` and `!=` conditions hold, white space aside."""
    asked = Shape(where=("Status=paid", "Test!=1"))
    assert _reasons(["Status", "Test"], [["paid", ""], [" paid ", "1"], ["open", ""]], asked) == [
        "",
        "--where Test!=1",
        "--where Status=paid",
    ]


@pytest.mark.parametrize(
    ("where", "kept"),
    [("A=", "yes"), ("A!=", "no"), ("A = ", "yes"), ("a=b=", "yes"), ("Notes[gift]=yes", "yes"), ("A=x=y", "no")],
)
def test_odd_conditions(where: str, kept: str) -> None:
    """Conditions may have empty values, `=` in names and values, and a value inside a cell."""
    found = _reasons(["A", "a=b", "Notes"], [["", "", "gift: yes"]], Shape(where=(where,)))
    assert found == ["" if kept == "yes" else f"--where {where}"]


@pytest.mark.parametrize("where", ["Status", "=x", "!=x", "Nothing=x", "A|a=b=x", "A==x", "A!==x"])
def test_what_is_no_condition_is_refused(where: str) -> None:
    """A condition without an operator or a column of the file is refused."""
    with pytest.raises(InputError, match="--where"):
        blueprint([*SALE, "A", "a=b"], Shape(where=(where,)))


RULES = {
    "skip": [
        {"column": "Status", "is": ["Refunded"], "reason": "refunded"},
        {"column": ["State", "Status"], "is_not": ["paid", "Partly"], "reason": "not paid"},
        {"column": "Test", "is": ["1"], "reason": "test", "optional": True},
    ]
}


def test_rules_give_the_first_reason_that_holds() -> None:
    """A skipped row has the reason of the first rule that applies, ignoring letter case."""
    rows = [["PAID"], ["partly "], ["refunded"], ["open"], [""]]
    assert _reasons(["Status"], rows, shape(RULES)) == ["", "", "refunded", "not paid", "not paid"]


def test_a_rule_needs_its_column() -> None:
    """A rule whose column is missing is an error, unless the rule is optional."""
    with pytest.raises(InputError, match='no column "Status" to tell which rows are "refunded"'):
        blueprint([*SALE, "State"], shape(RULES))


FOLD = {"fold": {"by": "Name", "empty": ["Status", "Total"], "reason": "line item"}}


def test_further_rows_of_an_order_are_folded() -> None:
    """A line item goes with its order in the row above."""
    rows = [
        ["#1", "paid", "9"],
        ["#1", "", ""],
        ["", "", " "],
        ["#2", "", "0"],
        ["#2", "", ""],
        ["#1", "", ""],
        ["#3", "paid", "9"],
    ]
    assert _reasons(["Name", "Status", "Total"], rows, shape(FOLD)) == [
        *("", "line item", "line item", "", "line item", "order_astray", "")
    ]


def test_a_further_row_without_its_order_is_a_problem() -> None:
    """A line item that does not follow its order is a problem, in every pass."""
    asked = shape(FOLD)
    for _ in range(2):
        (found,) = _left_out(["Name", "Status", "Total"], [["#1", "", ""]], asked)
        assert isinstance(found, RowProblem)
        assert 'the row above is not of order "#1"' in found.problems[0].message


def test_rules_come_before_conditions() -> None:
    """Rules apply before --where, so that a line item is known even if its order is skipped."""
    asked = shape({**FOLD, "skip": RULES["skip"][:1]}, where=("Status=paid",))
    rows = [["#1", "open", "9"], ["#1", "", ""], ["#2", "refunded", "9"]]
    assert _reasons(["Name", "Status", "Total"], rows, asked) == ["--where Status=paid", "line item", "refunded"]


REFUNDS = {
    "amount_unit": "major",
    "refunds": {"column": ["Refunds", "Back"], "each": "amount", "in_full": "refunded"},
}


@pytest.mark.parametrize(
    ("cell", "refunded"),
    [
        ("", 0),
        ("0.00", 0),
        ("5.50", 550),
        ("-5.50", 550),
        ("amount:5.00|reason:amount: all|date:2026-01-01;amount:1.25|reason:", 625),
    ],
)
def test_what_was_paid_back_in_part_is_counted(cell: str, refunded: int) -> None:
    """A partly refunded order is sent in full, with the refund for the preview."""
    found = planned({**SALE, "amount": "49.99", "Refunds": cell}, shape(REFUNDS))
    assert not isinstance(found, (list, SkippedRow))
    assert (found.amount, found.refunded) == (4999, refunded)


def test_what_was_paid_back_in_full_is_left_out() -> None:
    """A fully refunded order is skipped; a free order is not."""
    found = planned({**SALE, "amount": "49.99", "Refunds": "", "Back": "49.99"}, shape(REFUNDS))
    assert isinstance(found, SkippedRow)
    assert found.message == "refunded"
    assert body({**SALE, "amount": "0", "Refunds": "0", "Back": "0"}, shape(REFUNDS))["amount"] == 0


def test_a_refund_that_cannot_be_read_is_a_problem() -> None:
    """A refund that cannot be read is a problem, since it may be the whole amount."""
    assert _problems({**SALE, "amount": "49.99", "Refunds": "some"}, shape(REFUNDS)) == [
        ("Refunds", "amount_not_a_number")
    ]


def test_values_that_stand_for_nothing() -> None:
    """A value listed under `nothing` is empty in its file's mapping, but not where --map names the column."""
    table = {
        "amount_unit": "minor",
        "map": {"customer_external_id": ["customer_id", "mail"]},
        "nothing": {"customer_external_id": ["0"]},
    }
    rest = {name: value for name, value in SALE.items() if name != "customer_external_id"}
    guest = {**rest, "customer_id": "0", "mail": "a@example.com"}
    assert body(guest, shape(table))["customerExternalId"] == "a@example.com"
    assert body({**guest, "customer_id": "7"}, shape(table))["customerExternalId"] == "7"
    by_flag = shape(table, mapping=(("customer_external_id", "customer_id"),))
    assert body(guest, by_flag)["customerExternalId"] == "0"


def test_flags_override_single_fields_of_a_file() -> None:
    """Flags override single fields, defaults and settings of a mapping file."""
    table = {
        "amount_unit": "major",
        "decimal": ".",
        "timezone": "Europe/Berlin",
        "map": {"invoice_id": "Order", "amount": "Total", "timestamp": "Paid"},
        "defaults": {"event_name": "purchase_completed", "currency": "EUR"},
    }
    cells = {"click_id": "c", "customer_external_id": "u", "Order": "1", "Total": "5", "Paid": "2026-07-01 12:00"}
    assert body(cells, shape(table)) == {
        "clickId": "c",
        "eventName": "purchase_completed",
        "customerExternalId": "u",
        "invoiceId": "1",
        "amount": 500,
        "currency": "EUR",
        "timestamp": "2026-07-01T10:00:00.000Z",
    }
    asked = shape(
        table, mapping=(("invoice_id", "click_id"),), constants=(("currency", "JPY"),), timezone="Asia/Tokyo"
    )
    assert body(cells, asked) == {
        "clickId": "c",
        "eventName": "purchase_completed",
        "customerExternalId": "u",
        "invoiceId": "c",
        "amount": 5,
        "currency": "JPY",
        "timestamp": "2026-07-01T03:00:00.000Z",
    }


@pytest.mark.parametrize("name", list(SALE))
def test_a_field_that_is_empty_has_a_way_out(name: str) -> None:
    """The problem of an empty field names a flag that solves it."""
    cells = {**SALE, name: ""}
    found = planned(cells)
    assert isinstance(found, RowProblem)
    [problem] = found.problems
    flag = f"--{name.replace('_', '-')} "
    assert any(each in problem.hint for each in ("--skip-unattributed", f'--where "{name}!="', flag))
    for argument in re.findall("--where (.*)", problem.hint):
        [condition] = shlex.split(argument)
        assert blueprint(list(cells), Shape(where=(condition,))).selection.begin()(
            SourceRow(1, 2, [*cells.values()])
        )


@pytest.mark.parametrize("constant", ["2026-04-09", "2026-04-09T00:00:00Z", "1775692800", "09.04.2026"])
def test_a_date_format_is_of_the_file_and_not_of_the_flag(constant: str) -> None:
    """--date-format applies to the file's column; --timestamp is read as it is for one event."""
    asked = Shape(mapping=(("timestamp", "Paid"),), constants=(("timestamp", constant),), date_format="%d.%m.%Y")
    for paid, sent in (("10.04.2026", "2026-04-10T00:00:00.000Z"), ("", "2026-04-09T00:00:00.000Z")):
        assert body({**SALE, "Paid": paid}, asked)["timestamp"] == sent


def test_a_list_takes_the_columns_that_are_there() -> None:
    """A list in a mapping file ignores missing columns, and a single column must exist."""
    header = [*SALE, "B"]
    assert "customer_name" not in blueprint(header, shape({"map": {"customer_name": ["A"]}})).sources
    asked = shape({"amount_unit": "minor", "map": {"click_id": ["A", "b"]}})
    assert [each.column for each in blueprint(header, asked).sources["click_id"]] == ["B"]
    for strict in ("A", {"join": ["B", "A"]}):
        with pytest.raises(InputError, match=r'map\.customer_name names the column "A"'):
            blueprint(header, shape({"map": {"customer_name": strict}}))


def test_a_list_means_every_spelling_of_its_columns() -> None:
    """A list in a mapping file takes columns in every spelling of its names."""
    header = [*list(SALE)[1:], "Click-ID", "click_id", "Click Id"]
    asked = shape({"amount_unit": "minor", "map": {"click_id": ["click_id", "Click Id"]}})
    assert [each.column for each in blueprint(header, asked).sources["click_id"]] == [
        *("click_id", "Click-ID", "Click Id")
    ]


def test_the_columns_of_a_failures_file_are_no_spelling_of_the_shops_own() -> None:
    """`_status` is used only under its own name and never for `Status`."""
    header = ["Status", "_line", "_status", "_error"]
    rows = [["paid", "2", "refused", "no such click"]]
    assert _reasons(header, rows, Shape(where=("status=paid",))) == [""]
    assert _reasons(header, rows, Shape(where=("_status=unknown",))) == ["--where _status=unknown"]
    found = blueprint([*SALE, *header], shape({"map": {"customer_name": ["Error"]}}))
    assert "customer_name" not in found.sources


def test_a_condition_is_named_as_it_was_given() -> None:
    """A condition of a mapping file is named as such, and not as a --where."""
    asked = shape({"where": ["A=1"]}, where=("B=2",))
    assert _reasons(["A", "B"], [["0", "2"], ["1", "0"]], asked) == ["where A=1", "--where B=2"]
    with pytest.raises(InputError, match=r'^where names the column "C"'):
        blueprint([*SALE, "A"], shape({"where": ["C=1"]}))


def test_defaults_that_hold_with_a_column() -> None:
    """A default can depend on a column: a price in ($) is in USD."""
    table = {
        "amount_unit": "major",
        "map": {"amount": ["Price ($)", "Price"]},
        "defaults_with": {"Price ($)": {"currency": "USD"}},
    }
    rest = {name: value for name, value in SALE.items() if name not in ("amount", "currency")}
    assert body({**rest, "Price ($)": "1"}, shape(table))["currency"] == "USD"
    with pytest.raises(InputError, match="no column for currency"):
        blueprint([*rest, "Price"], shape(table))


def test_what_an_export_lacks_is_said_in_its_own_words() -> None:
    """A mapping file's own hint for a missing field is shown."""
    with pytest.raises(InputError) as caught:
        blueprint(["x"], shape({"lacking": {"click_id": "ask the shop"}}))
    assert "click_id: ask the shop" in caught.value.hint


def test_an_export_that_looks_like_a_known_one_is_pointed_out() -> None:
    """A preset is suggested where a header lacks fields, and is never applied unasked."""
    header = ["Name", "Financial Status", "Total", "Lineitem name"]
    with pytest.raises(InputError) as caught:
        blueprint(header)
    preset, flags = caught.value.hint.splitlines()
    assert preset == "It looks like an export of Shopify: try --preset shopify."
    assert '--map "amount=Total"' in flags
    with pytest.raises(InputError) as caught:
        blueprint(header, shape({"about": "mine"}))
    assert "--preset" not in caught.value.hint
    for named, suggested in (("stripe", True), ("shopify", False)):
        other = presets.preset(named)
        with pytest.raises(InputError) as caught:
            blueprint(header, Shape(preset=named).under(other.rules, other.content))
        assert ("try --preset shopify" in caught.value.hint) is suggested


def test_leads_follow_the_same_rules() -> None:
    """A lead takes its own fields from the same mapping, and a deferred one needs a click."""
    cells = {"event_name": "signup", "customer_external_id": "u", "click_id": "", "mode": ""}
    assert body(cells, kind="lead") == {"eventName": "signup", "customerExternalId": "u"}
    assert _problems({**cells, "mode": "deferred"}, kind="lead") == [(None, "click_id_missing")]
    table = {"map": {"amount": "Total", "invoice_id": ["No"]}, "defaults": {"currency": "EUR", "mode": "deferred"}}
    assert body({**cells, "click_id": "c"}, shape(table), kind="lead")["mode"] == "deferred"


def test_the_source_of_each_field_is_shown_with_samples() -> None:
    """Each field is shown with its columns, up to three different values and its constant."""
    header = ["click_id", "customer_external_id", "invoice_id", "amount", "Notes"]
    constants = (("currency", "EUR"), ("event_name", "buy"))
    asked = Shape(constants=constants, mapping=(("currency", "Notes[cur]"),), amount_unit="minor")
    rows = [["c", "u", f"i{number // 2}", "1", "cur: USD" if number else ""] for number in range(9)]
    found = {each.field: each for each in mapped_columns(blueprint(header, asked), rows)}
    assert found["invoice_id"].samples == ("i0", "i1", "i2")
    assert (found["currency"].column, found["currency"].samples, found["currency"].constant) == (
        "Notes[cur]",
        ("USD",),
        "EUR",
    )
    assert (found["event_name"].column, found["event_name"].constant) == ("", "buy")
    assert "timestamp" not in found


@pytest.mark.parametrize(
    ("cell", "currency", "minor"), [("3000.00", "JPY", 3000), ("3000", "JPY", 3000), ("5.10", "EUR", 510)]
)
def test_decimals_that_a_shop_always_writes(cell: str, currency: str, minor: int) -> None:
    """zero_decimals drops zeros beyond the currency's decimals, and no other digit."""
    table = {"amount_unit": "major", "zero_decimals": True}
    assert body({**SALE, "amount": cell, "currency": currency}, shape(table))["amount"] == minor
    for wrong in ("3000.50", "3000.000"):  # 3000.000 may be three million
        assert _problems({**SALE, "amount": wrong, "currency": "JPY"}, shape(table)) == [
            ("amount", "amount_too_many_decimals")
        ]
    assert _problems({**SALE, "amount": "5.1000"}, Shape(amount_unit="major")) == [
        ("amount", "amount_too_many_decimals")
    ]
    for asked, wrong, way_out in (
        (Shape(amount_unit="major"), "3000.0000", True),
        (Shape(amount_unit="major"), "3000.50", False),
        (Shape(amount_unit="major"), "3000.000", False),
        (shape(table), "3000.50", False),
    ):
        found = planned({**SALE, "amount": wrong, "currency": "JPY"}, asked)
        assert isinstance(found, RowProblem)
        assert f'amount "{wrong}" has more decimals' in found.problems[0].message
        assert ("zero_decimals = true" in found.problems[0].hint) is way_out
