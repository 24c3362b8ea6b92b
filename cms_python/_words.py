"""Finds text, type and details in the body of an error. Pure.

It reads the documented form (``error``, ``type``, ``details``), that of NestJS (``message`` as a list beside a bare
reason phrase), that of RFC 9457 (``title``, ``detail``), and ``{"errors": [...]}`` with texts or objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from cms_python.fields import PYTHON_NAMES

_KEYS = ("error", "message", "detail", "errors", "msg", "title", "data")
"""Keys that may hold an error's text, the most specific first. A bare reason phrase is the last resort."""

_REASON_PHRASES = frozenset(status.phrase.lower() for status in HTTPStatus) | {
    # Phrases that differ between Python 3.9 to 3.12 and later versions.
    *("unprocessable entity", "unprocessable content", "payload too large", "request entity too large"),
    *("content too large", "internal error", "error"),
}

_DEEPEST = 10  # levels of nesting that are searched


def text_of(body: Mapping[str, object]) -> str:
    """Return the text of an error, "" if it has none. The texts of a list are joined by semicolons."""
    texts = [text for key in _KEYS if (text := _text(body.get(key), _DEEPEST))]
    telling = [text for text in texts if text.strip(" .").lower() not in _REASON_PHRASES]
    return next(iter(telling or texts), "")


def _text(value: object, levels: int) -> str:
    if isinstance(value, str):
        return value if value.strip() else ""
    if isinstance(value, Mapping) and levels:
        return next((text for key in _KEYS if (text := _text(value.get(key), levels - 1))), "")
    if isinstance(value, list) and levels:
        texts = [text for item in value if (text := _text(item, levels - 1))]
        return "; ".join(dict.fromkeys(texts))
    return ""


def type_of(body: Mapping[str, object]) -> str:
    """Return the type or code that an error names, "" if it names none."""
    error = body.get("error")
    inner = (error.get("type"), error.get("code")) if isinstance(error, Mapping) else ()
    named = [kind for kind in (body.get("type"), *inner) if isinstance(kind, str)]
    # RFC 9457, 4.2.1: "about:blank" says nothing beyond the status.
    return next((kind for kind in named if kind not in ("", "about:blank")), "")


def details_of(body: Mapping[str, object]) -> dict[str, object]:
    """Return the ``details`` and ``errors`` of an error and every list in it, by field if they are about fields."""
    details: dict[str, object] = {}
    for part in (body.get("error"), body):
        for key, value in part.items() if isinstance(part, Mapping) else ():
            if value and (isinstance(value, list) or key in ("details", "errors")):
                named = _with_python_names(value)
                details.update(named if isinstance(named, dict) else {key: named})
    return details


def _with_python_names(value: object, levels: int = _DEEPEST) -> object:
    """Replace wire names by Python names in the keys of details, at every level."""
    if isinstance(value, Mapping) and levels:
        return {PYTHON_NAMES.get(key, key): _with_python_names(inner, levels - 1) for key, inner in value.items()}
    if isinstance(value, list) and levels:
        return [_with_python_names(inner, levels - 1) for inner in value]
    return value
