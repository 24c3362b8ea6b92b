"""``cms auth``: store a token, remove it, or see which one is used."""

import sys
from dataclasses import replace
from datetime import datetime, timezone
from typing import Annotated, Any

import typer

from cms_cli.access import tokens
from cms_cli.access.account import account_of, is_jwt
from cms_cli.access.hosts import checked_host, keep_off_proxies
from cms_cli.access.tokens import TokenError
from cms_cli.commands import options as o
from cms_cli.commands.begin import begin, fetch_token
from cms_cli.config import edit as configedit
from cms_cli.config import file as configfile
from cms_cli.config.settings import Flags, Settings
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal import auth as render
from cms_cli.terminal.console import Console
from cms_cli.terminal.help import Command, Group
from cms_cli.terminal.text import hide

EXAMPLES = """
# asks for the token, and does not show it
cms auth login
cms auth login --profile shop < token.txt
cms auth status --json
"""

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, epilog=EXAMPLES)

_ASK_SECONDS = 10.0
_HOW_TO_STORE = "Run it on a terminal to be asked for the token, or pipe the token in: cms auth login < token.txt"


@app.callback()
def auth() -> None:
    """Store a token, remove it, or see which one is used."""


@app.command("login", cls=Command, epilog=EXAMPLES)
def login(
    token_file: o.TokenToStore = None,
    profile: o.Profile = None,
    host: o.Host = None,
    allow_http: o.AllowHttp = False,
    config: o.Config = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Store a token in the config file, which only you can read.

    On a terminal it is asked for and not shown; otherwise it is read from stdin. With --host, the host is stored
    with it.
    """
    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            host=host,
            allow_http=allow_http,
            token_file=token_file,
            quiet=quiet,
            no_color=no_color,
        ),
        creating=True,
    )
    name = settings.profile.value
    token = _read_token(console, token_file)
    hide(token)
    base = checked_host(settings.host.value, allow_http=allow_http) if host else None

    def edit(document: Any) -> None:
        section = configedit.home_of_token(document, name)
        configedit.put(document, section, "token", token)
        if base:
            configedit.put(document, section, "host", base)

    path = settings.config_path.value
    configfile.change(path, edit)
    now = datetime.now(timezone.utc)
    render.kept(console, name, str(path), account_of(token, name), is_jwt(token), now)
    later = Settings(replace(settings.flags, token_file=None), creating=True)  # its token is in the config file now
    winner = later.token_sources()[0].origin
    if not winner.name.endswith("token"):
        console.warn(f"{winner} is also set, and takes precedence")


def _read_token(console: Console, token_file: Any) -> str:
    if token_file is not None:
        return tokens.checked(tokens.from_file(token_file), f"--token-file {token_file}", _HOW_TO_STORE)
    if sys.stdin is not None and sys.stdin.isatty():
        import getpass

        try:
            # If stderr is redirected, getpass must open the terminal; otherwise it would read stdin with echo on.
            typed = getpass.getpass("Token (not shown): ", stream=sys.stderr if console.asks else None)
        except (KeyboardInterrupt, EOFError):
            raise typer.Abort from None
        return tokens.checked(typed, "the answer", _HOW_TO_STORE)
    return tokens.checked(tokens.from_file("-"), "stdin", _HOW_TO_STORE)


@app.command("logout", cls=Command, epilog="cms auth logout\ncms auth logout --profile shop")
def logout(
    profile: o.Profile = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Remove the token from the config file. Settings and a token_command stay."""
    console, settings = begin(Flags(config=config, profile=profile, quiet=quiet, no_color=no_color))
    name, path = settings.profile.value, settings.config_path.value
    dropped: list[bool] = []

    def edit(document: Any) -> None:
        dropped.append(configedit.take(document, configedit.home_of_token(document, name), "token"))

    if settings.config.exists:
        configfile.change(path, edit)
    console.note(f"removed the token of {name} from {path}" if any(dropped) else f"{path} has no token of {name}")
    for source in Settings(settings.flags).token_sources():
        console.warn(f"there is still a token: {source.origin}")


@app.command("status", cls=Command, epilog="cms auth status\ncms auth status --profile shop --offline --json")
def status(
    profile: o.Profile = None,
    token_file: o.TokenFile = None,
    host: o.Host = None,
    allow_http: o.AllowHttp = False,
    config: o.Config = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask whether the host answers.")] = False,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Show which token and host would be used, and whether they look right.

    Neither an event nor the token is sent. The exit code is 4 if no token can be used, and 5 if the host does not
    answer.
    """
    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            host=host,
            allow_http=allow_http,
            token_file=token_file,
            json=json,
            output=output,
            quiet=quiet,
            no_color=no_color,
        )
    )
    found = render.Status(settings.profile, settings.host, settings.token_sources())
    try:
        token = fetch_token(console, settings)
        hide(token.value)
        found.account, found.jwt = account_of(token.value, token.profile), is_jwt(token.value)
    except TokenError as problem:
        found.problem = problem
    if not offline:
        from cms_cli.access.reach import ask

        keep_off_proxies(settings.host.value)
        with console.waiting(f"asking {settings.host.value}"):
            found.reach = ask(settings.host.value, _ASK_SECONDS)
    now = datetime.now(timezone.utc)
    render.status(console, settings.output, found, now)
    if found.account is None or found.account.expired(now):
        return ExitCode.AUTH
    return ExitCode.OK if found.reach is None or found.reach.answers else ExitCode.UNAVAILABLE
