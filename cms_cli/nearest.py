"""Suggests the names that a mistyped word may mean: commands, flags, keys, fields, columns, presets, zones."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST = 3  # if more names than this are about equally likely, none is suggested
_ALIKE = 0.75  # the least likeness of a suggestion; for a typo it is difflib's ratio: curency, currency
_HAS_ITS_WORDS = 0.9  # the likeness of a name with all words of the typed one, or its beginning: woo, woocommerce
_MISTYPES_ITS_WORDS = 0.8  # the likeness of a name that has the typed words, mistyped: --emial, --customer-email
_MISTYPED_WORD = 0.85  # the least ratio of such a word: emal, email; but not filter, file
_IS_PART_OF_IT = 0.75  # the likeness of a name whose words are all among the typed ones: --output-format, --output
_AS_GOOD = 0.05  # names are suggested if their likeness is within this distance of the best
_LEAST_LETTERS = 3  # the shortest beginning of a name that counts
_BETWEEN_WORDS = re.compile(r"[-_/.\s]+")


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the names that a mistyped word probably means, the likeliest first; none if nothing is likely.

    Letter case and separators (``-``, ``_``, ``/``, ``.``, blanks) are ignored. A name is likely if it has nearly
    the same letters, contains all words of ``word``, mistyped or not, begins with it, or consists of some of its
    words.

    Args:
        word: The word as it was typed.
        known: The names to choose from.
    """
    typed = _words(word)
    scored = [(_likeness(typed, _words(name)), name) for name in known]
    best = max((score for score, _ in scored), default=0.0)
    least = max(_ALIKE, best - _AS_GOOD)
    found = sorted((each for each in scored if each[0] >= least), key=lambda each: -each[0])
    return [name for _, name in found] if len(found) <= _MOST else []


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint, ``Did you mean lead?``, or "" if no name is likely."""
    near = nearest(word, known)
    return f"Did you mean {' or '.join(near)}?" if near else ""


def suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a message, ``; did you mean lead?``, or ``otherwise`` if no name is likely."""
    near = nearest(word, known)
    return f"; did you mean {' or '.join(near)}?" if near else otherwise


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(text.casefold()) if word]


def _likeness(typed: list[str], name: list[str]) -> float:
    one, other = "".join(typed), "".join(name)
    if not one or not other:
        return 0.0
    likeness = _letters_in_common(one, other)
    if set(typed) <= set(name) or (len(one) >= _LEAST_LETTERS and other.startswith(one)):
        return max(likeness, _HAS_ITS_WORDS)
    if all(_mistyped(word, name) for word in typed):
        return max(likeness, _MISTYPES_ITS_WORDS)
    return max(likeness, _IS_PART_OF_IT) if set(name) <= set(typed) else likeness


def _letters_in_common(one: str, other: str) -> float:
    import difflib

    ratio = difflib.SequenceMatcher(None, one, other).ratio()
    # The ratio counts a letter that is out of order as a wrong one: mpa, map.
    return max(ratio, _ALIKE) if sorted(one) == sorted(other) else ratio


def _mistyped(word: str, words: list[str]) -> bool:
    """Return True if a word is one of some words, or is long enough to compare and similar to one."""
    return word in words or (
        len(word) > _LEAST_LETTERS
        and any(sorted(word) == sorted(each) or _letters_in_common(word, each) >= _MISTYPED_WORD for each in words)
    )
