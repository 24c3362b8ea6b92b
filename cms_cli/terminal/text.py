"""Makes text from files, flags and the service safe to show: no terminal escapes, no secrets."""

from __future__ import annotations

import json
import re
import unicodedata

# Control characters, both halves of a broken pair (lone surrogates), line separators, and what changes the
# direction of the text after it: each of them can make a terminal show something other than what is there.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# JSON itself escapes the control characters below the blank.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# GitHub's runner takes the first at the beginning of a line, whatever blanks precede it, and the second anywhere;
# Azure's takes ##vso[ anywhere.
_COMMAND = re.compile(r"(?<![^\r\n])(?P<blanks>[^\S\r\n]*)::")
_OLD_COMMAND = re.compile(r"##(?=[a-z]*\[)")
_SHORT_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_SHORTEST_SECRET = 8  # characters; masking anything shorter would garble ordinary words
_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Mask a secret in everything that is printed from now on."""
    if len(secret) >= _SHORTEST_SECRET:
        _secrets.update((secret, json.dumps(secret)[1:-1]))  # as it is, and as it stands in JSON


def masked(text: str) -> str:
    """Return a text with the secrets in it replaced."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, "***")
    return text


def shown(text: str) -> str:
    """Return a value as one line of text: control characters are escaped, and nothing is left out."""
    return text if text.isprintable() and text.isascii() else _UNSAFE.sub(_escape, text)


def sentence(hint: str) -> str:
    """Capitalise a hint, unless it begins with a command, a flag or a field's name."""
    first = hint.partition(" ")[0]
    return hint[:1].upper() + hint[1:] if first.isalpha() and first != "cms" else hint


def shown_lines(text: str) -> str:
    """Return a message of several lines, each made safe by :func:`shown`."""
    return "\n".join(shown(line) for line in text.split("\n"))


def defused(text: str) -> str:
    """Return text without commands to a CI system that reads the log: ``::error::`` or ``##[add-mask]``."""
    if "::" not in text and "##" not in text:
        return text
    return _OLD_COMMAND.sub("\\\\u0023#", _COMMAND.sub(r"\g<blanks>\\u003a:", text))


def defused_json(text: str) -> str:
    """Return the same JSON without such commands; no line of JSON can begin with ``::``."""
    return _OLD_COMMAND.sub("\\\\u0023#", text)


def to_json(value: object, *, indent: int | None = None) -> str:
    """Write a value as JSON that a terminal can show; no value changes by it.

    Args:
        value: A value that :mod:`json` can write.
        indent: Blanks a level, or None for one compact line.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, default=str)
    return _UNSAFE_IN_JSON.sub(_escape, text)


def width(text: str) -> int:
    """Return how many columns a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT_NAMES.get(char) or f"\\u{ord(char):04x}"
