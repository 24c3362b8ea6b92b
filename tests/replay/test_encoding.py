"""Decoding: which encodings are read, and which are suggested."""

from __future__ import annotations

import io
import re
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import cells, pieces_of, refusal, table

from cms_cli.replay.model import InputError
from cms_cli.replay.reading.rows import open_table


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (b"", "utf-8"),
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        (b"\xff\xfe\0\0", "utf-32-le"),
        (b"\0\0\xfe\xff", "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides(mark: bytes, codec: str) -> None:
    """A byte order mark decides the encoding; --encoding may repeat it and must not contradict it."""
    data = mark + 'näme\tb\r\nMüller 😀\t"5,""3"\r\n'.encode(codec)
    found = open_table(io.BytesIO(data))
    assert (found.encoding, found.delimiter, found.header) == (codec, "\t", ("näme", "b"))
    assert [row.cells for row in found] == [["Müller 😀", '5,"3']]
    for same in {codec, codec[:6].rstrip("-")}:
        assert cells(data, encoding=same) == [["Müller 😀", '5,"3']]
    if mark:
        assert "byte order mark" in refusal(data, encoding="cp1252").message


def test_the_user_names_the_encoding() -> None:
    """--encoding takes any text codec; UTF-16 without a mark is read as little-endian."""
    assert cells("n\nMüller\n".encode("cp1252"), encoding="latin-1") == [["Müller"]]
    assert cells("n\nMüller\n".encode("utf-16-le"), encoding="utf-16") == [["Müller"]]
    assert cells("n\n円\n".encode("shift_jis"), encoding="Shift_JIS") == [["円"]]
    assert cells("n\nMüller\n", encoding="utf-8-sig") == [["Müller"]]
    for name in ("nope", "", "base64", "rot13", "a\0b", "hex", "punycode", "idna", "undefined", "\udcff"):
        assert "no text encoding" in refusal("n\n1\n", encoding=name).message


@pytest.mark.parametrize(
    ("codec", "word"),
    [("cp1252", "Größe"), ("mac_roman", "Größe"), ("cp1252", "Ihr Preis: 5 €"), ("cp1251", "имя")],
)
def test_bytes_that_are_not_utf8_get_a_suggestion_and_are_never_guessed(codec: str, word: str) -> None:
    """The error names the byte that is not UTF-8 and shows how likely encodings would read it."""
    data = ("id;name\r\n1;x\r\n2;" + word + ";\r\n").encode(codec)
    error = refusal(data)
    bad = next(place for place, byte in enumerate(data) if byte > 127)
    assert error.message == f"line 3: byte 0x{data[bad]:02x} at offset {bad} is not UTF-8"
    assert f'--encoding {codec} reads it as "{word}"' in error.hint
    assert table(data, encoding=codec)[1].cells[1] == word


@pytest.mark.parametrize(
    ("codec", "cell"),
    [
        ("cp1252", "1.234 €"),
        ("cp1252", "1\u00a0234"),
        ("cp1252", "£5.00"),
        ("cp1252", "1’234.50"),  # noqa: RUF001
        ("cp1252", "–"),  # noqa: RUF001
        ("cp1252", "L’été"),  # noqa: RUF001
        ("cp1252", "„Größe“ – 5 €"),  # noqa: RUF001
        ("cp1250", "Łódź"),
    ],
)
def test_the_likeliest_encoding_is_suggested_first(codec: str, cell: str) -> None:
    """The likeliest encoding comes first, also for currency signs, spaces, dashes and quotation marks."""
    error = refusal(f"id;x\n1;{cell};\n".encode(codec))
    assert error.hint.startswith(f'--encoding {codec} reads it as "{cell}"')


@pytest.mark.parametrize(
    ("data", "what", "hint"),
    [
        (b"\x1f\x8b\x08\x00", "a gzip file", "gunzip -c"),
        (b"BZh91AY&SYN", "a bzip2 file", "bunzip2 -c"),
        (b"\xfd7zXZ\0\0\x04", "an xz file", "unxz -c"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "a zstd file", "unzstd -c"),
        (b"PAR1\x15\x04\x15\x10", "a Parquet file", "as CSV"),
        (b"SQLite format 3\0", "an SQLite database", "as CSV"),
        (b"PK\x03\x04\x14\x00", "a spreadsheet", "as CSV"),
    ],
)
def test_what_is_no_text_is_told_with_the_way_to_make_it_text(data: bytes, what: str, hint: str) -> None:
    """The error for a binary file names its format and how to make text of it."""
    error = refusal(data)
    assert what in error.message
    assert hint in error.hint
    assert refusal(data, encoding="cp1252").message == error.message


def test_a_header_may_begin_like_something_else() -> None:
    """A header may begin with the magic bytes of another format."""
    assert cells("BZh,PAR1\n1,2\n") == cells("PAR1,BZh\n1,2\n") == [["1", "2"]]


def test_utf16_without_a_mark_is_suggested() -> None:
    """UTF-16 without a byte order mark is recognised by its zero bytes and suggested."""
    for codec in ("utf-16-le", "utf-16-be"):
        data = "näme\tb\n1\t2\n".encode(codec)
        assert f"--encoding {codec}" in refusal(data).hint
        assert cells(data, encoding=codec) == [["1", "2"]]


def test_a_file_cut_off_inside_a_character_says_so() -> None:
    """A file cut off inside a character is reported as such, whatever its encoding."""
    error = refusal("a\nx\n€".encode()[:-1])
    assert error.message == "line 3: the file ends in the middle of a character (offset 4)"
    assert "leave out --encoding" not in error.hint
    assert "leave out --encoding" in refusal("a\nx", encoding="utf-16").hint


@given(before=st.text(max_size=40), size=st.integers(1, 9))
def test_the_offset_and_line_of_a_bad_byte_are_exact(before: str, size: int) -> None:
    """The offset and line of a bad byte are exact, however the file is read in pieces."""
    start = "h\n" + before.replace("\0", "").replace('"', "")
    with pieces_of(size):
        message = refusal(start.encode("utf-8", "replace") + b"\xff\n").message
    line = 1 + len(re.findall("\r\n|\r|\n", start.encode("utf-8", "replace").decode()))
    offset = len(start.encode("utf-8", "replace"))
    assert message == f"line {line}: byte 0xff at offset {offset} is not UTF-8"


@given(
    data=st.binary(max_size=40), name=st.sampled_from(["cp1252", "utf-16", "utf-7", "shift_jis", "gb18030", "hz"])
)
def test_arbitrary_bytes_in_any_encoding(data: bytes, name: str) -> None:
    """Arbitrary bytes in any encoding give rows or an InputError."""
    with suppress(InputError):
        table(data, encoding=name)


def _zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "id,amount\n1,2\n")
    return file.getvalue()


@pytest.mark.parametrize(
    ("names", "what", "hint"),
    [
        (("sales.csv",), "a zip file", "unzip -p FILE | cms sale --from-csv -"),
        (("readme.txt", "out/sales.csv", "__MACOSX/x"), "a zip file", "unzip -p FILE 'out/sales.csv' | cms"),
        (("[Content_Types].xml", "xl/workbook.xml"), "a spreadsheet", "as CSV"),
        (("mimetype", "content.xml"), "a spreadsheet", "as CSV"),
    ],
)
def test_a_zip_file_is_told_from_a_spreadsheet(names: tuple[str, ...], what: str, hint: str) -> None:
    """A zip file gets a hint that unzips it, and a spreadsheet one that saves it as CSV."""
    error = refusal(_zipped(*names))
    assert what in error.message
    assert hint in error.hint
