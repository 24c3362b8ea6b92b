"""The source of each field: names, expressions, and the messages for columns that are missing."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from mapped import SALE, blueprint

from cms_cli.replay.mapping.columns import (
    Column,
    Joined,
    absent,
    by_name,
    column_index,
    every,
    field_named,
    like,
    listed,
)
from cms_cli.replay.model import InputError
from cms_python import LEAD_FIELDS, SALE_FIELDS


@pytest.mark.parametrize("column", ["click_id", "clickId", "Click ID", "CLICK-ID", "click id"])
def test_a_column_is_a_field_in_any_spelling(column: str) -> None:
    """A column is a field if it has its Python or wire name, apart from case and punctuation."""
    assert by_name(SALE_FIELDS, ("x", column), "click_id") == (Column(column, 1),)


def test_two_columns_for_one_field_are_not_chosen_between() -> None:
    """Two columns that look like one field are an error that names both and the --map to use."""
    with pytest.raises(InputError, match="both look like") as caught:
        by_name(SALE_FIELDS, ("Click ID", "clickId"), "click_id")
    assert '--map "click_id=Click ID"' in caught.value.hint


@pytest.mark.parametrize(
    ("header", "expression", "sources"),
    [
        (("A", "B"), "A", (Column("A", 0),)),
        (("A", "B"), " b | a ", (Column("B", 1), Column("A", 0))),
        (("Notes",), "Notes[click_id]", (Column("Notes", 0, ("click_id",)),)),
        (("Notes",), "notes[ a ][b]", (Column("Notes", 0, ("a", "b")),)),
        # A column's name, in any spelling, takes precedence over the same text as an expression.
        (("A|B", "A"), "A|B", (Column("A|B", 0),)),
        (("Price [EUR]", "Price"), "Price [EUR]", (Column("Price [EUR]", 0),)),
        (("Price [EUR]", "Price"), "price [eur]", (Column("Price [EUR]", 0),)),
        (("meta[x]", "meta"), "meta[x][y]", (Column("meta[x]", 0, ("y",)),)),
        (("meta[x]", "meta"), "meta[z][y]", (Column("meta", 1, ("z", "y")),)),
        (("a=b",), "a=b", (Column("a=b", 0),)),
    ],
)
def test_expressions(header: tuple[str, ...], expression: str, sources: tuple[Column, ...]) -> None:
    """`A|B` tries several columns and `A[key]` looks inside one, unless a column has that very name."""
    assert every(header, expression, "--map x") == sources


@pytest.mark.parametrize("expression", ["A|", "|", " | A"])
def test_an_empty_name_is_no_column(expression: str) -> None:
    """An empty alternative is an error, even if the file has a column without a name."""
    with pytest.raises(InputError, match="empty column"):
        every(("A", ""), expression, "--map x")


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    """The message for a missing column has the flag, the column, the nearest name and the file's columns."""
    with pytest.raises(InputError) as caught:
        every(("Total", "Email"), "Totl", "--map amount")
    assert str(caught.value) == '--map amount names the column "Totl", which is not in the file'
    assert caught.value.hint == 'Did you mean "Total"? It has: Total, Email.'
    assert absent(("A",), "B[key]", "x").message == 'x names the column "B", which is not in the file'


def test_a_name_that_fits_two_columns_is_not_guessed() -> None:
    """A name that fits two columns is an error unless one matches exactly."""
    with pytest.raises(InputError, match='may be "A B" and "a_b"'):
        every(("A B", "a_b"), "ab", "--map x")
    assert every(("A B", "a_b"), "a_b", "--map x") == (Column("a_b", 1),)
    with pytest.raises(InputError):
        column_index(("A B", "a_b"), "ab", "x")


@pytest.mark.skipif(os.name != "posix", reason="needs its shell")
@pytest.mark.parametrize(
    "column",
    ["order amount ($)", 'order "amount"', "$(order)amount", "order `amount`", "order amount!", "order\\amount"],
)
def test_what_is_to_be_copied_into_a_shell_says_what_it_means(column: str) -> None:
    """A --map in a hint, copied into a shell, passes the column name unchanged."""
    with pytest.raises(InputError) as caught:
        blueprint([*(name for name in SALE if name != "amount"), column])
    [copied] = re.findall("for example: (.*)", caught.value.hint)
    received = subprocess.run(
        ["sh", "-c", f"printf '%s|' {copied}"], capture_output=True, text=True, check=True
    ).stdout
    assert received == f"--map|amount={column}|"


def test_no_column_of_another_field_is_suggested() -> None:
    """No column of another field is suggested, except an address as the customer's id."""
    with pytest.raises(InputError) as caught:
        blueprint(["click_id", "customer_name", "currency", "Amount paid"])
    assert '--map "customer_external_id=COLUMN" --map "invoice_id=COLUMN" --map "amount=' in caught.value.hint
    with pytest.raises(InputError) as caught:
        blueprint(["click_id", "invoiceId", "event_name", "amount", "currency", "customer_email"])
    assert caught.value.hint.endswith('for example: --map "customer_external_id=customer_email"')


def test_several_columns_make_one_value() -> None:
    """Joined columns are separated by a space; a part that repeats the one before it replaces it."""
    (found,) = like(("Day", "Time"), ("day", "Time"))
    assert found == Joined((Column("Day", 0), Column("Time", 1)))
    assert (found.column, found.label) == ("Day + Time", "Day + Time")
    assert found.read(["2026-03-12", "09:14"]) == "2026-03-12 09:14"
    assert found.read(["2026-03-12", "2026-03-12 09:14:02 UTC"]) == "2026-03-12 09:14:02 UTC"
    assert found.read(["2026-03-12", "2026-03-12T09:14:02Z"]) == "2026-03-12T09:14:02Z"
    assert found.read(["Jo", "Johnson"]) == "Jo Johnson"
    assert found.read(["", "09:14"]) == "09:14"
    assert found.read(["2026-03-12", ""]) == "2026-03-12"
    assert like(("Day",), ("Day", "Time")) == []


def test_values_are_read_without_their_white_space() -> None:
    """White space around a cell, and around a value inside it, is dropped."""
    assert Column("A", 0).read(["  x\n"]) == "x"
    assert Column("A", 0, ("k",)).read(["k:  x "]) == "x"
    assert Column("A", 0, ("a", "b")).read(['{"a": {"b": 1.50}}']) == "1.50"
    assert Column("A", 0, ("a", "b")).read(['{"a": null}']) == ""


def test_a_header_of_any_length_is_told_in_a_line() -> None:
    """A header of any length is listed on one line, with long names and long lists cut."""
    assert listed(["a", "b c", "d" * 40]) == f'a, "b c", {"d" * 40}'
    assert listed(["x" * 1_000_000]) == f'"{"x" * 37}..."'
    assert listed([f"c{number}" for number in range(5000)]).endswith(", c98, c99 and 4,900 more")


def test_fields_have_their_names() -> None:
    """A field is found in any spelling; an unknown one is an error with the nearest name."""
    assert field_named(SALE_FIELDS, "customerExternalId", "a sale") == "customer_external_id"
    with pytest.raises(InputError) as caught:
        field_named(LEAD_FIELDS, "invoice", "a lead")
    assert 'a lead has no field "invoice"' in str(caught.value)
    with pytest.raises(InputError) as caught:
        field_named(SALE_FIELDS, "amuont", "a sale")
    assert caught.value.hint == "Did you mean amount?"


def test_two_columns_of_one_name_matter_where_one_is_used() -> None:
    """Two columns of one name are an error only where that name is used."""
    names = ("id", "Note", "amount", "Note")
    assert [source.column_index for source in every(names, "amount", "--map amount")] == [2]
    with pytest.raises(InputError) as caught:
        every(names, "Note", "--map invoice_id")
    assert caught.value.message == 'two columns are called "Note": number 2 and number 4'


@pytest.mark.parametrize(
    ("header", "expression", "label"),
    [
        (("Date", "Time"), "Date+Time", "Date + Time"),
        (("Date", "Time"), "Date + time", "Date + Time"),
        (("Date+Time", "Date", "Time"), "Date+Time", "Date+Time"),
        (("date+time", "Date", "Time"), "Date+Time", "date+time"),
        (("A+B", "C"), "A+B+C", "A+B + C"),
        (("Meta", "B"), "Meta[a+b]", "Meta[a+b]"),
        (("Meta", "B"), "Meta[a]+B", "Meta[a] + B"),
    ],
)
def test_a_plus_joins_columns(header: tuple[str, ...], expression: str, label: str) -> None:
    """A plus joins columns unless a column's name contains it; the longest name is matched first."""
    assert [source.label for source in every(header, expression, "--map timestamp")] == [label]


def test_alternatives_of_joined_columns_and_names_that_hold_a_bar() -> None:
    """Alternatives may be joined columns, and a name that contains a bar is kept whole."""
    header = ("Paid at", "Date", "Time", "A|B")
    found = every(header, "Paid at|Date+Time|A|B", "--map timestamp")
    assert [source.label for source in found] == ["Paid at", "Date + Time", "A|B"]
    with pytest.raises(InputError, match='names the column "Hour"'):
        every(header, "Date+Hour", "--map timestamp")
