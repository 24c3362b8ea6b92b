"""The settings of a command, each with its origin: flag, else variable, else config file, else default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cms_cli.access import tokens
from cms_cli.access.hosts import checked_host
from cms_cli.access.tokens import Token, TokenError, TokenSource
from cms_cli.config import file as configfile
from cms_cli.config.file import ConfigFile
from cms_cli.config.homes import expanded
from cms_cli.config.keys import CONFIG_FLAG, CONFIG_VARIABLE, DEFAULT_PROFILE, KEYS, Output
from cms_cli.config.origin import Origin, OriginKind, Setting
from cms_cli.errors import CommandError
from cms_cli.nearest import did_you_mean


@dataclass(frozen=True)
class Flags:
    """The values of the common flags; None and False are those that were not given.

    Each command fills in the flags that it has.
    """

    config: str | None = None
    profile: str | None = None
    host: str | None = None
    allow_http: bool = False
    token_file: str | None = None
    timezone: str | None = None
    timeout: float | None = None
    max_wait: float | None = None
    state_dir: str | None = None
    json: bool = False
    output: Output | None = None
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False

    def given(self, key: str) -> object:
        """Return the value that a flag has for a setting, or None.

        Args:
            key: The setting's key; for ``output``, ``--json`` counts as ``--output json``.

        Raises:
            CommandError: ``--json`` and ``--output`` contradict each other.
        """
        if key != "output":
            return getattr(self, key, None)
        if self.json and self.output not in (None, Output.json):
            raise CommandError(f"--json and --output {self.output.value} contradict each other")
        return Output.json.value if self.json else self.output and self.output.value


class Settings:
    """The settings of a command.

    Args:
        flags: The common flags.
        creating: Whether the command creates a missing config file or profile, so that neither is an error.

    Attributes:
        flags: The common flags.
        config_path: The path of the config file, even if there is no file.
        config: The config file.
        profile: The name of the profile in use.

    Raises:
        CommandError: A flag has a bad value, the config file cannot be used, or there is no such profile.
    """

    def __init__(self, flags: Flags, *, creating: bool = False) -> None:
        self.flags = flags
        self.config_path = config_path(flags)
        named = self.config_path.origin.kind is not OriginKind.DEFAULT
        self.config: ConfigFile = configfile.read(self.config_path.value, named=named)
        if flags.config and not self.config.exists and not creating:
            raise CommandError(f"--config {flags.config}: there is no such file")
        self.profile: Setting[str] = self._find("profile", None)
        for key in KEYS:
            if flags.given(key) is not None:
                self.get(key)  # refuse a bad value before anything is done
        if not creating:
            self._check_profile()

    @property
    def warnings(self) -> list[str]:
        """Problems that are worth a warning and do not stop the command."""
        secret = self.config.secret()
        if secret and self.config.others_can_read():
            import shlex  # the path may have a blank: "Application Support" on macOS

            path = self.config.path
            fix = f"chmod 600 {shlex.quote(str(path))}"
            return [f"{path} holds a {secret} and can be read by others; fix it with: {fix}"]
        return []

    @cached_property
    def host(self) -> Setting[str]:
        """The API's base URL.

        Raises:
            CommandError: The host cannot be used, or is plain http to another machine without ``--allow-http``.
        """
        found = self.get("host")
        try:
            return Setting(checked_host(found.value, allow_http=self.flags.allow_http), found.origin)
        except ValueError as problem:
            raise CommandError(f"{_named(found.origin)} {problem}") from None

    @property
    def output(self) -> str:
        """``table``, ``json`` or ``jsonl``."""
        return str(self.get("output").value)

    @property
    def timezone(self) -> str:
        """The IANA name of the time zone for times without an offset."""
        return str(self.get("timezone").value)

    @property
    def timeout(self) -> float:
        """Seconds that one request may take."""
        return float(self.get("timeout").value)

    def max_wait(self, default: float) -> float:
        """Return the seconds to wait before giving up: in all for an event, between settled rows for a replay.

        Args:
            default: The seconds if nothing sets them; events and replays differ.
        """
        found = self.get("max_wait")
        return default if found.origin.kind is OriginKind.DEFAULT else float(found.value)

    @property
    def state_dir(self) -> Path:
        """The folder of journal, ledger and sandbox, which may not exist yet."""
        return expanded(self.get("state_dir").value)

    @property
    def state_url(self) -> str | None:
        """The URL of the database for shared state, or None to use the state folder. It may contain a password."""
        found = self.get("state_url").value
        return None if found is None else str(found)

    @property
    def account(self) -> str | None:
        """The name of the account in shared state, for a token that is not a JWT, or None."""
        found = self.get("account").value
        return None if found is None else str(found)

    @property
    def state_required(self) -> bool:
        """True if a replay needs state that `cms state init` made."""
        return bool(self.get("state_required").value)

    @property
    def profile_has_own_state(self) -> bool:
        """True if the profile sets ``state_dir`` or ``state_url``, so that other profiles have another state."""
        origins = {key: self.get(key).origin for key in ("state_dir", "state_url")}
        return any(origin.kind is OriginKind.FILE and origin.name != key for key, origin in origins.items())

    def get(self, key: str) -> Setting[Any]:
        """Return a setting other than the token. Its value is None if it is not set and has no default.

        Args:
            key: Its key in the config file.

        Raises:
            CommandError: The flag or variable that sets it has a bad value.
        """
        return self.profile if key == "profile" else self._find(key, self.profile.value)

    def token_sources(self) -> list[TokenSource]:
        """Return the sources of tokens for this command, in order of precedence. No token is fetched."""
        sources = []
        if self.flags.token_file is not None:
            file = self.flags.token_file
            origin = Origin(OriginKind.FLAG, "--token-file")
            sources.append(TokenSource(origin, partial(tokens.from_file, file), at_hand=file != "-"))
        in_file = self._file_sources()
        name = KEYS["token"].variable
        variable = os.environ.get(name, "").strip()
        in_environment = [TokenSource(Origin(OriginKind.ENV, name), lambda: variable)] if variable else []
        if self.profile.origin.kind is OriginKind.FLAG:
            return [*sources, *in_file, *in_environment]
        return [*sources, *in_environment, *in_file]

    def token(self) -> Token:
        """Fetch the token of the source with the highest precedence.

        Raises:
            TokenError: There is no token, or it cannot be fetched.
        """
        for source in self.token_sources():
            return source.token()
        where = "" if self.profile.value == DEFAULT_PROFILE else f" for the profile {self.profile.value}"
        raise TokenError(f"there is no token{where}", tokens.HOW_TO_GET_ONE)

    def token_at_hand(self) -> Token | None:
        """Return the token to use, or None if there is none or getting it would run a command or read stdin."""
        for source in self.token_sources():
            try:
                return source.token() if source.at_hand else None
            except TokenError:
                return None
        return None

    def _file_sources(self) -> list[TokenSource]:
        profile, path = self.profile.value, str(self.config.path)
        sources = []
        token = self.config.value("token", profile)
        if token is not None:
            text = str(token[0])
            origin = Origin(OriginKind.FILE, token[1], path)
            sources.append(TokenSource(origin, lambda: text, profile))
        command = self.config.value("token_command", profile)
        if command is not None:
            origin = Origin(OriginKind.FILE, command[1], path)
            fetch = partial(tokens.from_command, command[0], command[1])
            sources.append(TokenSource(origin, fetch, profile, at_hand=False))
        return sources

    def _find(self, key: str, profile: str | None) -> Setting[Any]:
        flag, variable = self.flags.given(key), KEYS[key].variable
        if flag is not None:
            return self._checked(key, flag, Origin(OriginKind.FLAG, KEYS[key].flag))
        if os.environ.get(variable):
            return self._checked(key, os.environ[variable], Origin(OriginKind.ENV, variable))
        in_file = self.config.value(key, profile or DEFAULT_PROFILE)
        if in_file is not None:
            return Setting(in_file[0], Origin(OriginKind.FILE, in_file[1], str(self.config.path)))
        value = default_state_dir() if key == "state_dir" else KEYS[key].default
        return Setting(value, Origin(OriginKind.DEFAULT))

    @staticmethod
    def _checked(key: str, value: object, origin: Origin) -> Setting[Any]:
        try:
            return Setting(KEYS[key].check(value), origin)
        except ValueError as problem:
            raise CommandError(f"{_named(origin)} {problem}") from None

    def _check_profile(self) -> None:
        name = self.profile.value
        if self.config.has_profile(name):
            return
        path = self.config.path
        known = [DEFAULT_PROFILE, *self.config.profiles]
        hint = did_you_mean(name, known) or f"Make it with: cms auth login --profile {name}"
        missing = "" if self.config.exists else ", which does not exist"
        raise CommandError(f"{_named(self.profile.origin)}: there is no profile {name} in {path}{missing}", hint)


def default_state_dir() -> str:
    """Return the default state folder, in the platform's directory for such files."""
    import platformdirs

    return platformdirs.user_state_dir("cms", appauthor=False)


def config_path(flags: Flags) -> Setting[Path]:
    """Return the path of the config file, even if there is no file.

    Args:
        flags: The common flags, of which ``--config`` counts.

    Raises:
        CommandError: ``--config`` is empty. If a script's variable is unset, no other account must be used.
    """
    if flags.config is not None and not flags.config.strip():
        raise CommandError(f"{CONFIG_FLAG} must name a file")
    named = os.environ.get(CONFIG_VARIABLE)
    if flags.config:
        return Setting(expanded(flags.config), Origin(OriginKind.FLAG, CONFIG_FLAG))
    if named:
        return Setting(expanded(named), Origin(OriginKind.ENV, CONFIG_VARIABLE))
    return Setting(configfile.default_path(), Origin(OriginKind.DEFAULT))


def _named(origin: Origin) -> str:
    return "the default" if origin.kind is OriginKind.DEFAULT else str(origin)
