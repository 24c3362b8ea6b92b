"""``cms lead``."""

import typer

from cms_cli.commands import options as o
from cms_cli.commands import replay_options as r
from cms_cli.commands.events import EventCommand, track_or_replay
from cms_cli.commands.request import DeliveryFlags, EventFlags, FileFlags, TrackRequest
from cms_cli.config.settings import Flags
from cms_python import EventKind

app = typer.Typer(add_completion=False, rich_markup_mode=None)

EXAMPLES = """
# a click turned into a sign-up
cms lead --click-id id_123 --event-name signup --customer-external-id u_42

# keep the click for this customer; what they do later needs none
cms lead --deferred --click-id id_123 --event-name signup \\
         --customer-external-id u_42
cms lead --event-name trial_started --customer-external-id u_42

# a file of leads: see what would be sent, then send it
cms lead --from-csv leads.csv --dry-run
cms lead --from-csv leads.csv
"""


@app.command("lead", cls=EventCommand, epilog=EXAMPLES)
def lead(
    click_id: o.ClickId = None,
    event_name: o.EventName = None,
    customer_external_id: o.CustomerExternalId = None,
    customer_name: o.CustomerName = None,
    customer_email: o.CustomerEmail = None,
    customer_avatar: o.CustomerAvatar = None,
    timestamp: o.Timestamp = None,
    timezone: o.Timezone = None,
    mode: o.Mode = None,
    deferred: o.Deferred = False,
    from_csv: r.FromCsv = None,
    from_jsonl: r.FromJsonl = None,
    preset: r.Preset = None,
    mapping: r.Mapping = None,
    map: r.Map = None,  # noqa: A002 - the flag's name
    where: r.Where = None,
    skip_unattributed: r.SkipUnattributed = False,
    date_format: r.DateFormat = None,
    encoding: r.Encoding = None,
    delimiter: r.Delimiter = None,
    header_line: r.HeaderLine = None,
    footer_lines: r.FooterLines = None,
    save_mapping: r.SaveMapping = None,
    rate: r.Rate = None,
    concurrency: r.Concurrency = None,
    limit: r.Limit = None,
    skip_invalid: r.SkipInvalid = False,
    failures: r.Failures = None,
    results: r.Results = None,
    max_failures: r.MaxFailures = None,
    max_duration: r.MaxDuration = None,
    fresh: r.Fresh = False,
    retry_unknown: r.RetryUnknown = False,
    retry_refused: r.RetryRefused = False,
    repeats: r.Repeats = None,
    yes: r.Yes = False,
    dry_run: o.DryRun = False,
    sandbox: o.Sandbox = False,
    timeout: o.Timeout = None,
    max_wait: o.MaxWait = None,
    host: o.Host = None,
    allow_http: o.AllowHttp = False,
    token_file: o.TokenFile = None,
    profile: o.Profile = None,
    config: o.Config = None,
    state_dir: o.StateDir = None,
    json: o.Json = False,
    output: o.OutputFormat = None,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    no_color: o.NoColor = False,
    help_all: o.HelpAll = False,  # noqa: ARG001 - it ends the command before this
) -> int:
    """Track a lead, such as a sign-up or a trial.

    Needs --event-name and --customer-external-id; the first event of a customer needs --click-id as well.
    """
    return track_or_replay(
        TrackRequest(
            EventKind.LEAD,
            EventFlags(
                event_name=event_name,
                customer_external_id=customer_external_id,
                click_id=click_id,
                customer_name=customer_name,
                customer_email=customer_email,
                customer_avatar=customer_avatar,
                timestamp=timestamp,
                mode=mode,
                deferred=deferred,
            ),
            FileFlags(
                from_csv=from_csv,
                from_jsonl=from_jsonl,
                preset=preset,
                mapping=mapping,
                map=map,
                where=where,
                skip_unattributed=skip_unattributed,
                date_format=date_format,
                encoding=encoding,
                delimiter=delimiter,
                header_line=header_line,
                footer_lines=footer_lines,
                save_mapping=save_mapping,
            ),
            DeliveryFlags(
                rate=rate,
                concurrency=concurrency,
                limit=limit,
                skip_invalid=skip_invalid,
                failures=failures,
                results=results,
                max_failures=max_failures,
                max_duration=max_duration,
                fresh=fresh,
                retry_unknown=retry_unknown,
                retry_refused=retry_refused,
                repeats=repeats.value if repeats else None,
                yes=yes,
            ),
            Flags(
                config=config,
                profile=profile,
                host=host,
                allow_http=allow_http,
                token_file=token_file,
                timezone=timezone,
                timeout=timeout,
                max_wait=max_wait,
                state_dir=state_dir,
                json=json,
                output=output,
                quiet=quiet,
                verbose=verbose,
                no_color=no_color,
            ),
            dry_run=dry_run,
            sandbox=sandbox,
        )
    )
