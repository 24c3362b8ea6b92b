"""The SDK's rules and the sandbox's, implemented separately, agree on every value."""

from __future__ import annotations

import string
from datetime import datetime, timezone
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cms_cli.sandbox.fields import problems
from cms_python import LEAD_FIELDS, SALE_FIELDS, InvalidEventError, LeadEvent, SaleEvent

FIELDS = {"lead": LEAD_FIELDS, "sale": SALE_FIELDS}
EVENTS: dict[str, Any] = {"lead": LeadEvent, "sale": SaleEvent}
GOOD: dict[str, dict[str, Any]] = {
    "lead": {"event_name": "signed_up", "customer_external_id": "user_42", "click_id": "id_123"},
    "sale": {
        "click_id": "id_123",
        "event_name": "bought",
        "customer_external_id": "user_42",
        "invoice_id": "inv_1",
        "amount": 4999,
        "currency": "USD",
    },
}

lengths = st.sampled_from([0, 1, 2, 63, 64, 65, 254, 255, 256, 257, 2000])
long_texts = st.builds(lambda letter, length: letter * length, st.sampled_from(["a", "é", "🎉", "\x00"]), lengths)
texts = st.one_of(st.text(st.characters(), max_size=5), long_texts)
names = st.text(
    st.sampled_from([*string.ascii_letters, *"0123456789.-_+@ \t\n\x00\u2003\u3000éß漢🎉\"'(),:;<>[]\\|"])
)
emails = st.one_of(st.emails(), st.builds("{}@{}.{}".format, names, names, names), texts)
urls = st.one_of(
    st.builds("{}://{}{}{}".format, st.sampled_from(["http", "https", "HTTPS", "ftp", ""]), names, names, texts),
    texts,
)
times = st.one_of(st.datetimes(), st.datetimes(timezones=st.timezones()), texts)
values: dict[str, st.SearchStrategy[Any]] = {
    "amount": st.one_of(
        st.integers(-5, 5), st.integers(2**53 - 3, 2**53 + 3), st.integers(), st.floats(), st.booleans(), texts
    ),
    "currency": st.one_of(st.text(st.sampled_from("abzABZé\u0131\u017f\u0130 1\n"), max_size=4), texts),
    "customer_email": emails,
    "customer_avatar": urls,
    "timestamp": times,
    "mode": st.one_of(st.sampled_from(["deferred", "Deferred", ""]), st.booleans(), texts),
}


@st.composite
def events(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Generate an event of one kind by Python names, with some values changed or missing."""
    kind = draw(st.sampled_from(["lead", "sale"]))
    changed = draw(st.sets(st.sampled_from(sorted(FIELDS[kind])), min_size=1, max_size=3))
    event = {
        **GOOD[kind],
        **{name: draw(st.one_of(st.none(), values.get(name, texts))) for name in sorted(changed)},
    }
    return kind, event


@settings(max_examples=200, deadline=None)
@given(events())
def test_what_the_sdk_sends_the_sandbox_takes(given_event: tuple[str, dict[str, Any]]) -> None:
    """The sandbox accepts what the SDK accepts, except some email and avatar addresses."""
    kind, event = given_event
    refused, wire = _sent(kind, event)
    # The SDK checks addresses loosely, so as not to refuse one that the service would accept.
    assert refused or set(problems(kind, wire)) <= {"customerEmail", "customerAvatar"}


@settings(max_examples=200, deadline=None)
@given(events())
@example(("lead", {**GOOD["lead"], "customer_email": "a\u3000b@example.com"}))
@example(("lead", {**GOOD["lead"], "customer_email": "\u2028@example.com"}))
@example(("lead", {**GOOD["lead"], "customer_avatar": "https://x.example/" + "y" * 3000}))
def test_what_the_sandbox_takes_the_sdk_sends(given_event: tuple[str, dict[str, Any]]) -> None:
    """The SDK accepts what the sandbox accepts, except blank text, and sends it unchanged."""
    kind, event = given_event
    wire = {
        field.wire: _utc(event[name]) if name == "timestamp" else event[name]
        for name, field in FIELDS[kind].items()
        if event.get(name) is not None
    }
    if problems(kind, wire):
        return
    refused, sent = _sent(kind, event)
    for name in refused:
        assert str(event[name]).isspace(), refused
    assert refused or sent == wire


def _sent(kind: str, event: dict[str, Any]) -> tuple[dict[str, str], dict[str, object]]:
    """Return the SDK's problems with an event, or else its wire form."""
    try:
        return {}, EVENTS[kind](**{name: event.get(name) for name in FIELDS[kind]}).to_wire()
    except InvalidEventError as error:
        return error.problems, {}


def _utc(value: Any) -> Any:
    """Return a time in the contract's form, computed independently of the SDK."""
    if not isinstance(value, datetime):
        return value
    try:
        moment = value.astimezone(timezone.utc) if value.tzinfo else value
    except OverflowError:
        return "out of the years"
    return f"{moment.year:04}" + moment.strftime("-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
