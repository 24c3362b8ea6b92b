"""Text to minor units."""

from __future__ import annotations

import ast
from pathlib import Path

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cms_cli.replay
from cms_cli.replay.model import Problem
from cms_cli.replay.values import money, numbers
from cms_cli.replay.values.currencies import ACTIVE, EXPONENTS, currencies_of, exponent
from cms_cli.replay.values.money import (
    AmountColumn,
    AmountFormat,
    parse_cli_amount,
    parse_minor,
)

POINT, COMMA = AmountFormat("."), AmountFormat(",")
GROUPS = [",", ".", "'", "\u2019", " ", "\u00a0", "\u202f", "\u2009"]
REPLAY = Path(cms_cli.replay.__file__).parent
# Excluded are the two that only compare names of columns, for which they compute a similarity.
BEFORE_THE_WIRE = sorted(
    [REPLAY / "model.py", REPLAY / "problems.py", REPLAY / "staging" / "duplicates.py"]
    + [
        path
        for stage in ("reading", "values", "mapping")
        for path in (REPLAY / stage).glob("*.py")
        if path.stem not in ("columns", "presets")
    ]
)


def column(*values: str) -> AmountColumn:
    looked_at = AmountColumn()
    for line, value in enumerate(values, 2):
        looked_at.observe(value, line)
    return looked_at


def grouped(digits: str, separator: str, indian: bool = False) -> str:
    head, last = digits[:-3], digits[-3:]
    size = 2 if indian else 3
    parts = []
    while head:
        parts.append(head[-size:])
        head = head[:-size]
    return separator.join([*reversed(parts), last])


def written(minor: int, places: int, decimal: str, separator: str, indian: bool = False) -> str:
    digits = str(minor).rjust(places + 1, "0")
    whole, fraction = (digits[:-places], digits[-places:]) if places else (digits, "")
    whole = grouped(whole, separator, indian) if separator and len(whole) > 3 else whole
    return whole + (decimal + fraction if places else "")


def code_of(result: object) -> str:
    assert isinstance(result, Problem), result
    assert result.message
    assert result.hint
    return result.code


def test_exponents_are_those_of_iso_4217() -> None:
    """The exponents are those of ISO 4217's active currencies."""
    listed = {each.code: each.exponent for each in iso4217.Currency if each.exponent is not None}
    assert listed == ACTIVE


def test_withdrawn_codes_and_codes_without_minor_unit() -> None:
    """Withdrawn currencies are known, and codes without a minor unit are not."""
    assert [exponent(code) for code in ("HRK", "BYR", "usd", "XAU", "XTS", "ABC", "")] == [
        2,
        0,
        2,
        None,
        None,
        None,
        None,
    ]


def test_signs_stand_for_known_currencies() -> None:
    """Every currency sign stands for known currencies."""
    for sign in ("$", "€", "£", "¥", "kr", "R$", "US$", "zł", "Rs."):
        assert currencies_of(sign)
        assert currencies_of(sign) <= set(EXPONENTS)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("49.99", "USD", 4999),
        ("49.9", "USD", 4990),
        ("49", "USD", 4900),
        ("0", "USD", 0),
        ("0.00", "USD", 0),
        ("  49.99\t", "USD", 4999),
        (".5", "USD", 50),
        ("0049.99", "USD", 4999),
        ("1,234.56", "USD", 123456),
        ("1,234,567.8", "USD", 123456780),
        ("1'234.56", "CHF", 123456),
        ("1\u2019234.56", "CHF", 123456),
        ("1 234.56", "USD", 123456),
        ("1\u00a0234.56", "USD", 123456),
        ("1\u202f234.56", "USD", 123456),
        ("1,23,456.78", "INR", 12345678),
        ("500", "JPY", 500),
        ("1,000", "JPY", 1000),
        ("1.005", "KWD", 1005),
        ("1.2345", "CLF", 12345),
        ("$49.99", "USD", 4999),
        ("$ 49.99", "CAD", 4999),
        ("49.99 €", "EUR", 4999),
        ("USD 49.99", "USD", 4999),
        ("49.99 usd", "USD", 4999),
        ("US$49.99", "USD", 4999),
        ("$49.99 USD", "USD", 4999),
        ("49.99kr", "SEK", 4999),
        ("kr. 49.99", "DKK", 4999),
        ("Rs.500", "INR", 50000),
        ("49.99", "usd", 4999),
        ("90071992547409.91", "USD", 9007199254740991),
    ],
)
def test_amounts_with_a_decimal_point(text: str, currency: str, minor: int) -> None:
    """An amount with a decimal point is read with grouping, signs and codes, in its currency's decimals."""
    result = POINT.parse(text, currency)
    assert result == minor


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("49,99", 4999),
        ("1.234,56 €", 123456),
        ("1 234,56", 123456),
        ("€ 1.234.567", 123456700),
        ("1'234,5", 123450),
    ],
)
def test_amounts_with_a_decimal_comma(text: str, minor: int) -> None:
    """An amount with a decimal comma is read with points as its grouping."""
    result = COMMA.parse(text, "EUR")
    assert result == minor


@pytest.mark.parametrize(
    ("text", "currency", "code"),
    [
        ("49.999", "USD", "amount_too_many_decimals"),
        ("49.990", "USD", "amount_too_many_decimals"),
        ("500.50", "JPY", "amount_too_many_decimals"),
        ("0.500", "JPY", "amount_too_many_decimals"),
        ("5500.000", "JPY", "amount_too_many_decimals"),
        ("1.0055", "KWD", "amount_too_many_decimals"),
        ("-5.00", "USD", "amount_negative"),
        ("\u22125.00", "USD", "amount_negative"),
        ("$-5.00", "USD", "amount_negative"),
        ("-$5.00", "USD", "amount_negative"),
        ("5.00-", "USD", "amount_negative"),
        ("(12.00)", "USD", "amount_negative"),
        ("($12.00)", "USD", "amount_negative"),
        ("-0.00", "USD", "amount_negative"),
        ("", "USD", "amount_empty"),
        ("   ", "USD", "amount_empty"),
        ("n/a", "USD", "amount_not_a_number"),
        ("+5.00", "USD", "amount_not_a_number"),
        ("1e3", "USD", "amount_not_a_number"),
        ("inf", "USD", "amount_not_a_number"),
        ("nan", "USD", "amount_not_a_number"),
        ("0x10", "USD", "amount_not_a_number"),
        ("1_000", "USD", "amount_not_a_number"),
        ("49.", "USD", "amount_not_a_number"),
        ("49,-", "USD", "amount_not_a_number"),
        ("10%", "USD", "amount_not_a_number"),
        ("5 apples", "USD", "amount_not_a_number"),
        ("(5.00", "USD", "amount_not_a_number"),
        ("\u0664\u0669", "USD", "amount_not_a_number"),
        ("\uff14\uff19", "USD", "amount_not_a_number"),
        ("4\u00b2", "USD", "amount_not_a_number"),
        ("12.03.2026", "USD", "amount_other_format"),
        ("1,23", "USD", "amount_other_format"),
        ("1,2345", "USD", "amount_other_format"),
        ("0,500", "USD", "amount_other_format"),
        ("1.234,56", "USD", "amount_other_format"),
        ("1 23", "USD", "amount_other_format"),
        ("1,234'567", "USD", "amount_other_format"),
        ("€5.00", "USD", "amount_other_currency"),
        ("EUR 5.00", "USD", "amount_other_currency"),
        ("US$5.00", "CAD", "amount_other_currency"),
        ("US$ 5.00 CAD", "", "amount_other_currency"),
        ("5.00", "XAU", "currency_unknown"),
        ("5.00", "ABC", "currency_unknown"),
        ("5.00", "", "currency_missing"),
        ("$5.00", "", "currency_missing"),
        ("90071992547409.92", "USD", "amount_too_large"),
        ("9" * 5000, "USD", "amount_too_large"),
        (" " * 100_000 + "-" + " " * 100_000, "USD", "amount_not_a_number"),
        ("1" + " " * 100_000 + "x", "USD", "amount_not_a_number"),
    ],
)
def test_what_is_no_amount_is_refused(text: str, currency: str, code: str) -> None:
    """A text that is no amount is a problem with a code, a short message and a hint."""
    result = POINT.parse(text, currency)
    assert code_of(result) == code
    assert len(result[1]) < 200


def test_a_code_or_an_unambiguous_sign_names_the_currency() -> None:
    """A code or an unambiguous sign gives the currency where its column does not; a dollar sign does not."""
    assert [POINT.parse(text, "") for text in ("5 EUR", "€5", "5 KWD")] == [500, 500, 5000]
    assert POINT.parse("$5", "USD") == 500
    assert code_of(POINT.parse("$5", "")) == "currency_missing"


@pytest.mark.parametrize(
    ("values", "decimal"),
    [
        (["49.99"], "."),
        (["49.9"], "."),
        (["49,99"], ","),
        (["1.000", "2.50"], "."),
        (["1.000", "2,50"], ","),
        (["1,000", "1.5"], "."),
        (["1.000", "1.000.000"], ","),
        (["1,00,000"], "."),
        (["1.234,567"], ","),
        (["1'234.567"], "."),
        (["1 234,567"], ","),
        (["-1.234,56"], ","),
        (["(1,234.56)"], "."),
        (["1.000,00 €", "n/a", "", "12.03.2026"], ","),
        (["1.000", "7", "0.1234"], "."),
    ],
)
def test_a_column_decides_together(values: list[str], decimal: str) -> None:
    """One value that can be read in only one way decides the decimal mark of its whole column."""
    assert column(*values).decide() == AmountFormat(decimal)
    assert column(*reversed(values)).decide() == AmountFormat(decimal)


@pytest.mark.parametrize(
    "text", ["1.000", "1.005", "1,000", "0.125", "0,500", "1234.567", "$1.000", "-1.000", ".125"]
)
def test_one_separator_before_three_digits_is_ambiguous(text: str) -> None:
    """A column with nothing but single separators before three digits needs --decimal."""
    problem = column(text, "7", "1 000").decide()
    assert code_of(problem) == "amount_ambiguous"
    assert "line 2" in problem[1]
    for decimal in (".", ","):
        assert column(text).decide(decimal) == AmountFormat(decimal, said=True)


def test_a_column_that_contradicts_itself_has_no_format() -> None:
    """A column with both decimal marks is a problem that names both values, until --decimal decides."""
    mixed = column("1,5", "7", "1.5")
    problem = mixed.decide()
    assert code_of(problem) == "amount_formats_mixed"
    assert 'point in "1.5" (line 4)' in problem[1]
    assert 'comma in "1,5" (line 2)' in problem[1]
    decided = mixed.decide("comma")
    assert decided == AmountFormat(",", said=True)
    assert code_of(COMMA.parse("1.5", "USD")) == "amount_other_format"


def test_what_is_no_amount_says_nothing_of_its_column() -> None:
    """A number with an unknown unit is refused and does not decide its column's decimal mark."""
    for odd in ("12,5 %", "3,50 kg", "+17,99"):
        assert code_of(column("1.000", odd).decide()) == "amount_ambiguous"
        problem = POINT.parse(odd, "KWD")
        assert code_of(problem) == "amount_not_a_number"
        why = "marks a difference" if odd[0] == "+" else "is no currency known here"
        assert why in problem[1]
    assert column("1.000", "3,50 €").decide() == COMMA


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1,500", 1500),
        ("1.500", 1500),
        ("15.000 CLP", 15000),
        ("CLP 1.234.567", 1234567),
        ("1,234,567", 1234567),
        ("5500.00", 5500),
        ("5500,0", 5500),
        ("5,500.00", 5500),
        ("5.500,00", 5500),
        ("1 500", 1500),
        ("1'500.0", 1500),
        ("0.00", 0),
        ("1500", 1500),
    ],
)
def test_a_currency_without_decimals_has_no_decimal_mark(text: str, minor: int) -> None:
    """In a currency without decimals three digits after a mark are grouped, and one or two zeros are dropped."""
    for unsaid in (POINT, COMMA):
        assert unsaid.parse(text, "CLP") == minor


def test_a_decimal_mark_that_was_said_does_not_group() -> None:
    """The mark given with --decimal never groups, so that 15.000 pesos are a problem."""
    point, comma = AmountFormat(".", said=True), AmountFormat(",", said=True)
    assert [point.parse(text, "CLP") for text in ("1,500", "1,234,567", "5500.00", "5,500.0", "5500")] == [
        *(1500, 1234567, 5500, 5500, 5500)
    ]
    assert [comma.parse(text, "CLP") for text in ("1.500", "5500,00")] == [1500, 5500]
    for said, text in ((point, "15.000"), (comma, "15,000"), (point, "1.234.567"), (comma, "5500.00")):
        assert code_of(said.parse(text, "CLP")) in ("amount_too_many_decimals", "amount_other_format")


def test_amounts_without_decimals_say_nothing_about_the_others() -> None:
    """Amounts in a currency without decimals do not decide the decimal mark of others."""
    looked_at = AmountColumn()
    for text, currency in (("1,500", "JPY"), ("5500.00", "JPY"), ("1.500 CLP", ""), ("49,90", "EUR")):
        looked_at.observe(text, 2, currency)
    found = looked_at.decide()
    assert found == COMMA
    assert isinstance(found, AmountFormat)
    assert [found.parse("1,500", "JPY"), found.parse("5500.00", "JPY"), found.parse("49,90", "EUR")] == [
        *(1500, 5500, 4990)
    ]
    only_yen = AmountColumn()
    only_yen.observe("1,500", 2, "JPY")
    assert isinstance(only_yen.decide(), AmountFormat)


def test_each_row_has_the_decimals_of_its_own_currency() -> None:
    """Each amount is read with its own currency's decimals, whatever the rows around it have."""
    looked_at = AmountColumn()
    rows = [("5000.00", "JPY", 5000), ("10.00", "USD", 1000), ("12.500", "KWD", 12500), ("10.00", "KWD", 10000)]
    for text, currency, _ in rows:
        looked_at.observe(text, 2, currency)
    found = looked_at.decide()
    assert isinstance(found, AmountFormat)
    assert [found.parse(text, currency) for text, currency, _ in rows] == [minor for *_, minor in rows]


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1,249.00&nbsp;USD", 124900),
        ("&#36;49.90", 4990),
        ("US&#36;&nbsp;49.90", 4990),
    ],
)
def test_what_a_shop_wrote_as_html_is_what_a_browser_shows(text: str, minor: int) -> None:
    """HTML entities in an amount are read as the characters that they stand for."""
    assert POINT.parse(text, "USD") == minor
    assert column("1.249&nbsp;&euro;", "49,90").decide() == COMMA
    assert COMMA.parse("1.249&nbsp;&euro;", "EUR") == 124900


def test_zeros_that_a_currency_lacks_pass_where_a_mapping_file_says_so() -> None:
    """zero_decimals accepts trailing zeros as databases write them, and no other digits."""
    lenient = AmountFormat(".", zero_decimals=True)
    assert [lenient.parse(text, "USD") for text in ("49.9900", "49.90000")] == [4999, 4990]
    for text in ("49.990", "49.9901", "49.99001"):
        assert code_of(lenient.parse(text, "USD")) == "amount_too_many_decimals"
    strict = POINT.parse("49.9900", "USD")
    assert "zero_decimals = true" in strict.hint  # type: ignore[union-attr]


def test_a_column_without_separators_needs_no_decision() -> None:
    """A column without separators needs no --decimal, and an unknown --decimal is an error."""
    assert isinstance(column("5", "1 000", "x").decide(), AmountFormat)
    assert code_of(column("5").decide("x")) == "decimal_unknown"


def test_minor_units_are_digits_only() -> None:
    """Minor units are digits only, and the hint for anything else names --amount-unit."""
    assert [parse_minor(text) for text in ("4999", " 0 ", "0049", "9007199254740991")] == [
        4999,
        0,
        49,
        money.MAX_MINOR,
    ]
    for text in ("4999.00", "4,999", "$4999", "4 999"):
        problem = parse_minor(text)
        assert code_of(problem) == "amount_not_minor"
        assert "--amount-unit major" in problem.hint  # type: ignore[union-attr]
    codes = {text: code_of(parse_minor(text)) for text in ("-5", "", "x", "\u0664", "1e3", "9" * 17, "9" * 5000)}
    assert list(codes.values()) == [
        "amount_negative",
        "amount_empty",
        "amount_not_a_number",
        "amount_not_a_number",
        "amount_not_a_number",
        "amount_too_large",
        "amount_too_large",
    ]


def test_whole_numbers_of_a_program_are_minor_units_where_that_was_said() -> None:
    """4999.0, as pandas writes it, is minor units where the unit was given; 4999.00 needs zero_decimals."""
    assert [parse_minor(text, unit_said=True) for text in ("4999.0", "100,0")] == [4999, 100]
    assert parse_minor("4999.00", unit_said=True, zero_decimals=True) == 4999
    for text in ("4999.00", "4999.5", "4999.000", "49.99", "4,999.0"):
        assert code_of(parse_minor(text, "USD", unit_said=True)) == "amount_not_minor"
    for text in ("4999.000", "4999.50", "4.999"):
        assert code_of(parse_minor(text, "USD", unit_said=True, zero_decimals=True)) == "amount_not_minor"
    assert parse_minor("1500.00", "JPY") == 1500  # a yen's minor unit is the yen
    assert code_of(parse_minor("90071992547409920.0", unit_said=True)) == "amount_too_large"


@pytest.mark.parametrize(
    ("text", "currency", "readings"),
    [
        ("4999.0", "USD", ("49.99 USD", "4999.00 USD")),
        ("4999.00", "usd", ("49.99 USD", "4999.00 USD")),
        ("5.0", "EUR", ("0.05 EUR", "5.00 EUR")),
        ("12500.0", "KWD", ("12.500 KWD", "12500.000 KWD")),
        ("4999.0", "", ("4999 minor units (cents)", "4999.0 in the currency's own unit")),
    ],
)
def test_a_factor_of_100_is_shown_in_money(text: str, currency: str, readings: tuple[str, str]) -> None:
    """The hint for an amount without a unit shows both readings in money."""
    problem = parse_minor(text, currency)
    assert code_of(problem) == "amount_not_minor"
    hint = problem.hint  # type: ignore[union-attr]
    assert f"if it is {readings[0]}, say --amount-unit minor" in hint
    assert f"if it is {readings[1]}, say --amount-unit major" in hint
    assert ("zero_decimals" in hint) is text.endswith(".00")


def test_on_the_command_line_the_point_is_the_decimal_sign() -> None:
    """On the command line only a point is a decimal mark, and nothing is grouped."""
    assert parse_cli_amount("49.99", "USD") == 4999
    assert parse_cli_amount("1.005", "KWD") == 1005
    assert parse_cli_amount(".5", "USD") == 50
    assert parse_cli_amount("1000", "JPY") == 1000
    refused = {
        "1.005": "amount_too_many_decimals",
        "49,99": "amount_not_plain",
        "1,234.56": "amount_not_plain",
        "$5": "amount_not_plain",
        "5.": "amount_not_a_number",
        ".": "amount_not_a_number",
        "-5": "amount_negative",
        "": "amount_empty",
        "1e3": "amount_not_a_number",
    }
    assert {text: code_of(parse_cli_amount(text, "USD")) for text in refused} == refused


@given(
    minor=st.integers(0, money.MAX_MINOR),
    currency=st.sampled_from(["JPY", "USD", "INR", "KWD", "CLF"]),
    decimal=st.sampled_from([".", ","]),
    separator=st.sampled_from(["", *GROUPS]),
    indian=st.booleans(),
    mark=st.sampled_from(["{}", "{} $C", "$C {}", "$C{}", "\u00a0{}\u00a0$C"]),
)
def test_what_is_written_in_any_style_is_read_back(
    minor: int, currency: str, decimal: str, separator: str, indian: bool, mark: str
) -> None:
    """An amount written with any grouping, decimal mark and code is read back unchanged."""
    if separator == decimal:
        separator = ""
    text = written(minor, EXPONENTS[currency], decimal, separator, indian and separator == ",")
    text = mark.replace("$C", currency).format(text)
    result = AmountFormat(decimal).parse(text, currency)
    assert result == minor, text


@given(
    minors=st.lists(st.integers(0, 10**12), min_size=1, max_size=20),
    currency=st.sampled_from(["JPY", "USD", "KWD", "CLF"]),
    decimal=st.sampled_from([".", ","]),
    separator=st.sampled_from(["", *GROUPS]),
)
def test_a_column_in_one_style_is_never_misread(
    minors: list[int], currency: str, decimal: str, separator: str
) -> None:
    """A column written in one style is read back unchanged or reported as ambiguous."""
    if separator == decimal:
        separator = ""
    texts = [written(minor, EXPONENTS[currency], decimal, separator) for minor in minors]
    found = column(*texts).decide()
    if isinstance(found, Problem):
        assert found.code == "amount_ambiguous"
        return
    for minor, text in zip(minors, texts):
        assert found.parse(text, currency) == minor


@given(st.text(alphabet="0123456789.,'\u2019 -+()$€kr\u00a0\u202fe", max_size=12) | st.text())
def test_any_text_is_an_amount_or_a_problem(text: str) -> None:
    """Any text gives a problem or an amount within bounds."""
    looked_at = column(text)
    looked_at.decide()
    for result in (
        POINT.parse(text, "USD"),
        COMMA.parse(text, "KWD"),
        parse_cli_amount(text, "JPY"),
        parse_minor(text),
    ):
        assert isinstance(result, Problem) or 0 <= result <= money.MAX_MINOR


@given(st.text(alphabet="0123456789.,", min_size=1, max_size=12))
def test_a_later_value_still_shows_that_a_column_is_mixed(text: str) -> None:
    """A value seen after the column was decided still shows that the column is mixed."""
    for first in ("49.99", "49,99"):
        seen = column(first, text)
        number_says = numbers.decimal_mark(text) if numbers.taken_apart(text) else None
        mixed = number_says in (".", ",") and number_says != first[2]
        assert isinstance(seen.decide(), Problem) == mixed


@pytest.mark.parametrize("path", BEFORE_THE_WIRE, ids=lambda path: path.stem)
def test_no_float_between_the_file_and_the_wire(path: Path) -> None:
    """The modules between file and request use no float, no division and no rounding."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Name) and node.id in ("float", "round", "complex"))
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float))
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
            assert not names & {"math", "statistics", "locale", "struct", "typer", "rich"}
