"""Every setting, declared once: its key, flag, variable, default, help text and check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Callable

from cms_cli.access.hosts import checked_host
from cms_cli.config import state_url
from cms_python import DEFAULT_HOST

DEFAULT_PROFILE = "default"

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""The form of a profile's name, which no shell needs to quote. Completions offer only names of this form."""


class Output(str, Enum):
    """The formats of a result."""

    table = "table"
    json = "json"
    jsonl = "jsonl"


OUTPUTS = tuple(each.value for each in Output)


@dataclass(frozen=True)
class Key:
    """A setting.

    Attributes:
        help: Its purpose in one sentence, for help pages and lists.
        check: Takes a value of the config file, a flag or a variable; returns it converted, or raises ValueError
            with a message that continues the name of the setting: "must be true or false".
        flag: Its flag; "" if it has none.
        metavar: The name of the flag's value on help pages.
        variable: Its environment variable; "" if it has none.
        default: Its default; None if it has none, or if the default depends on the machine.
        in_profiles: Whether it can be set in a profile.
        in_replay: Its default in a replay, if that differs.
    """

    help: str
    check: Callable[[object], object]
    flag: str = ""
    metavar: str = ""
    variable: str = ""
    default: object = None
    in_profiles: bool = True
    in_replay: object = None

    @property
    def flag_help(self) -> str:
        """The help text of the flag, with default and variable."""
        default = "" if self.default in (None, DEFAULT_PROFILE) else f" [default: {self.default}]"
        if self.in_replay is not None:
            default = f" [default: {self.default}, in a replay {self.in_replay}]"
        return f"{self.help}{default}{f' [env: {self.variable}]' if self.variable else ''}"


def _text(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text that is not empty")
    return value


def _host(value: object) -> object:
    # Plain http is checked later: --allow-http may allow it.
    return checked_host(value, allow_http=True)


def _output(value: object) -> object:
    if value not in OUTPUTS:
        raise ValueError(f"must be {', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}")
    return Output(value).value


def _seconds(value: object) -> object:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e7:  # this is also false for nan; a socket cannot wait for longer
        raise ValueError("must be a number of seconds above 0")
    return int(seconds) if seconds == int(seconds) else seconds


def _switch(value: object) -> object:
    text = str(value).strip().lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("must be true or false")
    return text in ("1", "true", "yes", "on")


def _command(value: object) -> object:
    if isinstance(value, list):
        if value and all(isinstance(part, str) for part in value):
            return list(value)
    elif isinstance(value, str) and value.strip():
        return value
    raise ValueError('must be a command: text for the shell, or a list of words, ["pass", "show", "cms"]')


def _profile_name(value: object) -> object:
    if not isinstance(value, str) or not PLAIN_NAME.fullmatch(value):
        raise ValueError("must be a name of letters, digits, - and _")
    return value


def _zone(value: object) -> object:
    from cms_cli.replay.model import Problem
    from cms_cli.replay.values.zones import zone_named

    zone = zone_named(str(_text(value)))
    if isinstance(zone, Problem):
        raise ValueError(f"{zone.message}; {zone.hint}")
    return value


KEYS: Mapping[str, Key] = {
    "profile": Key(
        "Profile of the config file to use.",
        _profile_name,
        "--profile",
        "NAME",
        "CMS_PROFILE",
        DEFAULT_PROFILE,
        in_profiles=False,
    ),
    "host": Key("Base URL of the API.", _host, "--host", "URL", "CMS_HOST", DEFAULT_HOST),
    "token": Key("Bearer token; `cms auth login` stores it.", _text, variable="CMS_BEARER_TOKEN"),
    "token_command": Key("Command that prints the token, for password managers.", _command),
    "output": Key(
        "Format of the result: table, json or jsonl.", _output, "--output", "FORMAT", "CMS_OUTPUT", "table"
    ),
    "timezone": Key(
        "Time zone of times without an offset: Europe/Berlin.", _zone, "--timezone", "ZONE", default="UTC"
    ),
    "timeout": Key("Seconds that one request may take.", _seconds, "--timeout", "S", default=30),
    "max_wait": Key(
        "Seconds to wait for retries and rate limits.", _seconds, "--max-wait", "S", default=90, in_replay=900
    ),
    "state_dir": Key("Folder of journal, ledger and sandbox.", _text, "--state-dir", "DIR", "CMS_STATE_DIR"),
    "state_url": Key(
        "PostgreSQL database that keeps the state of many machines: postgresql://user@host/database.",
        state_url.checked,
        variable="CMS_STATE_URL",
    ),
    "account": Key(
        "Name of the account in shared state, for tokens that are not JWTs.", _text, variable="CMS_ACCOUNT"
    ),
    "state_required": Key(
        "Whether a replay needs state that `cms state init` made: true or false.",
        _switch,
        variable="CMS_STATE_REQUIRED",
        default=False,
    ),
}
"""The settings by key, in the order of `cms config list`."""

TOKEN_KEYS = ("token", "token_command")

CONFIG_FLAG, CONFIG_VARIABLE = "--config", "CMS_CONFIG"
"""The flag and the variable that name another config file."""
