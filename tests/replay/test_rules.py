"""Mapping files: their keys, and the messages for mistakes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cms_cli.config import tomltext
from cms_cli.replay.mapping import mapping_file, rules
from cms_cli.replay.mapping.rule import FieldRule, FoldRule, RefundRule, Rules, SkipRule
from cms_cli.replay.model import InputError

FULL = """
event = "sale"
about = "mine"
amount_unit = "major"
decimal = ","
timezone = "Europe/Berlin"
skip_unattributed = true
where = ["A=1", "B!=2"]

[map]
invoiceId = "Order"
"Click ID" = ["A", "B[key]"]
timestamp = [{ join = ["Day", "Time"] }, "Day"]
customer_name = { join = ["First", "Last"] }

[defaults]
event_name = "buy"

[defaults_with."Price ($)"]
currency = "USD"

[nothing]
customer_external_id = ["0", "guest"]

[[skip]]
column = "Status"
is_not = ["Paid"]
reason = "not paid"

[[skip]]
column = ["Test", "Mode"]
is = "x"
reason = "test"
optional = true

[fold]
by = "Order"
empty = ["Status"]
reason = "line"

[refunds]
column = "Back"
in_full = "refunded"

[lacking]
click_id = "ask"
"""


def test_every_key_is_read() -> None:
    """Every key of the schema is read and survives being stored."""
    found, content = mapping_file.parse(FULL, "my.toml")
    assert found == Rules(
        event="sale",
        settings=(("amount_unit", "major"), ("decimal", ","), ("timezone", "Europe/Berlin")),
        skip_unattributed=True,
        where=("A=1", "B!=2"),
        fields=(
            ("invoice_id", FieldRule(("Order",), strict=True)),
            ("click_id", FieldRule(("A", "B[key]"), strict=False)),
            ("timestamp", FieldRule((("Day", "Time"), "Day"), strict=False)),
            ("customer_name", FieldRule((("First", "Last"),), strict=True)),
        ),
        defaults=(("event_name", "buy"),),
        defaults_with=(("Price ($)", (("currency", "USD"),)),),
        nothing=(("customer_external_id", ("0", "guest")),),
        skip=(
            SkipRule(("Status",), ("paid",), True, "not paid", False),
            SkipRule(("Test", "Mode"), ("x",), False, "test", True),
        ),
        fold=FoldRule("Order", ("Status",), "line"),
        refunds=RefundRule(("Back",), "", "refunded"),
        lacking=(("click_id", "ask"),),
        about="mine",
    )
    again = rules.from_json(content)
    assert dict(again.fields) == dict(found.fields)
    assert Rules(**{**vars(again), "fields": found.fields, "about": "mine"}) == found
    assert rules.from_json("") == Rules()


def test_comments_and_key_order_are_not_part_of_the_content() -> None:
    """A file's content, as a run is identified by it, is free of comments, key order and `about`."""
    _, content = mapping_file.parse(FULL, "a")
    _, dressed = mapping_file.parse("# hello\n" + FULL.replace('about = "mine"', 'about = "yours"'), "b")
    _, other = mapping_file.parse(FULL.replace('"Order"', '"Number"'), "c")
    assert content == dressed
    assert content != other


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mpa = 1", "my.toml, line 1: unknown key mpa; did you mean map?"),
        (
            "[map]\namuont = 'A'",
            'my.toml, line 2: map.amuont: an event has no field "amuont". Did you mean amount?',
        ),
        ("[map]\namount = 5", "my.toml, line 2: map.amount must be a column"),
        ("[map]\namount = []", "my.toml, line 2: map.amount must be a column"),
        ("[map]\namount = ['A', '']", "my.toml, line 2: map.amount must be a column"),
        ("[map]\namount = { join = ['A'] }", "my.toml, line 2: map.amount must be a column"),
        ("[map]\namount = 'A'\nAmount = 'B'", "my.toml, line 3: map.Amount: amount is there twice"),
        ("map = 'x'", "my.toml, line 1: map must be a table, [map]"),
        ("[defaults]\ncurrency = 1", "my.toml, line 2: defaults.currency must be text"),
        ("[defaults_with.'Price ($)']\ncurrency = ''", "my.toml, line 2: defaults_with.Price ($).currency must be"),
        ("[defaults_with]\nPrice = 'USD'", "must be a table"),
        ("[[skip]]\ncolumn = 'A'\nreason = 'r'", "my.toml, line 1: skip needs either is or is_not"),
        ("[[skip]]\ncolumn = 'A'\nis = 'x'", "skip.reason must be text"),
        ("[[skip]]\nis = 'x'\nreason = 'r'", "skip.column must be text, or a list of texts"),
        (
            "[[skip]]\ncolumn='A'\nis='a'\nreason='r'\n[[skip]]\ncolumn='B'\nis=1\nreason='r'",
            "line 7: skip.is must",
        ),
        ("known_by = [1]", "my.toml, line 1: known_by must be lists of columns"),
        ("[skip]\ncolumn = 'A'", "skip must be tables, each [[skip]]"),
        ("[fold]\nby = 'A'\nreason = 'r'", "my.toml, line 1: fold.empty must be"),
        ("[refunds]\neach = 'amount'", "refunds.column must be"),
        ("[refunds]\ncolumn = 'A'\nin = 'x'", "unknown key refunds.in"),
        ("event = 'order'", "my.toml, line 1: event must be sale or lead"),
        ("amount_unit = 'cents'", "amount_unit must be minor or major"),
        ("decimal = ';'", "decimal must be . or ,"),
        ("skip_unattributed = 'yes'", "skip_unattributed must be true or false"),
        ("where = [1]", "where must be text, or a list of texts"),
        ("timezone = 5", "timezone must be text that is not empty"),
        ("map = {", "my.toml: is not TOML"),
        ("a = 1\nmap = { amuont = 'A' }", "my.toml, line 2: map.amuont: an event has no field"),
        ("event = 'sale'\nmap.amuont = 'A'", "my.toml, line 2: map.amuont: an event has no field"),
        (
            "[defaults_with.'Price ($)']\namount = '1'\ncurency = 'USD'",
            "my.toml, line 3: defaults_with.Price ($).curency: an event has no field",
        ),
        ("event = 'sale'\ntimezone = 'Mars'", 'my.toml, line 2: timezone "Mars" is no time zone'),
        ("date_format = '%H:%M'", 'my.toml, line 1: date_format "%H:%M" leaves out the day'),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_key(text: str, message: str) -> None:
    """A mistake is named by file, line and key, with the nearest key and a hint."""
    with pytest.raises(InputError) as caught:
        mapping_file.parse(text, "my.toml")
    assert message in str(caught.value)
    assert "cms presets" in caught.value.hint


def test_all_mistakes_are_told_at_once() -> None:
    """All mistakes of a file are reported together, one per line."""
    with pytest.raises(InputError) as caught:
        mapping_file.parse("x = 1\ny = 2\n[map]\nz = 'A'\n", "my.toml")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        *("my.toml, line 1", "my.toml, line 2", "my.toml, line 4")
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A file that is missing, a folder or not UTF-8 is named in the error."""
    with pytest.raises(InputError, match=r"none\.toml: No such file"):
        mapping_file.read(tmp_path / "none.toml")
    with pytest.raises(InputError):
        mapping_file.read(tmp_path)
    (tmp_path / "latin.toml").write_bytes("about = 'ä'".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8"):
        mapping_file.read(tmp_path / "latin.toml")
    (tmp_path / "bom.toml").write_text("about = 'x'", encoding="utf-8-sig")
    assert mapping_file.read(tmp_path / "bom.toml")[0].about == "x"


@pytest.mark.parametrize(
    ("section", "key", "line"),
    [
        ("", "a", 1),
        ("b", "", 3),
        ("b.c", "d", 5),
        ("b.x y", "", 6),
        ("", "b", 3),
        ("b", "none", 0),
        ("e", "", 8),
        ("e.f", "g h", 9),
    ],
)
def test_lines_are_found(section: str, key: str, line: int) -> None:
    """The line of a key is found at the top, in tables and in lists of tables, quoted or not."""
    text = "a = 1\n# [b]\n[b]\n[b.c]\n'd' = 2\n[b.\"x y\"]\nz = 1\n[[e]]\nf.'g h' = 2\n"
    assert tomltext.line_of(text, section, key) == line


def test_any_table_gives_rules_or_what_is_wrong() -> None:
    """Values of any type in any place give rules or a RulesError."""
    values: list[Any] = [1, 1.5, True, None, "", "x", [], [1], ["x"], {}, {"x": 1}, [{"x": 1}], {"x": {"y": "z"}}]
    keys = [
        "event",
        "where",
        "known_by",
        "local_times",
        "map",
        "defaults",
        "defaults_with",
        "nothing",
        "skip",
        "fold",
    ]
    for key in [*keys, "refunds", "lacking", "about", "decimal", "optional"]:
        for value in values:
            for table in ({key: value}, {"map": {"amount": value}}, {"skip": [{key: value}]}):
                with suppress(rules.RulesError):
                    rules.read(table)
