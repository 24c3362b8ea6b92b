"""Reads the value of a cell, or a single value from a cell that contains several."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

# White space, "_", and invisible characters that were copied along: of zero width, and the byte order mark.
_NOISE = re.compile("[\\s_\u200b-\u200d\u2060\ufeff-]+")
_PIECE = re.compile(r"[^\s?=&:{}\[\]]+=\S*")
# The "&" of a URL that was escaped as HTML, once or twice.
_AND = re.compile(r"&(?:(?:amp|#0*38|#x0*26);)+")
GUARDS = ("'", "=")
"""The prefixes by which exports keep a spreadsheet from reading text as a number."""
# A number after an apostrophe, such as an amount or a telephone number; but not '90s, and nothing in quotation
# marks.
_GUARDED = re.compile(r"'[^A-Za-z'\"]*[0-9][^A-Za-z'\"]*")
_NAME_KEYS = ("key", "name")


def folded(name: str) -> str:
    """Return a name without letter case, white space, ``-`` and ``_``, for comparisons."""
    return _NOISE.sub("", name).casefold()


def bare(cell: str) -> str:
    """Return a cell without white space around it, and without the prefix that marks it as text for spreadsheets.

    Exports write 00123 as ``="00123"`` or ``'00123``, so that it is not read as a number.
    """
    text = cell.strip()
    if text[:1] not in GUARDS:
        return text
    if _GUARDED.fullmatch(text):
        return text[1:]
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        return text[2:-1].replace('""', '"').strip()
    return text


def value_in(cell: str, key: str) -> str:
    """Return the value of a key in a cell of ``key: value`` lines, a JSON object, or a URL or query.

    The cell may also be a JSON array of objects with a ``key`` or ``name`` and a ``value``, as in WooCommerce's
    metadata.

    Args:
        cell: The cell.
        key: The key. An exact match takes precedence over one that differs in letter case, blanks, ``-`` and ``_``.
            Of several values, the last one that is not empty counts, as the last click does.

    Returns:
        The value, with numbers exactly as they were written; "" if there is none.
    """
    pairs = _json(cell)
    if pairs is not None:
        return _of_key(pairs, key)  # do not search the texts within JSON
    return _of_key(_query(cell), key) or _of_key(_lines(cell), key)


def keys_of_object(cell: str) -> list[str] | None:
    """Return the keys of a cell that is a JSON object, or an array of objects or texts; None for any other text.

    A GUID in braces and a number in brackets are not JSON of this kind; they may be ids.
    """
    pairs = _json(cell) if '"' in cell or cell == "{}" else None
    return None if pairs is None else [name for name, _ in pairs]


def _of_key(pairs: Iterable[tuple[str, str]], key: str) -> str:
    exact = alike = ""
    folded_key = folded(key)
    for name, value in pairs:
        text = value.strip()
        if not text:
            continue
        if name == key:
            exact = text
        elif folded(name) == folded_key:
            alike = text
    return exact or alike


def _json(cell: str) -> Iterable[tuple[str, str]] | None:
    if cell[:1] not in ("{", "["):
        return None
    try:
        # Keep the digits of numbers.
        value = json.loads(cell, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        return [(str(name), _text(item)) for name, item in value.items()]
    if isinstance(value, list):
        return [pair for item in value if isinstance(item, dict) for pair in _named(item)]
    return None


def _named(item: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    name = next((item[each] for each in _NAME_KEYS if isinstance(item.get(each), str)), None)
    if name is not None and "value" in item:
        yield str(name), _text(item["value"])


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _query(cell: str) -> Iterable[tuple[str, str]]:
    if "=" not in cell or "\n" in cell:
        return ()
    cell = _AND.sub("&", cell)
    if "?" not in cell:
        # The content of a cookie or a tracker's field: a=1; b=2 or a=1|b=2.
        pieces = re.split(r"[&;|]\s*", cell.strip())
        return _pairs("&".join(pieces)) if _PIECE.fullmatch(pieces[0]) else ()
    try:
        url = urlsplit(cell)
    except ValueError:
        return ()
    # Single-page applications have their query in the fragment: /#/shop?cms_rf=x
    return [*_pairs(url.fragment.partition("?")[2]), *_pairs(url.query)]


def _pairs(query: str) -> list[tuple[str, str]]:
    # Bytes that are not UTF-8 (%E9) become lone surrogates, which the check of the field refuses.
    return parse_qsl(query.replace(";", "&"), errors="surrogateescape")


def _lines(cell: str) -> Iterable[tuple[str, str]]:
    for line in re.split(r"[\r\n]+", cell):
        name, colon, value = line.partition(":")
        if colon and not value.startswith("//"):  # a URL is not a pair
            yield name.strip(), value
