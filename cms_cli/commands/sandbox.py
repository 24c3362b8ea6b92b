"""``cms sandbox``: a stand-in for the service, on this machine."""

import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from cms_cli.commands import options as o
from cms_cli.commands.begin import begin
from cms_cli.commands.target import STORE_NAME, sandbox_dir, way_out
from cms_cli.config.homes import expanded
from cms_cli.config.settings import Flags, Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal import sandbox as render
from cms_cli.terminal.console import Console
from cms_cli.terminal.help import Command, Group

EXAMPLES = """
cms lead --click-id c1 --event-name signup --customer-external-id u1 --sandbox
cms sandbox events
cms sandbox report

# a server for other programs: slow, and one answer in ten is an error
cms sandbox serve --latency 200 --fail 0.1
"""

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None, epilog=EXAMPLES)

PORT = 8787

_WHICH, _TOKENS, _FAULTS = "Which events", "Tokens", "When things go wrong"

Store = Annotated[Optional[str], typer.Option("--db", metavar="FILE", help="A store other than that of --sandbox.")]
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
OneToken = Annotated[
    Optional[str], typer.Option("--token", metavar="TOKEN", help="Accept only this token.", rich_help_panel=_TOKENS)
]
TokenRequests = Annotated[
    Optional[int],
    typer.Option(
        "--token-requests",
        metavar="N",
        min=1,
        help="A token expires after this many requests.",
        rich_help_panel=_TOKENS,
    ),
]
TokenSeconds = Annotated[
    Optional[float],
    typer.Option(
        "--token-seconds",
        metavar="S",
        min=0,
        help="A token expires this long after its first use.",
        rich_help_panel=_TOKENS,
    ),
]
Latency = Annotated[
    float,
    typer.Option(
        "--latency", metavar="MS", min=0, help="Delay answers.", show_default=False, rich_help_panel=_FAULTS
    ),
]
Fail = Annotated[
    float,
    typer.Option(
        "--fail",
        metavar="RATE",
        help="How often to answer with a 5xx: 0 to 1.",
        show_default=False,
        rich_help_panel=_FAULTS,
    ),
]
Drop = Annotated[
    float,
    typer.Option(
        "--drop",
        metavar="RATE",
        help="How often to drop the connection: 0 to 1.",
        show_default=False,
        rich_help_panel=_FAULTS,
    ),
]
Faults = Annotated[
    Optional[list[str]],
    typer.Option(
        "--fault",
        metavar="FAULT",
        help="Any fault, as in 5xx:0.1,sale.html:0.05 or 429@5; can be repeated.",
        rich_help_panel=_FAULTS,
    ),
]
Scenario = Annotated[
    Optional[Path],
    typer.Option("--scenario", metavar="FILE", help="A TOML file of faults by time.", rich_help_panel=_FAULTS),
]
Shape = Annotated[
    str,
    typer.Option(
        "--answer",
        metavar="SHAPE",
        help="The shape of successes: documented, status, timestamp, request-id, empty or mixed.",
        rich_help_panel=_FAULTS,
    ),
]
Seed = Annotated[
    Optional[int],
    typer.Option("--seed", metavar="N", help="Have chance decide the same each time.", rich_help_panel=_FAULTS),
]


@dataclass(frozen=True)
class ServeRequest:
    """`cms sandbox serve`; ``db`` is the store as it was named, or None."""

    store: Path
    db: Optional[str]
    port: int
    token: Optional[str]
    token_requests: Optional[int]
    token_seconds: Optional[float]
    rate_limit: str
    latency: float
    fail: float
    drop: float
    fault: Optional[list[str]]
    scenario: Optional[Path]
    answer: str
    seed: Optional[int]


@app.callback()
def sandbox() -> None:
    """A local stand-in for the service.

    It checks and answers as the service does, and keeps what it receives. `--sandbox` on lead and sale sends there.
    """


@app.command("serve", cls=Command, epilog=EXAMPLES)
def serve(
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")] = PORT,
    rate_limit: Annotated[str, typer.Option("--rate-limit", metavar="RATE", help="60/m, 10/s or none.")] = "60/m",
    db: Store = None,
    token: OneToken = None,
    token_requests: TokenRequests = None,
    token_seconds: TokenSeconds = None,
    latency: Latency = 0.0,
    fail: Fail = 0.0,
    drop: Drop = 0.0,
    fault: Faults = None,
    scenario: Scenario = None,
    answer: Shape = "documented",
    seed: Seed = None,
    state_dir: o.StateDir = None,
    profile: o.Profile = None,
    config: o.Config = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    no_color: o.NoColor = False,
) -> int:
    """Serve the stand-in to other programs until Ctrl-C.

    Its URL is the first line on stdout, written once it answers; in a browser it shows what arrives.

    A fault is [lead.|sale.]KIND[:RATE][@VALUE][xTIMES]; a KIND that is none is answered with the list of them. The
    README says what each does, and what a scenario looks like.
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
    request = ServeRequest(
        _store(settings, db),
        db=db,
        port=port,
        token=token,
        token_requests=token_requests,
        token_seconds=token_seconds,
        rate_limit=rate_limit,
        latency=latency,
        fail=fail,
        drop=drop,
        fault=fault,
        scenario=scenario,
        answer=answer,
        seed=seed,
    )
    server = _server(console, request)
    # Ctrl-C and SIGTERM are how a server ends: no error, and what is being answered is answered.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), server:
        render.serving(console, settings.output, server.url, str(server.db), "anything" if token is None else token)
        server.wait()
    console.note("sandbox: closed")
    if server.failure is not None:
        raise CommandError(f"the sandbox failed: {server.failure}", code=ExitCode.INTERNAL)
    return ExitCode.OK


def _server(console: Console, request: ServeRequest) -> Any:
    from cms_cli.sandbox import OptionError, SandboxServer, StoreError, load_scenario

    try:
        return SandboxServer(
            request.store,
            port=request.port,
            token=request.token,
            token_requests=request.token_requests,
            token_seconds=request.token_seconds,
            rate_limit=request.rate_limit,
            latency_ms=request.latency,
            fail=request.fail,
            drop=request.drop,
            faults=",".join(request.fault or ()),
            scenario=load_scenario(request.scenario) if request.scenario else None,
            seed=request.seed,
            answer=request.answer,
        )
    except OptionError as problem:
        raise CommandError(str(problem), "See: cms sandbox serve --help") from None
    except StoreError as problem:
        raise _store_error(console, problem, request.db) from None
    except OSError as problem:
        raise CommandError(
            f"cannot listen on port {request.port}: {problem.strerror or problem}",
            "--port 0 takes a free one",
            ExitCode.INTERNAL,
        ) from None


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
    store = _store(settings, db)
    try:
        found = read_events(
            store, kind=kind, click_id=click_id, customer=customer, invoice_id=invoice_id, limit=limit
        )
        render.events(console, settings.output, found, str(store))
    except StoreError as problem:
        raise _store_error(console, problem, db) from None


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
    """Show which click brought how many leads and sales, and earned what.

    Last click, as the service counts: a lead without a click id is that of the click that the customer's last
    deferred lead stored. Those with the most sales come first; totals are of all of them. JSON has minor units.
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
    store = _store(settings, db)
    try:
        with open_report(store, EventFilter(kind, click_id, customer, invoice_id)) as found:
            render.report(console, settings.output, found, limit, str(store))
    except StoreError as problem:
        raise _store_error(console, problem, db) from None


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

    store = _store(settings, db)
    try:
        forgotten = sandbox.reset(store)
    except sandbox.StoreError as problem:
        raise _store_error(console, problem, db) from None
    if db is None:
        _forget_replays(store.parent)
    console.note(f"forgot {forgotten} event{'' if forgotten == 1 else 's'} of {store}")


def _forget_replays(folder: Path) -> None:
    """Remove the journal of what was sent to the sandbox, and nothing else: the folder may be a project's own."""
    from cms_cli.replay.journal.row_texts import ENDING
    from cms_cli.replay.journal.sqlite_file import FILES

    if not folder.is_dir():
        return
    texts = (file for kind in ("lead", "sale") for file in folder.glob(f"{kind}-*{ENDING}"))
    for file in (*(folder / name for name in FILES), *texts):
        file.unlink(missing_ok=True)


def _store_error(console: Console, problem: Any, db: Optional[str]) -> CommandError:
    return CommandError(str(problem), way_out(problem, console, db), ExitCode.INTERNAL)


def _store(settings: Settings, db: Optional[str]) -> Path:
    return expanded(db) if db else sandbox_dir(settings) / STORE_NAME
