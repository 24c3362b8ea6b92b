"""``cms sandbox serve``: runs the sandbox as a server for other programs."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Optional

import typer

from cms_cli.commands import options as o
from cms_cli.commands.begin import begin
from cms_cli.commands.sandbox_store import Store, store_error, store_of
from cms_cli.config.settings import Flags
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal import sandbox as render
from cms_cli.terminal.console import Console

PORT = 8787

_TOKENS, _FAULTS = "Tokens", "When things go wrong"

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
    typer.Option("--seed", metavar="N", help="Make the same random choices each time.", rich_help_panel=_FAULTS),
]


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

    The first line on stdout is its URL, written once it answers. In a browser, the URL shows what arrives.

    A fault is [lead.|sale.]KIND[:RATE][@VALUE][xTIMES]; the error for an unknown KIND lists all kinds.
    docs/sandbox.md describes them, and the file of a scenario.
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
    with _explained(console, db, port):
        from cms_cli.sandbox import SandboxServer, load_scenario

        server = SandboxServer(
            store_of(settings, db),
            port=port,
            token=token,
            token_requests=token_requests,
            token_seconds=token_seconds,
            rate_limit=rate_limit,
            latency_ms=latency,
            fail=fail,
            drop=drop,
            faults=",".join(fault or ()),
            scenario=load_scenario(scenario) if scenario else None,
            seed=seed,
            answer=answer,
        )
    # Ctrl-C and SIGTERM end the server without an error, once the requests in progress are answered.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), server:
        render.serving(console, settings.output, server.url, str(server.db), "anything" if token is None else token)
        server.wait()
    console.note("sandbox: closed")
    if server.failure is not None:
        raise CommandError(f"the sandbox failed: {server.failure}", code=ExitCode.INTERNAL)
    return ExitCode.OK


@contextmanager
def _explained(console: Console, db: Optional[str], port: int) -> Iterator[None]:
    """Turn errors that keep the server from starting into command errors."""
    from cms_cli.sandbox import OptionError, StoreError

    try:
        yield
    except OptionError as problem:
        raise CommandError(str(problem), "See: cms sandbox serve --help") from None
    except StoreError as problem:
        raise store_error(console, problem, db) from None
    except OSError as problem:
        raise CommandError(
            f"cannot listen on port {port}: {problem.strerror or problem}",
            "--port 0 takes a free one",
            ExitCode.INTERNAL,
        ) from None
