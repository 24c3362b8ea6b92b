"""Shortcuts that map rows in tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from cms_cli.replay.mapping import rules
from cms_cli.replay.mapping.blueprint import Blueprint, settle
from cms_cli.replay.mapping.mapper import Mapper
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import PlannedEvent, PlannedRow, SourceRow
from cms_cli.replay.values.money import AmountFormat
from cms_python import EventKind

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)
POINT = AmountFormat(".")


def shape(table: dict[str, Any] | None = None, **flags: Any) -> Shape:
    """Return a shape with the rules of a mapping file, given as its TOML table."""
    made = Shape(**flags)
    return made.under(rules.read(table), rules.to_json(table)) if table is not None else made


def blueprint(header: Sequence[str], asked: Shape | None = None, kind: str = "sale") -> Blueprint:
    return settle(EventKind(kind), tuple(header), asked or Shape())


def mapper(header: Sequence[str], asked: Shape | None = None, kind: str = "sale") -> Mapper:
    return Mapper(blueprint(header, asked, kind), NOW, POINT)


def planned(cells: dict[str, str], asked: Shape | None = None, kind: str = "sale") -> PlannedRow:
    """Return what the first row of a file, given as column to cell, is mapped to."""
    return mapper(list(cells), asked, kind).event_of(SourceRow(1, 2, list(cells.values())))


def body(cells: dict[str, str], asked: Shape | None = None, kind: str = "sale") -> dict[str, Any]:
    """Return the body of the request for that row."""
    found = planned(cells, asked, kind)
    assert isinstance(found, PlannedEvent), found
    sent: dict[str, Any] = json.loads(found.body)
    return sent


SALE = {
    "click_id": "clk_1",
    "event_name": "purchase",
    "customer_external_id": "cus_1",
    "invoice_id": "inv_1",
    "amount": "4999",
    "currency": "USD",
}
SENT = {
    "clickId": "clk_1",
    "eventName": "purchase",
    "customerExternalId": "cus_1",
    "invoiceId": "inv_1",
    "amount": 4999,
    "currency": "USD",
}
