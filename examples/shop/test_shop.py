"""Tests of the events that the shop sends; each test has its own sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shop import Shop, open_shop

from cms_cli.sandbox import FaultPlan, SandboxServer, Step, parse_faults
from cms_python import CMSClient


@pytest.fixture
def shop(cms_sandbox: SandboxServer) -> Iterator[Shop]:
    with CMSClient(cms_sandbox.token, cms_sandbox.url, retries=1) as client:
        yield Shop(client)


def test_an_order_is_credited_to_the_click_that_brought_the_customer(
    shop: Shop, cms_sandbox: SandboxServer
) -> None:
    shop.sign_up("jane", click="clk_1")
    shop.buy("jane", "book")
    assert [(sale.click_id, sale.amount, sale.currency) for sale in cms_sandbox.sales()] == [("clk_1", 1999, "EUR")]


def test_a_confirmation_counts_for_the_click_of_the_sign_up(shop: Shop, cms_sandbox: SandboxServer) -> None:
    shop.sign_up("jane", click="clk_1")
    shop.confirm("jane")
    assert [(lead.click_id, lead.event["eventName"]) for lead in cms_sandbox.leads()] == [
        ("clk_1", "signed_up"),
        ("clk_1", "confirmed"),
    ]


def test_a_customer_without_a_click_is_not_tracked(shop: Shop, cms_sandbox: SandboxServer) -> None:
    shop.buy("ben", "poster")
    assert cms_sandbox.events() == []


@pytest.mark.cms_sandbox(scenario=FaultPlan(steps=(Step(parse_faults("sale.drop-after"), until_request=3),)))
def test_an_order_whose_first_answer_is_lost_counts_once(shop: Shop, cms_sandbox: SandboxServer) -> None:
    shop.sign_up("jane", click="clk_1")  # the first request
    assert shop.buy("jane", "book").tracked
    assert len(cms_sandbox.sales()) == 1
    assert len(cms_sandbox.attempts()) == 3


@pytest.mark.cms_sandbox(faults="5xx")
def test_an_order_while_the_service_is_down_can_be_tracked_later(shop: Shop) -> None:
    shop.clicks["jane"] = "clk_1"
    order = shop.buy("jane", "book")
    assert not order.tracked
    with SandboxServer() as later, CMSClient(later.token, later.url) as client:
        shop.tracking = client
        shop.track(order)
        assert order.tracked
        assert [sale.invoice_id for sale in later.sales()] == ["order-1"]


@pytest.mark.cms_sandbox(token="the-only-good-one")
def test_a_wrong_token_does_not_keep_the_shop_from_selling(cms_sandbox: SandboxServer) -> None:
    with CMSClient("another-one", cms_sandbox.url) as client:
        shop = Shop(client, clicks={"jane": "clk_1"})
        assert not shop.buy("jane", "book").tracked
    assert cms_sandbox.sales() == []


def test_production_reads_the_environment(cms_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMS_HOST", cms_sandbox.url)
    monkeypatch.setenv("CMS_BEARER_TOKEN", cms_sandbox.token)
    shop = open_shop()
    shop.sign_up("jane", click="clk_1")
    shop.tracking.close()
    assert len(cms_sandbox.leads()) == 1
