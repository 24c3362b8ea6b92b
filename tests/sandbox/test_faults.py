"""Faults: how they are parsed, their effect on answer and store, and how a seed repeats them."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from typing import Callable

import pytest

from cms_cli.sandbox import Fault, FaultPlan, OptionError, Poison, SandboxServer, Step, parse_faults
from cms_cli.sandbox.fault_injection import FaultInjector, request_key

from .conftest import Clock, StartSandbox
from .talk import (
    FOLLOW_UP,
    LEAD,
    PATIENCE,
    SALE,
    SET_UP,
    Wire,
    addressed,
    lead,
    post_bytes,
    raw,
    receive_all,
    sale,
    send,
    status_of,
)

LEAD_BYTES = post_bytes("/track/lead", json.dumps(LEAD).encode())


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ()),
        (" , ", ()),
        ("5xx:0.1,drop-after:0.02", (Fault("5xx", 0.1), Fault("drop-after", 0.02))),
        ("5xx:.1", (Fault("5xx", 0.1),)),
        ("half", (Fault("half", 1.0),)),
        ("lead.503:0.5@2", (Fault("503", 0.5, 2.0, route="lead"),)),
        ("sale.500-after:0", (Fault("500-after", 0.0, route="sale"),)),
        ("429:0.1x3", (Fault("429", 0.1, 1.0, times=3),)),
        ("429:0.1@5x3", (Fault("429", 0.1, 5.0, times=3),)),
        ("latency@200~50, latency:0.01@5000", (Fault("latency", 1.0, 200.0, 50.0), Fault("latency", 0.01, 5000.0))),
        ("html@404", (Fault("html", 1.0, 404.0),)),
        ("lead.5xx,sale.drop-before", (Fault("5xx", route="lead"), Fault("drop-before", route="sale"))),
    ],
)
def test_faults_are_read(text: str, faults: tuple[Fault, ...]) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("6xx", "no such fault"),
        ("418", "no such fault"),
        ("5xx:1.1", "0 to 1"),
        ("5xx:-0.1", "not a fault"),
        ("5xx:", "not a fault"),
        ("5xx=0.1", "not a fault"),
        ("5xx:0.1:0.2", "not a fault"),
        ("page.5xx", "no such route"),
        ("5xx:0.6,half:0.6", "more than 1"),
        ("5xx:0.6,lead.half:0.6", "the fault rates of leads"),
        ("half@3", "takes no value"),
        ("html@99", "from 200 to 599"),
        ("html@200.5", "whole number"),
        *((f"html@{status}", f"value {status}: an answer with it has no body") for status in (204, 205, 304)),
        ("lead.html:0.1@204x2", "has no body"),
        ("blank@204", "from 400 to 599"),
        ("blank@502.5", "whole number"),
        ("redirect@304", "it is not a redirect"),
        ("redirect@300", "from 301"),
        ("5xx@1~1", "jitter"),
        ("5xxx0", "1 attempt or more"),
        ("latency@1e3", "not a fault"),
    ],
)
def test_an_invalid_fault_is_an_error(text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        parse_faults(text)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (lambda: Fault("html", value=204.0), "has no body"),
        (lambda: Fault("6xx"), "no such fault"),
        (lambda: Fault("5xx", rate=1.5), "0 to 1"),
        (lambda: Fault("5xx", rate=float("nan")), "0 to 1"),
        (lambda: Fault("5xx", route="page"), "no such route"),
        (lambda: Step((Fault("5xx", 0.6), Fault("half", 0.6))), "add up to 1.2"),
        (lambda: Step((Fault("5xx", 0.6), Fault("half", 0.6, route="sale"))), "of sales add up to 1.2"),
        (lambda: FaultPlan(faults=(Fault("5xx", 0.6), Fault("half", 0.6))), "add up to 1.2"),
        (lambda: Poison({"amount": 1}, Fault("latency")), "latency alone"),
    ],
)
def test_an_invalid_fault_in_code_is_an_error(fault: Callable[[], object], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        fault()


def test_a_fault_in_code_has_the_default_of_its_kind(start_sandbox: StartSandbox) -> None:
    assert Fault("html") == Fault("html", value=200.0)
    assert lead(start_sandbox(faults=(Fault("blank"),))).status == 502


@pytest.mark.parametrize(
    "options",
    [
        *({"fail": 1.5}, {"drop": -0.1}, {"latency_ms": -1}, {"fail": 0.6, "drop": 0.6}),
        *({"latency_ms": float("inf")}, {"latency_ms": float("nan")}, {"fail": float("nan")}),
    ],
)
def test_flags_out_of_range_are_an_error(start_sandbox: StartSandbox, options: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        start_sandbox(**options)


STATUSES = ["400", "401", "403", "404", "409", "422", "429", "500", "502", "503", "504"]


@pytest.mark.parametrize("kind", STATUSES)
def test_a_status_fault_has_the_contracts_shape_and_records_nothing(start_sandbox: StartSandbox, kind: str) -> None:
    sandbox = start_sandbox(faults=kind)
    answer = lead(sandbox)
    assert (answer.status, answer.json["statusCode"], answer.json["success"]) == (int(kind), int(kind), False)
    assert answer.headers.get("retry-after") == ("1" if kind == "429" else None)
    assert sandbox.events() == []
    (attempt,) = sandbox.attempts()
    assert (attempt.status, attempt.fault, attempt.event_id) == (int(kind), kind, None)


def test_retry_after_is_the_value(start_sandbox: StartSandbox) -> None:
    assert lead(start_sandbox(faults="503@1.5")).headers["retry-after"] == "2"


def test_5xx_is_any_of_the_documented_ones(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(fail=1.0)
    with Wire(sandbox) as wire:
        assert {wire.lead().status for _ in range(60)} == {500, 502, 503, 504}
    assert sandbox.events() == []


def test_a_5xx_after_recording(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="lead.503-after,sale.5xx-after")
    assert lead(sandbox).status == 503
    assert sale(sandbox).status >= 500
    assert len(sandbox.events()) == 2
    assert [attempt.event_id for attempt in sandbox.attempts()] == [1, 2]


@pytest.mark.parametrize(("kind", "recorded"), [("drop-before", 0), ("drop-after", 1)])
def test_a_dropped_connection_gets_no_byte(start_sandbox: StartSandbox, kind: str, recorded: int) -> None:
    sandbox = start_sandbox(faults=kind)
    assert raw(sandbox, LEAD_BYTES) == b""
    assert len(sandbox.events()) == recorded
    (attempt,) = sandbox.attempts()
    assert (attempt.status, attempt.fault) == (None, kind)


def test_connections_are_dropped_by_fin_and_by_rst(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(drop=1.0)
    met = Counter()
    for _ in range(40):
        with pytest.raises((ConnectionError, ConnectionResetError)) as caught:
            lead(sandbox)
        met[caught.type.__name__] += 1
    assert set(met) == {"RemoteDisconnected", "ConnectionResetError"}
    # About half are dropped after recording, which a client cannot tell.
    assert 0 < len(sandbox.events()) < 40


def test_half_sends_part_of_the_body(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="half")
    answer = raw(sandbox, LEAD_BYTES)
    head, _, body = answer.partition(b"\r\n\r\n")
    promised = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    assert 0 < len(body) < promised
    assert len(sandbox.events()) == 1


def test_half_of_an_empty_answer_cuts_the_head(start_sandbox: StartSandbox) -> None:
    answer = raw(start_sandbox(faults="half", answer="empty"), LEAD_BYTES)
    assert status_of(answer) == 200
    assert b"\r\n\r\n" not in answer


def test_garbled_json(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="garbled")
    answer = lead(sandbox)
    assert answer.status == 200
    with pytest.raises(ValueError, match=r"."):
        json.loads(answer.body)
    assert len(sandbox.events()) == 1


def test_a_slow_body_trickles_in_and_is_complete(start_sandbox: StartSandbox) -> None:
    """The event is recorded and the head sent at once; the body follows later, and is whole even on closing."""
    sandbox = start_sandbox(faults="slow-body@3600")
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=PATIENCE) as sock:
        sock.sendall(addressed(sandbox, LEAD_BYTES))
        received = sock.recv(65536)
        while b"\r\n\r\n" not in received:
            received += sock.recv(65536)
        assert len(sandbox.events()) == 1
        assert received.endswith(b"\r\n\r\n")
        sandbox.close()
        assert json.loads(receive_all(sock))["success"] is True


@pytest.mark.parametrize("options", [{"latency_ms": 3_600_000}, {"faults": "latency@3600000~1000"}])
def test_a_late_answer_is_recorded_at_once_and_sent_on_closing(
    start_sandbox: StartSandbox, options: dict[str, object]
) -> None:
    """With latency, the event is recorded before the answer; closing sends the answer without further delay."""
    sandbox = start_sandbox(**options)
    statuses: list[int] = []
    client = threading.Thread(target=lambda: statuses.append(lead(sandbox).status))
    client.start()
    while not sandbox.events():
        time.sleep(0.01)
    client.join(0.05)
    assert not statuses
    sandbox.close()
    client.join(60)
    assert statuses == [200]


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_web_page_in_place_of_json(start_sandbox: StartSandbox, status: int) -> None:
    sandbox = start_sandbox(faults=f"html@{status}")
    answer = lead(sandbox)
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.body.startswith(b"<!doctype html>")
    assert sandbox.events() == []


def test_blank_is_an_error_without_a_body(start_sandbox: StartSandbox) -> None:
    answer = lead(start_sandbox(faults="blank"))
    assert (answer.status, answer.body) == (502, b"")


def test_a_redirect_leads_to_a_web_page(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="redirect")
    with Wire(sandbox) as wire:
        answers = [wire.lead() for _ in range(40)]
    assert {answer.status for answer in answers} == {301, 302, 308}
    followed = send(sandbox, "GET", answers[0].headers["location"])
    assert (followed.status, followed.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert sandbox.events() == []
    assert sandbox.attempts()[-1].path == "/redirected/track/lead"


def test_a_soft_error_is_a_200_that_reports_failure(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="lead.soft-error,sale.soft-error@409")
    answer = lead(sandbox)
    assert (answer.status, answer.json["success"], answer.json["statusCode"]) == (200, False, 422)
    assert sale(sandbox).json["statusCode"] == 409
    assert sandbox.events() == []


@pytest.mark.parametrize("seconds", ["0", "0.1"])
def test_an_idle_connection_is_closed_without_notice(start_sandbox: StartSandbox, seconds: str) -> None:
    sandbox = start_sandbox(faults=f"idle-close@{seconds}")
    answer = raw(sandbox, LEAD_BYTES, half_close=False)
    assert status_of(answer) == 200
    assert b"Connection: close" not in answer


def test_faults_of_one_route_do_not_affect_the_other(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="lead.500")
    assert (lead(sandbox).status, sale(sandbox).status) == (500, 200)


def test_faults_do_not_hide_a_401(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="500", token="right")
    assert lead(sandbox, Authorization="Bearer wrong").status == 401


def test_the_store_has_the_refusal_behind_a_broken_answer(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(faults="half")
    with pytest.raises(Exception, match="IncompleteRead"):
        lead(sandbox, FOLLOW_UP)
    (attempt,) = sandbox.attempts()
    assert (attempt.status, attempt.event_id) == (404, None)


def test_a_dropped_sale_is_known_only_if_it_was_recorded(start_sandbox: StartSandbox) -> None:
    for number, (kind, then) in enumerate({"drop-before": 200, "drop-after": 409}.items()):
        event = {**SALE, "invoiceId": f"inv_{number}"}
        with pytest.raises(ConnectionError):
            sale(start_sandbox(faults=kind), event)
        assert sale(start_sandbox(), event).status == then


def test_a_dropped_set_up_prepares_follow_ups_only_if_it_was_recorded(start_sandbox: StartSandbox) -> None:
    for kind, then in {"drop-before": 404, "drop-after": 200}.items():
        with pytest.raises(ConnectionError):
            lead(start_sandbox(faults=kind), SET_UP)
        assert lead(start_sandbox(), FOLLOW_UP).status == then


def test_a_poison_row_always_fails_and_others_do_not(start_sandbox: StartSandbox) -> None:
    plan = FaultPlan(
        poison=(Poison({"invoiceId": "inv_13"}), Poison({"customerExternalId": "c", "amount": 1}, Fault("422")))
    )
    sandbox = start_sandbox(scenario=plan)
    assert [sale(sandbox, {**SALE, "invoiceId": "inv_13"}).status for _ in range(5)] == [500] * 5
    assert sale(sandbox).status == 200
    assert sale(sandbox, {**SALE, "customerExternalId": "c", "amount": 1, "invoiceId": "i"}).status == 422
    assert sale(sandbox, {**SALE, "customerExternalId": "c", "amount": True, "invoiceId": "i"}).json["details"]
    assert sale(sandbox, {**SALE, "customerExternalId": "c", "invoiceId": "i"}).status == 200


def statuses(server: SandboxServer, order: list[int], attempts: int) -> dict[int, list[int]]:
    """Return the statuses of each invoice's attempts, sent in the given order."""
    answers: dict[int, list[int]] = {number: [] for number in order}
    with Wire(server) as wire:
        for _ in range(attempts):
            for number in order:
                answers[number].append(wire.sale({**SALE, "invoiceId": f"inv_{number}"}).status)
    return answers


def test_a_seed_repeats_a_run_whatever_the_order_of_requests(start_sandbox: StartSandbox) -> None:
    faults, order = "5xx:0.3,429:0.2x2,404:0.1", list(range(40))
    runs = []
    for number, seed in enumerate((1, 1, 2)):
        db = start_sandbox().db.with_name(f"{number}.db")
        runs.append(statuses(start_sandbox(db=db, faults=faults, seed=seed), order, 4))
        random.Random(number).shuffle(order)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert {status for answers in runs[0].values() for status in answers} >= {200, 404, 409, 429, 500, 503}


def fault_of(injector: FaultInjector, number: int) -> str | None:
    event = {**SALE, "invoiceId": f"inv_{number}"}
    fault = injector.decide("sale", event, b"").fault
    return fault and fault.kind


def test_rates_are_kept() -> None:
    injector = FaultInjector(FaultPlan(5, parse_faults("5xx:0.1,drop-after:0.02,half:0.3")), Clock())
    met = Counter(fault_of(injector, number) for number in range(20_000))
    assert 1800 < met["5xx"] < 2200
    assert 300 < met["drop-after"] < 500
    assert 5700 < met["half"] < 6300


def test_a_rate_of_one_always_faults_and_a_rate_of_zero_never() -> None:
    always, never = (FaultInjector(FaultPlan(0, parse_faults(text)), Clock()) for text in ("5xx:1", "5xx:0"))
    assert {fault_of(always, number) for number in range(5000)} == {"5xx"}
    assert {fault_of(never, number) for number in range(5000)} == {None}


def test_a_burst_lasts_for_its_number_of_attempts() -> None:
    injector = FaultInjector(FaultPlan(3, parse_faults("429:0.05x4")), Clock())
    runs = ["".join("x" if fault_of(injector, number) else "." for _ in range(60)) for number in range(50)]
    lengths = [len(burst) for run in runs for burst in run.rstrip("x").split(".") if burst]
    assert lengths
    assert min(lengths) == 4


def test_requests_that_count_as_attempts_at_one_event() -> None:
    def key(route: str, **event: object) -> str:
        return request_key(route, event, b"")

    assert key("sale", invoiceId="i", amount=1) == key("sale", invoiceId="i", amount=2)
    assert key("sale", invoiceId="i") != key("sale", invoiceId="j")
    assert key("sale", invoiceId=5, amount=1) != key("sale", invoiceId=5, amount=2)
    assert key("lead", a=1, b=2, timestamp="x") == key("lead", b=2, a=1, timestamp="y")
    assert key("lead", a=1) != key("lead", a=2)
    assert request_key("lead", None, b"x") != request_key("lead", None, b"y")
