"""The suggested --map, for headers of real exports."""

from __future__ import annotations

import pytest
from mapped import blueprint

from cms_cli.replay.mapping.suggest import likely_column, looks_like_values, suggestions
from cms_cli.replay.model import InputError
from cms_python import SALE_REQUIRED, EventKind

BIGCOMMERCE = (
    "Order ID,Customer ID,Customer Name,Customer Email,Order Date,Order Status,Subtotal (inc tax),"
    "Subtotal (ex tax),Tax Total,Shipping Cost (inc tax),Handling Cost (inc tax),Coupon Value,"
    "Order Total (inc tax),Order Total (ex tax),Order Currency Code,Refund Amount,cms_rf"
)
ETSY = (
    "Sale Date,Order ID,Buyer User ID,Full Name,Number of Items,Payment Method,Currency,Order Value,Coupon Code,"
    "Discount Amount,Shipping Discount,Shipping,Sales Tax,Order Total,Status,Card Processing Fees,Order Net,"
    "Adjusted Order Total,Buyer"
)
LEMON_SQUEEZY = (
    "store_id,customer_id,identifier,order_number,user_name,user_email,currency,currency_rate,tax_rate,status,"
    "refunded_at,subtotal,discount_total,tax,total,subtotal_usd,discount_total_usd,tax_usd,total_usd,"
    "refunded_amount,refunded_amount_usd,created_at"
)
SQUARE = (
    "Date,Time,Time Zone,Gross Sales,Discounts,Net Sales,Tax,Tip,Partial Refunds,Total Collected,Source,Card,Fees,"
    "Net Total,Transaction ID,Payment ID,Staff ID,Event Type,Customer ID,Customer Name,Customer Reference ID"
)
CHARGEBEE = (
    "Invoice Number,Customer Id,Subscription Id,Customer Email,Invoice Date,Due Date,Status,Currency Code,"
    "Sub Total,Total,Amount Due,Amount Adjusted,Refunded Amount"
)
AMAZON = (
    "date/time,settlement id,type,order id,sku,description,quantity,marketplace,product sales,shipping credits,"
    "promotional rebates,selling fees,fba fees,other,total"
)
PAYPAL = (
    "Date,Time,TimeZone,Name,Type,Status,Currency,Gross,Fee,Net,From Email Address,To Email Address,Transaction ID,"
    "Item Title,Custom Number,Balance,Balance Impact"
)
ADVANCED_ORDER_EXPORT = (
    "Order Number,Order Status,Order Date,Customer Note,First Name (Billing),Email (Billing),Phone (Billing),"
    "Item #,Coupon Code,Cart Discount Amount,Order Subtotal Amount,Order Tax Amount,Order Shipping Amount,"
    "Order Refund Amount,Order Total Amount,Order Currency"
)
EBAY = (
    "Sales Record Number,Order Number,Buyer Username,Buyer Name,Buyer Email,Item Number,Sold For,"
    "Shipping And Handling,eBay Collected Tax,Total Price,Sale Date,Paid On Date"
)
SQL = "id,created_at,user_id,order_total_cents,currency_code,gclid,click_ref"
ANALYTICS = "Landing page,Order No.,Grand Total,Total,Google Click ID,Clicks,E-Mail,Currency rate"


FIELDS = ("click_id", "customer_external_id", "invoice_id", "amount", "currency")


@pytest.mark.parametrize(
    ("header", "likely"),
    [
        (BIGCOMMERCE, ("cms_rf", "Customer ID", "Order ID", "Order Total (inc tax)", "Order Currency Code")),
        (ETSY, ("", "Buyer User ID", "Order ID", "Order Total", "Currency")),
        (LEMON_SQUEEZY, ("", "customer_id", "order_number", "total", "currency")),
        (SQUARE, ("", "Customer ID", "Transaction ID", "Total Collected", "")),
        (CHARGEBEE, ("", "Customer Id", "Invoice Number", "Total", "Currency Code")),
        (AMAZON, ("", "", "order id", "", "")),
        (PAYPAL, ("", "From Email Address", "Transaction ID", "Gross", "Currency")),
        (ADVANCED_ORDER_EXPORT, ("", "Email (Billing)", "Order Number", "Order Total Amount", "Order Currency")),
        (EBAY, ("", "Buyer Username", "Order Number", "Total Price", "")),
        (SQL, ("click_ref", "user_id", "id", "order_total_cents", "currency_code")),
        (ANALYTICS, ("Landing page[cms_rf]", "E-Mail", "Order No.", "Grand Total", "")),
    ],
)
def test_what_is_likely_in_the_exports_of_shops(header: str, likely: tuple[str, ...]) -> None:
    """The suggested columns of real exports are totals, ids and codes, or none."""
    assert tuple(likely_column(field, header.split(",")) for field in FIELDS) == likely


@pytest.mark.parametrize(
    "column",
    [
        *("Refund Amount", "Amount Refunded", "refunded_amount", "Total Refunds", "Order Refund Amount"),
        *("Fee", "Fee Amount", "Total Fees", "Amount Fee", "Processing Fee Total", "Gross Fees"),
        *("Tax Total", "Total Tax", "Tax Amount", "VAT amount", "Total VAT", "Order Total (ex tax)"),
        *("Total excl. VAT", "Discount Amount", "discount_total", "Total Discounts", "Coupon Amount"),
        *("Tip Amount", "Total Tips", "Shipping Total", "Shipping Amount", "Total Shipping", "Order Subtotal"),
        *("Subtotal", "Sub Total", "Net Total", "Net Amount", "Amount Due", "Total Outstanding", "Order Date"),
        *("Payment ID", "Amount ID", "Total Items", "Total Quantity", "Total Weight", "Line Total", "Item Total"),
        *("Total Orders", "Order Count", "Balance", "Payout Amount", "Settlement Amount", "Converted Amount"),
        *(
            "Price",
            "Item Price",
            "Unit Amount",
            "Cost",
            "Gift Card Amount",
            "Amount (formatted)",
            "Total Paid Date",
        ),
    ],
)
def test_no_other_sum_is_taken_for_the_amount(column: str) -> None:
    """No refund, fee, tax, discount, tip, partial sum, date or id is suggested as the amount."""
    assert likely_column("amount", [column, "Order ID", "Customer Email", "Currency"]) == ""


@pytest.mark.parametrize(
    ("field", "column"),
    [
        *(
            ("invoice_id", name)
            for name in ("Invoice Date", "Order Date", "Order Status", "Order Total", "Invoice PDF")
        ),
        *(
            ("invoice_id", name)
            for name in ("Customer ID", "Product ID", "Order Item ID", "Number of Items", "Parent ID")
        ),
        *(("invoice_id", name) for name in ("Refund ID", "Original Order ID", "Payment Method", "Settlement ID")),
        *(
            ("customer_external_id", name)
            for name in ("Customer Note", "Customer Name", "Customer Since", "User Agent")
        ),
        *(
            ("customer_external_id", name)
            for name in ("To Email Address", "Email Marketing", "Seller Email", "Order ID")
        ),
        *(
            ("click_id", name)
            for name in ("gclid", "Google Click ID", "fbclid", "Clicks", "Click Date", "Link clicks")
        ),
        *(
            ("currency", name)
            for name in ("Currency Rate", "Converted Currency", "Payout Currency", "Currency Symbol")
        ),
        *(("event_name", name) for name in ("Name", "Event Date", "Event Type", "Customer Name")),
    ],
)
def test_no_other_column_is_taken_for_an_id(field: str, column: str) -> None:
    """No date, note, name or other network's click is suggested as an id."""
    assert likely_column(field, [column]) == ""


def test_of_two_totals_none_is_chosen() -> None:
    """Of two totals none is suggested, unless one is a converted sum."""
    assert likely_column("amount", ["Order Total", "Invoice Total"]) == ""
    assert likely_column("amount", ["total_usd", "total"]) == "total"


def test_a_sum_in_a_named_currency_says_the_currency_too() -> None:
    """A total named after a currency suggests that currency, unless another column gives one."""
    assert suggestions(EventKind.SALE, ["total_usd"], ["amount", "currency"]) == [
        '--map "amount=total_usd"',
        "--currency USD",
    ]
    assert suggestions(EventKind.SALE, ["total_usd", "Order Currency"], ["amount", "currency"]) == [
        '--map "amount=COLUMN"',
        '--map "currency=Order Currency"',
    ]
    assert suggestions(EventKind.SALE, ["total_usd", "currency"], ["amount"]) == ['--map "amount=COLUMN"']


@pytest.mark.parametrize(
    "line",
    [
        "clk_1,purchase,u1,inv_1,4999,USD",
        "2026-03-12,ada@example.com,49.99,EUR,order-17",
        "clk_1;signup;u1;2026-03-12T09:14:02Z".replace(";", ","),
        "1001,Ada Example,ada@example.com,$49.99",
    ],
)
def test_a_file_without_a_header_gets_none_of_its_values_suggested(line: str) -> None:
    """A file without a header is reported as such, and none of its values is suggested."""
    with pytest.raises(InputError) as caught:
        blueprint(line.split(","))
    assert "the first line seems to be data" in caught.value.message
    assert "--map" not in caught.value.hint
    assert f"echo {','.join(SALE_REQUIRED)};" in caught.value.hint


@pytest.mark.parametrize(
    "header",
    [BIGCOMMERCE, ETSY, SQUARE, PAYPAL, SQL, "Name,Region,2024", "click_id,2026,2027", "Total (USD),EUR rate", ""],
)
def test_names_are_no_values(header: str) -> None:
    """A year or a currency among the names does not make a header look like values."""
    assert not looks_like_values(EventKind.SALE, header.split(","))
