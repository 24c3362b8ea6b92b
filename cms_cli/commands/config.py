"""``cms config``: see and change settings."""

from typing import Annotated, Optional

import typer

from cms_cli.access import tokens
from cms_cli.commands import completions
from cms_cli.commands import options as o
from cms_cli.commands.begin import begin, console_of
from cms_cli.config import edit as configedit
from cms_cli.config import file as configfile
from cms_cli.config.keys import KEYS, TOKEN_KEYS
from cms_cli.config.origin import OriginKind
from cms_cli.config.settings import Flags, Settings, config_path
from cms_cli.config.state_url import passwords_in
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal import config as render
from cms_cli.terminal.console import Console
from cms_cli.terminal.help import Command, Group

EXAMPLES = """
cms config set output json
cms config set host https://api.cme.sh --profile shop
cms config set token_command "pass show cms"
cms config list
"""

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, epilog=EXAMPLES)

KeyName = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help=f"One of {', '.join(KEYS)}; or profiles.NAME.KEY.",
        autocompletion=completions.keys,
        show_default=False,
    ),
]


@app.callback()
def config() -> None:
    """See and change settings.

    A flag takes precedence over an environment variable, a variable over the config file, and the file over the
    default. In the file, the keys of a profile take precedence over those at the top level.
    """


@app.command("path", cls=Command, epilog="cms config path\ncms config path --config shop.toml")
def path(config: o.Config = None, quiet: o.Quiet = False, no_color: o.NoColor = False) -> None:
    """Show where the config file is, or would be."""
    flags = Flags(config=config, quiet=quiet, no_color=no_color)
    console_of(flags).result(str(config_path(flags).value))


@app.command("list", cls=Command, epilog="cms config list\ncms config list --profile shop --json")
def list_(
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Show every setting and where it comes from."""
    console, settings = begin(
        Flags(config=config, profile=profile, json=json, output=output, quiet=quiet, no_color=no_color)
    )
    found = {key: settings.get(key) for key in KEYS if key not in TOKEN_KEYS}
    render.settings(console, settings, found, settings.token_sources())


@app.command("get", cls=Command, epilog="cms config get host\ncms config get profiles.shop.host")
def get(
    key: KeyName,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Show the value of a setting; ends with 1 if it has none.

    With profiles.NAME.KEY, what the config file has there. A token is never shown.
    """
    console, settings = begin(
        Flags(config=config, profile=profile, json=json, output=output, quiet=quiet, no_color=no_color)
    )
    section, name = configedit.locate(key, None)
    sources = settings.token_sources()
    value: object
    if section:
        value, origin = settings.config.profiles.get(section, {}).get(name), None
    elif name == "token":
        value, origin = bool(sources) or None, sources[0].origin if sources else None
    else:
        setting = settings.get(name)
        value, origin = setting.value, setting.origin
    render.one(console, settings.output, key, value, origin)
    return ExitCode.OK if value is not None else ExitCode.REFUSED


@app.command("set", cls=Command, epilog=EXAMPLES)
def set_(
    key: KeyName,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The new value; - reads it from stdin.")],
    profile: o.Profile = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Store a setting in the config file: at the top level, or with --profile in a profile."""
    flags = Flags(config=config, profile=profile, quiet=quiet, no_color=no_color)
    console = console_of(flags)
    section, name = configedit.locate(key, profile)
    checked = _checked(name, value)
    where = config_path(flags).value
    configfile.change(where, lambda document: configedit.put(document, section, name, checked))
    console.note(f"set {_full(key, profile)} in {where}")
    settings = Settings(flags, creating=True)
    _tell_what_wins(console, settings, section, name)
    if name == "profile" and not settings.config.has_profile(value):
        login = console.next_command(f"auth login --profile {value}")
        console.warn(f"there is no profile {value} yet; make it with: {login}")


def _checked(name: str, value: str) -> object:
    if name == "token" and value != "-":
        raise CommandError(
            "a token on the command line would show in process lists and in the shell's history",
            "Use `cms auth login`, or `cms config set token -` with the token on stdin",
        )
    from_stdin = value == "-"
    if from_stdin:
        value = tokens.from_file("-").strip()
        if name == "token":
            return tokens.checked(value, "stdin")
    try:
        checked = KEYS[name].check(value)
    except ValueError as problem:
        raise CommandError(f"{name} {problem}") from None
    if name == "state_url" and not from_stdin and passwords_in(str(checked)):
        raise CommandError(
            "a password on the command line would show in process lists and in the shell's history",
            "Leave it to ~/.pgpass or PGPASSWORD, or use `cms config set state_url -` with the URL on stdin",
        )
    return checked


def _tell_what_wins(console: Console, settings: Settings, section: str, name: str) -> None:
    if name in TOKEN_KEYS or (section and section != settings.profile.value):
        return
    origin = settings.get(name).origin
    if origin.kind is not OriginKind.FILE:
        console.warn(f"{origin} is also set, and takes precedence")


@app.command("unset", cls=Command, epilog="cms config unset timezone\ncms config unset host --profile shop")
def unset(
    key: KeyName,
    profile: o.Profile = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Remove a setting from the config file, even a misspelled one."""
    flags = Flags(config=config, profile=profile, quiet=quiet, no_color=no_color)
    console, where = console_of(flags), config_path(flags).value
    section, name = _any_key(key, profile)
    removed: list[bool] = []
    if where.exists():
        configfile.change(where, lambda document: removed.append(configedit.take(document, section, name)))
    full = _full(key, profile)
    console.note(f"removed {full} from {where}" if any(removed) else f"{full} was not set in {where}")


def _full(key: str, profile: Optional[str]) -> str:
    return f"{key} of profile {profile}" if profile else key


def _any_key(key: str, profile: Optional[str]) -> tuple[str, str]:
    try:
        return configedit.locate(key, profile)
    except CommandError:
        parts = key.split(".")
        if len(parts) == 3 and parts[0] == "profiles":
            return parts[1], parts[2]
        return profile or "", key
