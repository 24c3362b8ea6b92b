"""Finds what a mistyped word was meant to be: a command, flag, key, field, column, preset, profile or time zone."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MOST = 3  # if more names are equally close, none is suggested
_ALIKE = 0.66  # ratio of common letters from which a word counts as mistyped: mpa, map
_HAS_ITS_WORDS = 0.9  # --email, --customer-email; woo, woocommerce
_IS_PART_OF_IT = 0.75  # --output-format, --output
_AS_GOOD = 0.05  # names within this distance of the best one are suggested too
_LEAST_LETTERS = 3  # of a beginning
_BETWEEN_WORDS = re.compile(r"[-_/.\s]+")


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the names that a word was probably meant to be, the likeliest first; none if nothing is likely.

    Letter case and what stands between words are ignored. A name counts that has nearly the same letters, and one
    that has all of the word's own words, begins with it, or is a part of it.
    """
    wanted = _words(word)
    scored = [(_likeness(wanted, _words(name)), name) for name in known]
    best = max((score for score, _ in scored), default=0.0)
    least = max(_ALIKE, best - _AS_GOOD)
    found = sorted((each for each in scored if each[0] >= least), key=lambda each: -each[0])
    return [name for _, name in found] if len(found) <= _MOST else []


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(text.casefold()) if word]


def _likeness(wanted: list[str], name: list[str]) -> float:
    import difflib

    one, other = "".join(wanted), "".join(name)
    if not one or not other:
        return 0.0
    likeness = difflib.SequenceMatcher(None, one, other).ratio()
    if set(wanted) <= set(name) or (len(one) >= _LEAST_LETTERS and other.startswith(one)):
        return max(likeness, _HAS_ITS_WORDS)
    return max(likeness, _IS_PART_OF_IT) if set(name) <= set(wanted) else likeness
