"""Error texts of the service, in the shapes that frameworks produce."""

from __future__ import annotations

import json
from typing import Any

import pytest
from faultserver import FaultServer, json_reply
from sdk_events import SALE, track

from cms_python import CMSClient, SaleEvent, Status

OWN_WORDS: dict[str, tuple[dict[str, Any], str, str, dict[str, Any]]] = {
    "NestJS": (
        {"statusCode": 422, "message": ["amount must be positive"], "error": "Unprocessable Entity"},
        "amount must be positive",
        "validation_error",
        {"message": ["amount must be positive"]},
    ),
    "NestJS, several": (
        {"statusCode": 422, "message": ["no click", "no amount", "no click"], "error": "Unprocessable Entity"},
        "no click; no amount",
        "validation_error",
        {"message": ["no click", "no amount", "no click"]},
    ),
    "NestJS, one text": (
        {"statusCode": 422, "message": "No such click", "error": "Unprocessable Content"},
        "No such click",
        "validation_error",
        {},
    ),
    "a bare reason phrase": (
        {"statusCode": 422, "error": "Unprocessable Entity"},
        "Unprocessable Entity",
        "validation_error",
        {},
    ),
    "RFC 9457": (
        {"type": "https://x.example/invalid", "title": "Invalid", "detail": "No such click", "status": 422},
        "No such click",
        "https://x.example/invalid",
        {},
    ),
    "RFC 9457 without a detail": (
        {"type": "about:blank", "title": "Your click is too old", "status": 422},
        "Your click is too old",
        "validation_error",
        {},
    ),
    "RFC 9457 with errors": (
        {"title": "Unprocessable Content", "errors": [{"detail": "must be positive", "pointer": "#/amount"}]},
        "must be positive",
        "validation_error",
        {"errors": [{"detail": "must be positive", "pointer": "#/amount"}]},
    ),
    "errors as texts": (
        {"errors": ["No such click", "No such customer"]},
        "No such click; No such customer",
        "validation_error",
        {"errors": ["No such click", "No such customer"]},
    ),
    "errors by field": (
        {"message": "The data was invalid", "errors": {"clickId": ["No such click"]}},
        "The data was invalid",
        "validation_error",
        {"click_id": ["No such click"]},
    ),
    "a detail for each place": (
        {"detail": [{"loc": ["body", "amount"], "msg": "field required", "type": "missing"}]},
        "field required",
        "validation_error",
        {"detail": [{"loc": ["body", "amount"], "msg": "field required", "type": "missing"}]},
    ),
    "an error object with a code": (
        {"error": {"code": "unprocessable_entity", "message": "No such click", "details": {"clickId": "x"}}},
        "No such click",
        "unprocessable_entity",
        {"click_id": "x"},
    ),
    "the documented text, whatever else there is": (
        {"error": "Validation failed", "message": "Try again", "detail": "x", "title": "y"},
        "Validation failed",
        "validation_error",
        {},
    ),
    "errors in errors": (
        json.loads('{"error":' * 400 + '{"message":"deep"}' + "}" * 400),
        "the service rejected the event's values",
        "validation_error",
        {},
    ),
    "nothing but blanks": (
        {"error": " ", "message": [], "errors": [{}, None, 5], "detail": {}},
        "the service rejected the event's values",
        "validation_error",
        {"errors": [{}, None, 5]},
    ),
}


@pytest.mark.parametrize("name", OWN_WORDS)
def test_own_words(server: FaultServer, client: CMSClient, name: str) -> None:
    """The service's error text is found in each framework's shape, and lists are kept as details."""
    body, text, kind, details = OWN_WORDS[name]
    server.default = json_reply(422, body)
    answer = track(client, "sale")
    assert (answer["error"], answer["type"], answer.get("details", {})) == (text, kind, details)
    server.default = json_reply(200, {**body, "success": False})
    outcome = client.send(SaleEvent(**SALE))
    assert outcome.status is Status.REFUSED
    assert (outcome.message == text) is (name not in ("nothing but blanks", "errors in errors"))
