"""``cms sale``."""

import typer

from cms_cli.commands import options as o
from cms_cli.commands import replay_options as r
from cms_cli.commands.events import EventCommand, track_or_replay
from cms_cli.commands.request import DeliveryFlags, EventFlags, FileFlags, TrackRequest
from cms_cli.config.settings import Flags
from cms_python import EventKind

app = typer.Typer(add_completion=False, rich_markup_mode=None)

EXAMPLES = """
# 49.99 US dollars, in cents; tried out on this machine, then for real
cms sale --click-id id_123 --event-name purchase --customer-external-id u_42 \\
         --invoice-id inv_1 --amount 4999 --currency USD --sandbox
cms sale --click-id id_123 --event-name purchase --customer-external-id u_42 \\
         --invoice-id inv_1 --amount 4999 --currency USD

# a file of sales: see what would be sent, then send it; again is safe
cms sale --from-csv sales.csv --dry-run
cms sale --from-csv sales.csv

# an export of your shop as it is; cms presets lists what is known
cms sale --from-csv orders_export.csv --preset shopify --dry-run
"""


@app.command("sale", cls=EventCommand, epilog=EXAMPLES)
def sale(
    click_id: o.ClickId = None,
    event_name: o.EventName = None,
    customer_external_id: o.CustomerExternalId = None,
    invoice_id: o.InvoiceId = None,
    amount: o.Amount = None,
    currency: o.Currency = None,
    amount_unit: o.Unit = None,
    customer_name: o.CustomerName = None,
    customer_email: o.CustomerEmail = None,
    customer_avatar: o.CustomerAvatar = None,
    timestamp: o.Timestamp = None,
    timezone: o.Timezone = None,
    from_csv: r.FromCsv = None,
    from_jsonl: r.FromJsonl = None,
    preset: r.Preset = None,
    mapping: r.Mapping = None,
    map: r.Map = None,  # noqa: A002 - the flag's name
    where: r.Where = None,
    skip_unattributed: r.SkipUnattributed = False,
    decimal: r.Decimal = None,
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
    """Track a sale: a customer paid.

    Needs --click-id, --event-name, --customer-external-id, --invoice-id, --amount and --currency. Sent again with
    the same invoice, a sale is not counted twice.
    """
    return track_or_replay(
        TrackRequest(
            EventKind.SALE,
            EventFlags(
                event_name=event_name,
                customer_external_id=customer_external_id,
                click_id=click_id,
                customer_name=customer_name,
                customer_email=customer_email,
                customer_avatar=customer_avatar,
                timestamp=timestamp,
                invoice_id=invoice_id,
                amount=amount,
                currency=currency,
                amount_unit=amount_unit,
            ),
            FileFlags(
                from_csv=from_csv,
                from_jsonl=from_jsonl,
                preset=preset,
                mapping=mapping,
                map=map,
                where=where,
                skip_unattributed=skip_unattributed,
                decimal=decimal,
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
