"""The URL of the database that keeps the state of many machines, and the password that may be in it."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_SCHEMES = ("postgresql://", "postgres://")
_HIDDEN = "***"


def checked(value: object) -> str:
    """Return a URL as libpq takes it.

    Raises:
        ValueError: It is none. The message does not repeat it, since a password may be in it.
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
    """Return the password of a URL, as written there and decoded; an empty result if there is none."""
    parts = urlsplit(url)
    written = [text for name, text in parse_qsl(parts.query) if name == "password"]
    # Not parts.password: a port that is a list, as for several hosts, is no reason to show the rest.
    user, found, _ = parts.netloc.rpartition("@")
    if found and ":" in user:
        written.append(user.partition(":")[2])
    return [form for text in written if text for form in dict.fromkeys((text, unquote(text), quote(text, safe="")))]


def without_password(url: str) -> str:
    """Return a URL to show."""
    parts = urlsplit(url)
    user, found, host = parts.netloc.rpartition("@")
    if found and ":" in user:
        parts = parts._replace(netloc=f"{user.partition(':')[0]}:{_HIDDEN}@{host}")
    query = [(name, _HIDDEN if name == "password" else text) for name, text in parse_qsl(parts.query)]
    if ("password", _HIDDEN) in query:
        parts = parts._replace(query=urlencode(query, safe="*/"))
    return urlunsplit(parts)
