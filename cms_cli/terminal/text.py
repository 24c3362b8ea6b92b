"""Makes text from files, flags and the service safe to show: no terminal escapes, no secrets, no CI commands."""

from __future__ import annotations

import json
import re
import unicodedata

# Control characters, lone surrogates, line separators, and marks that change the direction of text: each can make a
# terminal show something other than the text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# json.dumps escapes the control characters below U+0020 itself.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# GitHub's runner obeys "::" at the beginning of a line, after any blanks, and "##[" anywhere; Azure's obeys
# "##vso[" anywhere.
_COMMAND = re.compile(r"(?<![^\r\n])(?P<blanks>[^\S\r\n]*)::")
_OLD_COMMAND = re.compile(r"##(?=[a-z]*\[)")
_SHORT_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_SHORTEST_SECRET = 8  # characters; masking anything shorter would garble ordinary words
_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Mask a secret in everything that is printed from now on."""
    if len(secret) >= _SHORTEST_SECRET:
        _secrets.update((secret, json.dumps(secret)[1:-1]))  # plain, and escaped as in JSON


def masked(text: str) -> str:
    """Return a text with ``***`` for every hidden secret."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, "***")
    return text


def shown(text: str) -> str:
    """Return a text as one line, with control characters escaped."""
    return text if text.isprintable() and text.isascii() else _UNSAFE.sub(_escape, text)


def sentence(hint: str) -> str:
    """Return a hint with a capital first letter, unless it begins with a command, a flag or a field's name."""
    first = hint.partition(" ")[0]
    return hint[:1].upper() + hint[1:] if first.isalpha() and first != "cms" else hint


def shown_lines(text: str) -> str:
    """Return a text of several lines, each made safe by :func:`shown`."""
    return "\n".join(shown(line) for line in text.split("\n"))


def defused(text: str) -> str:
    """Return text with ``::error::``, ``##[add-mask]`` and the like escaped, which a CI system would obey."""
    if "::" not in text and "##" not in text:
        return text
    return _OLD_COMMAND.sub("\\\\u0023#", _COMMAND.sub(r"\g<blanks>\\u003a:", text))


def defused_json(text: str) -> str:
    """Return JSON with ``##[...]`` commands escaped; no line of JSON can begin with ``::``."""
    return _OLD_COMMAND.sub("\\\\u0023#", text)


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON, with characters that are unsafe on a terminal escaped.

    Args:
        value: A value that :mod:`json` can encode; other objects become their ``str``.
        indent: The blanks for each level, or None for one compact line.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, default=str)
    return _UNSAFE_IN_JSON.sub(_escape, text)


def width(text: str) -> int:
    """Return the width of a text on a terminal, in columns."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT_NAMES.get(char) or f"\\u{ord(char):04x}"
