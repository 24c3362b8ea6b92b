"""Reads events and attempts from a store, in any process, even while a server writes to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Union

from cms_cli.sandbox.store_file import open_reader, reporting

PathLike = Union[str, Path]

_PAGE = 500

EVENT_COLUMNS = "id, received_at, kind, click_id, click_source, body"

MATCHES = (
    "(:kind IS NULL OR kind = :kind) AND (:click IS NULL OR click_id = :click)"
    " AND (:customer IS NULL OR customer = :customer) AND (:invoice IS NULL OR invoice_id = :invoice)"
    " AND (:text = '' OR instr(words, :text))"
)
"""The SQL condition of an :class:`EventFilter`; its values are :meth:`EventFilter.bindings`."""


@dataclass(frozen=True)
class EventFilter:
    """A filter of events. An attribute that is ``None`` or "" does not restrict them.

    Attributes:
        kind: ``"lead"`` or ``"sale"``.
        click_id: The click that the event resolved to.
        customer: The value of ``customerExternalId``.
        invoice_id: The value of ``invoiceId``.
        text: A text that one of the event's values contains, in any letter case.
    """

    kind: str | None = None
    click_id: str | None = None
    customer: str | None = None
    invoice_id: str | None = None
    text: str = ""

    def bindings(self) -> dict[str, str | None]:
        """Return the values of :data:`MATCHES`."""
        return {
            "kind": self.kind,
            "click": self.click_id,
            "customer": self.customer,
            "invoice": self.invoice_id,
            "text": self.text.lower(),
        }


@dataclass(frozen=True)
class SandboxEvent:
    """A recorded event, and the click that it resolved to.

    Attributes:
        id: Its number in the order of recording, from 1. The answer's ``eventId`` is ``evt_<id>``.
        received_at: The time at which it was received, in Unix seconds by the wall clock.
        kind: ``"lead"`` or ``"sale"``.
        click_id: The click that it is attributed to.
        click_source: ``"sent"`` if the click came with the event, ``"deferred"`` if an earlier set-up stored it.
        event: The fields by wire name, as they were received.
    """

    id: int
    received_at: float
    kind: str
    click_id: str
    click_source: str
    event: Mapping[str, Any]

    @property
    def customer(self) -> str:
        """The value of ``customerExternalId``."""
        return str(self.event["customerExternalId"])

    @property
    def invoice_id(self) -> str | None:
        """The ``invoiceId`` of a sale, or ``None``."""
        return self.event.get("invoiceId")

    @property
    def amount(self) -> int | None:
        """The ``amount`` of a sale, in minor units of :attr:`currency`; or ``None``."""
        return self.event.get("amount")

    @property
    def currency(self) -> str | None:
        """The ``currency`` of a sale, or ``None``."""
        return self.event.get("currency")

    def to_dict(self) -> dict[str, Any]:
        """Return the event for JSON, with its time in ISO 8601 and UTC."""
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
    """A request that reached the server, even if no event was recorded.

    Attributes:
        id: Its number in the order of answers, from 1.
        received_at: The time at which it was received, in Unix seconds by the wall clock.
        at_ns: The same by the server's monotonic clock in nanoseconds, to measure between attempts at one server.
        method, path: The method and path as they were sent; "" if the request could not be read.
        user, token: Hashes of the user and the token; ``None`` if no token was accepted.
        counted: Whether the rate limit counted it.
        subject: The ``invoiceId`` of a sale or the ``customerExternalId`` of a lead; ``None`` if the body had none.
        status: The status that was sent; ``None`` if the connection was dropped instead.
        fault: The kind of the injected fault, or ``None``.
        event_id: The id of the event that it recorded, or ``None``.
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
    """Return Unix seconds in the contract's form: ``2026-04-10T12:34:56.000Z``."""
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
    """Yield the recorded events that match all given filters, in the order of recording.

    Args:
        path: The store's file; a missing one counts as empty.
        kind: ``"lead"`` or ``"sale"``.
        click_id: The click that the event resolved to.
        customer: The value of ``customerExternalId``.
        invoice_id: The value of ``invoiceId``.
        since_id: Only events with a greater id, to continue after the last one that was read.
        limit: The most events to yield, or ``None`` for all.

    Raises:
        StoreError: The file is not a sandbox's store, or cannot be read.
    """
    # The text of the query consists of constants; values are bound.
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE id > :since AND {MATCHES} ORDER BY id LIMIT :page"  # noqa: S608
    event_filter = EventFilter(kind, click_id, customer, invoice_id)
    for row in _rows(Path(path), query, event_filter.bindings(), since_id, limit):
        yield event_of(row)


def event_of(row: Sequence[Any]) -> SandboxEvent:
    """Return the event of a row of :data:`EVENT_COLUMNS`."""
    return SandboxEvent(*(*row[:-1], json.loads(row[-1])))


def read_attempts(path: PathLike, *, since_id: int = 0, limit: int | None = None) -> Iterator[Attempt]:
    """Yield every request that was answered, in the order of the answers.

    Args:
        path: The store's file; a missing one counts as empty.
        since_id: Only attempts with a greater id.
        limit: The most attempts to yield, or ``None`` for all.

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
    # Read in pages: during one long read, SQLite could not move the writer's log into the file.
    left = limit
    with closing(open_reader(path)) as connection:
        while left is None or left > 0:
            page = _PAGE if left is None else min(left, _PAGE)
            with reporting("read", path):
                rows = connection.execute(query, {**filters, "since": since_id, "page": page}).fetchall()
            yield from rows
            if len(rows) < page:
                return
            since_id = rows[-1][0]
            left = None if left is None else left - len(rows)
