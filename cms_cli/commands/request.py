"""The flags of `cms lead`, `cms sale` and `cms runs resume`, in typed groups, before they are interpreted.

Each command builds its request from its own parameters. A new flag for files goes into :class:`FileFlags` if it
affects which events a row becomes, else into :class:`DeliveryFlags`; both are refused without a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from cms_cli.config.settings import Flags
from cms_python import LEAD_FIELDS, SALE_FIELDS, EventKind

if TYPE_CHECKING:
    from cms_cli.commands.options import AmountUnit


@dataclass(frozen=True)
class EventFlags:
    """The fields of one event as text. With a file, the values for rows that have none of their own."""

    event_name: str | None
    customer_external_id: str | None
    click_id: str | None
    customer_name: str | None
    customer_email: str | None
    customer_avatar: str | None
    timestamp: str | None
    mode: str | None = None
    deferred: bool = False
    invoice_id: str | None = None
    amount: str | None = None
    currency: str | None = None
    amount_unit: AmountUnit | None = None

    def texts(self, kind: EventKind) -> dict[str, str | None]:
        """Return every field of a kind of event, by its Python name."""
        names = LEAD_FIELDS if kind is EventKind.LEAD else SALE_FIELDS
        found: dict[str, str | None] = {name: getattr(self, name) for name in names}
        if self.deferred:
            found["mode"] = self.mode or "deferred"
        return found

    @property
    def unit(self) -> str:
        """``minor``, ``major``, or "" if it was not given."""
        return "" if self.amount_unit is None else self.amount_unit.value


@dataclass(frozen=True)
class FileFlags:
    """The input of a replay, and the options that turn its rows into events."""

    from_csv: str | None = None
    from_jsonl: str | None = None
    preset: str | None = None
    mapping: str | None = None
    map: Sequence[str] | None = None
    where: Sequence[str] | None = None
    skip_unattributed: bool = False
    decimal: str | None = None
    date_format: Sequence[str] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    footer_lines: int | None = None
    save_mapping: str | None = None

    @property
    def inputs(self) -> dict[str, str]:
        """The inputs that were named, by their flag."""
        named = {"--from-csv": self.from_csv, "--from-jsonl": self.from_jsonl}
        return {flag: path for flag, path in named.items() if path is not None}


@dataclass(frozen=True)
class DeliveryFlags:
    """The options for sending the rows of a file, and for the files that report on them."""

    rate: str | None = None
    concurrency: int | None = None
    limit: int | None = None
    skip_invalid: bool = False
    failures: str | None = None
    results: str | None = None
    max_failures: int | None = None
    max_duration: float | None = None
    fresh: bool = False
    retry_unknown: bool = False
    retry_refused: bool = False
    repeats: str | None = None
    yes: bool = False


@dataclass(frozen=True)
class TrackRequest:
    """`cms lead` or `cms sale`: one event, or a file of them."""

    kind: EventKind
    event: EventFlags
    file: FileFlags
    delivery: DeliveryFlags
    flags: Flags
    dry_run: bool = False
    sandbox: bool = False


@dataclass(frozen=True)
class ResumeRequest:
    """`cms runs resume`."""

    delivery: DeliveryFlags
    flags: Flags


def given(flags: FileFlags | DeliveryFlags) -> list[str]:
    """Return the names of the flags that were given."""
    names = [each.name for each in fields(flags) if getattr(flags, each.name) != each.default]
    return [f"--{name.replace('_', '-')}" for name in names]
