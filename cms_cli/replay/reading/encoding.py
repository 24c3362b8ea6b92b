"""Decodes a file, and explains why one cannot be decoded.

A byte order mark decides. Without one the file has to be UTF-8, or the user names the encoding. It is not guessed,
since a wrong guess would misspell names without any error. If a file is not UTF-8, the error suggests encodings
that can decode it, each with a sample of the result.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from cms_cli.replay.model import InputError
from cms_cli.replay.problems import shown

BLOCK = 1 << 17
"""The number of bytes to read at a time. More is not faster, and takes memory."""

# Longer marks come first, since UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAVE = "export or save it as CSV (UTF-8)"
# Files that are not text: the pattern of their first bytes, what they are, and what to do about it.
_NOT_TEXT = (
    (b"\x1f\x8b", "a gzip file", "unpack it, as in: gunzip -c FILE | cms sale --from-csv -"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", _SAVE),
    (b"BZh[1-9]1AY&", "a bzip2 file", "unpack it, as in: bunzip2 -c FILE | cms sale --from-csv -"),
    (b"\xfd7zXZ\0", "an xz file", "unpack it, as in: unxz -c FILE | cms sale --from-csv -"),
    (b"\\(\xb5/\xfd", "a zstd file", "unpack it, as in: unzstd -c FILE | cms sale --from-csv -"),
    (b"PAR1\x15", "a Parquet file", _SAVE),
    (b"SQLite f", "an SQLite database", _SAVE),
    (b"%PDF", "a PDF", _SAVE),
    (b"PK\x05\x06", "a zip file with nothing in it", "fetch it again"),
    (rb"\{\\rtf", "a document (.rtf)", _SAVE),
    (b"\x89PNG|\xff\xd8\xff|GIF8", "a picture", _SAVE),
    (
        b"version https://git-lfs[.]github[.]com/spec/",
        "a Git LFS pointer",
        "fetch the file itself: git lfs pull; in a GitHub workflow: lfs: true at actions/checkout",
    ),
)
# Codecs of Python that are not encodings of files.
_NOT_OF_FILES = ("idna", "punycode", "undefined")
# The common encodings of files that are not UTF-8, the commonest first: Windows (western, central and eastern
# Europe), old Macs, DOS, Japan, China. cp1252 includes the printable characters of Latin-1, and has the euro sign.
_SUGGESTED = ("cp1252", "cp1250", "cp1251", "mac_roman", "cp850", "shift_jis", "gb18030")
# A sample is the cell around the bad byte. In every suggested encoding, these bytes end a cell.
_CELL_ENDS = b',;\t"\r\n'
_SAMPLE_REACH = 24
# Unicode categories that are normal in text: dashes, brackets, quotation marks, spaces.
_OF_WRITING = ("Pd", "Ps", "Pe", "Pi", "Pf", "Zs")
# The number of bytes to inspect before and after a bad byte; even, so that the bytes of UTF-16 stay pairs.
_WINDOW = 1 << 16


class Encoding(NamedTuple):
    """The encoding of a file.

    Attributes:
        name: Its name in :mod:`codecs`.
        mark: The length of the byte order mark in bytes; 0 if there is none.
    """

    name: str
    mark: int


def find_encoding(stream: BinaryIO, label: str | None) -> Encoding:
    """Return the encoding of a file, leaving the stream at its beginning.

    Args:
        stream: The file, seekable.
        label: The encoding that the user gave, or None for that of the byte order mark, else UTF-8.

    Raises:
        InputError: The file is not text, the given encoding does not exist, or the byte order mark contradicts it.
    """
    stream.seek(0)
    first = stream.read(64)
    stream.seek(0)
    if first.startswith(b"PK\x03\x04"):
        raise _zip(stream)
    for magic, what, hint in _NOT_TEXT:
        if re.match(magic, first):
            raise InputError(f"the file is {what}, not text", hint)
    name = "utf-8" if label is None else _codec_name(label)
    for mark, marked in _MARKS:
        if first.startswith(mark):
            if label is not None and not _agrees(name, marked):
                raise InputError(
                    f"the file begins with the byte order mark of {marked.upper()}, so it is not in {label}",
                    "leave out --encoding",
                )
            return Encoding(marked, len(mark))
    # Without a mark, the byte order is little-endian, as on Windows.
    return Encoding({"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}.get(name, name), 0)


def _zip(stream: BinaryIO) -> InputError:
    """Return the error for a zip file, which may be a spreadsheet or an archive."""
    import zipfile

    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return InputError("the file is a spreadsheet (.xlsx, .ods) or a zip file, and damaged", _SAVE)
    if any(name in ("[Content_Types].xml", "mimetype") or name.startswith("xl/") for name in names):
        return InputError("the file is a spreadsheet (.xlsx, .ods), not text", _SAVE)
    files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
    name = "" if len(files) < 2 else f" '{next((each for each in files if each.endswith('.csv')), files[0])}'"
    return InputError(
        "the file is a zip file, not text", f"unpack it, as in: unzip -p FILE{name} | cms sale --from-csv -"
    )


class Text:
    """The text of a file from its beginning, in pieces of limited size."""

    def __init__(self, stream: BinaryIO, encoding: Encoding) -> None:
        """Start at the first character.

        Args:
            stream: The file, seekable. No other code may move it meanwhile.
            encoding: The encoding of the file.
        """
        self._stream = stream
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding.name)("strict")
        stream.seek(encoding.mark)

    def __iter__(self) -> Iterator[str]:
        """Yield pieces of text, from where the last iteration stopped.

        Raises:
            InputError: Bytes cannot be decoded; the message says which and where, and suggests other encodings.
        """
        while True:
            block = self._stream.read(BLOCK)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                # The decoder may have kept the first bytes of a character from the previous block.
                offset = self._stream.tell() - len(error.object) + error.start
                raise _undecodable(self._stream, self._encoding, offset, cut_off=not block) from None
            except UnicodeError as error:
                raise InputError(
                    f"the file cannot be read as {self._encoding.name}: {error}", "say another --encoding"
                ) from None
            if text:
                yield text
            if not block:
                return


def utf16_by_its_zeros(raw: bytes) -> str | None:
    """Return the UTF-16 encoding that bytes seem to have because every other byte is mostly zero, or None."""
    first, second = raw[0::2].count(0), raw[1::2].count(0)
    if (first and second) or len(raw) < 8 or max(first, second) <= len(raw) // 4:
        return None
    return "utf-16-le" if second else "utf-16-be"


def hint_at_utf16(place: int) -> str:
    """Return the hint for a NUL at an index of a line."""
    return f"it may be UTF-16: say --encoding utf-16-{'le' if place % 2 else 'be'}; else it is damaged"


def _codec_name(label: str) -> str:
    try:
        name = codecs.lookup(label.strip()).name
        if name in _NOT_OF_FILES:
            raise LookupError
        with suppress(UnicodeError):  # a text encoding in which a single byte is not valid, such as UTF-16
            b"a".decode(name)
    except (LookupError, ValueError):
        raise InputError(
            f"{shown(label)} is no text encoding", "use a name such as utf-8, cp1252, latin-1, utf-16 or shift_jis"
        ) from None
    return name


def _agrees(name: str, marked: str) -> bool:
    """Return True if a codec fits a byte order mark; utf-16 and utf-32 fit either byte order."""
    return marked in (name, f"{name}-le", f"{name}-be") or (name, marked) == ("utf-8-sig", "utf-8")


def _undecodable(stream: BinaryIO, encoding: Encoding, offset: int, *, cut_off: bool) -> InputError:
    start = max(0, offset - _WINDOW) & ~1
    stream.seek(start)
    before = stream.read(offset - start)
    after = stream.read(_WINDOW)
    wide = utf16_by_its_zeros((before + after)[: 2 * _SAMPLE_REACH])
    if wide and not encoding.mark:
        return InputError(
            f"byte 0x{after[0]:02x} at offset {offset} is not {encoding.name.upper()}; every other byte is zero",
            f"it looks like UTF-16: say --encoding {wide}",
        )
    line = _line_of(stream, encoding, offset)
    if cut_off:
        sure = encoding.mark or encoding.name == "utf-8"
        return InputError(
            f"line {line}: the file ends in the middle of a character (offset {offset})",
            "it seems to have been cut off: export or copy it again"
            + ("" if sure else f"; or it is not in {encoding.name.upper()}: leave out --encoding"),
        )
    message = f"line {line}: byte 0x{after[0]:02x} at offset {offset} is not {encoding.name.upper()}"
    readings = [f'--encoding {name} reads it as "{sample}"' for name, sample in _readings(before, after)]
    return InputError(message, "; ".join(readings) or "save it as UTF-8, or say what it is in with --encoding")


def _line_of(stream: BinaryIO, encoding: Encoding, offset: int) -> int:
    """Return the line number of a byte, before which everything can be decoded."""
    stream.seek(encoding.mark)
    decoder = codecs.getincrementaldecoder(encoding.name)("strict")
    line, left, ended_in_return = 1, offset - encoding.mark, False
    while left > 0:
        block = stream.read(min(BLOCK, left))
        left -= len(block)
        text = decoder.decode(block)
        line += text.count("\n") + text.count("\r") - text.count("\r\n")
        line -= ended_in_return and text.startswith("\n")
        ended_in_return = text.endswith("\r") if text else ended_in_return
    return line


def _readings(before: bytes, after: bytes) -> list[tuple[str, str]]:
    """Return up to three encodings that can decode the bytes, the likeliest first, each with the decoded cell."""
    start = max(before.rfind(bytes((end,))) for end in _CELL_ENDS) + 1
    head = before[max(start, len(before) - _SAMPLE_REACH) :]
    ends = [found for found in (after.find(bytes((end,))) for end in _CELL_ENDS) if found > 0]
    cell = head + after[: min([*ends, _SAMPLE_REACH])]
    ranked = []
    for place, name in enumerate(_SUGGESTED):
        try:
            codecs.getincrementaldecoder(name)("strict").decode(after, final=False)
            sample = cell.decode(name, "replace")
        except UnicodeDecodeError:
            continue
        ranked.append((_oddness(sample), place, name, sample.strip()))
    found: dict[str, str] = {}
    for _, _, name, sample in sorted(ranked):
        found.setdefault(sample, name)
    return [(name, sample) for sample, name in list(found.items())[:3]]


def _oddness(sample: str) -> int:
    """Return a score for how unlikely a text is; 0 is the best.

    What counts are symbols, mixed scripts, single letters, capitals within words, and currency signs next to
    letters; but not dashes, quotation marks and ``1.234,56 €``.
    """
    odd = 0
    latin = any(char.isascii() and char.isalpha() for char in sample)
    for place, char in enumerate(sample):
        if char.isascii():
            continue
        before, after = sample[max(0, place - 1) : place], sample[place + 1 : place + 2]
        in_word = before.isalpha() or after.isalpha()
        kind = unicodedata.category(char)
        if kind[0] == "L":
            odd += latin and not unicodedata.name(char, "").startswith("LATIN")
            odd += not in_word
            odd += char.isupper() and before.isalpha() and (before.islower() or after.islower())
        elif kind == "Sc":
            odd += in_word
        elif kind not in _OF_WRITING:
            odd += 1 if kind[0] == "P" else 3
    return odd
