"""Valid events in the sandbox: clicks, follow-ups, and invoices that count once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cms_cli.sandbox import SUCCESS_SHAPES, OptionError, SandboxServer

from .conftest import StartSandbox
from .talk import FOLLOW_UP, LEAD, SALE, SET_UP, Wire, lead, sale


def clicks(server: SandboxServer) -> list[tuple[str, str]]:
    return [(event.click_id, event.click_source) for event in server.events()]


def test_a_success_has_the_documented_shape(sandbox: SandboxServer) -> None:
    body = lead(sandbox).json
    assert set(body) == {"success", "message", "data"}
    assert (body["success"], body["message"]) == (True, "Event tracked successfully")
    assert body["data"] == {
        "eventId": "evt_1",
        "type": "lead",
        "clickId": "clk_1",
        "attribution": "sent",
        "eventName": "signup",
        "customerExternalId": "cus_1",
    }
    data = sale(sandbox).json["data"]
    assert (data["invoiceId"], data["amount"], data["currency"]) == ("inv_1", 4999, "USD")


def test_a_lead_with_a_click_is_attributed_to_it(sandbox: SandboxServer) -> None:
    assert lead(sandbox).status == 200
    assert clicks(sandbox) == [("clk_1", "sent")]


def test_a_deferred_set_up_stores_the_click_and_follow_ups_resolve_to_it(sandbox: SandboxServer) -> None:
    assert lead(sandbox, SET_UP).json["data"]["deferredAssociationStored"] is True
    follow_ups = [lead(sandbox, FOLLOW_UP).json["data"] for _ in range(2)]
    assert [(data["clickId"], data["attribution"]) for data in follow_ups] == [("clk_1", "deferred")] * 2
    assert clicks(sandbox) == [("clk_1", "sent"), ("clk_1", "deferred"), ("clk_1", "deferred")]


def test_a_follow_up_without_a_set_up_is_404(sandbox: SandboxServer) -> None:
    answer = lead(sandbox, FOLLOW_UP)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    assert (answer.json["success"], answer.json["statusCode"]) == (False, 404)
    assert sandbox.events() == []


def test_a_standard_lead_prepares_no_follow_up(sandbox: SandboxServer) -> None:
    lead(sandbox)
    assert lead(sandbox, FOLLOW_UP).status == 404


def test_associations_are_of_one_customer(sandbox: SandboxServer) -> None:
    lead(sandbox, SET_UP)
    assert lead(sandbox, {**FOLLOW_UP, "customerExternalId": "cus_2"}).status == 404
    assert lead(sandbox, {**FOLLOW_UP, "customerExternalId": "CUS_1"}).status == 404


@pytest.mark.parametrize("click_id", ["clk_1", "clk_2"])
def test_a_follow_up_with_a_click_is_409(sandbox: SandboxServer, click_id: str) -> None:
    lead(sandbox, SET_UP)
    answer = lead(sandbox, {**FOLLOW_UP, "clickId": click_id})
    assert (answer.status, list(answer.json["details"])) == (409, ["clickId"])
    assert clicks(sandbox) == [("clk_1", "sent")]
    assert lead(sandbox, FOLLOW_UP).json["data"]["clickId"] == "clk_1"


def test_the_last_click_wins(sandbox: SandboxServer) -> None:
    for click_id in ("clk_1", "clk_2"):
        assert lead(sandbox, {**SET_UP, "clickId": click_id}).status == 200
        lead(sandbox, FOLLOW_UP)
    assert clicks(sandbox) == [
        ("clk_1", "sent"),
        ("clk_1", "deferred"),
        ("clk_2", "sent"),
        ("clk_2", "deferred"),
    ]


def test_a_set_up_may_be_sent_again(sandbox: SandboxServer) -> None:
    assert [lead(sandbox, SET_UP).status for _ in range(2)] == [200, 200]
    assert lead(sandbox, FOLLOW_UP).json["data"]["clickId"] == "clk_1"


def test_a_refused_set_up_stores_nothing(sandbox: SandboxServer) -> None:
    assert lead(sandbox, {**SET_UP, "customerEmail": "nobody"}).status == 422
    assert lead(sandbox, FOLLOW_UP).status == 404


def test_a_sale_takes_its_own_click_and_leaves_the_association_alone(sandbox: SandboxServer) -> None:
    lead(sandbox, SET_UP)
    sale(sandbox, {**SALE, "clickId": "clk_9"})
    lead(sandbox, FOLLOW_UP)
    assert clicks(sandbox) == [("clk_1", "sent"), ("clk_9", "sent"), ("clk_1", "deferred")]


def test_leads_are_not_deduplicated(sandbox: SandboxServer) -> None:
    assert [lead(sandbox).status for _ in range(3)] == [200, 200, 200]
    assert len(sandbox.events(kind="lead")) == 3


def test_an_invoice_is_recorded_once(sandbox: SandboxServer) -> None:
    assert sale(sandbox).status == 200
    answer = sale(sandbox, {**SALE, "amount": 1, "customerExternalId": "cus_2"})
    assert (answer.status, list(answer.json["details"])) == (409, ["invoiceId"])
    assert sale(sandbox, {**SALE, "invoiceId": "INV_1"}).status == 200
    assert [event.invoice_id for event in sandbox.events(kind="sale")] == ["inv_1", "INV_1"]


def test_an_invoice_counts_only_once_it_is_recorded(sandbox: SandboxServer) -> None:
    assert sale(sandbox, {**SALE, "amount": -1}).status == 422
    assert sale(sandbox).status == 200


def test_an_invoice_is_remembered_by_the_next_server_on_the_store(start_sandbox: StartSandbox) -> None:
    first = start_sandbox()
    sale(first)
    lead(first, SET_UP)
    first.close()
    second = start_sandbox()
    assert second.port != 0
    assert sale(second).status == 409
    assert lead(second, FOLLOW_UP).status == 200


def test_two_servers_may_share_a_store(start_sandbox: StartSandbox) -> None:
    one, two = start_sandbox(), start_sandbox()
    assert [sale(server).status for server in (one, two)] == [200, 409]
    assert lead(one, SET_UP).status == 200
    assert lead(two, FOLLOW_UP).json["data"]["clickId"] == "clk_1"


def test_simultaneous_sales_of_one_invoice_are_recorded_once(start_sandbox: StartSandbox) -> None:
    servers = [start_sandbox(), start_sandbox()]
    workers, rounds = 8, 15
    gate = threading.Barrier(workers, timeout=60)
    statuses: list[tuple[int, int]] = []

    def work(number: int) -> None:
        with Wire(servers[number % 2]) as wire:
            for invoice in range(rounds):
                gate.wait()
                statuses.append((invoice, wire.sale({**SALE, "invoiceId": f"inv_{invoice}"}).status))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for invoice in range(rounds):
        answers = sorted(status for number, status in statuses if number == invoice)
        assert answers == [200] + [409] * (workers - 1)
    assert len(servers[0].events()) == rounds


SHAPES: dict[str, Any] = {
    "status": {"status": True, "data": "successful"},
    "timestamp": {"success": True, "timestamp": "*"},
    "request-id": {
        "message": "Event tracked successfully",
        "requestId": "req_1",
        "deferredAssociationStored": True,
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_success_in_each_observed_shape(start_sandbox: StartSandbox, shape: str) -> None:
    answer = lead(start_sandbox(answer=shape), SET_UP)
    body = answer.json
    if "timestamp" in body:
        assert body["timestamp"].endswith("Z")
        body["timestamp"] = "*"
    assert (answer.status, body) == (200, SHAPES[shape])


def test_a_success_may_have_no_body(start_sandbox: StartSandbox) -> None:
    answer = lead(start_sandbox(answer="empty"))
    assert (answer.status, answer.body) == (200, b"")
    assert "content-type" not in answer.headers


def test_mixed_alternates_shapes_and_leaves_errors_alone(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(answer="mixed")
    bodies = {lead(sandbox).body.split(b":")[0] for _ in range(10)}
    assert len(bodies) == len(SUCCESS_SHAPES) - 1 - 1  # "mixed" is no shape, and two shapes begin alike
    assert lead(sandbox, {}).json["statusCode"] == 422


def test_an_unknown_shape_is_an_error(start_sandbox: StartSandbox) -> None:
    with pytest.raises(OptionError, match="documented"):
        start_sandbox(answer="yaml")


def test_a_stored_lead_has_its_fields_and_none_of_a_sale(sandbox: SandboxServer) -> None:
    lead(sandbox, LEAD)
    (event,) = sandbox.events()
    assert event.to_dict()["event"] == LEAD
    assert event.customer == "cus_1"
    assert (event.invoice_id, event.amount, event.currency) == (None, None, None)
