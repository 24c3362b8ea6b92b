"""Recognises cells of ids that are not ids: a word for no value, or a number that a spreadsheet has shortened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cms_cli.replay.model import Problem
from cms_cli.replay.problems import shown

IDS = ("click_id", "customer_external_id", "invoice_id")
"""The fields that hold ids."""

NOTHING = frozenset(
    (
        *("NULL", "null", "(null)", "[NULL]", "<null>", "\\N"),  # databases and their tools
        *("None", "nan", "NaN", "<NA>", "N/A", "#N/A", "undefined"),  # programs and spreadsheets
    )
)
"""Words for no value, which count as empty in columns of ids. Elsewhere they are text; Null is also a name."""

# Only with a sign in the exponent, since 1E5 may be an id.
_SHORTENED = re.compile(r"-?[0-9](?:[.,][0-9]+)?[Ee][+\-][0-9]+")
# What spreadsheets show in place of a value, in any language: #REF!, #¡VALOR!, #NAME?, #DIV/0!, and ##### for a
# column that is too narrow.
_ERROR = re.compile(r"#¡?[^\W\d_]+(?:/0)?[!?]|##+")
_WHOLE = re.compile(r"[0-9]+[.,]0")
# Zero-width characters, byte order marks, and marks of the direction of writing. White space is stripped elsewhere.
_UNSEEN = frozenset("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb"}


def spoiled(text: str) -> Problem | None:
    """Return the problem of an id that a spreadsheet or the program that wrote the CSV damaged; None for others."""
    if not text.isascii():
        unseen = next((char for char in (text[0], text[-1]) if char in _UNSEEN), "")
        if unseen:
            return Problem(
                "id_invisible",
                f"{shown(text)} begins or ends with U+{ord(unseen):04X}, which nobody sees",
                "take it out: it came along when the id was copied from somewhere",
            )
    first = text[:1]
    if first != "#" and first not in _QUOTES:  # as nearly all of them
        return shortened(text) if "+" in text or "-" in text else None
    if _ERROR.fullmatch(text):
        return Problem(
            "id_spreadsheet_error",
            f"{shown(text)} is what a spreadsheet shows in place of a value",
            "correct the cell there, or export the file again and do not open it in a spreadsheet",
        )
    if len(text) > 1 and text[-1] == _QUOTES.get(first):
        return Problem(
            "id_quoted",
            f"{shown(text)} has quotation marks that are part of it",
            'take them out; CSV quotes with ", right after the delimiter and without a space',
        )
    return None


def shortened(text: str) -> Problem | None:
    """Return the problem of an id that a spreadsheet has shortened (``4.68769E+17``), or None."""
    if not _SHORTENED.fullmatch(text):
        return None
    return Problem(
        "id_shortened",
        f"{shown(text)} is what a spreadsheet makes of a long number: its last digits are lost",
        "export it again and do not open it in a spreadsheet; or import the column there as text",
    )


class WholeFloats:
    """Finds the fields whose ids all end in ``.0`` because a program has turned them into numbers.

    Attributes:
        examples: The first id of each such field, by the field's Python name.
    """

    def __init__(self) -> None:
        self.examples: dict[str, str] = {}
        self._undecided = dict(zip(IDS, ("clickId", "customerExternalId", "invoiceId")))

    def observe(self, wire: Mapping[str, Any]) -> None:
        """Add the ids of an event in wire form. Fields that it lacks are ignored."""
        if not self._undecided:  # after the first rows of most files
            return
        for field, name in list(self._undecided.items()):
            text = wire.get(name, "")
            if is_whole_float(text):
                self.examples.setdefault(field, text)
            elif text:
                del self._undecided[field]
                self.examples.pop(field, None)


def is_whole_float(text: str) -> bool:
    """Return True if an id is a whole number written with a decimal, such as ``1001.0`` for 1001."""
    return text.endswith("0") and bool(_WHOLE.fullmatch(text))
