"""The sandbox's report per click: its numbers, computed in a second way, and its command."""

from __future__ import annotations

import random
from typing import Any

import pytest
from program import Program

from cms_cli.sandbox import EventFilter, SandboxServer, StoreError, open_report
from cms_cli.sandbox.report import ORDERS

from .talk import FOLLOW_UP, LEAD, SALE, SET_UP, Wire, lead, sale, send
from .totals import by_click, revenue

LARGEST = 2**53 - 1


def fill(server: SandboxServer, count: int, seed: int = 1) -> None:
    """Send leads, deferred leads with follow-ups, and sales in several currencies, for a few clicks."""
    chance = random.Random(seed)
    with Wire(server) as wire:
        for number in range(count):
            person = {"customerExternalId": f"cus_{number}", "clickId": f"clk_{chance.randrange(7)}"}
            if chance.random() < 0.3:
                assert wire.lead({**SET_UP, **person}).status == 200
                assert wire.lead({**FOLLOW_UP, "customerExternalId": person["customerExternalId"]}).status == 200
            elif chance.random() < 0.5:
                assert (
                    wire.lead({**LEAD, **person, "timestamp": f"2026-04-{number % 28 + 1:02}T00:00:00Z"}).status
                    == 200
                )
            event = {**SALE, **person, "invoiceId": f"inv_{number}", "amount": chance.randrange(10**6)}
            event["currency"] = chance.choice(["USD", "EUR", "JPY", "XYZ"])
            if chance.random() < 0.6:
                assert wire.sale(event).status == 200


def read(server: SandboxServer, wanted: EventFilter | None = None, **options: Any) -> tuple[list[Any], Any]:
    with open_report(server.db, wanted) as report:
        return list(report.clicks(**options)), report.total()


@pytest.mark.parametrize(
    "wanted",
    [
        EventFilter(),
        EventFilter(kind="sale"),
        EventFilter(kind="lead"),
        EventFilter(click_id="clk_3"),
        EventFilter(customer="cus_4"),
        EventFilter(invoice_id="inv_5"),
        EventFilter(text="CLK_2"),
        EventFilter(text="' OR 1=1 --"),
    ],
    ids=str,
)
def test_the_numbers_are_those_of_the_store(sandbox: SandboxServer, wanted: EventFilter) -> None:
    """Numbers per click and in total match the sums over the matching events."""
    fill(sandbox, 60)
    events = [
        event
        for event in sandbox.events(
            kind=wanted.kind, click_id=wanted.click_id, customer=wanted.customer, invoice_id=wanted.invoice_id
        )
        if any(wanted.text.lower() in str(value).lower() for value in (event.click_id, *event.event.values()))
    ]

    clicks, total = read(sandbox, wanted)

    assert {
        click.click_id: {
            "leads": click.leads,
            "sales": click.sales,
            "revenue": {each.currency: each.amount for each in click.revenue},
        }
        for click in clicks
    } == by_click(events)
    assert (total.clicks, total.leads, total.sales) == (
        len(clicks),
        sum(event.kind == "lead" for event in events),
        sum(event.kind == "sale" for event in events),
    )
    assert {each.currency: each.amount for each in total.revenue} == revenue(events)
    assert sum(each.sales for each in total.revenue) == total.sales


def test_a_follow_up_counts_for_the_click_of_the_last_set_up(sandbox: SandboxServer) -> None:
    """A follow-up counts for the click of the customer's latest deferred lead."""
    for event in (SET_UP, FOLLOW_UP, {**SET_UP, "clickId": "clk_2"}, FOLLOW_UP, FOLLOW_UP):
        assert lead(sandbox, event).status == 200
    clicks, _ = read(sandbox)
    assert {click.click_id: click.leads for click in clicks} == {"clk_1": 2, "clk_2": 3}


def test_sums_are_exact_beyond_what_a_database_integer_holds(sandbox: SandboxServer) -> None:
    """Sums beyond 2**63 are exact."""
    with Wire(sandbox) as wire:
        for number in range(1100):
            event = {**SALE, "invoiceId": f"inv_{number}", "amount": LARGEST - number % 2}
            assert wire.sale(event).status == 200
    clicks, total = read(sandbox, order="revenue", currency="USD")
    assert total.revenue[0].amount == clicks[0].revenue[0].amount == 1100 * LARGEST - 550 > 2**63


def test_a_free_order_is_a_sale(sandbox: SandboxServer) -> None:
    """A sale of amount 0 counts as a sale with revenue 0."""
    sale(sandbox, {**SALE, "amount": 0})
    (click,), total = read(sandbox)
    assert [(each.currency, each.sales, each.amount) for each in click.revenue] == [("USD", 1, 0)]
    assert total.to_dict()["revenue"] == [{"currency": "USD", "sales": 1, "amount": 0, "clicks": 1}]


def test_clicks_come_in_the_order_asked_for_and_always_the_same(sandbox: SandboxServer) -> None:
    """Every sort order is stable, a limit cuts it, and revenue is compared in one currency."""
    fill(sandbox, 60)
    keys: dict[str, Any] = {
        "sales": lambda click: (-click.sales, -click.leads, click.click_id),
        "leads": lambda click: (-click.leads, -click.sales, click.click_id),
        "revenue": lambda click: (
            -sum(each.amount for each in click.revenue if each.currency == "EUR"),
            *(-click.sales, -click.leads, click.click_id),
        ),
        "last": lambda click: (-click.last_at, click.click_id),
        "click": lambda click: click.click_id,
    }
    assert set(keys) == set(ORDERS)
    for order, key in keys.items():
        clicks, _ = read(sandbox, order=order, currency="EUR")
        assert clicks == sorted(clicks, key=key), order
        assert read(sandbox, order=order, currency="EUR", limit=3)[0] == clicks[:3]


def test_events_are_dated_by_their_own_timestamp(sandbox: SandboxServer) -> None:
    """First and last event follow the events' timestamps, not the time of arrival."""
    lead(sandbox, {**LEAD, "timestamp": "2026-04-10T12:34:56.789Z"})
    lead(sandbox, {**LEAD, "timestamp": "0001-01-01T00:00:00Z"})
    (click,), _ = read(sandbox)
    assert (click.to_dict()["firstEventAt"], click.to_dict()["lastEventAt"]) == (
        "0001-01-01T00:00:00.000Z",
        "2026-04-10T12:34:56.789Z",
    )


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.00"),
        ("2026-04-10T12:34:56.1Z", "2026-04-10T12:34:56.10"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.99"),
    ],
)
def test_the_first_and_the_last_moment_that_a_timestamp_can_name(
    sandbox: SandboxServer, timestamp: str, shown: str
) -> None:
    """Every accepted timestamp, from year 1 to 9999, is shown by the report and the page."""
    assert lead(sandbox, {**LEAD, "timestamp": timestamp}).status == 200
    with open_report(sandbox.db) as report:
        (click,) = report.clicks()
    overview = send(sandbox, "GET", "/_sandbox/overview", Host=f"127.0.0.1:{sandbox.port}")

    assert click.to_dict()["lastEventAt"].startswith(shown)
    assert overview.status == 200
    assert overview.json["events"][0]["happenedAt"].startswith(shown)


def test_a_report_is_of_one_moment(sandbox: SandboxServer) -> None:
    """Clicks and totals agree even if events arrive while the report is read."""
    fill(sandbox, 20)
    with open_report(sandbox.db) as report:
        total = report.total()
        fill(sandbox, 0)
        lead(sandbox, {**LEAD, "clickId": "later", "customerExternalId": "later"})
        assert sum(click.leads for click in report.clicks()) == total.leads
        assert report.total() == total


def test_no_store_is_an_empty_report_and_a_strangers_file_an_error(sandbox: SandboxServer) -> None:
    """A missing store is an empty report; a file that is not a store is an error."""
    with open_report(sandbox.db.with_name("missing.db")) as report:
        assert (list(report.clicks()), report.total().clicks) == ([], 0)
    stranger = sandbox.db.with_name("notes.txt")
    stranger.write_text("notes " * 50)
    with pytest.raises(StoreError, match=r"notes\.txt"), open_report(stranger):
        pass


# --- the command ---


@pytest.fixture
def filled(sandbox: SandboxServer) -> str:
    """Return the path of a store with three clicks: one without a sale, one with two currencies."""
    lead(sandbox, {**LEAD, "clickId": "clk_lead"})
    for number, (click, amount, currency) in enumerate(
        [("clk_1", 123456, "USD"), ("clk_1", 4999, "JPY"), ("clk_2", 1500, "KWD"), ("clk_1", 44, "USD")]
    ):
        event = {**SALE, "invoiceId": f"i{number}", "clickId": click, "amount": amount, "currency": currency}
        assert sale(sandbox, event).status == 200
    return str(sandbox.db)


def test_the_table_shows_amounts_as_people_write_them(program: Program, filled: str) -> None:
    """The table has a row per click and currency, most sales first, and totals per currency."""
    screen = program.on_terminal("sandbox", "report", "--db", filled)
    assert [line.split() for line in screen.text.splitlines() if line.strip(" \u2500")] == [
        ["click", "leads", "sales", "revenue"],
        ["clk_1", "0", "1", "4,999", "JPY"],
        ["2", "1,235.00", "USD"],  # second currency of clk_1
        ["clk_2", "0", "1", "1.500", "KWD"],
        ["clk_lead", "1", "0"],
        ["total:", "3", "clicks", "1", "1", "4,999", "JPY"],
        ["1", "1.500", "KWD"],
        ["2", "1,235.00", "USD"],
    ]


def test_json_has_minor_units_and_these_keys(program: Program, filled: str) -> None:
    """The JSON keys, which scripts rely on, are fixed, and amounts are in minor units."""
    document = program("sandbox", "report", "--db", filled, "--json").json
    assert document["clicks"][0] == {
        "clickId": "clk_1",
        "leads": 0,
        "sales": 3,
        "revenue": [
            {"currency": "JPY", "sales": 1, "amount": 4999},
            {"currency": "USD", "sales": 2, "amount": 123500},
        ],
        "firstEventAt": document["clicks"][0]["firstEventAt"],
        "lastEventAt": document["clicks"][0]["lastEventAt"],
    }
    assert document["total"] == {
        "clicks": 3,
        "leads": 1,
        "sales": 4,
        "revenue": [
            {"currency": "JPY", "sales": 1, "amount": 4999, "clicks": 1},
            {"currency": "KWD", "sales": 1, "amount": 1500, "clicks": 1},
            {"currency": "USD", "sales": 2, "amount": 123500, "clicks": 1},
        ],
    }
    assert list(document) == ["clicks", "total"]


def test_json_lines_are_a_click_each_and_the_totals_last(program: Program, filled: str) -> None:
    """``--output jsonl`` writes an object per click and the totals last."""
    *clicks, total = program("sandbox", "report", "--db", filled, "--output", "jsonl").json_lines
    assert [click["clickId"] for click in clicks] == ["clk_1", "clk_2", "clk_lead"]
    assert list(total) == ["total"]


def test_the_command_filters_as_events_does(program: Program, filled: str) -> None:
    """The report takes the filters of ``sandbox events``; ``--limit`` does not change the totals."""
    for flags, clicks, sales in (
        (("--kind", "lead"), ["clk_lead"], 0),
        (("--click-id", "clk_2"), ["clk_2"], 1),
        (("--customer-external-id", "nobody"), [], 0),
        (("--invoice-id", "i0"), ["clk_1"], 1),
        (("--limit", "1"), ["clk_1"], 4),
    ):
        document = program("sandbox", "report", "--db", filled, "--json", *flags).json
        assert [click["clickId"] for click in document["clicks"]] == clicks
        assert document["total"]["sales"] == sales
    assert "1 of 3 clicks" in program("sandbox", "report", "--db", filled, "--limit", "1").stderr
    assert program("sandbox", "report", "--kind", "refund").code == 2


def test_an_empty_store_is_no_error(program: Program) -> None:
    """An empty store exits with 0 and a note on stderr; its JSON is an empty report."""
    result = program("sandbox", "report")
    assert (result.code, result.stdout) == (0, "")
    assert "no events" in result.stderr
    assert program("sandbox", "report", "--json").json["total"]["clicks"] == 0


def test_a_click_with_terminal_escapes_is_shown_as_text(program: Program, sandbox: SandboxServer) -> None:
    """Terminal escapes in a click id are shown as text."""
    lead(sandbox, {**LEAD, "clickId": "\x1b[2Jgone\u202e"})
    result = program("sandbox", "report", "--db", str(sandbox.db))
    assert "\\u001b[2Jgone\\u202e" in result.stdout
    assert "\x1b" not in result.stdout
