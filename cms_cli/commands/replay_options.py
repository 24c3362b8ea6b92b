"""The flags of a replay, declared once. Typer reads these at run time."""

from enum import Enum
from typing import Annotated, Optional

import typer

from cms_cli.commands import completions

FILE = "A file of events"
CONTROL = "Control of a replay"

ESSENTIAL = (
    *("--from-csv", "--preset", "--map", "--mapping", "--where", "--limit", "--skip-invalid", "--failures"),
    *("--yes", "--dry-run", "--sandbox", "--json"),
)
"""The flags that --help shows besides those of the event; --help-all shows all."""

FromCsv = Annotated[
    Optional[str],
    typer.Option("--from-csv", metavar="FILE", help="Replay a CSV file; - is stdin.", rich_help_panel=FILE),
]
FromJsonl = Annotated[
    Optional[str],
    typer.Option(
        "--from-jsonl", metavar="FILE", help="Replay a file of JSON Lines; - is stdin.", rich_help_panel=FILE
    ),
]
Preset = Annotated[
    Optional[str],
    typer.Option(
        "--preset",
        metavar="NAME",
        help="A known export, such as stripe or shopify; see: cms presets.",
        autocompletion=completions.presets,
        rich_help_panel=FILE,
    ),
]
Mapping = Annotated[
    Optional[str],
    typer.Option(
        "--mapping",
        metavar="FILE",
        help="A mapping file, or the name of one in the config file; see: cms presets.",
        autocompletion=completions.mappings,
        rich_help_panel=FILE,
    ),
]
Map = Annotated[
    Optional[list[str]],
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="Read a field from a column: A|B tries several, A+B joins, A[key] looks inside a cell.",
        rich_help_panel=FILE,
    ),
]
Where = Annotated[
    Optional[list[str]],
    typer.Option(
        "--where",
        metavar="COLUMN=VALUE",
        help="Keep only such rows: =A|B, !=A|B, or >, >=, <, <= with a number or date.",
        rich_help_panel=FILE,
    ),
]
SkipUnattributed = Annotated[
    bool,
    typer.Option("--skip-unattributed", help="Leave out rows without a click id.", rich_help_panel=FILE),
]
Decimal = Annotated[
    Optional[str],
    typer.Option("--decimal", metavar=".|,", help="The decimal mark of amounts.", rich_help_panel=FILE),
]
DateFormat = Annotated[
    Optional[list[str]],
    typer.Option(
        "--date-format",
        metavar="FORMAT",
        help="The format of dates, such as %d/%m/%Y; several are tried in order.",
        rich_help_panel=FILE,
    ),
]
Encoding = Annotated[
    Optional[str],
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="The file's encoding if it is not UTF-8: cp1252.",
        rich_help_panel=FILE,
    ),
]
Delimiter = Annotated[
    Optional[str],
    typer.Option(
        "--delimiter",
        metavar="CHAR",
        help="The delimiter of cells: , ; | or tab. Detected by default.",
        rich_help_panel=FILE,
    ),
]
HeaderLine = Annotated[
    Optional[int],
    typer.Option("--header-line", metavar="N", min=1, help="The line that the header is on.", rich_help_panel=FILE),
]
FooterLines = Annotated[
    Optional[int],
    typer.Option(
        "--footer-lines",
        metavar="N",
        min=1,
        help="The number of lines at the end that are not rows.",
        rich_help_panel=FILE,
    ),
]
SaveMapping = Annotated[
    Optional[str],
    typer.Option(
        "--save-mapping",
        metavar="FILE",
        help="With --dry-run: write a mapping file with all that was given or detected.",
        rich_help_panel=FILE,
    ),
]

Rate = Annotated[
    Optional[str],
    typer.Option(
        "--rate",
        metavar="N/m",
        help="Keep to this limit: 5/s, none. 60/m by default, none in the sandbox.",
        rich_help_panel=CONTROL,
    ),
]
Concurrency = Annotated[
    Optional[int],
    typer.Option(
        "--concurrency",
        metavar="N",
        min=1,
        max=64,
        help="Requests in flight at once, 8 by default.",
        rich_help_panel=CONTROL,
    ),
]
Limit = Annotated[
    Optional[int],
    typer.Option("--limit", metavar="N", min=1, help="Send at most N rows this time.", rich_help_panel=CONTROL),
]
SkipInvalid = Annotated[
    bool,
    typer.Option("--skip-invalid", help="Send the valid rows even if others are invalid.", rich_help_panel=CONTROL),
]
Failures = Annotated[
    Optional[str],
    typer.Option(
        "--failures",
        metavar="FILE",
        help="Write rows that failed to a file, to fix and feed back.",
        rich_help_panel=CONTROL,
    ),
]
Results = Annotated[
    Optional[str],
    typer.Option(
        "--results",
        metavar="FILE",
        help="Write the outcome of every row to a file: .csv or .jsonl.",
        rich_help_panel=CONTROL,
    ),
]
MaxFailures = Annotated[
    Optional[int],
    typer.Option("--max-failures", metavar="N", min=1, help="Stop after N failed rows.", rich_help_panel=CONTROL),
]
MaxDuration = Annotated[
    Optional[float],
    typer.Option("--max-duration", metavar="S", min=0, help="Stop after S seconds.", rich_help_panel=CONTROL),
]
Fresh = Annotated[
    bool,
    typer.Option("--fresh", help="Forget what was sent of this file; send it again.", rich_help_panel=CONTROL),
]
RetryUnknown = Annotated[
    bool,
    typer.Option("--retry-unknown", help="Send again what may have arrived.", rich_help_panel=CONTROL),
]
RetryRefused = Annotated[
    bool,
    typer.Option("--retry-refused", help="Send again what was refused.", rich_help_panel=CONTROL),
]


class RepeatsChoice(str, Enum):
    """The values of ``--repeats``, for leads that look like one sent from another file."""

    SEND = "send"
    SKIP = "skip"


Repeats = Annotated[
    Optional[RepeatsChoice],
    typer.Option(
        "--repeats",
        help="Leads without a time that look exactly like one sent from another file: send them too, or skip them.",
        rich_help_panel=CONTROL,
    ),
]
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask.", rich_help_panel=CONTROL),
]
