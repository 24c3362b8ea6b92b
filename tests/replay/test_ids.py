"""Ids that are none."""

from __future__ import annotations

import pytest

from cms_cli.replay.values.ids import NOTHING, WholeFloats, is_whole_float, shortened


@pytest.mark.parametrize("text", ["4.68769E+17", "4,69E+17", "4.68769e+17", "1E+17", "1.00E-05", "-4.68769E+17"])
def test_a_number_that_a_spreadsheet_shortened_is_no_id(text: str) -> None:
    """Two orders may well have become the same text."""
    problem = shortened(text)
    assert problem is not None
    assert problem.code == "id_shortened"
    assert text in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    "text", ["1E5", "12E+3", "E+17", "4.68769E17", "468769000000000000", "A-1.5E+3", "-1E5", "", "1.5"]
)
def test_other_ids_are_text(text: str) -> None:
    """Without a sign in its exponent it may be what the shop calls an order."""
    assert shortened(text) is None


def test_words_for_nothing_are_whole_words() -> None:
    """As databases, their tools and programs write them; a name that begins so is none."""
    assert {"NULL", "null", "(null)", "\\N", "None", "nan", "NaN", "N/A", "#N/A", "undefined"} <= NOTHING
    assert not {"Null", "none", "nullable", "0", "-", "", "clk_null"} & NOTHING


def test_whole_floats_are_told_from_ids_with_a_point() -> None:
    """1001.0 is what a program made of 1001; 10.10 is a number of a version or of an order."""
    assert [is_whole_float(text) for text in ("1001.0", "17,0", "10.10", "1001.00", "v1.0", "1001", "")] == [
        *(True, True, False, False, False, False, False)
    ]


def test_a_column_of_whole_floats_is_told_from_one_that_has_some() -> None:
    """One id of another form, wherever it stands, and the column is as the shop wrote it."""
    found = WholeFloats()
    for customer, invoice, click in (("17.0", "1001.0", ""), ("18.0", "inv_2", ""), ("", "1003.0", "")):
        found.observe({"customerExternalId": customer, "invoiceId": invoice, "clickId": click})
    assert found.examples == {"customer_external_id": "17.0"}
