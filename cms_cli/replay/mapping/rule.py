"""The rules of a preset or mapping file, as values; :mod:`rules` describes the file's schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from cms_cli.replay.mapping.columns import Expression


class FieldRule(NamedTuple):
    """The columns of a field.

    Attributes:
        expressions: The column expressions, in order of precedence.
        strict: Whether all of the columns have to exist.
    """

    expressions: tuple[Expression, ...]
    strict: bool


class SkipRule(NamedTuple):
    """A rule for leaving out rows.

    Attributes:
        columns: The names of the column; the first that the file has is used.
        values: The values, with letter case folded.
        negated: Whether rows with other values are left out, instead of those with these values.
        reason: The reason, for people.
        optional: Whether the file may lack the column.
    """

    columns: tuple[str, ...]
    values: tuple[str, ...]
    negated: bool
    reason: str
    optional: bool


class FoldRule(NamedTuple):
    """A rule for leaving out rows that continue the order above them.

    Attributes:
        by: The column of the order's name, which is repeated or empty in such rows.
        empty: The columns that are all empty in such rows.
        reason: The reason, for people.
    """

    by: str
    empty: tuple[str, ...]
    reason: str


class RefundRule(NamedTuple):
    """The columns of the refunded amount.

    Attributes:
        columns: The names of the columns; the first with an amount is used.
        each: The key of the amount, if the cell is a list of ``key:value`` pieces; else "".
        in_full: The reason for leaving out rows that were refunded in full, or "" to keep them.
    """

    columns: tuple[str, ...]
    each: str
    in_full: str


@dataclass(frozen=True)
class Rules:
    """The content of a preset or mapping file, under the names of its schema (see :mod:`rules`)."""

    event: str = ""
    settings: tuple[tuple[str, Any], ...] = ()
    zero_decimals: bool = False
    skip_unattributed: bool = False
    where: tuple[str, ...] = ()
    fields: tuple[tuple[str, FieldRule], ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    defaults_with: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    nothing: tuple[tuple[str, tuple[str, ...]], ...] = ()
    skip: tuple[SkipRule, ...] = ()
    fold: FoldRule | None = None
    refunds: RefundRule | None = None
    lacking: tuple[tuple[str, str], ...] = ()
    local_times: bool = False
    title: str = ""
    about: str = ""
    known_by: tuple[tuple[str, ...], ...] = ()
