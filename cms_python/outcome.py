"""The outcome of an event: parses the service's answer into a type, and that into the documented dict."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, TypedDict

from cms_python import _words
from cms_python._answer import Answer, NoAnswer, Reason
from cms_python.events import EventKind

DOCUMENTED_HOSTS = (
    "https://www.cutmeshort.com",
    "https://app.cutmeshort.com",
    "https://api.cme.sh",
)
"""The host of the published 1.0.0 client (our default), of later packages, and of the API reference."""

_DEFAULT_MESSAGE = "Event tracked successfully"
_NOT_RECORDED = (
    'the service recorded nothing (it answered "{kind}": null), as it does with an event that it drops: '
    "check the click id and the customer"
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_WORDS_THAT_SAY_NO = frozenset({"false", "error", "fail", "failed", "failure"})
_BROKEN = object()
_LONGEST_QUOTE = 500  # characters that are quoted of an answer that is not JSON

_TYPES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    422: "validation_error",
    429: "rate_limited",
}

_MEANINGS = {
    400: "the service could not read the request",
    401: "the service does not accept this token: check that it is complete and has not expired",
    403: "this token may not track events: check which account it belongs to",
    404: "the service knows nothing of this: has a deferred lead been sent for this customer?",
    409: "the service has this event already",
    422: "the service rejected the event's values",
    429: "the service takes no more requests for now (its limit is 60 a minute)",
}

_REASONS = {
    Reason.REFUSED: "nothing answers there: check the host, the port and the network",
    Reason.HOST_NOT_FOUND: "no such host: check its spelling and the network",
    Reason.DNS: "the host's address could not be looked up just now: check the network",
    Reason.CONNECT_TIMEOUT: "no connection within the time limit",
    Reason.TLS: "no secure connection: check the clock, the CA bundle (REQUESTS_CA_BUNDLE) and any proxy",
    Reason.PROXY: "the proxy did not let the request through: check HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
    Reason.SETTINGS: "the connection's settings cannot be used: check the proxy and CA bundle variables",
    Reason.READ_TIMEOUT: "no answer within the time limit",
    Reason.DROPPED: "the connection was lost before an answer came",
}


class Status(str, Enum):
    """The outcome of an event, as far as the client can tell."""

    ACCEPTED = "accepted"
    """The service accepted the event."""
    DUPLICATE = "duplicate"
    """The service already has a sale with this invoice (409)."""
    REFUSED = "refused"
    """The service refused this event, and would refuse it again."""
    UNAUTHORIZED = "unauthorized"
    """The service does not accept the token (401, 403)."""
    BUSY = "busy"
    """The service cannot process the event now (408, 429, 5xx)."""
    NOT_API = "not_api"
    """Something other than the API answered: a web page, a redirect, a 404 without JSON."""
    UNSENT = "unsent"
    """The event was not sent, for instance because no connection could be made. It surely did not arrive."""
    UNANSWERED = "unanswered"
    """The event was sent and no complete answer came. It may have arrived."""
    INVALID = "invalid"
    """The event breaks a rule and was not sent."""


class _Success(TypedDict):
    success: bool


class TrackResult(_Success, total=False):
    """The dict that ``track_lead`` and ``track_sale`` return, as the package page of 1.0.0 documents it.

    A success has ``message`` and ``data``. An error has ``error``, ``status_code`` (None if no answer came) and
    ``type``, and ``details`` and ``retry_after`` (seconds) if the service sent any.
    """

    message: str
    data: dict[str, Any]
    error: str
    status_code: int | None
    type: str
    details: dict[str, Any]
    retry_after: float


@dataclass(frozen=True)
class Outcome:
    """The outcome of one event.

    Attributes:
        status: The kind of outcome.
        message: The service's own text if it sent any, else what happened and what to do.
        type: A constant for programs: the service's ``type``, or one of ours (``validation_error``, ``timeout``).
            Empty for a success.
        status_code: The HTTP status; for a 2xx whose body reports an error, the body's ``statusCode`` if it has
            one; None if nothing answered.
        data: The ``data`` of a success, and the other keys of its body in snake_case.
        details: The details of an error, by the Python name of the field if they are about fields.
        retry_after: Seconds that the service asked to wait (``Retry-After``), or None.
        attempts: The number of requests that were made.
        may_have_arrived: Whether the service may have recorded the event in an attempt that did not confirm it.
    """

    status: Status
    message: str
    type: str = ""
    status_code: int | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    retry_after: float | None = None
    attempts: int = 1
    may_have_arrived: bool = False

    @property
    def success(self) -> bool:
        """True if the event was accepted, or is the duplicate of an earlier attempt that got no answer."""
        return self.status is Status.ACCEPTED or (self.status is Status.DUPLICATE and self.may_have_arrived)

    @property
    def asks_to_wait(self) -> bool:
        """True if the service itself said to try again later, with a 429 or ``Retry-After``."""
        return self.status_code == 429 or self.retry_after is not None

    def to_dict(self) -> TrackResult:
        """Return the dict that the package page documents."""
        if self.success:
            data = dict(self.data)
            if self.status is Status.DUPLICATE:
                data["duplicate"] = True
            return {"success": True, "message": self.message, "data": data}
        answer: TrackResult = {
            "success": False,
            "error": self.message,
            "status_code": self.status_code,
            "type": self.type,
        }
        if self.details:
            answer["details"] = dict(self.details)
        if self.retry_after is not None:
            answer["retry_after"] = self.retry_after
        return answer


def invalid(problems: Mapping[str, str]) -> Outcome:
    """Return the outcome of an event that breaks rules, shaped like the service's own 422.

    Args:
        problems: By Python name of each offending field, what its value must be.
    """
    return Outcome(Status.INVALID, "Validation failed", "validation_error", 422, details=problems)


def read(kind: EventKind, answer: Answer | NoAnswer, host: str) -> Outcome:
    """Return the outcome of one attempt.

    Args:
        kind: The kind of event that was sent: a 409 is a duplicate for a sale, and a refusal for a lead.
        answer: The answer, or why there is none.
        host: The base URL of the request, for messages.
    """
    if isinstance(answer, NoAnswer):
        return _of_no_answer(answer, host)
    parsed = _parsed(answer.body)
    body = parsed if isinstance(parsed, dict) else None
    if answer.status in (401, 403):
        return _of_rejected_token(answer, body, host)
    if answer.status == 429 or answer.status >= 500 or answer.status == 408:
        outcome = _of_error(Status.BUSY, answer, body)
        # A 503 or a 429 means that the event was not processed; the others may come after it was.
        return replace(outcome, may_have_arrived=answer.status not in (429, 503))
    if 200 <= answer.status < 300:
        if body is None:
            return _of_2xx_without_object(answer, parsed is not _BROKEN, host)
        return _of_success(kind, answer, body, host)
    if 300 <= answer.status < 400 or (body is None and _is_not_api(answer)):
        return _of_other_server(answer, host)
    if answer.status == 409 and kind is EventKind.SALE:
        return _of_error(Status.DUPLICATE, answer, body)
    return _of_error(Status.REFUSED, answer, body)


def _is_not_api(answer: Answer) -> bool:
    """Return True if an error without JSON is not the API's: a page, no such path, an undocumented status."""
    return answer.is_web_page or answer.status == 404 or answer.status not in _MEANINGS


def _of_no_answer(answer: NoAnswer, host: str) -> Outcome:
    return Outcome(
        Status.UNANSWERED if answer.sent else Status.UNSENT,
        f"{host}: {_REASONS[answer.reason]} ({answer.detail})",
        answer.reason.value,
        may_have_arrived=answer.sent,
    )


def _of_2xx_without_object(answer: Answer, is_json: bool, host: str) -> Outcome:
    if not answer.body.strip():
        if answer.says_its_end:
            return Outcome(Status.ACCEPTED, _DEFAULT_MESSAGE, status_code=answer.status)
        cut_off = NoAnswer(Reason.DROPPED, sent=True, detail="it ended without stating its length")
        return _of_no_answer(cut_off, host)
    if answer.says_json and not is_json:
        # Truncated or corrupted JSON: the service may have recorded the event.
        return _of_no_answer(NoAnswer(Reason.DROPPED, sent=True, detail="its JSON is broken"), host)
    return _of_other_server(answer, host)


def _of_success(kind: EventKind, answer: Answer, body: dict[str, object], host: str) -> Outcome:
    """Return the outcome for a 2xx with a JSON object, which may still report an error."""
    if _says_no(body):
        code = body.get("statusCode")
        if isinstance(code, int) and _is_error_code(code):
            return read(kind, answer._replace(status=code), host)
        return _of_error(Status.REFUSED, answer, body)
    if kind.value in body and body[kind.value] is None and body.get("success") is not True:
        return Outcome(Status.REFUSED, _NOT_RECORDED.format(kind=kind.value), "not_recorded", answer.status)
    data = body.get("data")
    said_besides = {
        _snake_case(key): value for key, value in body.items() if key not in ("success", "message", "data")
    }
    if said_besides.get("status") is True:
        del said_besides["status"]
    if isinstance(data, dict):
        said_besides.update(data)
    elif data is not None:
        said_besides["result"] = data
    message = body.get("message")
    return Outcome(
        Status.ACCEPTED,
        message if isinstance(message, str) and message else _DEFAULT_MESSAGE,
        status_code=answer.status,
        data=said_besides,
    )


def _says_no(body: Mapping[str, object]) -> bool:
    flags = [body[key] for key in ("success", "status") if body.get(key) is not None]
    if body.get("success") == 0 or any(_is_no(flag) for flag in flags):
        return True
    # Without a success flag, an error or an error code means a refusal.
    said = body.get("error") or body.get("errors") or _is_error_code(body.get("statusCode"))
    return True not in flags and bool(said)


def _is_no(flag: object) -> bool:
    if isinstance(flag, str):
        return flag.lower() in _WORDS_THAT_SAY_NO
    return flag is False or _is_error_code(flag)


def _is_error_code(code: object) -> bool:
    return isinstance(code, int) and 400 <= code < 600


def _of_error(status: Status, answer: Answer, body: dict[str, object] | None) -> Outcome:
    text = answer.text_excerpt(_LONGEST_QUOTE) if body is None else _words.text_of(body)
    if not text:
        text = _MEANINGS.get(answer.status, f"the service answered {answer.status}")
        if answer.status < 300:
            text = f"the service refused this event without a reason (it answered {answer.status}): ask its support"
    said = body or {}
    return Outcome(
        status,
        text,
        _words.type_of(said) or _TYPES.get(answer.status, f"http_{answer.status}"),
        answer.status,
        details=_words.details_of(said),
        retry_after=answer.retry_after,
    )


def _of_rejected_token(answer: Answer, body: dict[str, object] | None, host: str) -> Outcome:
    outcome = _of_error(Status.UNAUTHORIZED, answer, body)
    if body is None and answer.is_web_page:
        # A web page may come from a wrong host instead of the service.
        return replace(outcome, message=f"{outcome.message}. {_other_hosts(host)}")
    return outcome


def _of_other_server(answer: Answer, host: str) -> Outcome:
    kind = "not_api"
    if 300 <= answer.status < 400:
        kind = "redirect"
        what = f"a redirect ({answer.status}) to {answer.location or 'nowhere'}, which would lose the event"
    elif answer.is_web_page:
        what = f"a web page ({answer.status})"
    elif answer.body.strip():
        what = f"something that is not a JSON object ({answer.status})"
    else:
        what = f"an empty answer ({answer.status})"
    return Outcome(
        Status.NOT_API,
        f"{host} answered with {what}: this is not the API. {_other_hosts(host)}",
        kind,
        answer.status,
        # A web page comes from another server; anything else may come from the API, which may have recorded the
        # event.
        may_have_arrived=200 <= answer.status < 300 and not answer.is_web_page,
    )


def _other_hosts(host: str) -> str:
    others = [known for known in DOCUMENTED_HOSTS if known != host]
    return f"Documented hosts besides {host}: {', '.join(others)}"


def _parsed(body: bytes) -> object:
    """Return the value of JSON, or ``_BROKEN``."""
    try:
        value = json.loads(body.decode("utf-8-sig"))
        if _HALF_CHARACTER.search(body):
            # JavaScript may cut a text in the middle of a surrogate pair; UTF-8 cannot encode the half that is
            # left.
            text = json.dumps(value, ensure_ascii=False)
            return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        return _BROKEN
    return value


def _snake_case(name: str) -> str:
    return _CAMEL_HUMP.sub("_", name).lower()
