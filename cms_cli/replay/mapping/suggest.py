"""Suggests ``--map`` flags for fields without a column, by the words in the columns' names.

Similar letters do not help: "Refund Amount" is more similar to ``amount`` than "Order Total" is. So a column is
suggested only if every word of its name belongs to one known kind of column. If there is none, the suggestion has
the placeholder ``COLUMN``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timezone
from typing import NamedTuple

from cms_cli.replay.mapping.columns import argument, fields_of, folded, listed
from cms_cli.replay.model import InputError, Problem
from cms_cli.replay.values.currencies import ACTIVE
from cms_cli.replay.values.numbers import is_number
from cms_cli.replay.values.times import parse_instant
from cms_python import LEAD_REQUIRED, SALE_REQUIRED, EventKind


class _Meaning(NamedTuple):
    """A kind of column, recognised by the words of its name.

    Attributes:
        needed: Sets of words; the name must have a word of each.
        beside: Further words that the name may have. With any other word, it is another kind of column.
    """

    needed: tuple[frozenset[str], ...]
    beside: frozenset[str]

    def fits(self, words: frozenset[str]) -> bool:
        return all(words & each for each in self.needed) and words <= self.beside.union(*self.needed)


def _meaning(*needed: str, beside: str = "") -> _Meaning:
    return _Meaning(tuple(frozenset(each.split()) for each in needed), frozenset(beside.split()))


_NUMBER = "id number no nr num # reference ref code uid uuid"
_PERSON = "customer client buyer user member purchaser payer subscriber shopper contact"
_SALE = "order sale sales purchase transaction payment invoice checkout charge"
_PAID = "amount price paid value collected charged"
_KEPT_AS = "metadata meta data custom field attribute property cf note"

# The kinds of columns for each field, the likeliest first.
_MEANINGS: dict[str, tuple[_Meaning, ...]] = {
    "click_id": (
        _meaning("click clickid", beside=f"id ref {_KEPT_AS}"),
        _meaning("cms", "rf", beside=_KEPT_AS),
        _meaning("cmsrf", beside=_KEPT_AS),
    ),
    "event_name": (_meaning("event", beside="name"),),
    "customer_external_id": (
        _meaning("customer client buyer user", "id number no nr uid uuid #", beside="external account user"),
        _meaning(_PERSON, "id number no nr uid uuid username login", beside="external account user"),
        _meaning("customer buyer client", "email mail", beside="e address"),
        _meaning("email mail", beside=f"e address billing from {_PERSON}"),
    ),
    "invoice_id": (
        _meaning("invoice", beside=_NUMBER),
        _meaning("order", beside=f"purchase sale sales {_NUMBER}"),
        _meaning("transaction", _NUMBER),
        _meaning("payment charge checkout", _NUMBER),
        _meaning("purchase sale sales receipt booking", _NUMBER),
        _meaning("id"),
    ),
    "amount": (
        _meaning("grand", "total", beside=f"{_SALE} {_PAID}"),
        _meaning("total", "order invoice transaction payment checkout purchase", beside=f"{_SALE} {_PAID}"),
        _meaning("total", "collected charged paid", beside=_PAID),
        _meaning("total", "amount price", beside=_PAID),
        _meaning("total"),
        _meaning("gross", beside=f"total amount {_SALE}"),
        _meaning("amount", "paid charged", beside=_SALE),
        _meaning("amount", _SALE),
        _meaning("amount"),
    ),
    "currency": (_meaning("currency ccy", beside=f"code iso {_SALE}"),),
}
_LANDING = _meaning("landing", beside="page site url uri link path address full")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|#|[^\W\d_]+")
_TAX_INCLUDED = re.compile(
    r"[(\[]?\b(?:inc|incl|including|with)\b[.\s_-]*(?:tax|taxes|vat|gst)\b[)\]]?", re.IGNORECASE
)
# Codes of currencies that are also words.
_WORDS_TOO = frozenset(("ALL", "CUP", "TOP", "TRY"))
_ID = re.compile(r"[A-Za-z]+[_-]?[0-9][A-Za-z0-9_-]*|[0-9a-fA-F-]{32,}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+")


def lacking(kind: EventKind, header: Sequence[str], missing: Sequence[str], hints: Mapping[str, str]) -> InputError:
    """Return the error for a header that lacks required fields, with suggested flags.

    Args:
        kind: Lead or sale.
        header: The file's column names.
        missing: The Python names of the fields.
        hints: The hints of a preset or mapping file for fields that its export lacks.
    """
    what = f"no column for {', '.join(missing)}"
    if looks_like_values(kind, header):
        names = ",".join(("click_id", *LEAD_REQUIRED) if kind is EventKind.LEAD else SALE_REQUIRED)
        return InputError(
            f"{what}; the first line seems to be data, and not the names of columns: {listed(header)}",
            "Put a line with the columns' names before it, in the file's order and with its delimiter, as in:\n"
            f"{{ echo {names}; cat FILE; }} | cms {kind.value} --from-csv -",
        )
    if len(header) > 1 and all(len(name) > 1 and name[0] == name[-1] == "'" for name in header):
        return InputError(
            f"{what}; the names are in single quotation marks: {listed(header)}",
            'Export it with double ones (") around values, or with none.',
        )
    lines = [f"{name}: {hints[name]}" for name in missing if name in hints]
    if len(header) == 1 and len(missing) > 1:
        hint = _hint_at_one_column(kind, header[0])
        return InputError(f"{what}; the first line is one column: {listed(header)}", "\n".join([*lines, hint]))
    flags = " ".join(suggestions(kind, header, missing, hints))
    return InputError(
        f"{what}; the file has: {listed(header)}", "\n".join([*lines, f"Say where they are, for example: {flags}"])
    )


def _hint_at_one_column(kind: EventKind, name: str) -> str:
    if any(delimiter in name for delimiter in ",;\t|"):
        return (
            "Each line is in quotation marks as a whole. Without them it can be read:\n"
            f"""tr -d '\\r' < FILE | sed 's/^"//; s/"$//; s/""/"/g' | cms {kind.value} --from-csv -"""
        )
    return "It has to have the names of the columns, separated by commas, semicolons, tabs or |."


def suggestions(
    kind: EventKind, header: Sequence[str], missing: Sequence[str], known_lacking: Collection[str] = ()
) -> list[str]:
    """Return a suggested flag for each field without a column.

    Args:
        kind: Lead or sale.
        header: The file's column names.
        missing: The Python names of the fields.
        known_lacking: The fields that the export is known not to have.
    """
    # A column with the name of one field is not suggested for another, except that an e-mail may serve as customer
    # id.
    own = {folded(text) for field in fields_of(kind).values() for text in field[:2]} - {"customeremail"}
    columns = [name for name in header if name.strip() and folded(name) not in own]
    likely = {name: "" if name in known_lacking else likely_column(name, columns) for name in missing}
    # If the file has a column of currencies, "total_usd" is a converted amount.
    code = _currency_in(likely.get("amount", ""))
    if code and likely.get("currency", "any") != "":
        likely["amount"] = ""
    found = []
    for name, column in likely.items():
        if column:
            found.append(f"--map {argument(f'{name}={column}')}")
        elif name == "event_name":
            found.append(f"--event-name {'purchase_completed' if kind is EventKind.SALE else 'signup_started'}")
        elif name == "currency":
            found.append(f"--currency {code or 'CODE'}")
        else:
            found.append(f'--map "{name}=COLUMN"')
    return found


def likely_column(field: str, header: Sequence[str]) -> str:
    """Return the column that a field is likely in, as an expression for ``--map``; "" if none is likely.

    Args:
        field: A required field's Python name.
        header: The columns to choose from.
    """
    by_name = {name: _words(name) for name in header}
    if field == "amount":
        # In a file that has fees but neither "net" nor "gross", a bare "total" is what was paid out.
        fees = any("fees" in words for words in by_name.values())
        if fees and not any(words & {"net", "gross"} for words in by_name.values()):
            by_name = {name: words for name, words in by_name.items() if words != {"total"}}
        by_name = {name: words - {_currency_in(name).lower(), "cents"} for name, words in by_name.items()}
    for meaning in _MEANINGS[field]:
        fitting = [name for name, words in by_name.items() if meaning.fits(words)]
        if field == "amount" and len(fitting) > 1:
            # Names do not tell which of two totals was paid, except that one with a currency is a converted one.
            own_currency = [name for name in fitting if not _currency_in(name)]
            return own_currency[0] if len(own_currency) == 1 else ""
        if fitting:
            return fitting[0]
    if field == "click_id":
        page = next((name for name, words in by_name.items() if _LANDING.fits(words)), "")
        return f"{page}[cms_rf]" if page else ""
    return ""


def looks_like_values(kind: EventKind, header: Sequence[str]) -> bool:
    """Return True if a header seems to be a row of data, in a file without a header."""
    own = {folded(text) for field in fields_of(kind).values() for text in field[:2]}
    names = [name.strip() for name in header if name.strip()]
    if any(folded(name) in own for name in names):
        return False
    certain = [name for name in names if _is_value(name)]
    likely = [name for name in names if name not in certain and _ID.fullmatch(name)]
    return bool(certain) and 2 * len(certain + likely) >= len(names)


def _is_value(text: str) -> bool:
    return (
        is_number(text)
        or text in ACTIVE
        or bool(_ADDRESS.fullmatch(text))
        or not isinstance(parse_instant(text, timezone.utc), Problem)
    )


def _words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(_TAX_INCLUDED.sub(" ", name)))


def _currency_in(name: str) -> str:
    """Return the currency at the end of a column's name (``total_usd``, ``Amount (EUR)``), or ""."""
    last = [word.upper() for word in _WORD.findall(name)][-1:]
    return last[0] if last and last[0] in ACTIVE and last[0] not in _WORDS_TOO else ""
