"""Presets: the columns that each takes from real exports, old and new, and which one a header looks like."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import cms_cli.presets
from cms_cli.replay.mapping import mapping_file, presets, rules
from cms_cli.replay.mapping.blueprint import settle
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError
from cms_python import EventKind

FIXTURES = Path(__file__).parent.parent / "fixtures"
FILES = sorted(path.stem for path in FIXTURES.glob("*.csv"))


def _header(name: str) -> tuple[str, ...]:
    with (FIXTURES / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return tuple(next(csv.reader(file)))


def _sources(name: str, **constants: str) -> dict[str, str]:
    preset = presets.preset(name.split("_")[0])
    shape = Shape(constants=tuple(constants.items())).under(preset.rules, preset.content)
    found = settle(EventKind.SALE, _header(name), shape)
    return {field: " | ".join(source.label for source in sources) for field, sources in found.sources.items()}


def test_every_preset_has_its_file_and_every_file_its_preset() -> None:
    """The presets are the package's files, and each has fixtures."""
    folder = Path(cms_cli.presets.__file__).parent
    assert tuple(sorted(path.stem for path in folder.glob("*.toml"))) == presets.names()
    assert {name.split("_")[0] for name in FILES} == set(presets.names())


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_a_mapping_file(name: str, tmp_path: Path) -> None:
    """A preset's text, copied to a file, is a mapping file with the same rules."""
    found = presets.preset(name)
    copy = tmp_path / "mine.toml"
    copy.write_text(found.text, encoding="utf-8")
    assert mapping_file.read(copy) == (found.rules, found.content)
    assert found.rules.event == "sale"
    assert found.rules.about
    assert found.title.lower().replace(" ", "") == name
    assert found.rules.known_by
    assert dict(found.rules.lacking)["click_id"]
    assert "Sources: " in found.text, "say in a comment how the export's columns are known: # Sources: ..."
    assert dict(found.rules.defaults) == {"event_name": "purchase_completed"}
    assert dict(found.rules.settings)["amount_unit"] in ("minor", "major")
    assert all(len(line) <= 120 for line in found.text.splitlines())


@pytest.mark.parametrize("file", FILES)
def test_each_export_is_recognised(file: str) -> None:
    """Each export, current or older, is recognised by its header."""
    preset = presets.suggested(_header(file))
    assert preset is not None
    assert preset.name == file.split("_")[0]


@pytest.mark.parametrize(
    "header",
    [
        ("click_id", "event_name", "customer_external_id", "invoice_id", "amount", "currency"),
        ("id", "Amount", "Currency"),
        ("Name", "Email", "Total"),
        ("Order #", "Status", "Total"),
        (),
    ],
)
def test_other_headers_look_like_none(header: tuple[str, ...]) -> None:
    """A header with a few common columns looks like no preset."""
    assert presets.suggested(header) is None


def test_names_may_be_written_otherwise_and_wrong_ones_are_told() -> None:
    """A preset's name may be written in any case, and a misspelt one gets a suggestion."""
    assert presets.preset("WooCommerce").name == "woocommerce"
    with pytest.raises(InputError) as caught:
        presets.preset("shopfiy")
    assert str(caught.value) == 'there is no preset "shopfiy"'
    assert caught.value.hint.startswith("Did you mean shopify?")


def test_stripe_columns() -> None:
    """A Stripe export gives the columns of its current and its older header."""
    assert _sources("stripe") == {
        "click_id": "click_id (metadata)",
        "customer_external_id": "Customer ID | Customer Email | id",
        "invoice_id": "Invoice ID | id",
        "amount": "Amount",
        "currency": "Currency",
        "customer_email": "Customer Email",
        "timestamp": "Created date (UTC)",
    }
    old = _sources("stripe_2020")
    assert (old["timestamp"], old["click_id"]) == ("Created (UTC)", "cms_rf (metadata)")


@pytest.mark.parametrize(
    "column", ["Click ID (metadata)", "clickId (metadata)", "CMS-RF (metadata)", "click id", "cms_rf"]
)
def test_stripe_clicks_in_any_spelling(column: str) -> None:
    """A Stripe click is found in metadata under any spelling."""
    preset = presets.preset("stripe")
    header = [name for name in _header("stripe") if "metadata" not in name] + [column]
    found = settle(EventKind.SALE, header, Shape().under(preset.rules, preset.content))
    assert [source.label for source in found.sources["click_id"]] == [column]


def test_shopify_columns() -> None:
    """A Shopify export gives the same columns under its current and its older header."""
    assert _sources("shopify") == {
        "click_id": "Note Attributes[click_id] | Note Attributes[cms_rf]",
        "customer_external_id": "Email | Phone | Billing Phone",
        "invoice_id": "Name",
        "amount": "Total",
        "currency": "Currency",
        "customer_name": "Billing Name",
        "customer_email": "Email",
        "timestamp": "Paid at | Created at",
    }
    assert {**_sources("shopify_2012"), "customer_external_id": ""} == {
        **_sources("shopify"),
        "customer_external_id": "",
    }


def test_woocommerce_columns() -> None:
    """A WooCommerce export prefers ids to addresses and the day of payment to that of the order."""
    found = _sources("woocommerce")
    assert found["customer_external_id"] == "customer_id | customer_user | billing_email | customer_email"
    assert (found["invoice_id"], found["amount"], found["currency"]) == (
        "order_number",
        "order_total",
        "order_currency",
    )
    assert (found["timestamp"], found["click_id"]) == ("paid_date | order_date", "meta:_click_id")
    old = _sources("woocommerce_2016", currency="USD")
    assert old["customer_external_id"] == "customer_user | billing_email"
    assert (old["invoice_id"], old["timestamp"]) == ("order_number | order_number_formatted", "date")


def test_the_analytics_export_says_what_it_lacks() -> None:
    """WooCommerce's analytics export is refused with a hint for each missing field."""
    with pytest.raises(InputError) as caught:
        _sources("woocommerce_analytics")
    assert "no column for click_id, customer_external_id, amount, currency" in str(caught.value)
    assert "net revenue only" in caught.value.hint
    assert "names only" in caught.value.hint


def test_gumroad_columns() -> None:
    """A Gumroad export joins day and time and takes its currency from the header."""
    found = _sources("gumroad")
    assert found["timestamp"] == "Purchase Date + Purchase Time (UTC timezone) | Purchase Date"
    assert (found["invoice_id"], found["amount"], found["click_id"]) == (
        "Purchase ID",
        "Sale Price ($)",
        "Click ID",
    )
    assert "currency" not in found
    assert _sources("gumroad_2017")["click_id"] == "cms_rf"


def test_advanced_order_export_is_one_of_woocommerces() -> None:
    """An Advanced Order Export is read by the woocommerce preset."""
    found = _sources("woocommerce_advanced")
    assert found == {
        "click_id": "_click_id",
        "customer_external_id": "Customer User ID | Email (Billing)",
        "invoice_id": "Order Number",
        "amount": "Order Total Amount",
        "currency": "Currency",
        "customer_name": "First Name (Billing) + Last Name (Billing)",
        "customer_email": "Email (Billing)",
        "timestamp": "Order Date",
    }


def test_paypal_columns() -> None:
    """A PayPal export finds the click in its custom field and joins date, time and zone."""
    found = _sources("paypal")
    assert found["click_id"] == "Custom Number[click_id] | Custom Number[cms_rf] | Custom Number"
    assert found["timestamp"] == "Date + Time + TimeZone | Date + Time | Date"
    assert (found["invoice_id"], found["amount"], found["currency"]) == ("Transaction ID", "Gross", "Currency")
    old = _sources("paypal_2017")["timestamp"]  # its header has a space before each name
    assert " ".join(old.split()) == "Date + Time + Time Zone | Date + Time | Date"


def test_chargebee_columns() -> None:
    """A Chargebee export takes the invoice's total, the day of payment and a custom field."""
    found = _sources("chargebee")
    assert (found["click_id"], found["amount"], found["currency"]) == ("cf_click_id", "Total", "Currency Code")
    assert (found["invoice_id"], found["timestamp"]) == ("Invoice Number", "Paid On | Invoice Date")


def test_what_a_preset_says_is_part_of_a_runs_identity() -> None:
    """A preset's rules are part of a run's identity."""
    shapes = {Shape().under(each.rules, each.content).to_json() for each in map(presets.preset, presets.names())}
    assert len(shapes) == len(presets.names())
    for text in shapes:
        shape = Shape.from_json(text)
        assert shape.to_json() == text
        assert rules.from_json(shape.rules).fields
