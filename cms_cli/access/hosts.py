"""Checks the hosts that a token may be sent to."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, urlsplit

from cms_python import DEFAULT_HOST


def checked_host(text: object, *, allow_http: bool = False) -> str:
    """Check a base URL.

    Args:
        text: The URL.
        allow_http: Whether plain http to another machine is allowed.

    Returns:
        The URL in the one spelling that identifies a host: scheme and host in lower case, no slash at the end.

    Raises:
        ValueError: The URL cannot be used. The message continues the name of the setting, and does not quote parts
            that may contain a password.
    """
    if not isinstance(text, str):
        raise ValueError(f"must be a URL such as {DEFAULT_HOST}")
    parts = _split(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"must be an https URL such as {DEFAULT_HOST}")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name, password or token: keep the token with `cms auth login`")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must not contain a query or a fragment")
    if parts.scheme == "http" and not allow_http and not is_this_machine(parts.hostname):
        raise ValueError(
            f"is plain http ({parts.netloc}): anyone on the network path could read the token and the events."
            " Use https, or --allow-http where the network is trusted"
        )
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def is_this_machine(hostname: str) -> bool:
    """Return True if a name or address stays on this machine: localhost, 127.0.0.0/8, ::1."""
    if hostname.lower() == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def keep_off_proxies(url: str) -> None:
    """Exempt plain http requests to this machine from proxies, which would see the token in clear."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname and is_this_machine(parts.hostname):
        for name in ("no_proxy", "NO_PROXY"):
            os.environ[name] = ",".join(filter(None, (os.environ.get(name), parts.hostname)))


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - read for the error it may raise
    except ValueError:
        raise ValueError(f"must be an https URL such as {DEFAULT_HOST}") from None
    return parts
