"""The value of a cell, and one value out of a cell that holds several."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

_NOISE = re.compile(r"[\s_-]+")
_PIECE = re.compile(r"[^\s?=&:{}\[\]]+=\S*")
# An address that went through HTML, once or twice.
_AND = re.compile(r"&(?:(?:amp|#0*38|#x0*26);)+")
# A number behind an apostrophe, an amount or somebody's telephone; but not '90s, and nothing in quotation marks.
GUARDS = ("'", "=")
"""The prefix of text that a spreadsheet must not read as a number."""
_GUARDED = re.compile(r"'[^A-Za-z'\"]*[0-9][^A-Za-z'\"]*")
_NAME_KEYS = ("key", "name")


def folded(name: str) -> str:
    """Return a name in the form in which names are compared, without letter case, spaces, ``-`` and ``_``."""
    return _NOISE.sub("", name).casefold()


def bare(cell: str) -> str:
    """Return a cell without white space around it, and without the marks that keep spreadsheets from converting it.

    ``="00123"`` and ``'00123`` are how exports say that 00123 is text.
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
    """Pick one value out of a cell: ``key: value`` lines, a JSON object, a URL's query.

    So is a JSON array of objects with a ``key`` or ``name`` and a ``value``, as WooCommerce's metadata. The key may
    differ in letter case, blanks, ``-`` and ``_``; the very name goes first. Where it is there several times, the
    last one that is not empty counts, as the last click does.

    Returns:
        The value, numbers exactly as they were written; "" if there is none.
    """
    pairs = _json(cell)
    if pairs is not None:
        return _of_key(pairs, key)  # the texts inside are not searched
    return _of_key(_query(cell), key) or _of_key(_lines(cell), key)


def _of_key(pairs: Iterable[tuple[str, str]], key: str) -> str:
    exact = alike = ""
    wanted = folded(key)
    for name, value in pairs:
        text = value.strip()
        if not text:
            continue
        if name == key:
            exact = text
        elif folded(name) == wanted:
            alike = text
    return exact or alike


def _json(cell: str) -> Iterable[tuple[str, str]] | None:
    if cell[:1] not in ("{", "["):
        return None
    try:
        # No number becomes a float on its way.
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
        # What a cookie or a tracker keeps: a=1; b=2 or a=1|b=2.
        pieces = re.split(r"[&;|]\s*", cell.strip())
        return _pairs("&".join(pieces)) if _PIECE.fullmatch(pieces[0]) else ()
    try:
        url = urlsplit(cell)
    except ValueError:
        return ()
    # A page of one address (`/#/shop?cms_rf=x`) has its query in the fragment.
    return [*_pairs(url.fragment.partition("?")[2]), *_pairs(url.query)]


def _pairs(query: str) -> list[tuple[str, str]]:
    # Bytes that are not UTF-8 (%E9) are kept as they are: the rule of the field refuses them.
    return parse_qsl(query.replace(";", "&"), errors="surrogateescape")


def _lines(cell: str) -> Iterable[tuple[str, str]]:
    for line in re.split(r"[\r\n]+", cell):
        name, colon, value = line.partition(":")
        if colon and not value.startswith("//"):  # a bare address is no pair
            yield name.strip(), value
