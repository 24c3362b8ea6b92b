"""Presets: what each says of real exports, old and new, and which one a header looks like."""

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
    """The names are those of the files in the package, and each has fixtures in its export's shape."""
    folder = Path(cms_cli.presets.__file__).parent
    assert tuple(sorted(path.stem for path in folder.glob("*.toml"))) == presets.names()
    assert {name.split("_")[0] for name in FILES} == set(presets.names())


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_a_mapping_file(name: str, tmp_path: Path) -> None:
    """Its text, copied to a file, reads as the same rules and shapes the same events."""
    found = presets.preset(name)
    copy = tmp_path / "mine.toml"
    copy.write_text(found.text, encoding="utf-8")
    assert mapping_file.read(copy) == (found.rules, found.content)
    assert found.rules.event == "sale"
    assert found.rules.about
    assert found.title.lower() == name
    assert found.rules.known_by
    assert dict(found.rules.lacking)["click_id"]
    assert "Sources: " in found.text
    assert dict(found.rules.defaults) == {"event_name": "purchase_completed"}
    assert dict(found.rules.settings)["amount_unit"] == "major"
    assert all(len(line) <= 120 for line in found.text.splitlines())


@pytest.mark.parametrize("file", FILES)
def test_each_export_is_recognised(file: str) -> None:
    """By its header, current or older, and as no other."""
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
    """A few common columns make no export."""
    assert presets.suggested(header) is None


def test_names_may_be_written_otherwise_and_wrong_ones_are_told() -> None:
    """WooCommerce is woocommerce; shopfiy is meant as shopify."""
    assert presets.preset("WooCommerce").name == "woocommerce"
    with pytest.raises(InputError) as caught:
        presets.preset("shopfiy")
    assert str(caught.value) == 'there is no preset "shopfiy"'
    assert caught.value.hint.startswith("Did you mean shopify?")


def test_stripe_columns() -> None:
    """The invoice is Stripe's own, else the payment's id; the customer their id, else their address."""
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
    """Shops write metadata as they like."""
    preset = presets.preset("stripe")
    header = [name for name in _header("stripe") if "metadata" not in name] + [column]
    found = settle(EventKind.SALE, header, Shape().under(preset.rules, preset.content))
    assert [source.label for source in found.sources["click_id"]] == [column]


def test_shopify_columns() -> None:
    """The order's name, what was paid in all, when it was paid, and the cart's attributes."""
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
    """Ids before addresses, the number before its formatted form, the day of payment before that of the order."""
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
    """Net revenue is not what sales count; each missing field comes with what to do about it."""
    with pytest.raises(InputError) as caught:
        _sources("woocommerce_analytics")
    assert "no column for click_id, customer_external_id, amount, currency" in str(caught.value)
    assert "net revenue only" in caught.value.hint
    assert "names only" in caught.value.hint


def test_gumroad_columns() -> None:
    """Day and time make the time, and the header's ($) makes the dollars."""
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
    """Under its default labels, and those that can be added."""
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
    """The click is found in the custom field, alone or among others; zone abbreviations are read."""
    found = _sources("paypal")
    assert found["click_id"] == "Custom Number[click_id] | Custom Number[cms_rf] | Custom Number"
    assert found["timestamp"] == "Date + Time + TimeZone | Date + Time | Date"
    assert (found["invoice_id"], found["amount"], found["currency"]) == ("Transaction ID", "Gross", "Currency")
    old = _sources("paypal_2017")["timestamp"]  # whose header has a blank before each name
    assert " ".join(old.split()) == "Date + Time + Time Zone | Date + Time | Date"


def test_chargebee_columns() -> None:
    """The total of an invoice, when it was paid, and a custom field."""
    found = _sources("chargebee")
    assert (found["click_id"], found["amount"], found["currency"]) == ("cf_click_id", "Total", "Currency Code")
    assert (found["invoice_id"], found["timestamp"]) == ("Invoice Number", "Paid On | Invoice Date")


def test_what_a_preset_says_is_part_of_a_runs_identity() -> None:
    """Another preset, or another content of the same name, is another run; the words about it are not."""
    shapes = {Shape().under(each.rules, each.content).to_json() for each in map(presets.preset, presets.names())}
    assert len(shapes) == len(presets.names())
    for text in shapes:
        shape = Shape.from_json(text)
        assert shape.to_json() == text
        assert rules.from_json(shape.rules).fields
