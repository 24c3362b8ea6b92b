"""Cells that look like ids and are none."""

from __future__ import annotations

import pytest

from cms_cli.replay.values.ids import NOTHING, WholeFloats, is_whole_float, shortened, spoiled


@pytest.mark.parametrize("text", ["4.68769E+17", "4,69E+17", "4.68769e+17", "1E+17", "1.00E-05", "-4.68769E+17"])
def test_a_number_that_a_spreadsheet_shortened_is_no_id(text: str) -> None:
    """A number in scientific notation is no id, since two orders may have become one text."""
    problem = shortened(text)
    assert problem is not None
    assert problem.code == "id_shortened"
    assert text in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    "text", ["1E5", "12E+3", "E+17", "4.68769E17", "468769000000000000", "A-1.5E+3", "-1E5", "", "1.5"]
)
def test_other_ids_are_text(text: str) -> None:
    """An exponent without a sign is part of an id."""
    assert shortened(text) is None


@pytest.mark.parametrize("text", ["#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#WERT!", "#¡VALOR!", "#####", "1E+17"])
def test_what_a_spreadsheet_shows_in_place_of_a_value_is_no_id(text: str) -> None:
    """A spreadsheet's error, in any language, or a column that was too narrow is no id."""
    problem = spoiled(text)
    assert problem is not None
    assert text in problem.message
    assert problem.hint


@pytest.mark.parametrize("text", ["\u200bu1", "u1\ufeff", "\u202a+491701234567\u202c"])
def test_an_id_does_not_begin_or_end_with_what_nobody_sees(text: str) -> None:
    """A character that came along when an id was copied makes it another id."""
    problem = spoiled(text)
    assert problem is not None
    assert f"U+{ord(text[0] if text[0] != 'u' else text[-1]):04X}" in problem.message


@pytest.mark.parametrize(
    "text", ["#1001", "#A-1!", "#", "#REF", "REF!", "# 1", "", "A#!", "größe", "山田", "a\u200db"]
)
def test_a_number_sign_may_begin_an_id(text: str) -> None:
    """Shopify's orders are called #1001."""
    assert spoiled(text) is None


def test_words_for_nothing_are_whole_words() -> None:
    """A database's word for nothing counts only as the whole cell."""
    assert {"NULL", "null", "(null)", "\\N", "None", "nan", "NaN", "N/A", "#N/A", "undefined"} <= NOTHING
    assert not {"Null", "none", "nullable", "0", "-", "", "clk_null"} & NOTHING


def test_whole_floats_are_told_from_ids_with_a_point() -> None:
    """An id that ends in .0 is a whole number that a program wrote; other decimals are part of the id."""
    assert [is_whole_float(text) for text in ("1001.0", "17,0", "10.10", "1001.00", "v1.0", "1001", "")] == [
        *(True, True, False, False, False, False, False)
    ]


def test_a_column_of_whole_floats_is_told_from_one_that_has_some() -> None:
    """A column is reported as whole floats only if all its ids are."""
    found = WholeFloats()
    for customer, invoice, click in (("17.0", "1001.0", ""), ("18.0", "inv_2", ""), ("", "1003.0", "")):
        found.observe({"customerExternalId": customer, "invoiceId": invoice, "clickId": click})
    assert found.examples == {"customer_external_id": "17.0"}
