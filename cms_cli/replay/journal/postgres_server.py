"""Connections to the PostgreSQL database with the shared state: address, TLS and errors.

libpq parses the URL, so ``PGPASSWORD``, ``.pgpass``, ``PGSERVICE`` and the like work as they do for psql.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cms_cli.replay.journal.sqlite_file import JournalError

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10
"""The time limit of an attempt to connect, in seconds."""

_PLAIN = ("disable", "allow", "prefer")  # the values of sslmode with which libpq may not encrypt
_RIGHTS = "It takes USAGE on the schema cms, and SELECT, INSERT, UPDATE and DELETE on its tables."
_HOW_TO_INSTALL = "Install it: pip install 'cms-python-client[postgres]'"


class StateAwayError(JournalError):
    """The database cannot be reached or has ended the connection, and may come back."""


class AccountLockedError(StateAwayError):
    """Another machine's transaction holds the account for too long."""


class Server:
    """A database with shared state, to which connections can be opened.

    Attributes:
        name: Its name for messages: host and database, without a password.
        plain_text: Whether its URL demands an unencrypted connection to another machine.
    """

    def __init__(self, url: str, *, rights: str = _RIGHTS) -> None:
        """Parse a URL.

        Args:
            url: The URL, in libpq's form.
            rights: The hint for a role that lacks a privilege.

        Raises:
            JournalError: The driver is missing, or the URL cannot be parsed.
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
        # A service file may set host and sslmode. What it sets is checked once the connection is open.
        self._encrypt = (
            not _is_local(known)
            and not self._plain_said
            and not known.get("service")
            and known.get("sslmode", "prefer") in _PLAIN
        )
        self.plain_text = self._plain_said and not _is_local(known)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection in autocommit mode and without prepared statements.

        Raises:
            StateAwayError: The database cannot be reached.
            JournalError: The database refuses the connection, or it would not be encrypted.
        """
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "cms",
            # Notice within half a minute that the server's machine is gone.
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
        """Return the error with a message and a hint for an error of the driver."""
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
        if state.startswith("53") or state == "25006":  # no resources left, or a read-only standby
            return JournalError(what, "Nothing more was sent; run the same command once the server is well.")
        if not state and _UNUSABLE.match(text[0] if text else ""):
            return JournalError(what, _SETTING_HINT)
        if not state and _CONNECTING.match(text[0] if text else ""):
            return StateAwayError(what, "Check host and port, and that the server runs; then run the same command.")
        if state == "55P03":
            return AccountLockedError(what, "Another machine holds the account; run the same command again.")
        if state in ("40001", "40P01", "57014") or state.startswith(("08", "57P")) or not state:
            return StateAwayError(what, "Check that the server runs and can be reached; then run the same command.")
        return JournalError(what, "Nothing more was sent without it.")


_URL_HINT = "It looks like postgresql://user@host/database."
_SETTING_HINT = "Correct it: in the URL, or in the PG... variable or service file that it comes from."
# The messages of libpq and psycopg about settings that cannot be used, and about failed connections.
_UNUSABLE = re.compile(r"(connection is bad: )?(invalid|bad value for|definition of service|service file) ")
_CONNECTING = re.compile(r"connection (failed|is bad|timeout)|failed to resolve")


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:  # also raised if the driver finds no libpq
        missing = isinstance(error, ModuleNotFoundError) and error.name == "psycopg"
        what = "is not installed" if missing else f"cannot be loaded: {str(error).splitlines()[0]}"
        raise JournalError(f"shared state needs psycopg, which {what}", _HOW_TO_INSTALL) from None
    return psycopg


def _is_local(known: Mapping[str, str]) -> bool:
    """Return True if every host of a connection is this machine."""
    named = known.get("hostaddr") or known.get("host") or ""
    return all(_is_this_machine(host) for host in named.split(","))


def _is_this_machine(host: str) -> bool:
    if not host or host == "localhost" or host.startswith(("/", "@")):  # without a host, libpq uses a local socket
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
