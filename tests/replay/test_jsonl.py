"""JSON Lines: objects to rows of text, with every number as it is written."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tables import pieces_of

from cms_cli.replay.model import InputError, RowProblem, SourceRow
from cms_cli.replay.reading.jsonl import open_lines
from cms_cli.replay.reading.rows import Table


def _table(text: str | bytes, **options: Any) -> Table:
    return open_lines(io.BytesIO(text.encode() if isinstance(text, str) else text), **options)


def _cells(text: str | bytes) -> list[dict[str, str]]:
    table = _table(text)
    rows = list(table)
    assert all(isinstance(row, SourceRow) for row in rows), rows
    return [{name: cell for name, cell in zip(table.header, row.cells) if cell} for row in rows]


def test_keys_are_columns_in_the_order_of_their_first_appearance() -> None:
    """The header is the union of all keys, in order of appearance; a missing key is an empty cell."""
    text = '{"b": 1, "a": "x"}\n\n  \n{"c": true, "a": null, "b": false}\n'
    table = _table(text)
    assert table.header == ("b", "a", "c")
    assert (table.delimiter, table.encoding) == ("", "utf-8")
    assert [(row.row, row.line, row.cells) for row in table] == [
        (1, 1, ["1", "x", ""]),
        (2, 4, ["false", "", "true"]),
    ]
    assert list(table) == list(table)


@pytest.mark.parametrize(
    "number",
    ["0", "-0", "49.90", "1e2", "1E-400", "0.1000000000000000055511151231257827", "9" * 5000, "-12.50", "1.0"],
)
def test_a_number_keeps_its_digits(number: str) -> None:
    """A number keeps its digits as written, also inside objects and arrays."""
    assert _cells(f'{{"amount": {number}}}') == [{"amount": number}]
    assert _cells(f'{{"data": {{"amount": [ {number} ]}}}}') == [{"data": f'{{"amount": [ {number} ]}}'}]


def test_objects_and_arrays_are_cells_of_their_own_text() -> None:
    """Objects and arrays become cells with their text as written, spaces and escapes included."""
    line = '{ "a" : [1, {"b": "\\u00e4]"} ] , "c":"x\\ny", "d":{}, "e":[] ,"f": null,"g":"{" }'
    assert _cells(line) == [{"a": '[1, {"b": "\\u00e4]"} ]', "c": "x\ny", "d": "{}", "e": "[]", "g": "{"}]


BAD = [
    ("{", "not_json"),
    ("plain", "not_json"),
    ('{"a": 1,}', "not_json"),
    ('{"a": NaN}', "not_json"),
    ('{"a": Infinity}', "not_json"),
    ('{"a": 01}', "not_json"),
    ('{"a": 1} {"a": 2}', "not_json"),
    ('{"a": "\0"}', "not_json"),
    ("[" * 100_000, "not_json"),
    ("[1]", "not_an_object"),
    ("5", "not_an_object"),
    ("null", "not_an_object"),
    ('{"a": 1, "b": 2, "a": 1}', "key_twice"),
    ('{"a": "\\ud800"}', "not_text"),
    ('{"a": {"b": 1}, "\\udfff": 1}', "not_text"),
]


@pytest.mark.parametrize(("line", "code"), BAD)
def test_a_line_that_is_no_row_is_a_problem(line: str, code: str) -> None:
    """A line that is no row is a problem that keeps its line number and text."""
    table = _table('{"a": 1}\n' + line + '\n{"a": 2}\n')
    first, problem, last = table
    assert isinstance(problem, RowProblem)
    assert (problem.row, problem.line, problem.problems[0].code) == (2, 2, code)
    assert problem.cells == ["", line]
    assert (first.cells, last.cells, last.row) == (["1"], ["2"], 3)


def test_a_pair_of_surrogates_is_one_character() -> None:
    """A character escaped as a pair of surrogates is read as one character."""
    assert _cells('{"a": "\\ud83d\\ude00"}') == [{"a": "😀"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("{}\n", "the file is empty"),
        ('[\n{"a": 1},\n{"a": 2}\n]\n', "JSON array, not JSON Lines"),
        ('[{"a": 1}]', "JSON array, not JSON Lines"),
        ('{\n  "a": 1\n}\n', "JSON over several lines, not JSON Lines"),
        ('{\n"orders": [\n{"a": 1},\n{"a": 2}\n]}\n', "JSON over several lines, not JSON Lines"),
        ("a,b\n1,2\n", "line 1: "),
        (json.dumps({str(number): 1 for number in range(10_001)}), "more than 10,000 different keys"),
    ],
)
def test_a_file_of_another_form_is_refused(text: str, message: str) -> None:
    """A file that is not JSON Lines is refused with its format and a hint."""
    with pytest.raises(InputError, match=message) as caught:
        _table(text)
    assert caught.value.hint


def test_encodings_are_those_of_other_files() -> None:
    """Encodings are handled as in CSV files: by byte order mark, --encoding or an error."""
    assert _cells("\ufeff" + '{"a": "ä"}') == [{"a": "ä"}]
    assert _cells('{"a": "ä"}\r\n'.encode("utf-16")) == [{"a": "ä"}]
    assert [row.cells for row in _table('{"a": "ä"}'.encode("latin-1"), encoding="latin-1")] == [["ä"]]
    with pytest.raises(InputError, match="is not UTF-8"):
        _table('{"a": "ä"}'.encode("latin-1"))
    for name in ("utf-16-le", "utf-16-be"):
        with pytest.raises(InputError, match="NUL") as caught:
            _table('{"a": "b"}\n'.encode(name))
        assert f"--encoding {name}" in caught.value.hint


def test_empty_objects_are_ignored() -> None:
    """Empty objects and objects of empty values are ignored and not numbered."""
    assert [(row.row, row.line) for row in _table('{"a": 1}\n{}\n{"a": ""}\n{"a": " "}\n{"a": 2}')] == [
        (1, 1),
        (2, 5),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def test_a_repeated_key_among_many() -> None:
    """A repeated key among 100,000 is found, and the first one that repeats is named."""
    many = ",".join(f'"k{number}":1' for number in range(100_000))
    [row] = _table(f'{{{many},"k99998":2,"k99999":2,"k99998":3}}\n', header=("a",))
    assert isinstance(row, RowProblem)
    assert row.problems[0].message == 'has the key "k99998" twice'


@settings(deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=4), JSON, max_size=4),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
    st.sampled_from([5, 1 << 17]),
)
@example([{"": 0}, {"a\n": {"b": []}}], True, 5)
def test_what_a_writer_writes_is_read_back(objects: list[dict[str, Any]], ascii_only: bool, piece: int) -> None:
    """Any object that json.dumps writes is read back cell by cell."""
    text = "".join(json.dumps(each, ensure_ascii=ascii_only) + "\n" for each in objects)

    def cell(value: Any) -> str:
        if isinstance(value, str):
            return value
        return "" if value is None else json.dumps(value, ensure_ascii=ascii_only)

    kept = [each for each in objects if any(cell(value).strip() for value in each.values())]
    with pieces_of(piece):
        if not any(objects):
            with pytest.raises(InputError):
                _table(text)
            return
        assert _cells(text) == [{key: cell(value) for key, value in each.items() if cell(value)} for each in kept]


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_give_rows_or_problems(data: bytes) -> None:
    """Any bytes give numbered rows and problems, or an InputError."""
    try:
        table = _table(data)
    except InputError:
        return
    assert all(isinstance(row, (SourceRow, RowProblem)) for row in table)
    assert [row.row for row in table] == list(range(1, len(list(table)) + 1))
