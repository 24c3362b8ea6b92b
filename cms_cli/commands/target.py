"""The target of events: a host and an account of the service, or a sandbox that runs as long as the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cms_cli.access.hosts import keep_off_proxies
from cms_cli.access.tokens import Token
from cms_cli.commands.begin import fetch_token
from cms_cli.config.keys import KEYS
from cms_cli.config.settings import Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.console import Console
from cms_cli.terminal.text import hide

if TYPE_CHECKING:
    from cms_cli.access.account import Account

SANDBOX = "sandbox"
"""The sandbox's host in the journal, its folder's name, and the account and token that are used for it."""

STORE_NAME = "sandbox.sqlite3"
"""The file name of the sandbox's store, in the sandbox's folder."""

_STATE_DIR = KEYS["state_dir"].flag


@dataclass(frozen=True)
class Target:
    """The target of events.

    Attributes:
        url: The base URL to send to.
        name: The host's name in journal and ledger: its URL, or ``sandbox``, since a sandbox's port changes.
        settings: The command's settings.
        token: The bearer token; "" for a dry run without one at hand.
        profile: The profile of the config file that the token came from, or None.
        sandbox: Whether the target is a sandbox.
    """

    url: str
    name: str
    settings: Settings = field(repr=False)
    token: str = field(repr=False)
    profile: str | None = None
    sandbox: bool = False

    # Computed on demand: only replays need these, and they import modules that a single event does not need.

    @cached_property
    def state_dir(self) -> Path:
        """The folder of the journal, which may not exist yet. A sandbox's journal is beside its store."""
        return sandbox_dir(self.settings) if self.sandbox else self.settings.state_dir

    @property
    def state_url(self) -> str | None:
        """The URL of the database for shared state, or None to use the folder, as a sandbox always does."""
        return None if self.sandbox else self.settings.state_url

    @property
    def state_required(self) -> bool:
        """True if the state folder must have been initialised."""
        return self.settings.state_required and not self.sandbox and self.state_url is None

    @cached_property
    def account(self) -> Account | None:
        """The account of the token, as journal and ledger identify it; None if there is no token.

        Raises:
            CommandError: The state is shared, and the token names no account.
        """
        from cms_cli.access.account import Account, account_of, shared

        if self.sandbox:
            return Account(SANDBOX)
        if not self.token:
            return None
        account = account_of(self.token, self.profile)
        if self.state_url is None:
            return account
        known = shared(account, self.settings.account)
        if known is None:
            raise CommandError(
                "the token is not a JWT, so it names no account, and shared state needs one",
                "Name it, and the same on every machine: CMS_ACCOUNT, or cms config set account NAME",
            )
        return known

    @cached_property
    def local_account(self) -> str | None:
        """The key of the account in the state folder, even if the state is shared; None if there is no token."""
        from cms_cli.access.account import account_of

        if self.sandbox:
            return SANDBOX
        return account_of(self.token, self.profile).key if self.token else None

    @property
    def for_people(self) -> str:
        """The host and, if the token or profile names it, the account, for messages."""
        if self.sandbox:
            return "the sandbox"
        from cms_cli.access.account import owner_in

        host = self.url.partition("://")[2]
        account = self.account
        name = (account and owner_in(account.key)) or self.profile
        return f"{host} (account {name})" if name else host


def sandbox_dir(settings: Settings) -> Path:
    """Return the folder of the sandbox's store and journal."""
    return settings.state_dir / SANDBOX


@contextmanager
def open_target(settings: Settings, console: Console, *, sandbox: bool, sending: bool = True) -> Iterator[Target]:
    """Open the target of events; a sandbox runs until the block ends.

    Args:
        settings: The command's settings.
        console: The console for the sandbox's notes.
        sandbox: Whether ``--sandbox`` was given.
        sending: Whether events will be sent. If not, no sandbox is started, no token is needed, and no command is
            run to get one: the target has a token only if one is at hand.

    Raises:
        CommandError: There is no token, the host cannot be used, or the sandbox cannot start.
    """
    if sandbox:
        with _sandbox(settings, console, sending) as target:
            yield target
        return
    url = settings.host.value
    token = fetch_token(console, settings) if sending else settings.token_at_hand()
    keep_off_proxies(url)
    yield _service(url, settings, token)


def _service(url: str, settings: Settings, token: Token | None) -> Target:
    if token is None:
        return Target(url, url, settings, "")
    hide(token.value)
    return Target(url, url, settings, token.value, token.profile)


def store_hint(error: Exception, console: Console, db: str | None = None) -> str:
    """Return the hint for a sandbox store that cannot be used: the command that empties it, or another place.

    Args:
        error: The error of the store.
        console: The console, which adds the flags that the command needs.
        db: The store that ``--db`` names, or None.
    """
    if not getattr(error, "cleared_by_reset", False):
        return "Name a file that can be written: --db FILE" if db else f"Name another folder: {_STATE_DIR} DIR"
    import shlex

    named = f" --db {shlex.quote(db)}" if db else ""
    return f"Its content cannot be used. To empty it: {console.next_command(f'sandbox reset{named}')}"


@contextmanager
def _sandbox(settings: Settings, console: Console, sending: bool) -> Iterator[Target]:
    folder = sandbox_dir(settings)
    if not sending:
        yield Target("http://127.0.0.1", SANDBOX, settings, SANDBOX, sandbox=True)
        return
    from cms_cli.sandbox import SandboxError, SandboxServer

    try:
        server = SandboxServer(folder / STORE_NAME)
    except (SandboxError, OSError) as error:
        raise CommandError(
            f"the sandbox cannot start: {error}", store_hint(error, console), ExitCode.INTERNAL
        ) from error
    with server:
        console.note("sandbox: nothing leaves this machine")
        keep_off_proxies(server.url)
        yield Target(server.url, SANDBOX, settings, SANDBOX, sandbox=True)
        console.note(f"See what was received: {console.next_command('sandbox events')}")
    if server.failure is not None:
        raise CommandError(f"the sandbox failed: {server.failure}", code=ExitCode.INTERNAL)
