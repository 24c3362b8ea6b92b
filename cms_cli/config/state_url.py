"""The URL of the database for shared state, and the passwords in it."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_SCHEMES = ("postgresql://", "postgres://")
_HIDDEN = "***"


def checked(value: object) -> str:
    """Return the value if it is the URL of a PostgreSQL database, without blanks around it.

    Raises:
        ValueError: It is no such URL. The message does not quote it, since it may contain a password.
    """
    text = value.strip() if isinstance(value, str) else ""
    try:
        urlsplit(text)
    except ValueError:
        text = ""
    if not text.startswith(_SCHEMES):
        raise ValueError("must be the URL of a PostgreSQL database, as postgresql://user@host/database")
    return text


def passwords_in(url: str) -> list[str]:
    """Return the passwords in a URL, each as written, decoded and encoded, so that every form can be masked."""
    parts = urlsplit(url)
    written = [text for name, text in parse_qsl(parts.query) if name == "password"]
    # parts.password is not used: it fails on URLs with several hosts and ports, which libpq accepts.
    user, found, _ = parts.netloc.rpartition("@")
    if found and ":" in user:
        written.append(user.partition(":")[2])
    return [form for text in written if text for form in dict.fromkeys((text, unquote(text), quote(text, safe="")))]


def without_password(url: str) -> str:
    """Return a URL with ``***`` for its passwords, to be shown."""
    parts = urlsplit(url)
    user, found, host = parts.netloc.rpartition("@")
    if found and ":" in user:
        parts = parts._replace(netloc=f"{user.partition(':')[0]}:{_HIDDEN}@{host}")
    query = [(name, _HIDDEN if name == "password" else text) for name, text in parse_qsl(parts.query)]
    if ("password", _HIDDEN) in query:
        parts = parts._replace(query=urlencode(query, safe="*/"))
    return urlunsplit(parts)
