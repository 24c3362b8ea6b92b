"""Helpers of tests in which machines move their state into a shared database."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from faultserver import FaultServer
from program import Program

SALES = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
LEADS = "event_name,customer_external_id,click_id\n"
TIMED = "event_name,customer_external_id,click_id,timestamp\n"


def write(home: Path, name: str, text: str) -> str:
    path = home / name
    path.write_text(text)
    return str(path)


def sales(home: Path, numbers: range, name: str = "sales.csv", amount: int = 499) -> str:
    return write(home, name, SALES + "".join(f"c{n},buy,u{n},inv{n},{amount},EUR\n" for n in numbers))


def leads(home: Path, text: str, name: str = "leads.csv") -> str:
    return write(home, name, LEADS + "".join(f"signup,{each},c{each}\n" for each in text))


def customers(service: FaultServer) -> Counter[str]:
    return Counter(request.json["customerExternalId"] for request in service.requests)


def shared_of(machine: Program) -> dict[str, str]:
    found: dict[str, str] = machine.shared  # type: ignore[attr-defined]
    return found


def imported(machine: Program, *flags: str) -> dict[str, object]:
    result = machine("state", "import", "--json", *flags, env=shared_of(machine))
    assert result.code == 0, result.stderr
    found: dict[str, object] = result.json
    return found
