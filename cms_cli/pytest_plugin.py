"""A pytest fixture that runs the sandbox, for tests of applications that use cms_python.

    def test_an_order_is_tracked(cms_sandbox):
        shop = Shop(CMSClient(cms_sandbox.token, cms_sandbox.url))
        shop.order("book", customer="user_42", click="clk_1")
        assert [sale.amount for sale in cms_sandbox.sales()] == [1999]

pytest loads this module in every project that has the distribution installed, so the sandbox is imported only when
a test uses the fixture.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cms_cli.sandbox import SandboxServer

_MARK = "cms_sandbox(**options): how the sandbox of the fixture cms_sandbox behaves, as SandboxServer takes it"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``cms_sandbox``."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def cms_sandbox(request: pytest.FixtureRequest) -> Iterator[SandboxServer]:
    """A stand-in for the CutMeShort API, new and empty for each test, on a free port of this machine.

    ``url`` and ``token`` are for the client; ``events()``, ``leads()`` and ``sales()`` return what was recorded,
    each with the ``click_id`` that it is attributed to. ``@pytest.mark.cms_sandbox(faults="sale.5xx")`` sets
    options, which are those of :class:`cms_cli.sandbox.SandboxServer`.
    """
    with pytest.MonkeyPatch.context() as environment, _server(request.node) as server:
        # A proxy could not reach an address of this machine.
        for name, other in (("no_proxy", "NO_PROXY"), ("NO_PROXY", "no_proxy")):
            # Libraries read only one of the two variables, so each needs the value of the other.
            known = os.environ.get(name) or os.environ.get(other)
            if known != "*":
                environment.setenv(name, ",".join(filter(None, (known, "127.0.0.1"))))
        yield server
        if server.failure is not None:
            pytest.fail(f"the sandbox itself failed: {server.failure!r}")


def _server(test: pytest.Item) -> SandboxServer:
    """Return the sandbox that a test's markers describe; a mistake in one fails the test without a traceback."""
    from cms_cli.sandbox import OptionError, SandboxServer

    marks = list(test.iter_markers("cms_sandbox"))
    if any(mark.args for mark in marks):
        # Otherwise a test would pass without the fault that it names.
        pytest.fail('the marker cms_sandbox takes options by name: cms_sandbox(faults="sale.5xx")', pytrace=False)
    options = {name: value for mark in reversed(marks) for name, value in mark.kwargs.items()}
    known = inspect.signature(SandboxServer).parameters
    unknown = ", ".join(name for name in options if name not in known)
    if unknown:
        pytest.fail(f"the marker cms_sandbox has no option {unknown}; it has {', '.join(known)}", pytrace=False)
    try:
        return SandboxServer(**options)
    except OptionError as error:
        pytest.fail(f"the marker cms_sandbox: {error}", pytrace=False)
