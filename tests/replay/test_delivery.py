"""Sending: order, failing rows, outages, limits and stops, over real HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from faultserver import DROP, SUCCESS, FaultServer, Received, json_reply
from replays import LEAD_HEADER, Bench, as_csv, counted, hurry, leads_csv, sales_csv
from services import sandbox

from cms_cli.exit_codes import ExitCode
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.sending import health, schedule
from cms_cli.replay.sending.pacing import Rate
from cms_cli.replay.sending.stop import Stop
from cms_cli.sandbox import Fault, FaultPlan, Poison, Step
from cms_python import CMSClient, Outcome, WireEvent, _retry

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the backoffs."""
    hurry(monkeypatch)


def sent_numbers(server: FaultServer) -> list[str]:
    return [received.json["clickId"] for received in server.requests]


# Order


@pytest.mark.parametrize("kind", ["sale", "lead"])
@pytest.mark.usefixtures("quick")
def test_one_customer_one_at_a_time_in_file_order(tmp_path: Path, kind: str) -> None:
    """A customer's rows are sent one at a time in file order, and different customers in parallel."""
    lock = threading.Lock()
    active: dict[str, str] = {}
    left: dict[str, list[int]] = {}
    together = 0

    def watched(event: WireEvent) -> Outcome:
        nonlocal together
        body = json.loads(event.body)
        customer, number = body["customerExternalId"], int(body["clickId"][4:])
        with lock:
            assert customer not in active
            active[customer] = body["clickId"]
            together = max(together, len(active))
            left.setdefault(customer, []).append(number)
        try:
            return client.attempt(event)
        finally:
            with lock:
                del active[customer]

    make = sales_csv if kind == "sale" else leads_csv
    text = make(range(1), customer="cus_0")
    text += "".join(make([n], customer=f"cus_{n % 5}").split("\n", 1)[1] for n in range(1, 80))
    with sandbox(tmp_path, faults="503:0.3,429:0.1@0,latency@5~5", seed=4) as server:
        bench = Bench(tmp_path, server.url, kind)
        with CMSClient("tok", server.url, retries=0) as client:
            report = bench.replay(bench.file(text), concurrency=8, send=watched)
        assert counted(report) == {"accepted": 80}
        recorded: dict[str, list[int]] = {}
        for event in server.events():
            recorded.setdefault(event.customer, []).append(int(event.click_id[4:]))
    assert together > 1
    for customer, numbers in left.items():
        assert numbers == sorted(numbers), customer
        assert recorded[customer] == sorted(set(numbers))


@pytest.mark.usefixtures("quick")
def test_a_set_up_precedes_its_follow_ups_even_when_it_fails_first(tmp_path: Path) -> None:
    """A deferred set-up precedes its follow-ups even if its first attempts fail."""
    rows = []
    for customer in range(10):
        rows.append([f"clk_{customer}", "captured", f"cus_{customer}", "", "deferred"])
        rows += [["", f"step_{step}", f"cus_{customer}", "", ""] for step in range(3)]
    header = (*LEAD_HEADER, "mode")
    plan = FaultPlan(poison=(), faults=(Fault("503", rate=0.6),), seed=2)
    with sandbox(tmp_path, scenario=plan) as server:
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(as_csv(header, rows)), Shape(skip_unattributed=False), concurrency=8)
        assert counted(report) == {"accepted": 40}
        assert {event.click_source for event in server.events()} == {"sent", "deferred"}


def _follow_ups(customers: int) -> str:
    rows = []
    for customer in range(customers):
        rows.append([f"clk_{customer}", "captured", f"cus_{customer}", "2026-04-10", "deferred"])
        rows += [["", f"step_{step}", f"cus_{customer}", "2026-04-11", ""] for step in range(2)]
    return as_csv((*LEAD_HEADER, "mode"), rows)


def test_follow_ups_of_an_unknown_set_up_stay_pending(tmp_path: Path) -> None:
    """The follow-ups of an unknown set-up stay pending until the set-up is accepted."""
    with FaultServer() as server:
        server.script(*[SUCCESS] * 3, json_reply(500, {"error": "oops"}))
        bench = Bench(tmp_path, server.url, "lead")
        path = bench.file(_follow_ups(3))
        report = bench.replay(path, concurrency=1)
        assert counted(report) == {"accepted": 6, "unknown": 1, "pending": 2}
        assert (report.stop, report.exit_code) == (Stop.HELD, ExitCode.UNAVAILABLE)
        assert "--retry-unknown" in report.reason
        # Another invocation reads it from the journal.
        sent = len(server.requests)
        report = bench.replay(path)
        assert (counted(report), report.stop) == ({"accepted": 6, "unknown": 1, "pending": 2}, Stop.HELD)
        assert len(server.requests) == sent
        report = bench.replay(path, retry_unknown=True)
        assert (counted(report), report.exit_code) == ({"accepted": 9}, ExitCode.OK)
        order = [received.json["eventName"] for received in server.requests[sent:]]
        assert order == ["captured", "step_0", "step_1"]


def test_follow_ups_wait_for_a_set_up_of_another_file(tmp_path: Path) -> None:
    """Follow-ups wait for an unknown set-up of another file, and the message names the run to resume."""
    set_up, follow_up = (
        ["clk_1", "captured", "ann", "2026-04-10", "deferred"],
        ["", "step", "ann", "2026-04-11", ""],
    )
    header = (*LEAD_HEADER, "mode")
    with FaultServer() as server:
        server.script(json_reply(500, {"error": "oops"}))
        bench = Bench(tmp_path, server.url, "lead")
        first = bench.replay(bench.file(as_csv(header, [set_up]), "first.csv"))
        path = bench.file(as_csv(header, [follow_up, ["clk_2", "signup", "bob", "2026-04-11", ""]]))
        report = bench.replay(path)
        assert (counted(report), report.exit_code) == ({"accepted": 1, "pending": 1}, ExitCode.UNAVAILABLE)
        assert f"cms runs resume {first.run} --retry-unknown" in report.reason
        assert counted(bench.resume(first.run or "", retry_unknown=True)) == {"accepted": 1}
        assert counted(bench.replay(path)) == {"accepted": 2}
        names = [received.json["eventName"] for received in server.requests]
        assert names == ["captured", "signup", "captured", "step"]


def test_a_set_up_that_another_file_sends_again_frees_its_follow_ups(tmp_path: Path) -> None:
    """Follow-ups go once any file of the account has had the set-up accepted; other accounts never wait for it."""
    set_up = ["clk_1", "captured", "ann", "2026-04-10", "deferred"]
    steps = [["", f"step_{step}", "ann", "2026-04-11", ""] for step in range(3)]
    header = (*LEAD_HEADER, "mode")
    with FaultServer() as server:
        server.script(json_reply(500, {"error": "oops"}))
        bench = Bench(tmp_path, server.url, "lead")
        assert counted(bench.replay(bench.file(as_csv(header, [set_up]), "first.csv"))) == {"unknown": 1}
        other = Bench(tmp_path, server.url, "lead", account="jwt other")
        assert counted(other.replay(other.file(as_csv(header, steps[:1]), "other.csv"))) == {"accepted": 1}
        again = bench.file(as_csv(header, [set_up, steps[1]]), "again.csv")
        assert counted(bench.replay(again, retry_unknown=True)) == {"accepted": 2}
        assert counted(bench.replay(bench.file(as_csv(header, steps[2:]), "next.csv"))) == {"accepted": 1}


def test_an_unknown_set_up_holds_only_follow_ups(tmp_path: Path) -> None:
    """A lead with a click of its own is not held up by an unknown set-up of its customer."""
    rows = [
        ["clk_1", "captured", "ann", "2026-04-10", "deferred"],
        ["clk_2", "other", "ann", "2026-04-10", ""],
        ["", "step", "ann", "2026-04-10", ""],
    ]
    with FaultServer() as server:
        server.script(json_reply(500, {"error": "oops"}))
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(as_csv((*LEAD_HEADER, "mode"), rows)))
        assert counted(report) == {"accepted": 1, "unknown": 1, "pending": 1}


def test_a_failing_service_gets_one_request_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three failures in a row the service gets one request at a time until it answers again."""
    hurry(monkeypatch)
    monkeypatch.setattr(health, "LONGEST_ASIDE", 0.5)
    lock, active, together = threading.Lock(), 0, []

    def watched(event: WireEvent) -> Outcome:
        nonlocal active
        with lock:
            active += 1
            together.append(active)
        try:
            return client.attempt(event)
        finally:
            with lock:
                active -= 1

    with FaultServer() as server, CMSClient("tok", server.url, retries=0) as client:
        server.script(SUCCESS, *[json_reply(503, {"error": "ill"}, after=0.02)] * 30)
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(40))), send=watched, concurrency=8, max_wait=30)
    assert counted(report) == {"accepted": 40}
    assert max(together[:9]) > 1
    # By then the requests that were in flight at the first failure have been answered.
    assert set(together[16:31]) == {1}


@pytest.mark.parametrize("kind", ["sale", "lead"])
def test_the_intent_is_on_disk_when_the_request_arrives(tmp_path: Path, kind: str) -> None:
    """A row's intent is in the journal before its request arrives."""
    seen = []

    def look(received: Received) -> None:
        with bench.journal() as journal:
            number = int(received.json["clickId"][4:]) + 1
            query = "SELECT status, attempts, sent_at IS NOT NULL FROM rows WHERE row = ?"
            seen.append(tuple(journal.db.execute(query, (number,)).fetchone()))

    with FaultServer(on_request=look) as server:
        bench = Bench(tmp_path, server.url, kind)
        text = sales_csv(range(12)) if kind == "sale" else leads_csv(range(12))
        assert counted(bench.replay(bench.file(text), concurrency=4)) == {"accepted": 12}
    assert seen == [("pending", 1, 1)] * 12


def test_no_lead_on_a_connection_that_was_idle(tmp_path: Path) -> None:
    """A lead opens a new connection if the last one was idle for more than two seconds."""
    with FaultServer() as server:
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(leads_csv(range(4))), rate=Rate(2, 2.2), concurrency=1)
        assert counted(report) == {"accepted": 4}
        first, second, third, fourth = (received.connection for received in server.requests)
    assert (first == second, third == fourth, second == third) == (True, True, False)


# Rows that fail


@pytest.mark.usefixtures("quick")
def test_poison_rows_hold_nobody_up(tmp_path: Path) -> None:
    """Rows that always fail are set aside, and all others are accepted."""
    plan = FaultPlan(poison=tuple(Poison({"invoiceId": f"inv_{n}"}, Fault("500")) for n in range(5)))
    with sandbox(tmp_path, scenario=plan) as server:
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(60))), max_wait=0.5)
        assert counted(report) == {"accepted": 55, "pending": 5}
        assert (report.stop, report.exit_code) == (Stop.UNREACHABLE, ExitCode.UNAVAILABLE)
        good = [attempt.id for attempt in server.attempts() if attempt.status == 200]
        bad = [attempt.id for attempt in server.attempts() if attempt.status == 500]
        # Until the last good row was accepted, the bad rows took less than half of the requests.
        assert len([each for each in bad if each < max(good)]) < 55


@pytest.mark.usefixtures("quick")
def test_leads_that_fail_alone_are_unknown_one_by_one(tmp_path: Path) -> None:
    """A lead that got a 500, a 502 or no answer is unknown; after a 429 or 503 it is sent again."""
    with FaultServer() as server:
        server.script(
            SUCCESS,
            json_reply(500, {"error": "oops"}),
            json_reply(503, {"error": "busy"}),
            DROP,
            json_reply(429, {"error": "slow down"}, ("Retry-After", "0")),
            json_reply(502, {"error": "gateway"}),
        )
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(leads_csv(range(8))), concurrency=1)
        assert counted(report) == {"accepted": 5, "unknown": 3}
        assert report.exit_code == ExitCode.UNKNOWN
        sent = Counter(sent_numbers(server))
        # Retries may meet later steps of the script, so only the totals are certain.
        assert (len(sent), sum(sent.values())) == (8, 10)
    codes = {row.status_code for row in bench.settled() if row.status == "unknown"}
    assert codes == {500, 502, None}


def test_retry_after_is_waited_out(tmp_path: Path) -> None:
    """A 429 pauses the whole replay for its Retry-After and is never a failure."""
    with FaultServer() as server:
        server.script(SUCCESS, json_reply(429, {"error": "slow down"}, ("Retry-After", "1")))
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(6))), concurrency=1)
        times = [received.at for received in server.requests]
    assert counted(report) == {"accepted": 6}
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert gaps[1] >= 1.0
    assert "slow down" in bench.notes.waits


def test_a_wait_that_is_too_long_stops_at_once(tmp_path: Path) -> None:
    """A service that asks for a longer wait than --max-wait is not waited for."""
    with FaultServer(default=json_reply(503, {"error": "closed"}, ("Retry-After", "3600"))) as server:
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(6))), max_wait=60)
        assert len(server.requests) == 1
    assert counted(report) == {"pending": 6}
    assert report.exit_code == ExitCode.UNAVAILABLE
    assert "--max-wait" in report.reason


# Outages


@pytest.mark.slow
def test_an_outage_costs_few_leads(tmp_path: Path) -> None:
    """During an outage leads are tried one at a time and ever less often, so that few become unknown."""
    plan = FaultPlan(steps=(Step((Fault("500"),), from_seconds=0.2, until_seconds=1.5),))
    with sandbox(tmp_path, scenario=plan, latency_ms=5) as server:
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(leads_csv(range(600))), concurrency=8, max_wait=30)
        assert report.counts["accepted"] + report.counts["unknown"] == 600
        # About 10: 8 in flight and a few tries. Earlier answers that arrive in between allow some more.
        assert report.counts["unknown"] <= 40
        assert max(Counter(event.click_id for event in server.events()).values()) == 1


def test_an_outage_is_tried_less_often_where_each_try_costs_a_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pauses of an outage in which each try makes a lead unknown have a higher bound."""
    monkeypatch.setattr(_retry, "FIRST_BACKOFF", 0.02)
    monkeypatch.setattr(health, "LONGEST_PAUSE", 0.001)
    with FaultServer(default=DROP) as server:
        bench = Bench(tmp_path, server.url, "lead")
        report = bench.replay(bench.file(leads_csv(range(60))), max_wait=0.25, concurrency=1)
        assert 0 < report.counts["unknown"] <= 8


@pytest.mark.parametrize("kind", [pytest.param("sale", marks=pytest.mark.slow), "lead"])
def test_a_server_that_restarts(tmp_path: Path, kind: str) -> None:
    """A replay waits for a service that restarts, and loses or doubles nothing."""
    server = sandbox(tmp_path, latency_ms=2).start()
    port, back = server.port, []

    def restart() -> None:
        time.sleep(0.3)
        server.close()
        time.sleep(0.7)
        back.append(sandbox(tmp_path, port=port).start())

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        bench = Bench(tmp_path, server.url, kind)
        text = sales_csv(range(500)) if kind == "sale" else leads_csv(range(500))
        report = bench.replay(bench.file(text), max_wait=30)
        thread.join()
        recorded = Counter(event.click_id for event in back[0].events())
    finally:
        thread.join()
        for each in (server, *back):
            each.close()
    assert not report.pending
    assert set(recorded.values()) == {1}
    if kind == "sale":
        assert len(recorded) == 500
        assert report.counts["accepted"] + report.counts["duplicate"] == 500
    else:
        assert report.counts["accepted"] + report.counts["unknown"] == 500
        assert report.counts["accepted"] <= len(recorded) <= 500
        assert report.counts["unknown"] <= 24  # 8 in flight, and those that a closing server still accepted


def test_nothing_there(tmp_path: Path) -> None:
    """A replay that nothing answers stops resumably after --max-wait, and no lead is unknown."""
    server = sandbox(tmp_path)
    url = server.url
    server.close()
    bench = Bench(tmp_path, url, "lead")
    report = bench.replay(bench.file(leads_csv(range(5))), max_wait=1)
    assert counted(report) == {"pending": 5}
    assert (report.stop, report.exit_code) == (Stop.UNREACHABLE, ExitCode.UNAVAILABLE)


def test_a_host_that_does_not_exist(tmp_path: Path) -> None:
    """A host that does not exist is not waited for."""
    bench = Bench(tmp_path, "http://no-such-host.invalid")
    report = bench.replay(bench.file(sales_csv(range(5))), max_wait=600)
    assert counted(report) == {"pending": 5}
    assert report.exit_code == ExitCode.UNAVAILABLE
    assert bench.sent == 1


def test_high_concurrency(tmp_path: Path) -> None:
    """300 sales sent 64 at a time through faults are accepted once each."""
    with sandbox(tmp_path, faults="503:0.05,drop-before:0.02,latency@20", seed=1) as server:
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(300))), concurrency=64, max_wait=30)
        assert counted(report) == {"accepted": 300}
        assert len(server.events()) == 300
        assert server.failure is None


def received_invoices(requests: list[Received]) -> list[str]:
    return [received.json["invoiceId"] for received in requests]


@pytest.mark.usefixtures("quick")
def test_set_aside_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of rows set aside is bounded, so that memory stays flat."""
    monkeypatch.setattr(schedule, "_MOST_ASIDE", 3)
    with FaultServer(default=json_reply(500, {"error": "no"})) as server:
        bench = Bench(tmp_path, server.url)
        report = bench.replay(bench.file(sales_csv(range(30))), max_wait=1, concurrency=4)
        assert counted(report) == {"pending": 30}
        assert len(set(received_invoices(server.requests))) <= 12
