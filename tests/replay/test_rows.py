"""Bytes to rows: what is read and what is refused."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tables import cells, code_of, pieces_of, refusal, table

from cms_cli.replay.model import InputError, RowProblem, SkippedRow, SourceRow
from cms_cli.replay.reading.rows import open_table


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_numbers_are_those_of_an_editor(end: str) -> None:
    """Line numbers are those that an editor shows, with any line end and through quoted line breaks."""
    data = end.join(["a,b", "1,2", "", '"x', "", 'y","', '"', ",", "  ", "3,4", "bad", "5,6"])
    found = [(row.row, row.line) for row in table(data)]
    assert found == [(1, 2), (2, 4), (3, 10), (4, 11), (5, 12)]
    assert table(data)[1].cells == [f"x{end}{end}y", end]


def test_other_separators_do_not_end_a_line() -> None:
    """Vertical tabs, form feeds and Unicode's line separators do not end a line."""
    odd = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    assert table(f"a,b\n1,{odd}2\n3,4\n") == [SourceRow(1, 2, ["1", f"{odd}2"]), SourceRow(2, 3, ["3", "4"])]


def test_ragged_rows_are_problems_with_their_cells() -> None:
    """A row with too few or too many cells is a problem that keeps its cells."""
    found = table("a,b,c\n1,2,3\n4,5\n6,7,8,9\n0,1,2\n")
    assert [type(row).__name__ for row in found] == ["SourceRow", "RowProblem", "RowProblem", "SourceRow"]
    few, many = found[1], found[2]
    assert isinstance(few, RowProblem)
    assert isinstance(many, RowProblem)
    assert few[:3] == (2, 3, ["4", "5"])
    assert few.problems[0][:2] == ("too_few_cells", "has 2 cells where the header has 3")
    assert many[:3] == (3, 4, ["6", "7", "8", "9"])
    assert code_of(many) == "too_many_cells"
    assert few.problems[0].hint
    assert many.problems[0].hint


def test_a_nul_is_a_problem_of_its_row() -> None:
    """A NUL is a problem of its row, and in a header a hint at UTF-16."""
    found = table("a,b\n1,x\0y\n3,4\n\0,\n")
    assert [row.cells for row in found] == [["1", "x\0y"], ["3", "4"], ["\0", ""]]
    assert [code_of(row) for row in found] == ["nul", "", "nul"]
    assert "utf-16-le" in refusal("a,b\n".encode("utf-16-le")).hint
    assert "utf-16-be" in refusal("a,b\n".encode("utf-16-be")).hint


def test_what_stands_in_for_a_nul_is_no_nul_by_itself() -> None:
    """The character that replaces NUL internally is read as itself if a file has it."""
    found = table("a,b\n1,\ufdd0\n2,x,y\n,\ufdd0\n")
    assert [code_of(row) for row in found] == ["", "too_many_cells", ""]
    assert found[0].cells == ["1", "\ufdd0"]
    assert table('a,b\n1,"x"\0y\n')[0].cells == ["1", '"x"\0y']


def test_quotes_inside_text_are_text() -> None:
    """A quote that does not begin a cell is text."""
    assert cells('a,b\n5" pipe,the "x"\n') == [['5" pipe', 'the "x"']]


def test_text_after_a_closing_quote_is_a_problem() -> None:
    """Text after a closing quote is a problem of its row, which keeps its cells as written."""
    found = table('a,b\n"x"y,2\n3,4\n1,"2" \n')
    assert [code_of(row) for row in found] == ["bad_quotes", "", "bad_quotes"]
    assert [row.cells for row in found] == [['"x"y', "2"], ["3", "4"], ["1", '"2" ']]
    assert [row.line for row in found] == [2, 3, 4]


def test_a_line_of_many_cells_that_is_badly_quoted() -> None:
    """A badly quoted line of 300,000 cells is checked in one pass."""
    line = '1, "a"b' + ', "c"' * 300_000
    found = table(f'"a", "b"\n{line}\n2, "d"\n')
    assert [code_of(row) for row in found] == ["bad_quotes", ""]
    assert "closes on line 2 in the middle" in refusal(f'"a", "b"\n{line}, "open\n').message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('a,b\n1,2\n3,"x\n4,5\n', "line 3: the quote that opens here is never closed"),
        ('a,b\n1,2\n3,"x\n', "line 3: the quote that opens here is never closed"),
        ('a,b\n1,2\n3,"x', "line 3: the quote that opens here is never closed"),
        ('a,b\n"x\ny",2\n"m\nn","x\n4,5\n', "line 5: the quote that opens here is never closed"),
        ('a,b\n3,"x\n4,"5"\n', "line 2: a quote opens here and closes on line 3 in the middle"),
        ('a,b\n1,"5" pipe",x\n', "line 2: a quote opens here and closes on line 2 in the middle"),
        ('a,b\n1,"2" x "\n', "line 2: a quote opens here and closes on line 2 in the middle"),
        ('a,b\n"5" a" b,"x\n2,3\n', "line 2: a quote opens here and closes on line 2 in the middle"),
        ('"a", "b"\n1, "x\n', "line 2: the quote that opens here is never closed"),
        ('a,"b\n1,2\n', "line 1: a quote in the header is not closed"),
        ('\n\n"a"b,c\n', "line 3: a quote in the header is not closed"),
    ],
)
def test_where_a_row_cannot_be_known_to_end_the_file_is_refused(data: str, message: str) -> None:
    """A quote that leaves the end of its row open is an error that names its line."""
    assert refusal(data).message.startswith(message)
    for size in (1, 2, 5):
        with pieces_of(size):
            assert refusal(data).message.startswith(message)


@pytest.mark.slow
def test_an_open_quote_is_found_before_the_file_is_in_memory() -> None:
    """A quote that is never closed is reported before the rest of a large file is in memory."""
    data = b'a,b\n5,6\n1,"x\n' + b"2,3\n" * 10_000_000
    tracemalloc.start()
    try:
        assert refusal(data).message.startswith("line 3: a cell of the row that begins here has more")
        assert tracemalloc.get_traced_memory()[1] < len(data)
    finally:
        tracemalloc.stop()


def test_cells_may_be_long() -> None:
    """A cell may be longer than the 128 KiB of the csv module's own limit."""
    long = "x\n" * 1_000_000 + '"' * 3
    quoted = '"' + long.replace('"', '""') + '"'
    plain = "y" * 3_000_000
    found = table(f"a,b\n1,{quoted}\n{plain},2\n")
    assert [len(row.cells) for row in found] == [2, 2]
    assert found[0].cells[1] == long
    assert found[1].cells[0] == plain


def test_a_table_can_be_read_twice_and_says_how_far_it_is() -> None:
    """A table can be read several times, and its stream's position shows the progress."""
    stream = io.BytesIO(b"a,b\n" + b"1,2\n" * 100_000)
    found = open_table(stream)
    assert sum(1 for _ in found) == sum(1 for _ in found) == 100_000
    iterator = iter(found)
    next(iterator)
    assert 0 < stream.tell() < 400_004
    for _ in iterator:
        pass
    assert stream.tell() == 400_004


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufdd0"), max_size=8)
awkward = st.text(alphabet='",;\t|\r\n a\u00a0é😀', max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    width = draw(st.integers(2, 4))
    names = [f"column {number}" for number in range(width)]
    row = st.lists(texts | awkward, min_size=width, max_size=width)
    return names, draw(st.lists(row, max_size=6))


@given(
    written=tables(),
    dialect=st.sampled_from(["excel", "excel-tab", "unix", "semicolon", "pipe", "quote all", "lf"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
    size=st.sampled_from([1, 2, 3, 7, 64, 1 << 17]),
)
@settings(max_examples=300)
def test_what_a_csv_writer_writes_is_read_back(
    written: tuple[list[str], list[list[str]]], dialect: str, codec: str, size: int
) -> None:
    """Any cells that a CSV writer writes are read back, in any encoding and in pieces of any size."""
    names, rows = written
    ways: dict[str, dict[str, object]] = {
        "semicolon": {"delimiter": ";"},
        "pipe": {"delimiter": "|"},
        "quote all": {"quoting": csv.QUOTE_ALL},
        # Before Python 3.10 this writer does not quote a CR, which ends a line for every reader.
        "lf": {"lineterminator": "\n", "quoting": csv.QUOTE_ALL},
    }
    out = io.StringIO()
    options = ways.get(dialect, {"dialect": dialect})
    csv.writer(out, **options).writerows([names, *rows])  # type: ignore[arg-type]
    text = out.getvalue()
    data = b"\xfe\xff" + text.encode(codec) if codec == "utf-16-be" else text.encode(codec)
    with pieces_of(size):
        found = open_table(io.BytesIO(data))
        assert found.header == tuple(names)
        read = list(found)
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    assert [row.cells for row in read] == kept
    assert all(isinstance(row, SourceRow) for row in read)
    assert [row.row for row in read] == list(range(1, len(kept) + 1))
    breaks = [re.findall("\r\n|\r|\n", cell) for row in kept for cell in row]
    if len(kept) == len(rows) and kept:
        assert read[0].line == 2
        before_last = sum(map(len, breaks[: -len(names)]))
        assert read[-1].line == 1 + len(rows) + before_last


@given(
    data=st.binary(max_size=60)
    | st.text(alphabet='ab,;\t|"\r\n \0é', max_size=60).map(str.encode)
    | st.text(max_size=30).map(lambda text: text.encode("utf-16", "replace")),
    size=st.sampled_from([1, 3, 1 << 17]),
)
@example(data=b"\x00\n\x80", size=1)
@settings(max_examples=500)
def test_arbitrary_bytes_give_rows_or_listed_problems(data: bytes, size: int) -> None:
    """Any bytes give rows, problems or an InputError, and the same ones in pieces of any size."""
    outcomes = []
    for pieces in (size, 1 << 17):
        with pieces_of(pieces):
            try:
                found = open_table(io.BytesIO(data))
                read = list(found)
                outcomes.append((found.header, read, ""))
                assert all(type(row) in (SourceRow, RowProblem, SkippedRow) for row in read)
                assert all(len(row.cells) == len(found.header) for row in read if type(row) is SourceRow)
                assert [row.row for row in read] == list(range(1, len(read) + 1))
                assert all(first.line < second.line for first, second in zip(read, read[1:]))
            except InputError:
                # Of two faults in a file, larger pieces can meet the later one first.
                outcomes.append(((), [], "refused"))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "again", ["id,amount\n", "\ufeffid,amount\n", '"id","amount"\r\n', '\ufeff"id","amount"\n', " id , amount,\n"]
)
def test_a_header_that_is_repeated_is_skipped(again: str) -> None:
    """A repeated header, as in files joined by `cat`, is skipped, also behind a byte order mark."""
    found = table(f"id,amount\n1,2\n{again}3,4\n")
    assert [type(row) for row in found] == [SourceRow, SkippedRow, SourceRow]
    assert [row.line for row in found] == [2, 3, 4]


FOOTED = "id,amount,note\n1,2,x\n3,4,y\n\n2,record(s)\nSeller: me\n\n"


def test_short_lines_at_the_end_name_the_flag_that_leaves_them_out() -> None:
    """Short lines at the end of a file get a hint with the --footer-lines that leaves them out."""
    found = table(FOOTED)
    assert [code_of(row) for row in found] == ["", "", "too_few_cells", "too_few_cells"]
    assert all("--footer-lines 2" in row.problems[0].hint for row in found[2:] if isinstance(row, RowProblem))
    opened = open_table(io.BytesIO(FOOTED.encode()), footer_lines=2)
    assert [row.line for row in opened] == [2, 3]
    assert opened.footers == [(5, "2,record(s)"), (6, "Seller: me")]
    [_, short, _] = table("id,amount\n1,2\n3\n4,5\n")
    assert isinstance(short, RowProblem)
    assert "--footer-lines" not in short.problems[0].hint


def test_a_row_is_never_left_out_as_a_footer() -> None:
    """A footer line with as many cells as the header is a problem and is not left out."""
    found = table(FOOTED, footer_lines=3)
    assert [(row.line, code_of(row)) for row in found] == [(2, ""), (3, "no_footer")]


def test_neither_flag_counts_lines_of_a_failures_file() -> None:
    """--header-line and --footer-lines do not apply to a failures file fed back."""
    data = "id,amount,_line,_status,_error\n1,2,9,invalid,bad\n"
    assert [row.line for row in table(data, header_line=8, footer_lines=1)] == [2]
