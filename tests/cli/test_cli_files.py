"""Files as people have them: where the table begins and ends, which rows count, and saved mappings."""

from __future__ import annotations

import gzip
import re
import shlex

import pytest
from program import Program, Result

HEAD = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"
FIRST = "c1,buy,u1,i1,100,USD\n"
SECOND = "c2,buy,u2,i2,200,USD\n"


def _dry(program: Program, content: str | bytes, *flags: str, name: str = "sales.csv") -> Result:
    data = content.encode() if isinstance(content, str) else content
    (program.home / name).write_bytes(data)
    return program("sale", "--from-csv", name, "--dry-run", "--json", *flags)


def _pending(result: Result) -> int:
    assert result.code == 0, result.stderr
    pending: int = result.json["counts"]["pending"]
    return pending


@pytest.mark.parametrize(
    ("before", "flags"),
    [
        ("Report of the shop\nAll times are local\n\n", ()),
        ("Account;DE12\nFrom;2026-01-01\n,,,,,\n", ()),
        ('"Note, by the bank"\n"unclosed" quote\n', ()),
        ("Parameters:,,,,,\n", ("--delimiter", ",")),
    ],
)
def test_the_line_of_a_header_below_text_is_named_and_works(
    program: Program, before: str, flags: tuple[str, ...]
) -> None:
    """The error about a header below text names the ``--header-line`` that works; line numbers stay the file's."""
    content = f"{before}{HEAD}{FIRST}bad,buy,u,i3,x,USD\n"
    refused = _dry(program, content, *flags)
    assert refused.code == 2
    line = before.count("\n") + 1
    assert f"the header seems to be on line {line}: say --header-line {line}" in refused.json["error"]
    again = _dry(program, content, *flags, "--header-line", str(line))
    assert [(each["line"], each["code"]) for each in again.json["problems"]] == [(line + 2, "amount_not_a_number")]


def test_columns_named_by_map_tell_where_the_header_is(program: Program) -> None:
    """The columns named by ``--map`` help to find a header that names no field."""
    content = "Sales of 2026\nby region\nOrder,Who,Sum,Click\ni1,u1,9.99,c1\n"
    flags = (
        *("--map", "invoice_id=Order", "--map", "customer_external_id=Who", "--map", "amount=Sum"),
        *("--map", "click_id=Click", "--amount-unit", "major", "--currency", "EUR", "--event-name", "buy"),
    )
    refused = _dry(program, content, *flags)
    assert "say --header-line 3" in refused.json["error"]
    assert _pending(_dry(program, content, *flags, "--header-line", "3")) == 1


def test_footers_are_named_with_the_flag_that_leaves_them_out(program: Program) -> None:
    """The error about footer lines names the ``--footer-lines N`` that works; a data row is never a footer."""
    content = f"{HEAD}{FIRST}{SECOND}\n2,record(s) downloaded\nSeller: me\n"
    refused = _dry(program, content)
    assert refused.code == 2
    assert "say --footer-lines 2" in refused.stderr
    again = _dry(program, content, "--footer-lines", "2")
    assert _pending(again) == 2
    assert any("record(s) downloaded" in warning for warning in again.json["warnings"])
    assert _dry(program, content, "--footer-lines", "3").json["problems"][0]["code"] == "no_footer"


def test_joined_files_repeat_their_header(program: Program) -> None:
    """A header repeated inside the file, with or without a byte order mark, is a skipped row."""
    result = _dry(program, f"\ufeff{HEAD}{FIRST}\ufeff{HEAD}{SECOND}{HEAD}")
    assert _pending(result) == 2
    assert result.json["counts"]["skipped"] == 2


def test_a_day_without_sales_and_a_download_that_failed(program: Program) -> None:
    """A file with only a header is fine; an empty file exits with 2."""
    assert _pending(_dry(program, HEAD)) == 0
    assert _dry(program, "").code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04 cut off", "the file is a spreadsheet (.xlsx, .ods) or a zip file, and damaged"),
        (b"%PDF-1.7", "the file is a PDF, not text"),
        (HEAD.encode() + b"c1,b\xfcy,u1,i1,100,USD\n", "line 2: byte 0xfc"),
        (HEAD.encode() + b'c1,"buy,u1,i1,100,USD\n', "line 2: the quote that opens here is never closed"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(program: Program, content: bytes, message: str) -> None:
    """One command of a script may read many files, so the error says which, whatever part of it is wrong."""
    assert _dry(program, content, name="may.csv").json["error"].startswith(f"may.csv: {message}")
    piped = program("sale", "--from-csv", "-", "--dry-run", "--json", stdin=content)
    assert piped.json["error"].startswith(f"standard input: {message}")


def test_conditions_that_exclude_each_other_say_how_to_mean_either(program: Program) -> None:
    """The hint about conditions that exclude each other is a condition that keeps the rows of both."""
    content = HEAD.replace("\n", ",State\n") + FIRST.replace("\n", ",paid\n") + SECOND.replace("\n", ",sent\n")
    refused = _dry(program, content, "--where", "State=paid", "--where", "State=sent")
    assert refused.code == 2
    [said] = re.findall(r'--where ("[^"]*")', refused.json["hint"])
    assert _pending(_dry(program, content, "--where", *shlex.split(said))) == 2


def test_corrections_are_left_out_by_their_sign(program: Program) -> None:
    """The hint about negative amounts is a condition that skips them; a cell that is no number is a problem."""
    content = HEAD + FIRST + SECOND.replace("200", "-200") + "c3,buy,u3,i3,(3),USD\n"
    refused = _dry(program, content)
    assert {each["code"] for each in refused.json["problems"]} == {"amount_negative"}
    assert '--where "amount>=0"' in refused.stderr
    assert _pending(_dry(program, content, "--where", "amount>=0")) == 1
    odd = _dry(program, f"{content}c4,buy,u4,i4,n/a,USD\n", "--where", "amount>=0")
    assert [(each["code"], each["line"]) for each in odd.json["problems"]] == [("where_not_a_number", 5)]


def test_a_gzip_file_is_read_as_it_is(program: Program) -> None:
    """A gzip file is read without unpacking it first."""
    assert _pending(_dry(program, gzip.compress((HEAD + FIRST).encode()), name="sales.csv.gz")) == 1


def test_two_unused_columns_of_one_name_are_fine(program: Program) -> None:
    """Two columns of one name are an error only if one of them is used."""
    content = HEAD.replace("\n", ",Tax,Tax\n") + FIRST.replace("\n", ",1,2\n")
    assert _pending(_dry(program, content)) == 1
    refused = _dry(program, content, "--map", "customer_name=Tax", "--amount-unit", "minor")
    assert 'two columns are called "Tax": number 7 and number 8' in refused.json["error"]


def test_a_date_and_a_time_of_day_are_joined_by_flag(program: Program) -> None:
    """``--map "timestamp=Day+Hour"`` joins two columns and reads them in ``--timezone``."""
    content = HEAD.replace("\n", ",Day,Hour\n") + FIRST.replace("\n", ",2026-03-12,09:14\n")
    flags = ("--map", "timestamp=Day+Hour", "--timezone", "Europe/Berlin")
    (program.home / "sales.csv").write_text(content)
    preview = program("sale", "--from-csv", "sales.csv", "--dry-run", *flags)
    assert '"timestamp":"2026-03-12T08:14:00.000Z"' in preview.stdout + preview.stderr


def test_leads_without_a_click_are_counted_or_left_out(program: Program) -> None:
    """Leads without a click get a warning with their number; ``--skip-unattributed`` skips them."""
    (program.home / "leads.csv").write_text(
        "event_name,customer_external_id,click_id\nup,u1,c1\nup,u2,\nup,u3,NULL\n"
    )
    command = ("lead", "--from-csv", "leads.csv", "--dry-run", "--json")
    told = program(*command)
    assert any(warning.startswith("2 follow-ups without a click") for warning in told.json["warnings"])
    assert program(*command, "--skip-unattributed").json["counts"]["skipped"] == 2


def test_a_saved_mapping_is_one_short_command(program: Program) -> None:
    """A saved mapping repeats all flags of a dry run; only a dry run writes one, and never over its input."""
    rows = "c1;i1;u1;1.249,50;12/03/2026;paid\nc2;i2;u2;3,00;13/03/2026;open\n"
    content = f"Shop export\nClick;Order;Who;Sum;Day;State\n{rows}"
    flags = (
        *("--header-line", "2", "--map", "click_id=Click", "--map", "invoice_id=Order", "--map", "amount=Sum"),
        *("--map", "customer_external_id=Who", "--map", "timestamp=Day", "--date-format", "%d/%m/%Y"),
        *("--amount-unit", "major", "--currency", "EUR", "--event-name", "buy", "--where", "State=paid|sent"),
    )
    first = _dry(program, content, *flags, "--save-mapping", "shop.toml")
    assert _pending(first) == 1
    again = _dry(program, content, "--mapping", "shop.toml")
    assert again.json["counts"] == first.json["counts"]
    plain = program("sale", "--from-csv", "sales.csv", *flags, "--dry-run")
    short = program("sale", "--from-csv", "sales.csv", "--mapping", "shop.toml", "--dry-run")
    for preview in (plain, short):
        assert (
            '"amount":124950,"currency":"EUR","timestamp":"2026-03-12T00:00:00.000Z"'
            in preview.stdout + preview.stderr
        )
    assert program("sale", "--from-csv", "sales.csv", *flags, "--save-mapping", "x.toml").code == 2
    over = program("sale", "--from-csv", "sales.csv", *flags, "--dry-run", "--save-mapping", "sales.csv")
    assert over.code == 2
    assert (program.home / "sales.csv").read_text() == content
