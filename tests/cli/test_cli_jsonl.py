"""JSON Lines as the input of a replay: mapping, checks, runs and failures files as for CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from faultserver import FaultServer, json_reply
from program import Program


def _sale(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "click_id": f"clk_{number}",
        "event_name": "purchase",
        "customer_external_id": f"user_{number}",
        "invoice_id": number,
        "amount": 100 + number,
        "currency": "USD",
        **changes,
    }


def _write(path: Path, *objects: Any) -> Path:
    path.write_text(
        "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in objects), encoding="utf-8"
    )
    return path


ORDERS = """
{"id": 7, "customer": {"id": 42, "email": "a@example.com"}, "total": 49.90, "cur": "eur",\
 "meta_data": [{"id": 1, "key": "_cms_rf", "value": "clk_a"}], "at": "2026-03-12T09:14:02+01:00"}
{"id": 8, "customer": {"email": "b@example.com"}, "total": 1249, "cur": "eur", "meta_data": [], "at": null}
"""
FLAGS = (
    *(
        "--map",
        "invoice_id=id",
        "--map",
        "customer_external_id=customer[id]|customer[email]",
        "--map",
        "amount=total",
    ),
    *("--map", "currency=cur", "--map", "click_id=meta_data[cms_rf]", "--map", "timestamp=at"),
    *("--amount-unit", "major", "--event-name", "purchase", "--skip-unattributed"),
)


def test_nested_objects_are_mapped(program: Program) -> None:
    """``COLUMN[key]`` reads nested objects and WooCommerce metadata; numbers keep their digits."""
    _write(program.home / "orders.jsonl", ORDERS)
    result = program("sale", "--from-jsonl", "orders.jsonl", *FLAGS, "--sandbox", "--json")
    assert result.code == 0, result.stderr
    assert result.json["counts"]["skipped"] == 1
    (event,) = [each["event"] for each in program("sandbox", "events", "--json").json]
    assert event == {
        "clickId": "clk_a",
        "eventName": "purchase",
        "customerExternalId": "42",
        "invoiceId": "7",
        "amount": 4990,
        "currency": "EUR",
        "timestamp": "2026-03-12T08:14:02.000Z",
    }


def test_amounts_are_exact(program: Program) -> None:
    """An amount that a float cannot hold is read digit by digit, or refused."""
    _write(
        program.home / "sales.jsonl",
        '{"click_id":"c","event_name":"e","customer_external_id":"u","invoice_id":"1","amount":90071992547409.91,"currency":"USD"}',
        '{"click_id":"c","event_name":"e","customer_external_id":"u","invoice_id":"2","amount":0.1000000000000000055,"currency":"USD"}',
    )
    result = program(
        *("sale", "--from-jsonl", "sales.jsonl", "--amount-unit", "major", "--dry-run", "--json", "--skip-invalid")
    )
    assert result.json["sums"] == {"USD": 9007199254740991}
    assert "0.1000000000000000055" in result.json["problems"][0]["message"]


def test_a_pipe_of_json_lines_is_read(online: Program, service: FaultServer) -> None:
    """``--from-jsonl -`` reads stdin and sends the same bytes only once."""
    data = "".join(json.dumps(_sale(number)) + "\n" for number in range(3))
    for _ in range(2):
        assert online("sale", "--from-jsonl", "-", "--rate", "none", stdin=data).code == 0
    assert len(service.requests) == 3


def test_bad_lines_are_problems_with_their_numbers(online: Program, service: FaultServer) -> None:
    """A line that is not a JSON object is an invalid row with its line number, and nothing is sent."""
    _write(online.home / "sales.jsonl", _sale(0), "not json", "", "[1]", _sale(1, amount="x"))
    result = online("sale", "--from-jsonl", "sales.jsonl", "--json")
    assert result.code == 2
    assert [(each["row"], each["line"], each["code"]) for each in result.json["problems"]] == [
        (2, 2, "not_json"),
        (3, 4, "not_an_object"),
        (4, 5, "amount_not_a_number"),
    ]
    assert not service.requests


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_failures_are_fixed_and_fed_back(online: Program, service: FaultServer, ending: str) -> None:
    """Failures of JSON Lines are written as JSON Lines, whatever the file's ending, and can be fed back."""
    note = {"gift": True, "n": 1}
    _write(online.home / "sales.jsonl", _sale(0, note=note), _sale(1, note=note), "broken")
    service.script(json_reply(422, {"success": False, "error": "no such click", "statusCode": 422}))
    command = ("--rate", "none", "--concurrency", "1", "--json")
    failures = online.home / f"failures.{ending}"
    result = online("sale", "--from-jsonl", "sales.jsonl", *command, "--skip-invalid", "--failures", failures.name)
    assert result.code == 1, result.stderr
    assert (result.json["counts"]["refused"], result.json["counts"]["invalid"]) == (1, 1)
    lines = failures.read_text(encoding="utf-8").splitlines()
    assert any("broken" in line for line in lines)
    again = online("sale", "--from-jsonl", failures.name, *command, "--skip-invalid")
    assert again.code == 1, again.stderr
    assert (again.json["counts"]["accepted"], again.json["counts"]["invalid"], again.json["total"]) == (1, 1, 2)
    assert json.loads(service.requests[-1].body)["invoiceId"] == "0"
    if ending == "jsonl":
        fed = json.loads(lines[-1])
        assert (fed["note"], fed["_line"], fed["_status"]) == ('{"gift": true, "n": 1}', 1, "refused")


def test_what_did_not_fit_its_row_is_not_fed_back_unseen(online: Program, service: FaultServer) -> None:
    """A row that was not JSON or had too many cells stays invalid in a failures file until it is fixed."""
    last = json.dumps(_sale(2))[:-1]
    _write(online.home / "in.jsonl", _sale(1), last)
    flags = ("--skip-unattributed", "--skip-invalid", "--rate", "none", "--yes")
    assert online("sale", "--from-jsonl", "in.jsonl", *flags, "--failures", "f1.jsonl").code == 1
    again = online("sale", "--from-jsonl", "f1.jsonl", *flags, "--failures", "f2.jsonl", "--json")
    assert again.code == 1
    assert again.json["counts"]["invalid"] == again.json["total"] == 1
    assert again.json["problems"][0]["code"] == "surplus"
    [found] = (json.loads(line) for line in (online.home / "f2.jsonl").read_text().splitlines())
    assert found["_surplus"] == [last]

    head = ",".join(_sale(1))
    (online.home / "in.csv").write_text(f"{head},customer_name\nc,e,u,i9,1,USD,Doe, John\n", encoding="utf-8")
    assert online("sale", "--from-csv", "in.csv", *flags, "--failures", "f3.jsonl").code == 1
    assert online("sale", "--from-jsonl", "f3.jsonl", *flags, "--failures", "f4.jsonl").code == 1
    [kept] = (json.loads(line) for line in (online.home / "f4.jsonl").read_text().splitlines())
    assert (kept["invoice_id"], kept["customer_name"], kept["_surplus"]) == ("i9", "Doe", [" John"])
    assert len(service.requests) == 1
    del kept["_surplus"]
    _write(online.home / "fixed.jsonl", {**kept, "customer_name": "Doe, John"})
    assert online("sale", "--from-jsonl", "fixed.jsonl", *flags).code == 0
    assert service.requests[-1].json["customerName"] == "Doe, John"


def test_a_key_of_ones_own_named_surplus_is_data(online: Program) -> None:
    """A ``_surplus`` key that is not a list of texts is data and does not mark a failures file."""
    _write(
        online.home / "in.jsonl", *(_sale(at, _surplus=own) for at, own in enumerate((3, "[x", [], [[1]], None)))
    )
    assert online("sale", "--from-jsonl", "in.jsonl", "--dry-run").code == 0


def test_the_format_is_part_of_the_run(online: Program, service: FaultServer) -> None:
    """The same bytes read as CSV are another run, and leads already sent as JSON Lines are not sent again."""
    line = '{"event_name":"signup","customer_external_id":"u"}\n'
    (online.home / "leads").write_text(line, encoding="utf-8")
    assert online("lead", "--from-jsonl", "leads", "--rate", "none").code == 0
    assert len(service.requests) == 1
    as_csv = online("lead", "--from-csv", "leads", "--delimiter", "|", "--rate", "none")
    assert as_csv.code == 2
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--from-csv", "a", "--from-jsonl", "b"), "--from-csv and --from-jsonl contradict each other"),
        (("--from-jsonl", "b", "--delimiter", ";"), "--delimiter cannot be used with --from-jsonl"),
        (("--from-jsonl", "-", "--token-file", "-"), "--from-jsonl - and --token-file - cannot both read stdin"),
        (("--from-jsonl", "array"), "the file is a JSON array, not JSON Lines"),
        (("--from-jsonl", "none"), "none: No such file"),
        (("--preset", "stripe"), "--preset: only with --from-csv or --from-jsonl"),
    ],
)
def test_contradicting_flags_exit_with_2(online: Program, flags: tuple[str, ...], message: str) -> None:
    """Flags that contradict each other or the file exit with 2 and are named."""
    (online.home / "array").write_text('[\n{"a": 1}\n]', encoding="utf-8")
    result = online("sale", *flags)
    assert result.code == 2
    assert message in result.stderr


def test_leads_come_as_json_lines_too(online: Program, service: FaultServer) -> None:
    """Leads are read from JSON Lines with a mapping file, and keys match fields in any spelling."""
    (online.home / "m.toml").write_text('[map]\ncustomer_external_id = "user[id]"\n', encoding="utf-8")
    _write(online.home / "leads.jsonl", {"eventName": "signup", "user": {"id": "u1"}, "Click ID": "c1"})
    result = online("lead", "--from-jsonl", "leads.jsonl", "--mapping", "m.toml", "--json")
    assert result.code == 0, result.stderr
    assert json.loads(service.requests[0].body) == {
        "eventName": "signup",
        "customerExternalId": "u1",
        "clickId": "c1",
    }
