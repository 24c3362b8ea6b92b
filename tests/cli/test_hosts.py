"""The hosts that a token may be sent to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_cli.access.hosts import checked_host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://API.cme.sh/", "https://api.cme.sh"),
        (" https://api.cme.sh/v1/ ", "https://api.cme.sh/v1"),
        ("http://localhost:8787", "http://localhost:8787"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_one_host_has_one_spelling(text: str, host: str) -> None:
    """A host is normalised: lower case, without a slash at the end."""
    assert checked_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *("http://api.cme.sh", "http://127.0.0.1.evil.com", "http://localhost@evil.com", "http://0x7f000001"),
        *(
            "https://token@api.cme.sh",
            "https://a/?b",
            "https://a/#b",
            "https://a:99999",
            "file:///etc",
            "",
            "api.cme.sh",
        ),
    ],
)
def test_what_no_token_is_sent_to(text: str) -> None:
    """Plain http to another machine, and anything but a plain base URL, is refused."""
    with pytest.raises(ValueError, match=r"must|is plain http"):
        checked_host(text)


@given(st.text(), st.booleans())
def test_any_text_is_taken_or_refused(text: str, allow_http: bool) -> None:
    """Any text is accepted or a ValueError, and an accepted host is accepted again unchanged."""
    try:
        host = checked_host(text, allow_http=allow_http)
    except ValueError:
        return
    assert checked_host(host, allow_http=allow_http) == host
