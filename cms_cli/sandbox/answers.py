"""The sandbox's answers as values, in the shapes of the API contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"

ERROR_TYPES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    413: "payload_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    417: "expectation_failed",
    421: "misdirected_request",
    422: "validation_error",
    429: "rate_limit_exceeded",
    431: "request_header_fields_too_large",
    500: "internal_error",
    501: "not_implemented",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
    505: "http_version_not_supported",
}
"""The ``type`` of an error body by status. The contract documents only the key ``type``; its values are ours."""

Headers = tuple[tuple[str, str], ...]

SUCCESS_SHAPES = ("documented", "status", "timestamp", "request-id", "empty", "mixed")
"""The names of the success bodies that the contract lists, for ``answer=``; ``mixed`` alternates between them."""

_to_json = json.JSONEncoder(separators=(",", ":")).encode
_MESSAGE = "Event tracked successfully"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, without the headers that every answer has (length, date, connection)."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Headers = ()

    def with_headers(self, extra: Headers) -> Answer:
        """Return the answer with headers added."""
        return Answer(self.status, self.body, self.content_type, self.headers + extra)


def json_answer(status: int, payload: object, headers: Headers = ()) -> Answer:
    """Return a JSON answer. It is ASCII, so that it can contain any string, even a lone surrogate."""
    return Answer(status, _to_json(payload).encode("ascii"), JSON_TYPE, headers)


def error(status: int, message: str, details: Mapping[str, str] | None = None, headers: Headers = ()) -> Answer:
    """Return an error answer in the contract's shape; ``details`` are messages by wire name."""
    return json_answer(status, error_body(status, message, details), headers)


def error_body(status: int, message: str, details: Mapping[str, str] | None = None) -> Mapping[str, object]:
    """Return the JSON object of an error answer."""
    return {
        "success": False,
        "error": message,
        "type": ERROR_TYPES.get(status, "error"),
        "statusCode": status,
        "details": dict(details or {}),
    }


def success(shape: str, event_id: int, data: Mapping[str, object], recorded_at: str) -> Answer:
    """Return a success answer in one of the :data:`SUCCESS_SHAPES`; ``mixed`` selects one by the event's id."""
    if shape == "mixed":
        shape = SUCCESS_SHAPES[event_id % (len(SUCCESS_SHAPES) - 1)]
    if shape == "empty":
        return Answer(200)
    if shape == "status":
        return json_answer(200, {"status": True, "data": "successful"})
    if shape == "timestamp":
        return json_answer(200, {"success": True, "timestamp": recorded_at})
    if shape == "request-id":
        stored = "deferredAssociationStored" in data
        body = {"message": _MESSAGE, "requestId": f"req_{event_id}", "deferredAssociationStored": stored}
        return json_answer(200, body)
    return json_answer(200, {"success": True, "message": _MESSAGE, "data": data})


def web_page(status: int, title: str = "CutMeShort") -> Answer:
    """Return a web page instead of JSON, as the company's site or a gateway sends it."""
    page = (
        f"<!doctype html><html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>This is a web page of the sandbox, not an answer of the API.</p></body></html>\n"
    )
    return Answer(status, page.encode("ascii"), HTML_TYPE)


def redirect(status: int, location: str) -> Answer:
    """Return a redirect with a short web page, as servers send it."""
    return web_page(status, "Redirecting").with_headers((("Location", location),))


def method_not_allowed(allowed: Sequence[str]) -> Answer:
    """Return a 405 with the ``Allow`` header that RFC 9110 requires."""
    names = ", ".join(allowed)
    return error(405, f"Method not allowed; use {names}", headers=(("Allow", names),))
