"""Every field of an event exists in the SDK, as a flag, as a column, in the sandbox and in the docs."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from program import Program

from cms_cli.sandbox.fields import FIELDS as SANDBOX_FIELDS
from cms_cli.sandbox.fields import Need
from cms_python import LEAD_FIELDS, SALE_FIELDS, CMSClient

ROOT = Path(__file__).parent.parent
KINDS = {"lead": LEAD_FIELDS, "sale": SALE_FIELDS}
PAIRS = [(kind, name) for kind, fields in KINDS.items() for name in fields]
VALUES = {
    "amount": "4999",
    "currency": "USD",
    "customer_email": "ada@example.com",
    "customer_avatar": "https://example.com/ada.png",
    "timestamp": "2026-04-10T12:34:56Z",
    "mode": "deferred",
}


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def sent(name: str) -> object:
    value = VALUES.get(name, "id_1")
    return {"amount": 4999, "timestamp": "2026-04-10T12:34:56.000Z"}.get(name, value)


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_a_field_is_an_argument_of_the_client(kind: str, name: str) -> None:
    """Each field is a parameter of ``track_lead`` or ``track_sale``."""
    assert name in inspect.signature(getattr(CMSClient, f"track_{kind}")).parameters


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_has_a_flag(program: Program, kind: str) -> None:
    """Each field has a flag that is sent under the wire name and shown in the help."""
    fields = KINDS[kind]
    command = [part for name in fields for part in (flag(name), VALUES.get(name, "id_1"))]
    result = program(kind, *command, "--dry-run", "--json")
    assert result.code == 0, result.stderr
    assert result.json["body"] == {field.wire: sent(name) for name, field in fields.items()}
    page = program(kind, "--help").stdout
    assert not [name for name in fields if flag(name) not in page]


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_field_has_a_column(program: Program, kind: str, wire: bool) -> None:
    """A column with a field's Python or wire name is mapped to the field without a flag."""
    fields = KINDS[kind]
    header = [field.wire if wire else name for name, field in fields.items()]
    cells = [VALUES.get(name, "id_1") for name in fields]
    (program.home / "in.csv").write_text(f"{','.join(header)}\n{','.join(cells)}\n", encoding="utf-8")
    result = program(kind, "--from-csv", "in.csv", "--sandbox", "--yes")
    assert result.code == 0, result.stderr
    (event,) = program("sandbox", "events", "--json").json
    assert event["event"] == {field.wire: sent(name) for name, field in fields.items()}


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_a_field_is_in_the_docs(kind: str, name: str) -> None:
    """The SDK's page has a row for each field and says which kinds of event have it."""
    (line,) = (
        line for line in (ROOT / "docs/sdk.md").read_text(encoding="utf-8").splitlines() if f"| `{name}` |" in line
    )
    lead, sale = (cell.strip() for cell in line.split("|")[2:4])
    assert {"lead": lead, "sale": sale}[kind]


def test_the_sandbox_has_the_same_fields_by_a_list_of_its_own() -> None:
    """The sandbox's own list of fields matches the SDK's."""
    known = {kind: {field.wire for field in fields.values()} for kind, fields in KINDS.items()}
    for kind, wires in known.items():
        assert {field.name for field in SANDBOX_FIELDS if getattr(field, kind) is not Need.ABSENT} == wires
