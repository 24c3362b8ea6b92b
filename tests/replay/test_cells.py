"""One value out of a cell that holds several."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_cli.replay.values.cells import bare, folded, value_in
from cms_python import SALE_FIELDS


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("gift: yes\nclick_id: abc", "abc"),
        ("gift: yes\r\nClick ID:   abc  \r\nlast: 1", "abc"),
        ("click-id: abc", "abc"),
        ("CLICKID: abc", "abc"),
        ("click_id: a:b", "a:b"),
        ("click_id:", ""),
        ("no pairs here", ""),
        ("", ""),
        ('{"click_id": "abc"}', "abc"),
        ('{"clickId": " abc "}', "abc"),
        ('{"click_id": 12345678901234567890}', "12345678901234567890"),
        ('{"click_id": 1.10}', "1.10"),
        ('{"click_id": 1e400}', "1e400"),
        ('{"click_id": true}', "true"),
        ('{"click_id": null}', ""),
        ('{"click_id": {"id": "x"}}', '{"id":"x"}'),
        ('{"other": "https://shop.example/?click_id=no"}', ""),
        ('{"click_id": "abc"', ""),
        ('[{"id": 1, "key": "_gift", "value": "1"}, {"id": 2, "key": "_click_id", "value": "abc"}]', "abc"),
        ('[{"name": "click_id", "value": "abc"}]', "abc"),
        ('[{"key": "click_id"}, 5, null]', ""),
        ("[" * 5000, ""),
        ("https://shop.example/?a=1&click_id=abc#top", "abc"),
        ("https://shop.example/p?click_id=a%2Fb+c", "a/b c"),
        ("/pages/sale?Click-Id=abc", "abc"),
        ("https://shop.example/#/sale?click_id=abc", "abc"),
        ("?click_id=abc", "abc"),
        ("utm_source=x&click_id=abc", "abc"),
        ("https://shop.example/?a=1&amp;click_id=abc", "abc"),
        ("https://shop.example/?a=1&#038;click_id=abc&#038;b=2", "abc"),
        ("https://shop.example/?a=1&amp;amp;click_id=abc&copy=1", "abc"),
        ("https://shop.example/?click_id=abc;utm=1", "abc"),
        ("a=1&amp;click_id=abc", "abc"),
        ("a=1; click_id=abc; b=2", "abc"),
        ("click_id=abc; path=/; Secure", "abc"),
        ("utm_source=x|click_id=abc", "abc"),
        ("https://shop.example/?next=%2Fp%3Fclick_id%3Dabc", ""),
        ("https://shop.example/?click_id=", ""),
        ("https://shop.example/", ""),
        ("http://[half/?click_id=abc", ""),
    ],
)
def test_a_value_is_found_in_every_form(cell: str, value: str) -> None:
    """A value is found in lines, JSON and URLs under any spelling of its key; a missing one is empty."""
    assert value_in(cell, "click_id") == value


def test_bytes_of_an_address_that_are_no_text_are_not_guessed() -> None:
    """Percent-encoded bytes that are not UTF-8 are refused by the field's check and not guessed at."""
    assert value_in("https://shop.example/?click_id=caf%C3%A9", "click_id") == "café"
    for address in ("https://shop.example/?click_id=caf%E9", "a=1&click_id=caf%E9"):
        with pytest.raises(ValueError, match="UTF-8"):
            SALE_FIELDS["click_id"].check(value_in(address, "click_id"))


def test_the_scheme_of_an_address_is_no_key() -> None:
    """The scheme of a URL is not read as a key."""
    assert value_in("https://shop.example/?a=1", "https") == ""


def test_the_exact_key_wins_over_other_spellings() -> None:
    """A key spelled exactly as asked wins over other spellings."""
    assert value_in('{"Click ID": "other", "click_id": "this"}', "click_id") == "this"
    assert value_in("click_id: this\nClick ID: other", "click_id") == "this"


def test_the_last_click_wins() -> None:
    """The last value of a repeated key that is not empty is used (last click)."""
    assert value_in("https://shop.example/?cms_rf=a&cms_rf=b", "cms_rf") == "b"
    assert value_in("click_id: a\nclick_id: b\nclick_id:", "click_id") == "b"


@given(st.dictionaries(st.text(), st.text().map(str.strip), max_size=5), st.data())
def test_every_value_of_a_json_object_is_found(values: dict[str, str], data: st.DataObject) -> None:
    """Any value of a JSON object is found by its key and returned unchanged."""
    full = {key: value for key, value in values.items() if value}
    if full:
        key = data.draw(st.sampled_from(sorted(full)))
        assert value_in(json.dumps(values), key) == full[key]


@given(st.text(), st.text())
def test_any_cell_and_key_yield_a_text(cell: str, key: str) -> None:
    """Any cell and any key yield a text."""
    assert isinstance(value_in(cell, key), str)


@pytest.mark.parametrize(
    ("cell", "text"),
    [(' "a" ', '"a"'), ('="00123"', "00123"), (' ="a ""b""" ', 'a "b"'), ("=1+1", "=1+1"), ('="', '="')],
)
def test_a_formula_that_only_quotes_is_its_text(cell: str, text: str) -> None:
    """A formula that only quotes a text (`="00123"`) is read as that text; any other formula is kept."""
    assert bare(cell) == text


def test_names_are_compared_without_case_and_punctuation() -> None:
    """Names are compared without letter case, spaces, hyphens and underscores."""
    assert {folded(name) for name in ("click_id", "Click ID", "clickId", "CLICK-ID", " click  id ")} == {"clickid"}
    assert folded("Straße") == folded("STRASSE")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        *(("'49.90", "49.90"), (" '-5.00", "-5.00"), ("'$1,249.00", "$1,249.00"), ("'00123", "00123")),
        *(("'+49 (151) 123-456", "+49 (151) 123-456"), ("'1.249,00 €", "1.249,00 €")),
        *((same, same) for same in ("'90s Kid", "'abc", "''5", "'5'", "'", "O'Neill", "it's 5")),
    ],
)
def test_an_apostrophe_before_a_number_is_a_spreadsheets(cell: str, text: str) -> None:
    """A leading apostrophe is dropped before a number and kept before words."""
    assert bare(cell) == text
