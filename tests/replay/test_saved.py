"""A saved mapping file, read back, makes the same events of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mapped import NOW, POINT, SALE, shape

from cms_cli.replay.mapping import mapping_file, saved
from cms_cli.replay.mapping.blueprint import settle
from cms_cli.replay.mapping.mapper import Mapper
from cms_cli.replay.mapping.shape import Shape
from cms_cli.replay.model import InputError, PlannedRow, SkippedRow, SourceRow
from cms_python import EventKind

HEADER = (*SALE, "customer_email", "Paid on", "At", "A|B", "Meta", "Refunded", "State")
ROWS = [
    [*SALE.values(), "a@example.com", "12.03.2026", "09:14", "u|1", "click_id: c9", "", "paid"],
    [*SALE.values(), "", "13.03.2026", "10:00", "", '{"click_id": "c8"}', "1", "Open"],
    ["", "buy", "0", "inv_2", "5", "", "nobody", "12.03.2026", "23:59", "x", "", "", "paid"],
]
SHAPES = {
    "nothing said": Shape(),
    "columns": Shape(
        mapping=(
            ("timestamp", "Paid on+At"),
            ("click_id", "Meta[click_id]|click_id"),
            ("customer_email", ""),
            ("invoice_id", "invoice_id"),
        ),
        date_format=("%d.%m.%Y %H:%M", "%d.%m.%Y"),
        timezone="Europe/Berlin",
        amount_unit="minor",
    ),
    "names with a bar": Shape(mapping=(("customer_external_id", "A|B|customer_external_id"),), amount_unit="minor"),
    "conditions and constants": Shape(
        where=("State=paid|sent", "Paid on>=2026-03-12"),
        date_format=("%d.%m.%Y",),
        constants=(("currency", 'E"U\\R'), ("event_name", "buy\x7f")),
        skip_unattributed=True,
        header_line=3,
        footer_lines=2,
    ),
    "a mapping file": shape(
        {
            "amount_unit": "major",
            "zero_decimals": True,
            "map": {"click_id": ["click_id", "cms_rf"], "timestamp": {"join": ["Paid on", "At"]}},
            "defaults_with": {"State": {"currency": "USD"}},
            "nothing": {"customer_external_id": ["0"]},
            "skip": [{"column": ["status", "State"], "is_not": ["paid"], "reason": "not paid"}],
            "refunds": {"column": "Refunded", "in_full": "refunded"},
        },
        where=("At!=",),
    ),
}


def _events(asked: Shape) -> list[PlannedRow]:
    blueprint = settle(EventKind.SALE, HEADER, asked)
    left_out = blueprint.selection.begin()
    event_of = Mapper(blueprint, NOW, POINT).event_of
    rows = [SourceRow(number, number + 1, cells) for number, cells in enumerate(ROWS, 1)]
    return [left_out(row) or event_of(row) for row in rows]


def _nameless(row: PlannedRow) -> Any:
    """Return a row with its condition named the same, wherever it was given."""
    return row._replace(message=row.message.replace("--where", "where")) if isinstance(row, SkippedRow) else row


@pytest.mark.parametrize("asked", SHAPES.values(), ids=SHAPES)
def test_what_was_said_and_found_is_read_back(asked: Shape, tmp_path: Path) -> None:
    """A saved mapping file makes the same events and has the table's flags."""
    path = tmp_path / "saved.toml"
    saved.write(path, settle(EventKind.SALE, HEADER, asked), decimal=".", encoding="cp1252", delimiter="\t")
    again = Shape().under(*mapping_file.read(path))
    assert list(map(_nameless, _events(again))) == list(map(_nameless, _events(asked)))
    assert (again.encoding, again.delimiter, again.decimal) == ("cp1252", "tab", ".")
    assert again.timezone == (asked.timezone or "UTC")
    assert (again.header_line, again.footer_lines) == (asked.header_line, asked.footer_lines)


def test_a_field_that_was_left_out_stays_so(tmp_path: Path) -> None:
    """A field that was left out stays left out, even if a column has its name."""
    path = tmp_path / "saved.toml"
    asked = Shape(mapping=(("customer_email", ""),))
    saved.write(path, settle(EventKind.SALE, HEADER, asked), decimal="", encoding="utf-8", delimiter=",")
    assert "customer_email" not in settle(EventKind.SALE, HEADER, Shape().under(*mapping_file.read(path))).sources


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A place that cannot be written is an error that names --save-mapping."""
    blueprint = settle(EventKind.SALE, HEADER, Shape())
    with pytest.raises(InputError, match="--save-mapping"):
        saved.write(tmp_path / "no" / "x.toml", blueprint, decimal="", encoding="utf-8", delimiter=",")
