"""Connections to the PostgreSQL that machines share: address, TLS and errors.

The URL is libpq's own, so that ``PGPASSWORD``, ``.pgpass``, ``PGSERVICE`` and the like work as they do for psql.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cms_cli.replay.journal.sqlite_file import JournalError

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10
"""How long one attempt to connect may take."""

_PLAIN = ("disable", "allow", "prefer")  # what libpq falls back from to plain text, or begins with
_RIGHTS = "It takes USAGE on the schema cms, and SELECT, INSERT, UPDATE and DELETE on its tables."
_HOW_TO_INSTALL = "Install it: pip install 'cms-python-client[postgres]'"


class StateAwayError(JournalError):
    """The database cannot be reached or has ended the connection; it may come back."""


def is_url(text: str) -> bool:
    """Return True if a text is a URL that PostgreSQL's own programs take."""
    return text.startswith(("postgresql://", "postgres://"))


class Server:
    """A database that holds shared state.

    Attributes:
        name: Its name for people: host and database, without a password.
        plain_text: Whether its URL asks for an unencrypted line to another machine.

    Raises:
        JournalError: The driver is missing, or the URL cannot be read.
    """

    def __init__(self, url: str, *, rights: str = _RIGHTS) -> None:
        """Read a URL.

        Args:
            url: As libpq takes it.
            rights: The hint if the role lacks a privilege.
        """
        self._psycopg = _driver()
        self._rights = rights
        from psycopg.conninfo import conninfo_to_dict

        try:
            said = conninfo_to_dict(url)
        except (self._psycopg.ProgrammingError, UnicodeError):  # whose messages may show the password
            raise JournalError("the URL of the shared state cannot be read", _URL_HINT) from None
        defaults = {
            each.keyword.decode(): each.val.decode()
            for each in self._psycopg.pq.Conninfo.get_defaults()
            if each.val
        }
        self._said = said
        known = {**defaults, **{key: str(value) for key, value in said.items()}}
        self.name = f"PostgreSQL at {known.get('host') or known.get('service') or 'this machine'}"
        if known.get("dbname"):
            self.name += f", database {known['dbname']}"
        self._plain_said = said.get("sslmode") == "disable"
        # A service's file may say what the URL does not: what it says of host and TLS is seen once connected.
        self._encrypt = (
            not _is_local(known)
            and not self._plain_said
            and not known.get("service")
            and known.get("sslmode", "prefer") in _PLAIN
        )
        self.plain_text = self._plain_said and not _is_local(known)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection in autocommit mode that leaves nothing in its session.

        Raises:
            StateAwayError: It cannot be reached.
            JournalError: It can be, and refuses us; or the line is not encrypted.
        """
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "cms",
            # A machine that is gone is noticed within half a minute.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            **self._said,
        }
        if self._encrypt:
            options["sslmode"] = "require"
        with self.explained():
            connection: psycopg.Connection[tuple[Any, ...]] = self._psycopg.connect(
                autocommit=True, prepare_threshold=None, **options
            )
        used = connection.pgconn
        at = {"host": used.host.decode(), "hostaddr": used.hostaddr.decode()}
        if not used.ssl_in_use and not self._plain_said and not _is_local(at):
            connection.close()
            raise JournalError(
                f"{self.name}: the connection is not encrypted",
                "Turn TLS on at the server, or say sslmode=disable in the URL if the network itself is safe.",
            )
        return connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the driver's errors into errors with a message and a hint."""
        try:
            yield
        except self._psycopg.Error as error:
            raise self.error_of(error) from error

    def error_of(self, error: psycopg.Error) -> JournalError:
        """Return the error with message and hint for one of the driver's."""
        state = error.sqlstate or ""
        text = (error.diag.message_primary or str(error)).strip().splitlines()
        what = f"{self.name}: {text[0] if text else type(error).__name__}"
        if state in ("3F000", "42P01"):
            return JournalError(f"{self.name} holds no state of cms yet", "Make its tables: cms state init")
        if state == "42501":
            return JournalError(what, self._rights)
        if state.startswith("28"):
            return JournalError(what, "Check user and password: in the URL, PGPASSWORD or ~/.pgpass.")
        if state == "3D000":
            return JournalError(what, "Make the database first, or name another in the URL.")
        if state.startswith("53") or state == "25006":  # no room, or a standby that only reads
            return JournalError(what, "Nothing more was sent; the same command goes on once the server is well.")
        if state in ("40001", "40P01", "55P03", "57014") or state.startswith(("08", "57P")) or not state:
            return StateAwayError(what, "Check that the server runs and can be reached. The same command goes on.")
        return JournalError(what, "Nothing more was sent without it.")


_URL_HINT = "It looks like postgresql://user@host/database."


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:  # also where the driver finds no libpq
        missing = isinstance(error, ModuleNotFoundError) and error.name == "psycopg"
        what = "is not installed" if missing else f"cannot be loaded: {str(error).splitlines()[0]}"
        raise JournalError(f"shared state needs psycopg, which {what}", _HOW_TO_INSTALL) from None
    return psycopg


def _is_local(known: Mapping[str, str]) -> bool:
    """Return True if every host of a connection is this machine."""
    named = known.get("hostaddr") or known.get("host") or ""
    return all(_is_this_machine(host) for host in named.split(","))


def _is_this_machine(host: str) -> bool:
    if not host or host == "localhost" or host.startswith(("/", "@")):  # none: libpq takes its socket
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
