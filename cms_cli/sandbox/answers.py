"""What the sandbox says, in the shapes of the API contract, as values; nothing is sent from here."""

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
"""The ``type`` of an error body by status. The contract has the key and not its values: these are ours."""

Headers = tuple[tuple[str, str], ...]

SUCCESS_SHAPES = ("documented", "status", "timestamp", "request-id", "empty", "mixed")
"""The success bodies that the contract lists, by the name that ``answer=`` takes; ``mixed`` takes turns."""

_to_json = json.JSONEncoder(separators=(",", ":")).encode
_MESSAGE = "Event tracked successfully"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, complete but for what the connection adds (length, date, keep-alive)."""

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Headers = ()

    def with_headers(self, extra: Headers) -> Answer:
        """The same answer with more headers."""
        return Answer(self.status, self.body, self.content_type, self.headers + extra)


def json_answer(status: int, payload: object, headers: Headers = ()) -> Answer:
    """A JSON answer. The text is ASCII, so that any string (a lone surrogate, too) can be put on the wire."""
    return Answer(status, _to_json(payload).encode("ascii"), JSON_TYPE, headers)


def error(status: int, message: str, details: Mapping[str, str] | None = None, headers: Headers = ()) -> Answer:
    """An error in the contract's shape: success, error, type, statusCode and details (wire name to message)."""
    return json_answer(status, error_body(status, message, details), headers)


def error_body(status: int, message: str, details: Mapping[str, str] | None = None) -> Mapping[str, object]:
    """The JSON object of an error, as :func:`error` sends it."""
    return {
        "success": False,
        "error": message,
        "type": ERROR_TYPES.get(status, "error"),
        "statusCode": status,
        "details": dict(details or {}),
    }


@dataclass(frozen=True)
class Tracked:
    """What a success says about the event: ``data`` in the documented shape, and what other shapes need."""

    event_id: int
    data: Mapping[str, object]
    stored_association: bool
    recorded_at: str


def success(shape: str, tracked: Tracked) -> Answer:
    """A success in one of the :data:`SUCCESS_SHAPES`; ``mixed`` goes through them by the event's number."""
    if shape == "mixed":
        shape = SUCCESS_SHAPES[tracked.event_id % (len(SUCCESS_SHAPES) - 1)]
    if shape == "empty":
        return Answer(200)
    if shape == "status":
        return json_answer(200, {"status": True, "data": "successful"})
    if shape == "timestamp":
        return json_answer(200, {"success": True, "timestamp": tracked.recorded_at})
    if shape == "request-id":
        return json_answer(
            200,
            {
                "message": _MESSAGE,
                "requestId": f"req_{tracked.event_id}",
                "deferredAssociationStored": tracked.stored_association,
            },
        )
    return json_answer(200, {"success": True, "message": _MESSAGE, "data": dict(tracked.data)})


def web_page(status: int, title: str = "CutMeShort") -> Answer:
    """A web page where JSON was due: the company's site, or a gateway's error page."""
    page = (
        f"<!doctype html><html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1><p>This is a web page of the sandbox, not an answer of the API.</p></body></html>\n"
    )
    return Answer(status, page.encode("ascii"), HTML_TYPE)


def redirect(status: int, location: str) -> Answer:
    """A redirect to ``location`` with the few lines of HTML that servers send along."""
    return web_page(status, "Redirecting").with_headers((("Location", location),))


def method_not_allowed(allowed: Sequence[str]) -> Answer:
    """405 with the ``Allow`` header that RFC 9110 asks for."""
    names = ", ".join(allowed)
    return error(405, f"Method not allowed; use {names}", headers=(("Allow", names),))
