"""The page in a real browser: it shows the store live, as text, and works by keyboard."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from program import Program

from cms_cli.sandbox import SandboxServer

from .browser import Browser, Page, find_chromium
from .conftest import StartSandbox
from .talk import FOLLOW_UP, LEAD, SALE, SET_UP, Wire, lead, sale
from .totals import by_click, revenue

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")

EXAMPLES = Path(__file__).parents[2] / "examples"
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    "\"'><svg onload=document.title='owned'>&lt;b&gt;",
    "javascript:alert(1)",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, sandbox: SandboxServer) -> Iterator[Page]:
    """Open the page of an empty sandbox; afterwards it must have no console errors or outside requests."""
    page = browser.open(f"{sandbox.url}/")
    yield page
    assert page.complaints() == []
    assert all(address.startswith(f"{sandbox.url}/") for address in page.requested())
    page.close()


def fill(server: SandboxServer) -> None:
    """Send events for three clicks, one of them deferred, with sales in three currencies."""
    with Wire(server) as wire:
        wire.lead(SET_UP)
        wire.lead(FOLLOW_UP)
        for number, (click, amount, currency) in enumerate(
            [("clk_1", 123456, "USD"), ("clk_2", 4999, "JPY"), ("clk_2", 1500, "KWD"), ("clk_3", 0, "USD")]
        ):
            event = {**SALE, "invoiceId": f"inv_{number}", "clickId": click, "amount": amount}
            at = f"2026-04-{number + 1:02}T12:00:00Z"
            assert wire.sale({**event, "currency": currency, "timestamp": at}).status == 200


def events_shown(count: int) -> str:
    return f"document.querySelectorAll('#events li').length === {count}"


def table_of(page: Page) -> dict[str, dict[str, Any]]:
    """Return the table of clicks as text, by the names in its header."""
    names = page.texts("#clicks-head th")
    rows = page.run("[...document.querySelectorAll('#clicks tr')].map((r) => [...r.cells].map((c) => c.innerText))")
    found = {}
    for click, *cells in rows:
        numbers = dict(zip(names[1:-1], map(str.strip, cells)))
        found[click.strip()] = {name: text for name, text in numbers.items() if text}
    return found


def test_events_appear_as_they_arrive(page: Page, sandbox: SandboxServer) -> None:
    """Events, totals and title are updated without a reload."""
    page.wait("!document.getElementById('empty').hidden")
    assert sandbox.url in page.text("#example")
    page.run("window.same = true")

    lead(sandbox)
    page.wait(events_shown(1))
    sale(sandbox)
    page.wait(events_shown(2))

    assert page.run("window.same") is True
    assert page.texts("#events .kind") == ["sale", "lead"]
    assert page.text("#events li:first-child .amount") == "49.99 USD"
    assert (page.text("#total-leads"), page.text("#total-sales")) == ("1", "1")
    assert page.run("document.title") == "(2) cms sandbox"
    assert page.text("#state") == "live"


def test_the_numbers_are_those_of_the_store(page: Page, sandbox: SandboxServer) -> None:
    """Totals, table and charts match the sums over the stored events."""
    fill(sandbox)
    page.wait(events_shown(6))
    expected = by_click(sandbox.events())
    written = {("USD", 123456): "1,234.56", ("JPY", 4999): "4,999", ("KWD", 1500): "1.500", ("USD", 0): "0.00"}

    assert table_of(page) == {
        click: {
            "Leads": str(numbers["leads"]),
            "Sales": str(numbers["sales"]),
            **{currency: written[currency, amount] for currency, amount in numbers["revenue"].items()},
        }
        for click, numbers in expected.items()
    }
    assert page.text("#total-clicks") == str(len(expected))
    totals = page.text("#total-revenue").split("\n")
    assert totals == [f"{written[each]} {each[0]}" for each in sorted(revenue(sandbox.events()).items())]
    assert (page.text("#leads-sum"), page.text("#revenue-sum")) == ("2", "1,234.56 USD")


@pytest.mark.slow
def test_the_charts_say_their_numbers_to_the_keyboard(page: Page, sandbox: SandboxServer) -> None:
    """Arrow keys move through a chart's steps and show each step's numbers as text."""
    fill(sandbox)
    page.wait(events_shown(6))
    page.run("document.getElementById('revenue-chart').focus()")
    said = []
    page.press("Home", 36)
    said.append(page.text("#revenue-chart .tip"))
    page.press("ArrowRight", 39)
    said.append(page.text("#revenue-chart .tip"))
    page.press("Escape", 27)

    assert "2026" in said[0]
    assert "1,234.56 USD" in said[0]
    assert "clk_1" in said[0]
    assert said[1] != said[0]
    assert page.run("document.querySelector('#revenue-chart .tip').hidden") is True
    assert page.run("document.querySelectorAll('#leads-chart rect').length") > 0


def test_what_looks_like_html_is_shown_as_text(page: Page, sandbox: SandboxServer) -> None:
    """Markup in any field of an event is shown literally and never interpreted."""
    page.wait("!document.getElementById('empty').hidden")
    elements = "document.querySelectorAll('main img, main script, main svg svg, main svg image').length"
    for number, text in enumerate(HOSTILE):
        event = {**SALE, "clickId": text, "eventName": text, "customerExternalId": text, "customerName": text}
        assert sale(sandbox, {**event, "invoiceId": f"{number}{text}"}).status == 200
    page.wait(events_shown(4))
    page.run("document.querySelectorAll('#events details').forEach((each) => { each.open = true; })")
    page.wait("document.querySelectorAll('#events .details').length === 4")

    assert list(reversed(page.texts("#events .name"))) == list(HOSTILE)
    assert sorted(table_of(page)) == sorted(HOSTILE)
    assert set(page.texts("#legend li")) == set(HOSTILE)
    for text in HOSTILE:
        assert text in page.texts("#events .details dd")
    assert page.run(elements) == 0
    buttons = "[...document.querySelectorAll('#clicks button')]"
    page.run(f"{buttons}.find((each) => each.innerText === {json.dumps(HOSTILE[0])}).click()")
    page.wait(events_shown(1))
    assert HOSTILE[0] in page.text("#click-chip")
    assert page.run(elements) == 0
    assert page.run("document.title") == "(1) cms sandbox"


@pytest.mark.slow
def test_the_filter_works_and_stays_in_the_address(page: Page, sandbox: SandboxServer) -> None:
    """Filters by text, kind and click apply everywhere, survive a reload and can be cleared."""
    fill(sandbox)
    page.wait(events_shown(6))

    page.run("document.getElementById('text').focus()")
    page.type("CLK_2")
    page.wait(events_shown(2))
    assert list(table_of(page)) == ["clk_2"]
    assert page.text("#total-sales") == "2"

    page.run("document.querySelector('input[value=lead]').click()")
    page.wait("!document.getElementById('nothing').hidden")
    page.run("document.querySelector('input[value=\"\"]').click()")
    page.wait(events_shown(2))

    page.call("Page.reload")
    page.wait(events_shown(2))
    assert page.run("[location.search, document.getElementById('text').value]") == ["?text=CLK_2", "CLK_2"]

    page.run("document.getElementById('clear').click()")
    page.wait(events_shown(6))
    page.run("document.querySelector('#clicks button').click()")
    page.wait(
        "!document.getElementById('click-chip').hidden && document.querySelectorAll('#clicks tr').length === 1"
    )
    lead(sandbox, {**LEAD, "clickId": "another", "customerExternalId": "x"})
    sale(sandbox, {**SALE, "clickId": "clk_2", "invoiceId": "new", "amount": 7})
    page.wait("document.getElementById('total-sales').innerText === '3'")
    assert list(table_of(page)) == ["clk_2"]


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("kind=foo", ""),
        ("kind=foo&clock=sundial&order=random&currency=$$$&steps=1&tag=x", ""),
        ("order=leads&kind=refund", "order=leads"),
    ],
)
def test_an_address_with_an_unknown_value_shows_the_default(
    browser: Browser, sandbox: SandboxServer, query: str, kept: str
) -> None:
    """Unknown values in the address fall back to the defaults and are removed from it."""
    fill(sandbox)
    page = browser.open(f"{sandbox.url}/?{query}")
    page.wait(events_shown(6))
    assert page.text("#state") == "live"
    assert page.run("location.search") == (f"?{kept}" if kept else "")
    assert page.run("document.querySelector('input[name=kind]:checked').value") == ""
    assert page.run("document.getElementById('clock').value") == "happened"
    assert page.run("document.getElementById('order').value") == (kept.partition("=")[2] or "sales")
    assert page.complaints() == []
    page.close()


@pytest.mark.slow
def test_clicks_can_be_sorted_and_the_currency_chosen(page: Page, sandbox: SandboxServer) -> None:
    """Clicks are sorted by revenue in the selected currency."""
    fill(sandbox)
    page.wait(events_shown(6))

    def pick(name: str, value: str) -> None:
        page.run(
            f"(() => {{ const s = document.getElementById('{name}'); s.value = '{value}';"
            " s.dispatchEvent(new Event('change')); })()"
        )

    assert next(iter(table_of(page))) == "clk_2"
    pick("order", "revenue")
    page.wait("document.querySelector('#clicks button').innerText === 'clk_1'")
    pick("currency", "KWD")
    page.wait("document.querySelector('#clicks button').innerText === 'clk_2'")
    assert page.text("#revenue-sum") == "1.500 KWD"
    assert page.text("#order-revenue") == "revenue in KWD"


@pytest.mark.slow
def test_it_can_be_paused(page: Page, sandbox: SandboxServer) -> None:
    """A paused page stops asking for events and catches up when resumed."""
    lead(sandbox)
    page.wait(events_shown(1))
    page.run("document.getElementById('pause').click()")
    assert page.text("#state") == "paused"
    # A pending answer may still arrive; no further request follows it.
    asked = "performance.getEntriesByType('resource').length"
    before = page.run(f"new Promise((done) => setTimeout(() => done({asked}), 300))")
    lead(sandbox, {**LEAD, "customerExternalId": "cus_2"})
    assert page.run(f"new Promise((done) => setTimeout(() => done({asked}), 1500))") == before
    assert page.run(events_shown(1)) is True
    page.run("document.getElementById('pause').click()")
    page.wait(events_shown(2))


@pytest.mark.slow
def test_it_says_when_nothing_answers_and_goes_on_when_something_does(
    browser: Browser, start_sandbox: StartSandbox
) -> None:
    """The page reports a closed sandbox and reconnects to a new one on the same port."""
    first = start_sandbox()
    lead(first)
    page = browser.open(f"{first.url}/")
    page.wait(events_shown(1))
    first.close()
    page.wait("document.getElementById('state').dataset.state === 'lost'")
    assert page.text("#state") == "the sandbox does not answer"
    again = start_sandbox(port=first.port)
    lead(again, {**LEAD, "customerExternalId": "cus_2"})
    page.wait(events_shown(2))
    page.wait("document.getElementById('state').dataset.state === 'live'")
    page.close()


@pytest.mark.slow
def test_focus_stays_while_events_arrive(page: Page, sandbox: SandboxServer) -> None:
    """Focus and opened rows are kept when the next event arrives."""
    fill(sandbox)
    page.wait(events_shown(6))
    page.run("document.querySelector('#events li:last-child summary').click()")
    page.run("document.querySelector('#clicks button').focus()")
    chosen = page.run("document.activeElement.innerText")
    sale(sandbox, {**SALE, "clickId": "clk_9", "invoiceId": "new"})
    page.wait(events_shown(7))
    assert page.run("document.activeElement.innerText") == chosen
    assert page.run("document.querySelector('#events li:last-child details').open") is True


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_nothing_is_cut_off_at_any_width(page: Page, sandbox: SandboxServer, width: int) -> None:
    """Long ids and many currencies do not make the page scroll sideways, on a phone or a desktop."""
    fill(sandbox)
    long = "x" * 255
    for number, currency in enumerate(("EUR", "GBP", "SEK", "INR", "CHF")):
        event = {**SALE, "clickId": long, "eventName": long, "customerExternalId": long, "currency": currency}
        assert sale(sandbox, {**event, "amount": 2**53 - 1, "invoiceId": f"{number}{long}"[:255]}).status == 200
    page.resize(width, 800)
    page.wait(events_shown(11))
    page.run("document.querySelector('#events summary').click()")
    page.wait(f"innerWidth === {width} && document.querySelectorAll('.frame svg').length === 2")
    assert page.run("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_it_can_be_used_by_keyboard_and_screen_reader(page: Page, sandbox: SandboxServer) -> None:
    """Every control has a name and is reachable by Tab; text contrast is sufficient in both schemes."""
    fill(sandbox)
    page.wait(events_shown(6))
    names = page.run(
        "[...document.querySelectorAll('button, input, select, summary, [tabindex=\"0\"]')]"
        ".filter((each) => each.checkVisibility()).map((each) => (each.getAttribute('aria-label')"
        " || each.innerText || each.labels?.[0]?.innerText || '').trim())"
    )
    assert all(names), names
    reached = set()
    page.run("document.activeElement?.blur()")
    for _ in range(40):
        page.press("Tab", 9)
        reached.add(page.run("document.activeElement.id || document.activeElement.tagName"))
    wanted = {"pause", "text", "clock", "currency", "order", "leads-chart", "revenue-chart", "BUTTON", "SUMMARY"}
    assert wanted <= reached
    for scheme in ("light", "dark"):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        ratios = page.run(CONTRAST)
        assert min(ratios.values()) >= 4.5, (scheme, ratios)


@pytest.mark.slow
def test_a_replay_can_be_read_off_the_page(browser: Browser, program: Program) -> None:
    """A replay with ``--sandbox`` appears on the page of ``cms sandbox serve`` with each click's revenue."""
    with (EXAMPLES / "sales.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["invoice_id"]: row for row in csv.DictReader(file)}
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows.values():
        expected[row["click_id"]][row["currency"]] += int(row["amount"])
    digits = {"JPY": 0, "KWD": 3}

    server = program.start("sandbox", "serve", "--port", "0")
    try:
        assert server.stdout is not None
        page = browser.open(f"{server.stdout.readline().strip()}/")
        page.wait("!document.getElementById('empty').hidden")
        done = program("sale", "--from-csv", str(EXAMPLES / "sales.csv"), "--sandbox", "--yes")
        assert done.code == 0, done.stderr
        page.wait(f"document.getElementById('total-sales').innerText === '{len(rows)}'")
        shown = table_of(page)
        page.close()
    finally:
        server.terminate()
        server.communicate(timeout=30)

    for numbers in shown.values():
        assert numbers.pop("Leads") == "0"
        numbers.pop("Sales")
    assert shown == {
        click: {
            currency: f"{Decimal(amount).scaleb(-digits.get(currency, 2)):,.{digits.get(currency, 2)}f}"
            for currency, amount in amounts.items()
        }
        for click, amounts in expected.items()
    }


# Computes the WCAG 2 contrast of texts against their nearest background.
CONTRAST = """
(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = {};
  const names = ["h1", ".state", "#pause", "dt", "dd", "figcaption label", "select", "thead th", ".link", ".late",
    "time", ".kind.lead", ".kind.sale", ".badge", ".customer", "footer p", ".choice input:checked + span"];
  for (const name of names) {
    const element = document.querySelector(name);
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    found[name] = (a + 0.05) / (b + 0.05);
  }
  return found;
})()
"""
