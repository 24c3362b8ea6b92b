"""Presets and mapping files: from a shop's export to the events that reach the sandbox."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from faultserver import FaultServer
from program import Program, Result

import cms_cli.presets

FIXTURES = Path(__file__).parent.parent / "fixtures"
PURCHASE = "purchase_completed"
NAMES = sorted(path.stem for path in Path(cms_cli.presets.__file__).parent.glob("*.toml"))


def _replayed(program: Program, file: str, *flags: str) -> tuple[Result, list[dict[str, Any]]]:
    """Replay a fixture into the sandbox; return the result and the events, ordered by invoice."""
    result = program("sale", "--from-csv", str(FIXTURES / file), "--sandbox", "--json", *flags)
    events = [each["event"] for each in program("sandbox", "events", "--json").json]
    return result, sorted(events, key=lambda event: event["invoiceId"])


def _event(
    click: str, customer: str, invoice: str, amount: int, currency: str, time: str, **more: str
) -> dict[str, Any]:
    return {
        "clickId": click,
        "eventName": PURCHASE,
        "customerExternalId": customer,
        "invoiceId": invoice,
        "amount": amount,
        "currency": currency,
        "timestamp": time,
        **more,
    }


def _counts(result: Result) -> dict[str, int]:
    return {name: count for name, count in result.json["counts"].items() if count}


def _preview(program: Program, file: str, *flags: str) -> dict[str, Any]:
    result = program("sale", "--from-csv", str(FIXTURES / file), "--dry-run", "--json", *flags)
    found: dict[str, Any] = result.json
    return found


def test_stripe(program: Program) -> None:
    """Paid Stripe payments are sent with their amounts, currencies and ids; others are skipped with a reason."""
    result, events = _replayed(program, "stripe.csv", "--preset", "stripe")
    assert result.code == 0, result.stderr
    assert events == [
        _event(
            "clk_ben",
            "cus_Ben2",
            "ch_3Qa2",
            124900,
            "EUR",
            "2026-03-12T11:40:00.000Z",
            customerEmail="ben@example.org",
        ),
        _event(
            "clk_cleo",
            "cleo@example.net",
            "ch_3Qa3",
            2000,
            "USD",
            "2026-03-13T00:00:30.000Z",
            customerEmail="cleo@example.net",
        ),
        _event(
            "clk_ada",
            "cus_Ada1",
            "in_1Qa1",
            4999,
            "USD",
            "2026-03-12T09:14:02.000Z",
            customerEmail="ada@example.com",
        ),
        _event(
            "clk_ino",
            "cus_Ino9",
            "in_1Qa9",
            3000,
            "JPY",
            "2026-03-14T23:59:59.000Z",
            customerEmail="ino@example.jp",
        ),
    ]
    assert _counts(result) == {"accepted": 4, "skipped": 5}
    preview = _preview(program, "stripe.csv", "--preset", "stripe")
    assert preview["skipped"] == {"refunded": 2, "failed": 1, "not paid": 1, "not captured": 1}
    assert preview["refunded"] == {"rows": 1, "sums": {"USD": 550}}
    assert preview["sums"] == {"EUR": 124900, "JPY": 3000, "USD": 6999}


def test_stripe_payments_in_test_mode_are_no_sales(program: Program, tmp_path: Path) -> None:
    """Stripe payments in test mode are skipped with a reason."""
    lines = (FIXTURES / "stripe.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    assert ",Live,pi_3Qa1," in lines[1]
    lines[1] = lines[1].replace(",Live,", ",Test,")
    export = tmp_path / "payments.csv"
    export.write_text("".join(lines), encoding="utf-8")
    preview = _preview(program, str(export), "--preset", "stripe")
    assert preview["skipped"]["test mode"] == 1
    assert preview["sums"] == {"EUR": 124900, "JPY": 3000, "USD": 2000}


def test_stripe_of_2020(program: Program) -> None:
    """A Stripe export of 2020, with its older headers, statuses and decimal commas, is read."""
    result, events = _replayed(program, "stripe_2020.csv", "--preset", "stripe", "--event-name", "renewal")
    assert result.code == 0, result.stderr
    first = _event(
        "rf_1", "cus_Old1", "ch_1Gq1", 1990, "EUR", "2020-06-05T20:38:00.000Z", customerEmail="old@example.de"
    )
    second = _event(
        "rf_2",
        "zoe@example.fr",
        "in_1Gq2",
        120000,
        "EUR",
        "2020-06-06T08:00:00.000Z",
        customerEmail="zoe@example.fr",
    )
    assert events == [{**first, "eventName": "renewal"}, {**second, "eventName": "renewal"}]
    assert _preview(program, "stripe_2020.csv", "--preset", "stripe")["skipped"] == {"refunded": 1, "failed": 1}


def test_stripe_of_2024(program: Program) -> None:
    """A lost dispute is skipped and a won one is sent; a Stripe guest is identified by the payment."""
    result, events = _replayed(program, "stripe_2024.csv", "--preset", "stripe")
    assert result.code == 0, result.stderr
    assert [(event["invoiceId"], event["customerExternalId"], event["amount"]) for event in events] == [
        ("in_1Pa1", "cus_Ada1", 1500),
        ("in_1Pa3", "cus_Cleo", 124900),
        ("py_3Pa4", "py_3Pa4", 3000),
    ]
    skipped = _preview(program, "stripe_2024.csv", "--preset", "stripe")["skipped"]
    assert skipped == {"dispute lost": 1, "not paid": 2}


def test_shopify_of_2025(program: Program) -> None:
    """Shopify's cancelled orders are skipped, a phone number identifies a customer, and yen have no decimals."""
    result, events = _replayed(program, "shopify_2025.csv", "--preset", "shopify")
    assert result.code == 0, result.stderr
    assert [(event["invoiceId"], event["customerExternalId"], event["amount"]) for event in events] == [
        ("#2001", "ada@example.com", 130505),
        ("#2002", "+905551234567", 6000),
        ("#2003", "+905557654321", 6000),
        ("#2005", "eva@example.jp", 5500),
    ]
    assert _preview(program, "shopify_2025.csv", "--preset", "shopify")["skipped"] == {"cancelled": 1}


def test_paypal(program: Program) -> None:
    """Only completed incoming PayPal payments are sent; PDT and PST are read, and clicks picked from a list."""
    flags = ("--preset", "paypal", "--date-format", "%m/%d/%Y %H:%M:%S", "--timezone", "America/Los_Angeles")
    result, events = _replayed(program, "paypal.csv", *flags)
    assert result.code == 0, result.stderr
    fields = ("clickId", "customerExternalId", "amount", "currency", "timestamp")
    assert [tuple(event[name] for name in fields) for event in events] == [
        ("clk_ada", "ada@example.com", 156000, "USD", "2026-06-21T14:22:17.000Z"),
        ("clk_ben", "ben@example.org", 2500, "EUR", "2026-06-22T15:00:00.000Z"),
        ("clk_eva", "eva@example.jp", 1500, "JPY", "2026-12-01T16:00:00.000Z"),
    ]
    skipped = _preview(program, "paypal.csv", *flags)["skipped"]
    assert skipped == {"no money that came in": 3, "no sale": 1, "refunded": 1}


def test_paypal_names_what_it_cannot_know(program: Program) -> None:
    """Each error about a PayPal export names the flag that leads on: first the date format, then the zone."""
    command = ("sale", "--from-csv", str(FIXTURES / "paypal.csv"), "--preset", "paypal", "--dry-run")
    order = program(*command)
    assert order.code == 2
    form = '--date-format "%m/%d/%Y %H:%M:%S"'
    assert form in order.stderr
    zone = program(*command, *shlex.split(form))
    assert zone.code == 2
    assert "is in PDT, and UTC has UTC then" in zone.stderr
    [name] = set(re.findall(r"such as (\S+)", zone.stderr))
    assert program(*command, *shlex.split(form), "--timezone", name).code == 0


def test_paypal_of_2017(program: Program) -> None:
    """A PayPal export of 2017 is read despite blanks in its header; items of a cart are not payments."""
    flags = ("--preset", "paypal", "--date-format", "%m/%d/%Y %H:%M:%S", "--timezone", "America/New_York")
    result, events = _replayed(program, "paypal_2017.csv", *flags)
    assert result.code == 0, result.stderr
    more = {"customerEmail": "ina@example.com", "customerName": "Ina Example"}
    assert events == [
        _event("clk_ina", "ina@example.com", "5AB00000000000001", 156000, "USD", "2017-06-21T11:22:17.000Z", **more)
    ]


def test_chargebee(program: Program) -> None:
    """Chargebee's paid invoices are sent in the site's zone; voided, unpaid and refunded ones are skipped."""
    flags = ("--preset", "chargebee", "--timezone", "Europe/Berlin")
    result, events = _replayed(program, "chargebee.csv", *flags)
    assert result.code == 0, result.stderr
    fields = ("clickId", "customerExternalId", "invoiceId", "amount", "currency", "timestamp")
    assert [tuple(event[name] for name in fields) for event in events] == [
        ("clk_ada", "cus_Ada1", "INV-1001", 4990, "EUR", "2026-03-12T08:15:00.000Z"),
        ("clk_ben", "cus_Ben2", "INV-1002", 124900, "USD", "2026-03-13T07:00:00.000Z"),
        ("clk_fay", "cus_Fay6", "INV-1006", 0, "EUR", "2026-03-13T08:00:00.000Z"),
    ]
    preview = _preview(program, "chargebee.csv", *flags)
    assert preview["skipped"] == {"voided": 1, "not paid": 1, "refunded": 1}
    assert preview["refunded"] == {"rows": 1, "sums": {"USD": 24900}}


def test_advanced_order_export(program: Program) -> None:
    """An order of Advanced Order Export with several item rows is one sale."""
    flags = ("--preset", "woocommerce", "--timezone", "Europe/Berlin")
    result, events = _replayed(program, "woocommerce_advanced.csv", *flags)
    assert result.code == 0, result.stderr
    fields = ("clickId", "customerExternalId", "invoiceId", "amount", "currency", "timestamp")
    assert [tuple(event[name] for name in fields) for event in events] == [
        ("clk_ada", "17", "101", 2870, "EUR", "2026-03-12T08:14:00.000Z"),
        ("clk_ben", "ben@example.org", "102", 124900, "EUR", "2026-03-12T09:14:00.000Z"),
        ("clk_eva", "23", "105", 3000, "JPY", "2026-03-13T08:00:00.000Z"),
    ]
    assert _counts(result) == {"accepted": 3, "duplicate": 1, "skipped": 2}


def test_shopify(program: Program) -> None:
    """A paid Shopify order is one sale at its own time, however many line items it has; free orders count."""
    result, events = _replayed(program, "shopify.csv", "--preset", "shopify", "--skip-unattributed")
    assert result.code == 0, result.stderr
    ada = {"customerEmail": "ada@example.com", "customerName": "Ada Example"}
    ben = {"customerEmail": "ben@example.org", "customerName": "Ben Müller"}
    fay = {"customerEmail": "fay@example.com", "customerName": "Fay"}
    assert events == [
        _event("clk_ada", "ada@example.com", "#1001", 5391, "EUR", "2026-03-12T08:14:02.000Z", **ada),
        _event("clk_ben", "ben@example.org", "#1002", 12000, "USD", "2026-03-13T04:30:00.000Z", **ben),
        _event("clk_fay", "fay@example.com", "#1006", 0, "EUR", "2026-03-13T09:00:00.000Z", **fay),
    ]
    assert _counts(result) == {"accepted": 3, "skipped": 8}
    assert result.json["total"] == 11
    preview = _preview(program, "shopify.csv", "--preset", "shopify", "--skip-unattributed")
    assert preview["skipped"] == {
        "further line item of an order": 4,
        "refunded": 1,
        "not paid": 1,
        "voided": 1,
        "no click id: no link brought this customer": 1,
    }
    assert (preview["refunded"], preview["free"]) == ({"rows": 1, "sums": {"USD": 2000}}, 1)
    assert (preview["first"], preview["last"]) == ("2026-03-12", "2026-03-13")


def test_shopify_orders_without_a_click_are_told_and_lines_are_right(program: Program) -> None:
    """Without ``--skip-unattributed``, a Shopify order without a click is a problem that names its line."""
    result, events = _replayed(program, "shopify.csv", "--preset", "shopify")
    assert (result.code, events) == (2, [])
    text = (FIXTURES / "shopify.csv").read_text(encoding="utf-8").splitlines()
    (problem,) = result.json["problems"]
    assert (problem["row"], problem["code"]) == (11, "click_id_missing")
    assert text[problem["line"] - 1].startswith("#1007,")
    assert "--skip-unattributed" in result.stderr


def test_every_row_of_an_order_has_an_outcome(program: Program, tmp_path: Path) -> None:
    """Further line items of an order are in ``--results`` as skipped rows, and the counts add up."""
    file = tmp_path / "results.jsonl"
    result, _ = _replayed(
        program, "shopify.csv", "--preset", "shopify", "--skip-unattributed", "--results", str(file)
    )
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == result.json["total"] == sum(result.json["counts"].values())
    folded = [row for row in rows if row["_error"] == "further line item of an order"]
    assert [(row["Name"], row["_status"]) for row in folded] == [
        *[("#1001", "skipped")] * 2,
        ("#1002", "skipped"),
        ("#1003", "skipped"),
    ]


def test_shopify_of_2012(program: Program) -> None:
    """A Shopify export of 2012, without ids and refunds, is read."""
    result, events = _replayed(program, "shopify_2012.csv", "--preset", "shopify")
    assert result.code == 0, result.stderr
    more = {"customerEmail": "ina@example.com", "customerName": "Ina"}
    assert events == [
        _event("clk_ina", "ina@example.com", "#1230", 1500, "USD", "2012-01-01T16:13:25.000Z", **more)
    ]
    assert _counts(result) == {"accepted": 1, "skipped": 2}


def test_woocommerce(program: Program) -> None:
    """WooCommerce guests are identified by email, times are in the shop's zone, and refunds are recognized."""
    flags = ("--preset", "woocommerce", "--timezone", "Europe/Berlin")
    result, events = _replayed(program, "woocommerce.csv", *flags)
    assert result.code == 0, result.stderr
    assert "--timezone" not in result.stderr
    ada = {"customerEmail": "ada@example.com", "customerName": "Ada Example"}
    ben = {"customerEmail": "ben@example.org", "customerName": "Ben Müller"}
    cleo = {"customerEmail": "cleo@example.net", "customerName": "Cleo"}
    hal = {"customerEmail": "hal@example.com", "customerName": "Hal"}
    assert events == [
        _event("clk_ada", "17", "101", 4990, "EUR", "2026-03-12T08:14:02.000Z", **ada),
        _event("clk_ben", "ben@example.org", "102", 124900, "EUR", "2026-03-29T10:00:00.000Z", **ben),
        _event("clk_cleo", "18", "103", 8000, "EUR", "2026-03-12T09:00:00.000Z", **cleo),
        _event("clk_hal", "23", "108", 0, "EUR", "2026-03-12T08:10:00.000Z", **hal),
    ]
    preview = _preview(program, "woocommerce.csv", *flags)
    assert preview["skipped"] == {"refunded": 2, "failed": 1, "not paid": 1}
    assert preview["refunded"] == {"rows": 1, "sums": {"EUR": 750}}


def test_times_of_a_shop_are_not_taken_for_utc_without_a_word(program: Program) -> None:
    """Times without a zone get a warning unless ``--timezone`` is given, be it UTC."""
    warned = program(
        "sale", "--from-csv", str(FIXTURES / "woocommerce.csv"), "--preset", "woocommerce", "--dry-run"
    )
    assert "read as UTC" in warned.stderr
    for zone in ("UTC", "America/New_York"):
        said = _preview(program, "woocommerce.csv", "--preset", "woocommerce", "--timezone", zone)
        assert not [warning for warning in said["warnings"] if "UTC" in warning]


def test_woocommerce_of_2016_and_what_it_lacks(program: Program) -> None:
    """A WooCommerce export without a currency is an error until ``--currency`` gives it."""
    without = program(
        "sale", "--from-csv", str(FIXTURES / "woocommerce_2016.csv"), "--preset", "woocommerce", "--sandbox"
    )
    assert without.code == 2
    assert "currency: this export does not say; it is the shop's own" in without.stderr
    result, events = _replayed(program, "woocommerce_2016.csv", "--preset", "woocommerce", "--currency", "USD")
    assert result.code == 0, result.stderr
    more = {"customerEmail": "kim@example.com", "customerName": "Kim Old"}
    assert events == [_event("rf_kim", "7", "4993", 3000, "USD", "2016-05-31T00:37:00.000Z", **more)]


def test_the_analytics_export_suffices_with_flags(program: Program) -> None:
    """WooCommerce's analytics export is sent once flags supply the customer, the amount and the click."""
    export = str(FIXTURES / "woocommerce_analytics.csv")
    lacking = program("sale", "--from-csv", export, "--preset", "woocommerce", "--dry-run")
    assert lacking.code == 2
    assert (
        '--map "customer_external_id=COLUMN" --map "amount=COLUMN"' in lacking.stderr
    )  # "Customer type" is not suggested

    flags = ("--preset", "woocommerce", "--timezone", "UTC", "--currency", "EUR", "--map", "amount=N. Revenue")
    result, events = _replayed(
        program,
        "woocommerce_analytics.csv",
        *flags,
        "--map",
        "customer_external_id=Customer",
        "--click-id",
        "clk_all",
    )
    assert result.code == 0, result.stderr
    assert events == [_event("clk_all", "Ada Example", "101", 4500, "EUR", "2026-03-12T09:14:02.000Z")]


def test_gumroad(program: Program) -> None:
    """Gumroad's sales are in dollars, with their time in two columns; totals and unpaid rows are skipped."""
    result, events = _replayed(program, "gumroad.csv", "--preset", "gumroad")
    assert result.code == 0, result.stderr
    ada = {"customerEmail": "ada@example.com", "customerName": "Ada"}
    ben = {"customerEmail": "ben@example.org", "customerName": "Ben"}
    gus = {"customerEmail": "gus@example.com", "customerName": "Gus"}
    assert events == [
        _event(
            "clk_ben",
            "ben@example.org",
            "B28UKN-dvaYbBbahG97b-Q==",
            12000,
            "USD",
            "2026-03-12T23:59:59.000Z",
            **ben,
        ),
        _event(
            "clk_ada", "ada@example.com", "FO8TXN-dvaYbBbahG97a-Q==", 950, "USD", "2026-03-12T09:14:02.000Z", **ada
        ),
        _event(
            "clk_gus", "gus@example.com", "G78UKN-dvaYbBbahG97g-Q==", 0, "USD", "2026-03-14T04:00:00.000Z", **gus
        ),
    ]
    preview = _preview(program, "gumroad.csv", "--preset", "gumroad")
    assert preview["skipped"] == {
        "the row of totals": 1,
        "refunded": 1,
        "disputed": 1,
        "pre-order, not paid yet": 1,
        "free trial, not paid yet": 1,
    }
    assert preview["refunded"] == {"rows": 1, "sums": {"USD": 2025}}


def test_gumroad_of_2017(program: Program) -> None:
    """A Gumroad time is UTC, as its header says, whatever ``--timezone`` says."""
    result, events = _replayed(program, "gumroad_2017.csv", "--preset", "gumroad", "--timezone", "Asia/Tokyo")
    assert result.code == 0, result.stderr
    more = {"customerEmail": "ina@example.com", "customerName": "Ina"}
    assert events == [_event("clk_ina", "ina@example.com", "h1==", 900, "USD", "2017-02-03T09:14:02.000Z", **more)]


def test_the_failures_of_a_preset_are_fed_back_as_they_are(program: Program, tmp_path: Path) -> None:
    """A corrected failures file of a preset is sent with the same flags."""
    text = (FIXTURES / "stripe.csv").read_text(encoding="utf-8")
    (tmp_path / "payments.csv").write_text(text.replace("clk_ada", ""), encoding="utf-8")
    flags = ("--preset", "stripe", "--where", "status!=Uncaptured", "--sandbox", "--json")
    failures = tmp_path / "failures.csv"
    result = program(
        *("sale", "--from-csv", str(tmp_path / "payments.csv"), "--skip-invalid", "--failures", str(failures)),
        *flags,
    )
    assert _counts(result) == {"accepted": 3, "invalid": 1, "skipped": 5}
    fixed = failures.read_text(encoding="utf-8").replace("in_1Qa1,,", "in_1Qa1,,clk_ada")
    failures.write_text(fixed, encoding="utf-8")
    result = program("sale", "--from-csv", str(failures), *flags)
    assert result.code == 0, result.stderr
    assert _counts(result) == {"accepted": 1}


def test_a_run_of_a_preset_is_gone_on_with(program: Program) -> None:
    """A preset's run is resumed by its id or by the same command, and each order is sent once."""
    flags = ("--preset", "shopify", "--skip-unattributed")
    first, _ = _replayed(program, "shopify.csv", *flags, "--limit", "1")
    assert _counts(first) == {"accepted": 1, "pending": 2, "skipped": 8}
    second = program("runs", "resume", first.json["run"], "--limit", "1", "--json")
    assert _counts(second) == {"accepted": 2, "pending": 1, "skipped": 8}
    third, events = _replayed(program, "shopify.csv", *flags)
    assert _counts(third) == {"accepted": 3, "skipped": 8}
    assert [event["invoiceId"] for event in events] == ["#1001", "#1002", "#1006"]
    attempts = program("sandbox", "events", "--json").json
    assert len(attempts) == 3


def test_a_preset_is_suggested_and_never_applied(program: Program) -> None:
    """A header that matches a preset gets a hint, and the preset is not applied."""
    result = program("sale", "--from-csv", str(FIXTURES / "shopify.csv"), "--dry-run")
    assert result.code == 2
    assert "--preset shopify" in result.stderr
    flags = ("--map", "click_id=click_id (metadata)", "--map", "invoice_id=id", "--map", "customer_external_id=id")
    result = program(
        *("sale", "--from-csv", str(FIXTURES / "stripe.csv"), "--dry-run", "--json", *flags),
        *("--amount-unit", "major", "--event-name", "x", "--skip-invalid"),
    )
    assert result.code in (0, 1)
    assert "--preset stripe" in result.stderr
    assert result.json["skipped"] == {}


def test_presets_are_listed(program: Program) -> None:
    """``cms presets`` lists all presets as a table and as JSON."""
    result = program("presets")
    assert result.code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["preset", *NAMES]
    assert [each["preset"] for each in program("presets", "--json").json] == NAMES
    assert len(program("presets", "--output", "jsonl").json_lines) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_shown_ready_to_copy(program: Program, name: str) -> None:
    """The output of ``cms presets NAME`` is a mapping file that yields the same events."""
    shown = program("presets", name)
    assert (shown.code, shown.stderr) == (0, "")
    copy = program.home / "mine.toml"
    copy.write_text(shown.stdout, encoding="utf-8")
    file = f"{name}.csv"
    by_preset = _preview(program, file, "--preset", name, "--skip-unattributed")
    by_copy = _preview(program, file, "--mapping", str(copy), "--skip-unattributed")
    assert {**by_copy, "seconds": 0} == {**by_preset, "seconds": 0}
    as_json = program("presets", name, "--json").json
    assert as_json["preset"] == name
    assert "click_id" in as_json["map"]


def test_an_unknown_preset_names_the_closest(program: Program) -> None:
    """An unknown preset exits with 2 and names the closest one."""
    for command in (("presets", "strpie"), ("sale", "--from-csv", "x.csv", "--preset", "strpie")):
        result = program(*command)
        assert result.code == 2
        assert 'no preset "strpie"' in result.stderr
        assert "Did you mean stripe?" in result.stderr


def test_a_preset_is_for_sales(program: Program) -> None:
    """A preset for sales is refused for leads."""
    result = program("lead", "--from-csv", str(FIXTURES / "shopify.csv"), "--preset", "shopify", "--dry-run")
    assert result.code == 2
    assert "the preset shopify is for sales" in result.stderr


SALES = "Bill,Who,Price,Click\nb1,u1,49.99,clk_1\nb2,u2,5,\n"
MAPPING = """\
amount_unit = "major"
skip_unattributed = true

[map]
click_id = "Click"
customer_external_id = "Who"
invoice_id = "Bill"
amount = "Price"

[defaults]
event_name = "renewal"
currency = "EUR"
"""


@pytest.fixture
def shop(program: Program) -> Program:
    """Return the program with a file of sales, and a mapping for it as a file and in the config file."""
    (program.home / "sales.csv").write_text(SALES, encoding="utf-8")
    (program.home / "mine.toml").write_text(MAPPING, encoding="utf-8")
    table = MAPPING.replace("[map]", "[mappings.shop.map]").replace("[defaults]", "[mappings.shop.defaults]")
    program.config.write_text(f'output = "json"\n[mappings.shop]\n{table}', encoding="utf-8")
    return program


@pytest.mark.parametrize("mapping", ["mine.toml", "./mine.toml", "shop"])
def test_a_mapping_makes_a_daily_job_one_short_command(shop: Program, mapping: str) -> None:
    """``--mapping`` takes a file or the name of a mapping in the config file."""
    result = shop("sale", "--from-csv", "sales.csv", "--mapping", mapping, "--sandbox", "--json")
    assert result.code == 0, result.stderr
    (event,) = [each["event"] for each in shop("sandbox", "events", "--json").json]
    assert event == {
        "clickId": "clk_1",
        "eventName": "renewal",
        "customerExternalId": "u1",
        "invoiceId": "b1",
        "amount": 4999,
        "currency": "EUR",
    }
    assert _counts(result) == {"accepted": 1, "skipped": 1}


def test_flags_override_single_fields_of_a_mapping(shop: Program) -> None:
    """``--map`` overrides one field of a mapping and an event flag one default; the rest stays."""
    result = shop(
        *("sale", "--from-csv", "sales.csv", "--mapping", "shop", "--dry-run", "--json"),
        *("--map", "invoice_id=Who", "--currency", "USD", "--where", "Bill!=b2"),
    )
    assert result.code == 0, result.stderr
    assert result.json["sums"] == {"USD": 4999}
    assert result.json["mapping"]["invoice_id"]["column"] == "Who"
    assert result.json["skipped"] == {"--where Bill!=b2": 1}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--mapping", "none"), "no [mappings.none] in"),
        (("--mapping", "none.toml"), "none.toml: No such file"),
        (
            ("--mapping", "bad.toml"),
            'bad.toml, line 2: map.amuont: an event has no field "amuont". Did you mean amount?',
        ),
        (("--mapping", "bad"), "config.toml, line 3: mappings.bad"),
        (("--mapping", "mine.toml", "--preset", "stripe"), "--preset and --mapping contradict each other"),
    ],
)
def test_an_unusable_mapping_names_file_line_and_key(shop: Program, flags: tuple[str, ...], message: str) -> None:
    """An unusable mapping exits with 2, naming file, line and key."""
    (shop.home / "bad.toml").write_text('[map]\namuont = "A"\n', encoding="utf-8")
    if "bad" in flags:
        shop.config.write_text("[mappings.bad]\n[mappings.bad.map]\nx = 'A'\n", encoding="utf-8")
        message = "config.toml, line 3: map.x"
    result = shop("sale", "--from-csv", "sales.csv", *flags, "--sandbox")
    assert result.code == 2
    assert message in result.stderr


def test_a_mapping_in_the_config_file_has_to_be_a_table(program: Program) -> None:
    """A mapping in the config file that is not a table is an error of every command."""
    program.config.write_text("[mappings]\nshop = 'x'\n", encoding="utf-8")
    result = program("config", "list")
    assert result.code == 2
    assert "line 2: mappings must be tables, as in [mappings.shop]" in result.stderr


def test_the_content_of_a_mapping_is_part_of_the_run(shop: Program, service: FaultServer) -> None:
    """The same mapping under another name continues the run; another mapping starts a new one."""
    shop.env.update(CMS_HOST=service.url, CMS_BEARER_TOKEN="tok_1")
    command = ("sale", "--from-csv", "sales.csv", "--rate", "none", "--json", "--mapping")
    first = shop(*command, "mine.toml")
    assert first.code == 0, first.stderr
    shutil.copy(shop.home / "mine.toml", shop.home / "copy.toml")
    for same in ("copy.toml", "shop"):
        assert shop(*command, same).json["run"] == first.json["run"]
    assert len(service.requests) == 1
    (shop.home / "copy.toml").write_text(MAPPING.replace('"renewal"', '"signup"'), encoding="utf-8")
    other = shop(*command, "copy.toml")
    assert other.json["run"] != first.json["run"]
    assert other.json["counts"]["duplicate"] == 1
