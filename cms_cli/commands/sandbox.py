"""``cms sandbox``: a stand-in for the service, on this machine."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from cms_cli.commands import options as o
from cms_cli.commands import sandbox_serve
from cms_cli.commands.begin import begin
from cms_cli.commands.sandbox_store import Store, store_error, store_of
from cms_cli.config.settings import Flags
from cms_cli.errors import CommandError
from cms_cli.terminal import sandbox as render
from cms_cli.terminal.help import Command, Group

EXAMPLES = """
cms lead --click-id c1 --event-name signup --customer-external-id u1 --sandbox
cms sandbox events
cms sandbox report

# a server for other programs: slow, and one answer in ten is an error
cms sandbox serve --latency 200 --fail 0.1
"""

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, epilog=EXAMPLES)

_WHICH = "Which events"

Kind = Annotated[
    Optional[str], typer.Option("--kind", metavar="lead|sale", help="Only leads, or sales.", rich_help_panel=_WHICH)
]
Click = Annotated[
    Optional[str], typer.Option("--click-id", metavar="ID", help="Only of this click.", rich_help_panel=_WHICH)
]
Customer = Annotated[
    Optional[str],
    typer.Option("--customer-external-id", metavar="ID", help="Only of this customer.", rich_help_panel=_WHICH),
]
Invoice = Annotated[
    Optional[str], typer.Option("--invoice-id", metavar="ID", help="Only this invoice.", rich_help_panel=_WHICH)
]


@app.callback()
def sandbox() -> None:
    """A local stand-in for the service.

    It checks and answers as the service does, and keeps what it receives. `--sandbox` on lead and sale sends there.
    """


app.command("serve", cls=Command, epilog=EXAMPLES)(sandbox_serve.serve)


@app.command(
    "events",
    cls=Command,
    epilog="cms sandbox events\ncms sandbox events --kind sale --click-id clk_1000 --json",
)
def events(
    kind: Kind = None,
    click_id: Click = None,
    customer: Customer = None,
    invoice_id: Invoice = None,
    limit: Annotated[
        Optional[int], typer.Option("--limit", metavar="N", min=1, help="Show at most this many.")
    ] = None,
    db: Store = None,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Show what the stand-in received, with the click that each event resolved to."""
    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            state_dir=state_dir,
            json=json,
            output=output,
            quiet=quiet,
            no_color=no_color,
        )
    )
    from cms_cli.sandbox import StoreError, read_events

    _check_kind(kind)
    store = store_of(settings, db)
    try:
        found = read_events(
            store, kind=kind, click_id=click_id, customer=customer, invoice_id=invoice_id, limit=limit
        )
        render.events(console, settings.output, found, str(store))
    except StoreError as problem:
        raise store_error(console, problem, db) from None


@app.command("report", cls=Command, epilog="cms sandbox report\ncms sandbox report --click-id clk_1000 --json")
def report(
    kind: Kind = None,
    click_id: Click = None,
    customer: Customer = None,
    invoice_id: Invoice = None,
    limit: Annotated[
        Optional[int], typer.Option("--limit", metavar="N", min=1, help="Show at most this many clicks.")
    ] = None,
    db: Store = None,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Show the leads, sales and revenue of each click.

    Events are attributed by last click, as by the service: a lead without a click id counts for the click of the
    customer's last deferred lead. Clicks with the most sales come first; totals are of all clicks. JSON has minor
    units.
    """
    console, settings = begin(
        Flags(
            config=config,
            profile=profile,
            state_dir=state_dir,
            json=json,
            output=output,
            quiet=quiet,
            no_color=no_color,
        )
    )
    from cms_cli.sandbox import EventFilter, StoreError, open_report

    _check_kind(kind)
    store = store_of(settings, db)
    try:
        with open_report(store, EventFilter(kind, click_id, customer, invoice_id)) as found:
            render.report(console, settings.output, found, limit, str(store))
    except StoreError as problem:
        raise store_error(console, problem, db) from None


def _check_kind(kind: Optional[str]) -> None:
    if kind not in (None, "lead", "sale"):
        raise CommandError("--kind must be lead or sale")


@app.command("reset", cls=Command, epilog="cms sandbox reset\ncms sandbox reset --db events.sqlite3")
def reset(
    db: Store = None,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> None:
    """Forget what the stand-in received, and the replays that were sent to it."""
    console, settings = begin(
        Flags(config=config, profile=profile, state_dir=state_dir, quiet=quiet, no_color=no_color)
    )
    from cms_cli import sandbox

    store = store_of(settings, db)
    try:
        forgotten = sandbox.reset(store)
    except sandbox.StoreError as problem:
        raise store_error(console, problem, db) from None
    if db is None:
        _forget_replays(store.parent)
    console.note(f"forgot {forgotten} event{'' if forgotten == 1 else 's'} of {store}")


def _forget_replays(folder: Path) -> None:
    """Remove the sandbox's journal from a folder, and no other files; the folder may be a project's own."""
    from cms_cli.replay.journal.row_texts import ENDING
    from cms_cli.replay.journal.sqlite_file import FILES

    if not folder.is_dir():
        return
    texts = (file for kind in ("lead", "sale") for file in folder.glob(f"{kind}-*{ENDING}"))
    for file in (*(folder / name for name in FILES), *texts):
        file.unlink(missing_ok=True)
