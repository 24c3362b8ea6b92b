"""The flags that commands share, declared once. Typer reads these at run time."""

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Optional

import typer

from cms_cli.commands import completions
from cms_cli.config.keys import CONFIG_FLAG, CONFIG_VARIABLE, KEYS, Output
from cms_cli.terminal.help import EVENT, show_all

SENDING = "Sending"
CONFIGURATION = "Token, host and configuration"
OUTPUT = "Output"


class AmountUnit(str, Enum):
    """Values of ``--amount-unit``."""

    minor = "minor"
    major = "major"


def _setting(key: str, panel: str, complete: Optional[Callable[..., Any]] = None) -> Any:
    """Declare the flag of a setting, with the texts that config/keys.py has for it."""
    known = KEYS[key]
    return typer.Option(
        known.flag, metavar=known.metavar, help=known.flag_help, rich_help_panel=panel, autocompletion=complete
    )


ClickId = Annotated[
    Optional[str],
    typer.Option(
        "--click-id", metavar="ID", help="The click, from the URL parameter cms_rf.", rich_help_panel=EVENT
    ),
]
EventName = Annotated[
    Optional[str],
    typer.Option("--event-name", metavar="NAME", help="What happened: signup_started.", rich_help_panel=EVENT),
]
CustomerExternalId = Annotated[
    Optional[str],
    typer.Option(
        "--customer-external-id",
        metavar="ID",
        help="Your id of the customer, the same on all their events.",
        rich_help_panel=EVENT,
    ),
]
InvoiceId = Annotated[
    Optional[str],
    typer.Option(
        "--invoice-id",
        metavar="ID",
        help="Your id of the invoice; one sale per invoice is kept.",
        rich_help_panel=EVENT,
    ),
]
Amount = Annotated[
    Optional[str],
    typer.Option(
        "--amount", metavar="AMOUNT", help="What was paid, in cents: 4999 for 49.99.", rich_help_panel=EVENT
    ),
]
Currency = Annotated[
    Optional[str],
    typer.Option(
        "--currency",
        metavar="CODE",
        help="ISO 4217: USD, EUR, JPY.",
        autocompletion=completions.currencies,
        rich_help_panel=EVENT,
    ),
]
Unit = Annotated[
    Optional[AmountUnit],
    typer.Option(
        "--amount-unit",
        help="What --amount counts: minor (cents, the default) or major (49.99).",
        rich_help_panel=EVENT,
    ),
]
CustomerName = Annotated[
    Optional[str],
    typer.Option("--customer-name", metavar="NAME", help="Name of the customer.", rich_help_panel=EVENT),
]
CustomerEmail = Annotated[
    Optional[str],
    typer.Option("--customer-email", metavar="EMAIL", help="Address of the customer.", rich_help_panel=EVENT),
]
CustomerAvatar = Annotated[
    Optional[str],
    typer.Option("--customer-avatar", metavar="URL", help="Picture of the customer.", rich_help_panel=EVENT),
]
Timestamp = Annotated[
    Optional[str],
    typer.Option(
        "--timestamp",
        metavar="TIME",
        help="The time: ISO 8601, Unix seconds or now. By default, the service dates the event.",
        rich_help_panel=EVENT,
    ),
]
Timezone = Annotated[Optional[str], _setting("timezone", EVENT, completions.zones)]
Mode = Annotated[
    Optional[str],
    typer.Option(
        "--mode",
        metavar="deferred",
        help="deferred: keep the click for later leads of the customer.",
        autocompletion=completions.modes,
        rich_help_panel=EVENT,
    ),
]
Deferred = Annotated[bool, typer.Option("--deferred", help="Short for --mode deferred.", rich_help_panel=EVENT)]

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check everything, show what would be sent, send nothing.", rich_help_panel=SENDING
    ),
]
Sandbox = Annotated[
    bool,
    typer.Option("--sandbox", help="Send to a stand-in on this machine; needs no token.", rich_help_panel=SENDING),
]
Timeout = Annotated[Optional[float], _setting("timeout", SENDING)]
MaxWait = Annotated[Optional[float], _setting("max_wait", SENDING)]

Host = Annotated[Optional[str], _setting("host", CONFIGURATION)]
AllowHttp = Annotated[
    bool,
    typer.Option("--allow-http", help="Allow plain http to another machine.", rich_help_panel=CONFIGURATION),
]
TokenFile = Annotated[
    Optional[str],
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Read the token from a file; - is stdin. [env for the token: CMS_BEARER_TOKEN]",
        rich_help_panel=CONFIGURATION,
    ),
]
Profile = Annotated[Optional[str], _setting("profile", CONFIGURATION, completions.profiles)]
TokenToStore = Annotated[
    Optional[str],
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Read the token from a file; - is stdin, which is read without it as well.",
        rich_help_panel=CONFIGURATION,
    ),
]
Config = Annotated[
    Optional[str],
    typer.Option(
        CONFIG_FLAG,
        metavar="FILE",
        help=f"Another config file. [env: {CONFIG_VARIABLE}]",
        rich_help_panel=CONFIGURATION,
    ),
]
StateDir = Annotated[Optional[str], _setting("state_dir", CONFIGURATION)]

Json = Annotated[
    bool, typer.Option("--json", help="The result as JSON; short for --output json.", rich_help_panel=OUTPUT)
]
OutputFormat = Annotated[Optional[Output], _setting("output", OUTPUT)]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Say nothing but errors; --json and lists still show.", rich_help_panel=OUTPUT
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show each request and answer, the token masked.", rich_help_panel=OUTPUT),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour. [env: NO_COLOR]", rich_help_panel=OUTPUT)]
HelpAll = Annotated[
    bool, typer.Option("--help-all", help="Show every flag and exit.", is_eager=True, callback=show_all)
]
