"""The service's rules, as pure functions of a request and the content of the store.

They are written from the API's contract and share nothing with the SDK, which the sandbox checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cms_cli.sandbox.answers import Answer, error, method_not_allowed
from cms_cli.sandbox.fields import LEAD, SALE, problems

ROUTES: Mapping[str, str] = {"/track/lead": LEAD, "/track/sale": SALE}

SENT = "sent"
DEFERRED = "deferred"


class StoreLookup(Protocol):
    """The lookups in the store that the rules need."""

    def deferred_click(self, customer: str) -> str | None:
        """Return the click that the customer's last deferred set-up stored, or ``None``."""

    def has_invoice(self, invoice_id: str) -> bool:
        """Return True if a sale with this invoice has been recorded."""


@dataclass(frozen=True)
class AttributedEvent:
    """An event to record, with its click.

    Attributes:
        kind: ``"lead"`` or ``"sale"``.
        event: The valid fields by wire name.
        click_id: The click that the event resolved to.
        click_source: ``"sent"`` if the click came with the event, ``"deferred"`` if an earlier set-up stored it.
        stores_association: Whether this is a deferred set-up, whose click replaces the customer's earlier one.
    """

    kind: str
    event: Mapping[str, Any]
    click_id: str
    click_source: str
    stores_association: bool


def find_kind(method: str, path: str, query: str) -> str | Answer:
    """Return the kind of event that a route accepts, or the answer 404, 405 or 400 (for a query)."""
    kind = ROUTES.get(path)
    if kind is None:
        return error(404, f"Not found: the routes are {' and '.join(ROUTES)}")
    if method != "POST":
        return method_not_allowed(("POST",))
    if query:
        return error(400, "Query parameters are not accepted; send the fields in the body")
    return kind


def check_fields(kind: str, event: Mapping[str, Any]) -> Answer | None:
    """Return the answer 422 with all problems by wire name, or ``None`` for a valid event."""
    found = problems(kind, event)
    return error(422, "Validation failed", found) if found else None


def attribute(kind: str, event: Mapping[str, Any], store: StoreLookup) -> AttributedEvent | Answer:
    """Attribute a valid event to its click, or return the answer 404 (no click is stored) or 409 (exists already).

    Leads are not deduplicated, since the contract does not say that the service does so.
    """
    return _attribute_sale(event, store) if kind == SALE else _attribute_lead(event, store)


def _attribute_sale(event: Mapping[str, Any], store: StoreLookup) -> AttributedEvent | Answer:
    if store.has_invoice(event["invoiceId"]):
        return error(409, "A sale with this invoiceId exists already", {"invoiceId": "exists already"})
    return AttributedEvent(SALE, event, event["clickId"], SENT, stores_association=False)


def _attribute_lead(event: Mapping[str, Any], store: StoreLookup) -> AttributedEvent | Answer:
    click_id: str | None = event.get("clickId")
    if "mode" in event and click_id is not None:
        return AttributedEvent(LEAD, event, click_id, SENT, stores_association=True)
    stored = store.deferred_click(event["customerExternalId"])
    if click_id is None:
        if stored is None:
            return error(
                404,
                "No click is stored for this customer; send a deferred lead with its clickId first",
                {"customerExternalId": "has no deferred association"},
            )
        return AttributedEvent(LEAD, event, stored, DEFERRED, stores_association=False)
    if stored is not None:
        return error(
            409,
            "Duplicate attribution: this customer's click is stored already; leave clickId out of follow-ups",
            {"clickId": "must be left out of a follow-up"},
        )
    return AttributedEvent(LEAD, event, click_id, SENT, stores_association=False)
