"""The URL of the database for shared state, and the passwords in it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_SCHEMES = ("postgresql://", "postgres://")
_HIDDEN = "***"
# As libpq parses it, unlike urllib: user and password end at the first @, and may have ? and #, but no /.
_URL = re.compile(
    r"(?P<scheme>(?:[^/]*//)?)(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?(?P<place>[^?]*)\??(?P<query>.*)",
    re.DOTALL,
)


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
    if "@" in _parts(text)["place"]:  # libpq would show what follows the first @ or / as a host or database
        raise ValueError("must have %40 for an @, and %2F for a /, in its user, password or database")
    return text


def passwords_in(url: str) -> list[str]:
    """Return the passwords in a URL, each as written, decoded and encoded, so that every form can be masked."""
    parts = _parts(url)
    written = [text for name, text in parse_qsl(parts["query"]) if name == "password"]
    written.append(parts["password"] or "")
    return [form for text in written if text for form in dict.fromkeys((text, unquote(text), quote(text, safe="")))]


def without_password(url: str) -> str:
    """Return a URL with ``***`` for its passwords, to be shown."""
    parts = _parts(url)
    password = f":{_HIDDEN}" if parts["password"] is not None else ""
    user = f"{parts['user']}{password}@" if parts["user"] is not None else ""
    query = [(name, _HIDDEN if name == "password" else text) for name, text in parse_qsl(parts["query"])]
    asks = urlencode(query, safe="*/") if ("password", _HIDDEN) in query else parts["query"]
    return f"{parts['scheme']}{user}{parts['place']}{'?' if asks else ''}{asks}"


def _parts(url: str) -> re.Match[str]:
    found = _URL.fullmatch(url)
    assert found is not None  # it fits any text
    return found
