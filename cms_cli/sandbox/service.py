"""Turns a request into a reply, combining tokens, rate limit, faults, rules and store. Has no sockets.

The order of the checks is: host (421), route (404, 405), token (401), rate limit (429), faults, body (415, 400),
fields (422), content of the store (404, 409). A request with an accepted token counts towards the rate limit
regardless of its answer, unless the limit refuses it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from cms_cli.sandbox.answers import Answer, error, method_not_allowed, success, web_page
from cms_cli.sandbox.body import read_object
from cms_cli.sandbox.fault_injection import NO_FAULT, REDIRECTED, FaultInjector, Injection
from cms_cli.sandbox.fields import LEAD
from cms_cli.sandbox.rate_limit import SlidingWindow
from cms_cli.sandbox.rules import AttributedEvent, attribute, check_fields, find_kind
from cms_cli.sandbox.store import Draft, Store, StoreTransaction
from cms_cli.sandbox.store_reader import iso_time
from cms_cli.sandbox.tokens import TokenGate


class Request(NamedTuple):
    """An HTTP request: path and query as they were sent, headers by lower-case name, the body without chunking."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


Page = Callable[[str], Answer]
"""Returns the answer to ``GET`` and ``HEAD`` of a page beside the API, for the query of the request."""


class Reply(NamedTuple):
    """An answer, and the fault that changes how it is sent."""

    answer: Answer
    injection: Injection = NO_FAULT


class Service:
    """Answers requests, with the state in a store. Thread-safe.

    Args:
        store: The store in which events and attempts are recorded.
        tokens: The check of tokens.
        rate_limit: The rate limit of each user.
        faults: The decision about faults.
        shape: The shape of success answers.
        pages: The pages beside the API, by path. Requests for them are not recorded.
        port: The server's port.
        clock_ns: The monotonic clock of attempts, in nanoseconds.

    Attributes:
        failure: The first exception within the sandbox itself (a full disk, a bug), whose request was answered 500;
            or ``None``.
    """

    def __init__(
        self,
        store: Store,
        *,
        tokens: TokenGate,
        rate_limit: SlidingWindow,
        faults: FaultInjector,
        shape: str,
        pages: Mapping[str, Page],
        port: int,
        clock_ns: Callable[[], int],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._rate_limit = rate_limit
        self._faults = faults
        self._shape = shape
        self._pages = pages
        self._port = port
        self._clock_ns = clock_ns
        self.failure: BaseException | None = None

    def handle(self, request: Request) -> Reply:
        """Return the reply to a request, once the attempt and its changes are committed to the store."""
        draft = self._draft(request.method, request.path)
        try:
            return self._handle(request, draft)
        except Exception as problem:  # the client gets an answer, and `failure` the exception
            return self._fail(problem)

    def refuse(self, method: str, path: str, status: int, message: str) -> Reply:
        """Return the reply to a request that could not be read; method and path are "" if they are not known."""
        try:
            return self._log(self._draft(method, path), error(status, message))
        except Exception as problem:  # as above
            return self._fail(problem)

    def _fail(self, problem: Exception) -> Reply:
        self.failure = self.failure or problem
        return Reply(error(500, f"The sandbox itself failed: {problem}"))

    def _draft(self, method: str, path: str) -> Draft:
        return Draft(time.time(), self._clock_ns(), method, path)

    def _handle(self, request: Request, draft: Draft) -> Reply:
        page = self._pages.get(request.path)
        if not self._is_ours(request.headers.get("host", "")):
            refusal = error(421, f"The sandbox is at http://127.0.0.1:{self._port} and at no other name")
            return Reply(refusal) if page else self._log(draft, refusal)
        if page and request.method in ("GET", "HEAD"):
            return Reply(page(request.query))
        if page:
            return self._log(draft, method_not_allowed(("GET", "HEAD")))
        if request.path.startswith(f"{REDIRECTED}/"):
            return self._log(draft, web_page(200))
        kind = find_kind(request.method, request.path, request.query)
        if isinstance(kind, Answer):
            return self._log(draft, kind)
        caller = self._tokens.admit(request.headers.get("authorization"))
        if isinstance(caller, Answer):
            return self._log(draft, caller)
        draft.caller = caller
        admission = self._rate_limit.admit(caller.user)
        draft.at_ns, draft.counted = admission.at_ns, admission.admitted
        if admission.admitted:
            reply = self._track(kind, request, draft)
        else:
            limit = {"limit": f"{admission.limit} requests a window"}
            reply = self._log(draft, error(429, "Rate limit exceeded", limit))
        return reply._replace(answer=reply.answer.with_headers(admission.headers()))

    def _is_ours(self, host: str) -> bool:
        """Return True if a ``Host`` header names this machine.

        Otherwise, a web page whose host name resolves to 127.0.0.1 (DNS rebinding) would have the same origin as
        this server, and its scripts could read and write the store.
        """
        names = ("127.0.0.1", "localhost", "[::1]")
        host = host.lower()
        return host in [f"{name}:{self._port}" for name in names] or (self._port == 80 and host in names)

    def _track(self, kind: str, request: Request, draft: Draft) -> Reply:
        parsed = read_object(request.headers, request.body)
        event = None if isinstance(parsed, Answer) else parsed
        draft.subject = _subject(kind, event)
        injection = self._faults.decide(kind, event, request.body)
        draft.fault = injection.kind or None
        event_id: int | None = None
        with self._store.writing() as transaction:
            if injection.skips_rules:
                answer = injection.answer_instead(request.path)
            else:
                answer, event_id = self._apply_rules(kind, parsed, draft, transaction)
                answer = injection.change(answer)
            transaction.log(draft, None if injection.drops else answer.status, event_id)
        return Reply(answer, injection)

    def _apply_rules(
        self, kind: str, parsed: dict[str, Any] | Answer, draft: Draft, transaction: StoreTransaction
    ) -> tuple[Answer, int | None]:
        if isinstance(parsed, Answer):
            return parsed, None
        outcome = check_fields(kind, parsed) or attribute(kind, parsed, transaction)
        if isinstance(outcome, Answer):
            return outcome, None
        event_id = transaction.record(outcome, draft.caller.user if draft.caller else "", draft.received_at)
        data = _success_data(outcome, event_id)
        return success(self._shape, event_id, data, iso_time(draft.received_at)), event_id

    def _log(self, draft: Draft, answer: Answer) -> Reply:
        with self._store.writing() as transaction:
            transaction.log(draft, answer.status, None)
        return Reply(answer)


def _subject(kind: str, event: Mapping[str, Any] | None) -> str | None:
    subject = (event or {}).get("customerExternalId" if kind == LEAD else "invoiceId")
    if not isinstance(subject, str):
        return None
    # The attempt is logged even if the field rules refuse a lone surrogate, which SQLite cannot store.
    return subject[:255].encode("utf-8", "replace").decode("utf-8")


def _success_data(attributed: AttributedEvent, event_id: int) -> dict[str, object]:
    event = attributed.event
    data: dict[str, object] = {
        "eventId": f"evt_{event_id}",
        "type": attributed.kind,
        "clickId": attributed.click_id,
        "attribution": attributed.click_source,
        "eventName": event["eventName"],
        "customerExternalId": event["customerExternalId"],
    }
    data.update({name: event[name] for name in ("invoiceId", "amount", "currency") if name in event})
    if attributed.stores_association:
        data["deferredAssociationStored"] = True
    return data
