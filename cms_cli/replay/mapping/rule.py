"""The rules of a preset or mapping file, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from cms_cli.replay.mapping.columns import Expression


class FieldRule(NamedTuple):
    """The source of a field.

    Attributes:
        expressions: The columns, tried in this order.
        strict: Whether each of them has to be there.
    """

    expressions: tuple[Expression, ...]
    strict: bool


class SkipRule(NamedTuple):
    """A rule for rows that are left out.

    Attributes:
        columns: The first of these that the file has is looked at.
        values: The values, folded.
        negated: Whether rows with other values are left out, rather than those with these.
        reason: Why, for people.
        optional: Whether a file without the column is fine.
    """

    columns: tuple[str, ...]
    values: tuple[str, ...]
    negated: bool
    reason: str
    optional: bool


class FoldRule(NamedTuple):
    """A rule for rows that continue the order above: ``by`` repeats or is empty, and ``empty`` are empty."""

    by: str
    empty: tuple[str, ...]
    reason: str


class RefundRule(NamedTuple):
    """The source of the refunded amount; see the module."""

    columns: tuple[str, ...]
    each: str
    in_full: str


@dataclass(frozen=True)
class Rules:
    """A preset or mapping file; the attributes are those of the schema."""

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
