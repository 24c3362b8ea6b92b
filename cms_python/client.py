"""The client of the service: tracks leads and sales, and retries where that is safe."""

from __future__ import annotations

import logging
import math
import os
import random
import time
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cms_python import outcome as outcomes
from cms_python._retry import pause
from cms_python.events import InvalidEventError, LeadEvent, SaleEvent, WireEvent
from cms_python.outcome import DOCUMENTED_HOSTS, Outcome, TrackResult

if TYPE_CHECKING:
    from cms_python._transport import Transport

DEFAULT_HOST = DOCUMENTED_HOSTS[0]
"""The host of the published 1.0.0 client."""

LONGEST_TIMEOUT = 86_400.0
"""The longest ``timeout`` allowed, in seconds. Sockets overflow on much longer ones."""

_log = logging.getLogger("cms_python")


class CMSClient:
    """Tracks leads and sales at CutMeShort.

    Threads may share a client, which keeps connections open. Close it, or use it in a ``with`` statement.

    Args:
        token: The bearer token, without "Bearer". Defaults to the environment variable CMS_BEARER_TOKEN.
        host: The API's base URL, http or https.
        timeout: Seconds from sending an event to the end of its answer. Connecting has a limit of its own: 5 s, or
            ``timeout`` if that is less, for each address of the host. The DNS lookup has no limit.
        retries: How often an event is sent again after the first attempt failed; 0 turns retries off. A sale can
            always be sent again, since the service keeps one sale per invoice; a lead is sent again only if it
            surely did not arrive. Retries after a 429 or an answer with ``Retry-After`` do not count: only
            ``total_wait`` limits those.
        total_wait: Seconds from the start of a call within which a new attempt may begin. Each attempt still has
            its whole ``timeout``. A ``Retry-After`` that ends later than this ends the call at once.

    Raises:
        ValueError: The token is missing or cannot be a bearer token, ``host`` is not an http or https URL, or a
            setting is not a number or is out of range.
    """

    def __init__(
        self,
        token: str | None = None,
        host: str = DEFAULT_HOST,
        *,
        timeout: float = 10.0,
        retries: int = 2,
        total_wait: float = 20.0,
    ) -> None:
        token = _checked_token(os.environ.get("CMS_BEARER_TOKEN") if token is None else token)
        self._host = _checked_host(host)
        self._timeout = _number("timeout", timeout)
        if not 0 < self._timeout <= LONGEST_TIMEOUT:
            raise ValueError(f"timeout must be above 0 and at most {LONGEST_TIMEOUT:g} seconds, not {timeout}")
        self._retries = _number("retries", retries)
        if self._retries < 0 or self._retries % 1 > 0:  # math.inf is allowed; inf % 1 is nan
            raise ValueError(f"retries must be a whole number, 0 or more, not {retries}")
        self._total_wait = _number("total_wait", total_wait)
        if self._total_wait < 0:
            raise ValueError(f"total_wait must be 0 or more seconds, not {total_wait}")
        self._closed = False
        self._transport = _transport(self._host, token)

    def __repr__(self) -> str:
        return f"CMSClient(host={self._host!r})"

    def __enter__(self) -> CMSClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def host(self) -> str:
        """The API's base URL, without a trailing slash."""
        return self._host

    def close(self) -> None:
        """Close the connections. A closed client sends nothing more; closing it again does nothing."""
        self._closed = True
        self._transport.close()

    def track_lead(
        self,
        event_name: str,
        customer_external_id: str,
        click_id: str | None = None,
        customer_name: str | None = None,
        customer_email: str | None = None,
        customer_avatar: str | None = None,
        timestamp: datetime | None = None,
        mode: str | None = None,
    ) -> TrackResult:
        """Track a lead.

        Args:
            event_name: What happened, ``signup_started``; 1 to 255 characters.
            customer_external_id: Your id of the customer, the same on all their events; 1 to 255 characters.
            click_id: The click that brought them, from the URL parameter ``cms_rf``. Needed for the standard
                flow and to set up deferred attribution; left out in follow-ups.
            customer_name: Up to 255 characters.
            customer_email: An e-mail address, up to 255 characters.
            customer_avatar: An http or https URL.
            timestamp: When it happened. A time without a zone is taken as UTC. By default, the time of arrival.
            mode: ``"deferred"`` to tie the click to the customer for later leads, else None.

        Returns:
            ``{"success": True, "message": str, "data": dict}`` or ``{"success": False, "error": str,
            "status_code": int | None, "type": str}``, the latter with ``details`` (a dict) and ``retry_after``
            (seconds) if the service sent any. Values that break a rule are not sent: the result is an error with
            ``status_code`` 422, as the service would answer, and every offending field under ``details``.

        Raises:
            RuntimeError: The client is closed.
        """
        try:
            event = LeadEvent(
                event_name,
                customer_external_id,
                click_id,
                customer_name,
                customer_email,
                customer_avatar,
                timestamp,
                mode,
            )
        except InvalidEventError as error:
            return outcomes.invalid(error.problems).to_dict()
        return self.send(event).to_dict()

    def track_sale(
        self,
        click_id: str,
        event_name: str,
        customer_external_id: str,
        invoice_id: str,
        amount: int,
        currency: str,
        customer_name: str | None = None,
        customer_email: str | None = None,
        customer_avatar: str | None = None,
        timestamp: datetime | None = None,
    ) -> TrackResult:
        """Track a sale.

        Args:
            click_id: The click that brought the customer, from the URL parameter ``cms_rf``.
            event_name: What happened, ``purchase_completed``; 1 to 255 characters.
            customer_external_id: Your id of the customer, the same on all their events; 1 to 255 characters.
            invoice_id: Your id of the invoice; the service keeps one sale per invoice.
            amount: Minor units of the currency: 4999 for 49.99 USD. An int; a float is an error, not a guess.
            currency: Three letters, ISO 4217, in any case.
            customer_name: Up to 255 characters.
            customer_email: An e-mail address, up to 255 characters.
            customer_avatar: An http or https URL.
            timestamp: When it happened. A time without a zone is taken as UTC. By default, the time of arrival.

        Returns:
            The same as :meth:`track_lead`. A 409 (the service has this invoice already) is an error, unless an
            earlier attempt of this call may have arrived: then it is a success with ``data["duplicate"]`` True.

        Raises:
            RuntimeError: The client is closed.
        """
        try:
            event = SaleEvent(
                click_id,
                event_name,
                customer_external_id,
                invoice_id,
                amount,
                currency,
                customer_name,
                customer_email,
                customer_avatar,
                timestamp,
            )
        except InvalidEventError as error:
            return outcomes.invalid(error.problems).to_dict()
        return self.send(event).to_dict()

    def send(self, event: LeadEvent | SaleEvent | WireEvent) -> Outcome:
        """Send an event, and send it again after a failure as long as that is safe.

        Args:
            event: The event to send.

        Returns:
            The outcome. Its :meth:`~cms_python.Outcome.to_dict` returns the documented dict.

        Raises:
            RuntimeError: The client is closed.
        """
        wire = event if isinstance(event, WireEvent) else event.encode()
        start = time.monotonic()
        failures = 0
        may_have_arrived = False
        while True:
            outcome = self.attempt(wire)
            failures += 1
            outcome = replace(
                outcome,
                attempts=failures,
                may_have_arrived=outcome.may_have_arrived or may_have_arrived,
            )
            may_have_arrived = outcome.may_have_arrived
            wait = pause(
                wire.kind,
                outcome,
                failures=failures,
                elapsed=time.monotonic() - start,
                retries=self._retries,
                total_wait=self._total_wait,
                chance=random.random(),  # noqa: S311 - no secret
            )
            if wait is None:
                return outcome
            _log.info("attempt %d: %s; next in %.1f s", failures, outcome.message, wait)
            time.sleep(wait)
            if self._closed:  # closed by another thread meanwhile
                return outcome

    def attempt(self, event: WireEvent) -> Outcome:
        """Make exactly one request, for callers with retries of their own.

        Args:
            event: The event to send.

        Returns:
            The outcome of this request. Failures of the network are returned, not raised.

        Raises:
            RuntimeError: The client is closed.
        """
        if self._closed:
            raise RuntimeError("this CMSClient is closed; make a new one")
        path = f"/track/{event.kind.value}"
        begin = time.monotonic()
        answer = self._transport.post(path, event.body, self._timeout)
        outcome = outcomes.read(event.kind, answer, self._host)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                "POST %s%s %s -> %s %s (%.0f ms)",
                self._host,
                path,
                event.body.decode(),
                outcome.status_code or "no answer:",
                outcome.message,
                (time.monotonic() - begin) * 1000,
            )
        return outcome


def _transport(host: str, token: str) -> Transport:
    # Importing requests takes longer than the rest of the SDK, and building events does not need it.
    from cms_python._transport import Transport

    return Transport(host, token)


def _checked_token(token: object) -> str:
    # No message quotes the token.
    if token is None:
        raise ValueError("the token is missing: pass one, or set CMS_BEARER_TOKEN")
    if not isinstance(token, str):
        raise ValueError(f"the token must be a str, not {type(token).__name__}")
    if not token.strip():
        raise ValueError("the token is empty: pass the bearer token of your CutMeShort account")
    if token.lower().startswith("bearer "):
        raise ValueError('the token must not begin with "Bearer": pass what follows it')
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token has a space, a line break or another character that no token has")
    return token


def _number(name: str, value: object) -> float:
    try:
        if isinstance(value, (str, bytes, bool)):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be a number, not {type(value).__name__}") from None
    if math.isnan(number):
        raise ValueError(f"{name} must be a number, not nan")
    return number


def _checked_host(host: object) -> str:
    if not isinstance(host, str):
        raise ValueError("host must be a URL such as " + DEFAULT_HOST)
    host = host.strip()
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError("host must not contain a space, a line break or a control character")
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"host must be an http or https URL such as {DEFAULT_HOST}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("host must not contain a user name or password")
    if "?" in host or "#" in host:
        raise ValueError("host must not contain a query or a fragment")
    try:
        parts.port  # noqa: B018 - read for the error it may raise
    except ValueError:
        raise ValueError("host has a port that is not a number from 0 to 65535") from None
    return host.rstrip("/")
