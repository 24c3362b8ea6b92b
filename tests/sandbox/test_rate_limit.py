"""The sandbox's rate limit: no window holds more, and Retry-After is exact to the second."""

from __future__ import annotations

import tracemalloc

import pytest
from clock import Clock
from hypothesis import given
from hypothesis import strategies as st

from cms_cli.sandbox import OptionError, Rate
from cms_cli.sandbox.rate_limit import SlidingWindow

from .conftest import StartSandbox
from .talk import FOLLOW_UP, LEAD, Wire, lead, send

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/m", Rate(60, 60)),
        ("10/s", Rate(10, 1)),
        ("1000/h", Rate(1000, 3600)),
        ("5/10s", Rate(5, 10)),
        ("none", None),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate | None) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text", ["", "60", "60/", "/m", "0/m", "-1/m", "1.5/m", "60/d", "60 / m", "None", "6/0s", "٣/m"]
)
def test_an_invalid_rate_is_an_error(text: str) -> None:
    with pytest.raises(OptionError, match="60/m"):
        Rate.parse(text)


def test_the_documented_limit(start_sandbox: StartSandbox, clock: Clock) -> None:
    sandbox = start_sandbox(rate_limit="60/m", clock_ns=clock)
    with Wire(sandbox) as wire:
        first = wire.lead()
        assert {name: value for name, value in first.headers.items() if name.startswith("ratelimit")} == {
            "ratelimit-limit": "60",
            "ratelimit-remaining": "59",
            "ratelimit-reset": "60",
        }
        clock.advance(0.5)
        assert {wire.lead().status for _ in range(59)} == {200}
        refused = wire.lead()
        assert (refused.status, refused.json["statusCode"], refused.json["success"]) == (429, 429, False)
        assert (refused.headers["retry-after"], refused.headers["ratelimit-remaining"]) == ("60", "0")
        clock.advance(59.499999999)
        assert wire.lead().headers["retry-after"] == "1"
        clock.advance(0.000000001)
        assert [wire.lead().status for _ in range(2)] == [200, 429]
    assert len(sandbox.events()) == 61


def test_without_a_limit_there_are_no_ratelimit_headers(start_sandbox: StartSandbox) -> None:
    answer = lead(start_sandbox(rate_limit="none"))
    assert not [name for name in answer.headers if name.startswith("ratelimit")]


def test_only_valid_tokens_on_the_api_count(start_sandbox: StartSandbox, clock: Clock) -> None:
    sandbox = start_sandbox(rate_limit="3/m", clock_ns=clock)
    send(sandbox, "GET", "/")
    send(sandbox, "POST", "/nowhere")
    send(sandbox, "POST", "/track/lead", b"{}")
    assert lead(sandbox, {}).headers["ratelimit-remaining"] == "2"
    assert lead(sandbox, b"nonsense").headers["ratelimit-remaining"] == "1"
    assert lead(sandbox, FOLLOW_UP).headers["ratelimit-remaining"] == "0"
    clock.advance(30)
    assert lead(sandbox).status == 429
    clock.advance(30)
    # A refused request does not count towards the limit.
    assert [lead(sandbox).status for _ in range(4)] == [200, 200, 200, 429]
    assert [attempt.counted for attempt in sandbox.attempts()] == [
        *(False, False),
        *(True, True, True),
        False,
        *(True, True, True),
        False,
    ]


def test_faults_count(start_sandbox: StartSandbox, clock: Clock) -> None:
    sandbox = start_sandbox(rate_limit="1/m", faults="503", clock_ns=clock)
    assert [lead(sandbox, LEAD).status for _ in range(2)] == [503, 429]


@given(
    limit=st.integers(1, 5),
    seconds=st.integers(1, 4),
    pauses=st.lists(st.integers(0, 5 * SECOND), max_size=60),
)
def test_no_window_exceeds_the_limit_and_retry_after_is_exact(limit: int, seconds: int, pauses: list[int]) -> None:
    clock = Clock()
    window = SlidingWindow(Rate(limit, seconds), clock)
    admitted: list[int] = []
    for pause in pauses:
        clock.now_ns += pause
        admission = window.admit("user")
        if not admission.admitted:
            assert admission.remaining == 0
            clock.now_ns += (admission.reset - 1) * SECOND
            assert not window.admit("user").admitted
            clock.now_ns += SECOND
            admission = window.admit("user")
        assert admission.admitted
        admitted.append(admission.at_ns)
    for first, later in zip(admitted, admitted[limit:]):
        assert later - first >= seconds * SECOND


def test_idle_users_take_no_memory() -> None:
    clock = Clock()
    window = SlidingWindow(Rate(1, 1), clock)
    tracemalloc.start()
    for number in range(10_000):
        window.admit(str(number))
    full, _ = tracemalloc.get_traced_memory()
    clock.advance(1)
    window.admit("another")
    left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert left < full / 2
