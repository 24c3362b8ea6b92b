"""The book, read: events and attempts of a store, from any process, while a server writes to it or later."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Union

from cms_cli.sandbox.store_file import open_reader, unusable

PathLike = Union[str, Path]

_PAGE = 500

EVENT_COLUMNS = "id, received_at, kind, click_id, click_source, body"

MATCHES = (
    "(:kind IS NULL OR kind = :kind) AND (:click IS NULL OR click_id = :click)"
    " AND (:customer IS NULL OR customer = :customer) AND (:invoice IS NULL OR invoice_id = :invoice)"
    " AND (:text = '' OR instr(words, :text))"
)
"""Which events match; :meth:`EventFilter.bindings` has the values."""


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; what is ``None`` or empty lets all of them through.

    Attributes:
        kind: ``"lead"`` or ``"sale"``.
        click_id: The click that an event resolved to.
        customer: ``customerExternalId``.
        invoice_id: ``invoiceId``.
        text: What one of the event's values contains, in upper or lower case.
    """

    kind: str | None = None
    click_id: str | None = None
    customer: str | None = None
    invoice_id: str | None = None
    text: str = ""

    def bindings(self) -> dict[str, str | None]:
        """The values of :data:`MATCHES`."""
        return {
            "kind": self.kind,
            "click": self.click_id,
            "customer": self.customer,
            "invoice": self.invoice_id,
            "text": self.text.lower(),
        }


@dataclass(frozen=True)
class SandboxEvent:
    """An event that was recorded, and the click that it resolved to.

    Attributes:
        id: From 1 up in the order of recording; ``evt_<id>`` is the ``eventId`` of the answer.
        received_at: Unix seconds, wall clock.
        kind: ``"lead"`` or ``"sale"``.
        click_id: The click that it is attributed to.
        click_source: ``"sent"`` with the event, or ``"deferred"``: stored by an earlier set-up.
        event: The fields as received, by wire name.
    """

    id: int
    received_at: float
    kind: str
    click_id: str
    click_source: str
    event: Mapping[str, Any]

    @property
    def customer(self) -> str:
        """``customerExternalId``."""
        return str(self.event["customerExternalId"])

    @property
    def invoice_id(self) -> str | None:
        """``invoiceId`` of a sale."""
        return self.event.get("invoiceId")

    @property
    def amount(self) -> int | None:
        """``amount`` of a sale, in minor units of :attr:`currency`."""
        return self.event.get("amount")

    @property
    def currency(self) -> str | None:
        """``currency`` of a sale."""
        return self.event.get("currency")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: ``id``, ``receivedAt`` (ISO 8601, UTC), ``kind``, ``clickId``, ``clickSource``, ``event``."""
        return {
            "id": self.id,
            "receivedAt": iso_time(self.received_at),
            "kind": self.kind,
            "clickId": self.click_id,
            "clickSource": self.click_source,
            "event": dict(self.event),
        }


@dataclass(frozen=True)
class Attempt:
    """A request as it reached the server, recorded or not.

    Attributes:
        id: In the order of answering.
        received_at: Unix seconds, wall clock.
        at_ns: The server's monotonic clock, in nanoseconds: to measure between attempts at one server.
        method, path: As sent; empty for what was not HTTP.
        user, token: Hashes; ``None`` when no token was accepted.
        counted: Whether the rate limit counted it.
        subject: ``invoiceId`` of a sale, ``customerExternalId`` of a lead, where the body had it.
        status: What was put on the wire; ``None`` when the connection was dropped instead.
        fault: The fault that was played, or ``None``.
        event_id: The event that it recorded, or ``None``.
    """

    id: int
    received_at: float
    at_ns: int
    method: str
    path: str
    user: str | None
    token: str | None
    counted: bool
    subject: str | None
    status: int | None
    fault: str | None
    event_id: int | None


def iso_time(seconds: float) -> str:
    """Unix seconds in the contract's form: ``2026-04-10T12:34:56.000Z``."""
    text = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def read_events(
    path: PathLike,
    *,
    kind: str | None = None,
    click_id: str | None = None,
    customer: str | None = None,
    invoice_id: str | None = None,
    since_id: int = 0,
    limit: int | None = None,
) -> Iterator[SandboxEvent]:
    """The recorded events that match every filter given, in the order of recording.

    Args:
        path: The store's file; a missing one holds nothing.
        kind: ``"lead"`` or ``"sale"``.
        click_id: The click that an event resolved to.
        customer: ``customerExternalId``.
        invoice_id: ``invoiceId``.
        since_id: Only events with a greater number: to go on where one stopped reading.
        limit: At most this many.

    Raises:
        StoreError: The file is not a sandbox's store, or cannot be read.
    """
    # Constants make the text of the query; values are bound.
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE id > :since AND {MATCHES} ORDER BY id LIMIT :page"  # noqa: S608
    wanted = EventFilter(kind, click_id, customer, invoice_id)
    for row in _rows(Path(path), query, wanted.bindings(), since_id, limit):
        yield event_of(row)


def event_of(row: Sequence[Any]) -> SandboxEvent:
    """An event from a row of :data:`EVENT_COLUMNS`."""
    return SandboxEvent(*(*row[:-1], json.loads(row[-1])))


def read_attempts(path: PathLike, *, since_id: int = 0, limit: int | None = None) -> Iterator[Attempt]:
    """Every request as it reached the server, in the order of answering.

    Args:
        path: The store's file; a missing one holds nothing.
        since_id: Only attempts with a greater number.
        limit: At most this many.

    Raises:
        StoreError: The file is not a sandbox's store, or cannot be read.
    """
    query = (
        "SELECT id, received_at, at_ns, method, path, user, token, counted, subject, status, fault, event_id"
        " FROM attempts WHERE id > :since ORDER BY id LIMIT :page"
    )
    for row in _rows(Path(path), query, {}, since_id, limit):
        attempt = Attempt(*row)
        yield replace(attempt, counted=bool(attempt.counted))


def _rows(
    path: Path, query: str, filters: Mapping[str, str | None], since_id: int, limit: int | None
) -> Iterator[tuple[Any, ...]]:
    """Page by page, so that no long read keeps the writer's log from being folded into the file."""
    if not path.exists() or path.stat().st_size == 0:
        return
    left = limit
    with closing(open_reader(path)) as connection:
        while left is None or left > 0:
            page = _PAGE if left is None else min(left, _PAGE)
            try:
                rows = connection.execute(query, {**filters, "since": since_id, "page": page}).fetchall()
            except sqlite3.Error as problem:
                raise unusable("read", path, problem) from problem
            yield from rows
            if len(rows) < page:
                return
            since_id = rows[-1][0]
            left = None if left is None else left - len(rows)
