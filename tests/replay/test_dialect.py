"""The delimiter, and the names of the columns."""

from __future__ import annotations

import io

import pytest
from tables import cells, code_of, header, refusal, table

from cms_cli.replay.model import RowProblem, SourceRow
from cms_cli.replay.reading.rows import open_table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(delimiter: str) -> None:
    """Each of the four delimiters is found in the header, whatever the rows hold."""
    data = delimiter.join(["id", "amount", "name"]) + "\n" + delimiter.join(["1", "2", '"a,b;c\t|"']) + "\n"
    found = open_table(io.BytesIO(data.encode()))
    assert found.delimiter == delimiter
    assert found.header == ("id", "amount", "name")
    assert [row.cells for row in found] == [["1", "2", "a,b;c\t|"]]


def test_decimal_commas_do_not_decide() -> None:
    """Decimal commas in the rows do not count as delimiters."""
    assert cells("id;preis\n1;2,50\n2;3,50\n") == [["1", "2,50"], ["2", "3,50"]]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("id;amount (EUR, gross);currency", ("id", "amount (EUR, gross)", "currency")),
        ("id;amount (EUR,gross);currency", ("id", "amount (EUR,gross)", "currency")),
        ("id;last, first;currency", ("id", "last, first", "currency")),
        ('id,"amount; gross",currency', ("id", "amount; gross", "currency")),
        ("id\tamount, gross;net", ("id", "amount, gross;net")),
        ("id, amount, currency", ("id", "amount", "currency")),
        ("id", ("id",)),
        ("id;", ("id",)),
    ],
)
def test_other_delimiters_inside_names_do_not_confuse(line: str, names: tuple[str, ...]) -> None:
    """Delimiters inside quotes or brackets or before a space are text, except a tab."""
    assert header(line + "\n") == names


def test_a_header_that_can_be_read_in_two_ways_is_not_guessed() -> None:
    """A header that can be read in two ways is an error until --delimiter decides."""
    error = refusal("id;name,first\n1;2\n")
    assert "more than one way" in error.message
    assert "--delimiter" in error.hint
    assert header("id;name,first\n", delimiter=";") == ("id", "name,first")


def test_the_user_names_the_delimiter() -> None:
    """--delimiter takes a character or its name."""
    for asked, written in (
        ("tab", "\t"),
        ("\\t", "\t"),
        ("\t", "\t"),
        ("semicolon", ";"),
        (":", ":"),
        ("Pipe", "|"),
    ):
        assert cells(f"a{written}b\n1{written}2\n", delimiter=asked) == [["1", "2"]]
    for asked in ("", "x", "7", '"', "\n", ";;"):
        assert "cannot separate" in refusal("a,b\n", delimiter=asked).message


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
def test_a_sep_line_is_obeyed_and_counted(first: str) -> None:
    """A `sep=;` line sets the delimiter and counts in line numbers."""
    found = table(f"{first}\r\na,b;c\r\n1;2\r\n")
    assert found == [SourceRow(1, 3, ["1", "2"])]
    assert table(f"{first}\na,b;c\n1,2;3\n", delimiter=",") == [SourceRow(1, 3, ["1", "2;3"])]


def test_quotes_after_spaces_are_quotes_where_the_header_has_them() -> None:
    """A quote after a space opens a quoted cell only if the header is written so."""
    assert cells('"a", "b"\n"1", "2, 3"\n') == [["1", "2, 3"]]
    assert cells('a,b\n1, "2"\n') == [["1", ' "2"']]
    assert cells('" ""a""",b\n1, "2"\n') == [["1", ' "2"']]


def test_header_names_are_trimmed_and_may_span_lines() -> None:
    """Header names lose the white space around them and keep line breaks inside them."""
    assert header(' id ,\u00a0amount,"two\nlines"\n') == ("id", "amount", "two\nlines")
    assert table('id,"two\nlines"\n1,2\n') == [SourceRow(1, 3, ["1", "2"])]


def test_lines_before_the_header_that_are_blank_are_ignored() -> None:
    """Blank lines and rows of empty cells before the header are ignored."""
    assert table("\n  \n,,\n;;\na,b\n1,2\n") == [SourceRow(1, 6, ["1", "2"])]


def test_empty_columns_at_the_end_are_ignored() -> None:
    """Empty trailing columns are ignored unless a row has a value in one."""
    assert header("a,b,,\n") == ("a", "b")
    assert cells("a,b,,\n1,2,,\n3,4\n5,6, ,,,,\n") == [["1", "2"], ["3", "4"], ["5", "6"]]
    (problem,) = table("a,b,,\n1,2,,x\n")
    assert isinstance(problem, RowProblem)
    assert problem.problems[0].code == "too_many_cells"


def test_a_column_without_a_name_keeps_its_place() -> None:
    """A column without a name, such as the index that pandas writes, keeps its place."""
    assert header(",id\n") == ("", "id")
    assert cells(",id,,x\n0,a,,b\n") == [["0", "a", "", "b"]]


def test_the_header_is_on_the_line_that_was_asked_for() -> None:
    """--header-line skips the lines before it, and line numbers stay those of the file."""
    data = 'Report of the month\n\n"a;b",c\nid,amount\n1,2\n'
    assert header(data, header_line=4) == ("id", "amount")
    assert table(data, header_line=4)[0].line == 5
    assert refusal(data, header_line=2).message.startswith("line 2 is empty")
    assert refusal(data, header_line=9).message == "--header-line 9: the file has 5 lines"


@pytest.mark.parametrize("before", ["#TYPE System.Data.DataRow\n", '"#TYPE Selected.Row"\n', ",,,\n\n", "\x0b\n"])
def test_lines_that_programs_put_before_the_header_are_skipped(before: str) -> None:
    """PowerShell's #TYPE line and rows of empty cells before the header are skipped."""
    found = table(f"{before}id,amount\n1,2\n")
    assert [row.cells for row in found] == [["1", "2"]]
    assert found[0].line == before.count("\n") + 2


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b" ,,\n", b"sep=;\n", b'""\n'])
def test_a_file_without_a_header_is_empty(data: bytes) -> None:
    """A file without bytes, or with blank lines or a byte order mark only, is empty."""
    assert refusal(data).message == "the file is empty"


def test_a_header_alone_has_no_rows() -> None:
    """A header alone, with or without a line end, is a file without rows."""
    assert table("a,b\n") == table("a,b") == []


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04\x14\x00", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<!DOCTYPE html>\n<html>", "web page"),
        (b'{"click_id": "a"}\n', "JSON"),
        (b"[\n", ""),
        (b'[{"a": 1}]', "JSON"),
    ],
)
def test_files_of_other_formats_are_named(data: bytes, what: str) -> None:
    """A file of another format is named as what it is, not as CSV that lacks columns."""
    if what:
        assert what in refusal(data).message
    else:
        assert header(data) == ("[",)


def test_one_column_is_separated_by_commas() -> None:
    """A file with one column is separated by commas."""
    assert cells('id\nx\n"y,z"\n\n') == [["x"], ["y,z"]]
    assert cells("id\nx;y\n") == [["x;y"]]
    assert [code_of(row) for row in table("id\nx,y\n")] == ["too_many_cells"]
