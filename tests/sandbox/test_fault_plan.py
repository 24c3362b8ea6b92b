"""Fault plans from a TOML file, by time, by request number and by event."""

from __future__ import annotations

from pathlib import Path

import pytest
from clock import Clock

from cms_cli.sandbox import OptionError, load_scenario

from .conftest import StartSandbox
from .talk import SALE, Wire, lead, sale

FULL = """
seed = 7
faults = "latency@1"

[[step]]
from_seconds = 10
until_seconds = 20.5
faults = "lead.429@5"

[[step]]
from_request = 3
until_request = 5
faults = "503"

[[poison]]
match = { invoiceId = "inv_13" }

[[poison]]
match = { customerExternalId = "cus_9", amount = 5 }
fault = "400"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_steps_and_poison_of_a_scenario_apply(start_sandbox: StartSandbox, tmp_path: Path, clock: Clock) -> None:
    plan = load_scenario(write(tmp_path, FULL))
    assert plan.seed == 7
    clock.advance(1000)  # Steps count time from the first request.
    sandbox = start_sandbox(scenario=plan, clock_ns=clock)
    with Wire(sandbox) as wire:
        assert [wire.lead().status for _ in range(6)] == [200, 200, 503, 503, 200, 200]
        clock.advance(9.999)
        assert wire.lead().status == 200
        clock.advance(0.001)
        busy = wire.lead()
        assert (busy.status, busy.headers["retry-after"]) == (429, "5")
        assert wire.sale().status == 200
        assert wire.sale({**SALE, "invoiceId": "inv_13"}).status == 500
        assert wire.sale({**SALE, "customerExternalId": "cus_9", "amount": 5}).status == 400
        clock.advance(10.5)
        assert wire.lead().status == 200


def test_poison_of_one_route_does_not_affect_the_other(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    text = '[[poison]]\nmatch = { customerExternalId = "cus_1" }\nfault = "lead.500"'
    sandbox = start_sandbox(scenario=load_scenario(write(tmp_path, text)))
    assert [lead(sandbox).status, sale(sandbox).status, lead(sandbox).status] == [500, 200, 500]


def test_flags_add_to_a_scenario(start_sandbox: StartSandbox, tmp_path: Path) -> None:
    plan = load_scenario(write(tmp_path, 'faults = "half:0.5"'))
    with pytest.raises(OptionError, match="more than 1"):
        start_sandbox(scenario=plan, fail=0.6)
    assert lead(start_sandbox(scenario=load_scenario(write(tmp_path, "")), faults="403", seed=3)).status == 403


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed = ", "not TOML"),
        ('seed = "7"', "seed cannot be '7'"),
        ("seed = true", "seed cannot be True"),
        ("speed = 7", "has no 'speed'"),
        ('faults = "6xx"', "no such fault"),
        ("faults = 5", "faults cannot be 5"),
        ("step = 5", "step cannot be 5"),
        ("step = [5]", "step 1 is not a table"),
        ("[[step]]\nfrom_seconds = 1", "step 1 names no faults"),
        ('[[step]]\nfaults = "500"\n[[step]]\nfaults = "500"\nuntil = 5', "step 2 has no 'until'"),
        ('[[step]]\nfaults = "500"\nfrom_request = 1.5', "from_request cannot be 1.5"),
        ('[[step]]\nfaults = "5xx,half"', "step 1: the fault rates"),
        (
            '[[step]]\nfaults = "5xx"\n[[step]]\nfaults = "429:0.6,sale.html:0.6"',
            "step 2: the fault rates of sales",
        ),
        ('faults = "html@204"', "has no body"),
        (
            '[[step]]\nfaults = "500"\nfrom_seconds = 20\nuntil_seconds = 10',
            "step 1 is never on: from_seconds is 20",
        ),
        ('[[step]]\nfaults = "500"\nfrom_request = 5\nuntil_request = 5', "step 1 is never on"),
        ('[[step]]\nfaults = "500"\nfrom_seconds = nan\nuntil_seconds = 10', "step 1 is never on"),
        ("[[poison]]", "poison 1 has no match"),
        ('[[poison]]\nmatch = { invoice_id = "i" }', "no event has a field 'invoice_id'; there are clickId, "),
        ("[[poison]]\nmatch = { timestamp = 2026-04-10T12:34:56Z }", "timestamp is text in quotes"),
        ('[[poison]]\nmatch = { invoiceId = "i" }\nfault = "500,503"', "poison 1: not a fault"),
        ('[[poison]]\nmatch = { invoiceId = "i" }\nfault = "latency"', "poison 1: latency alone"),
    ],
)
def test_an_invalid_scenario_is_an_error_that_names_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint) as caught:
        load_scenario(write(tmp_path, text))
    assert "scenario.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot read"):
        load_scenario(tmp_path / "missing.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(OptionError, match="not TOML"):
        load_scenario(path)
