"""Shows the preview of a replay: a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.model import MappedColumn
from cms_cli.replay.problems import ProblemGroup
from cms_cli.replay.staging.preview import Preview
from cms_cli.terminal.console import Console
from cms_cli.terminal.text import masked, sentence, shown, width
from cms_cli.terminal.units import amount, duration, events, rows

if TYPE_CHECKING:
    from rich.console import RenderableType

_RESUME = re.compile(r"cms (runs resume (?:(?:lead|sale)-\w+|--all))")


def question(preview: Preview, kind: str, target: str) -> str:
    """Return the question that is asked before anything is sent.

    Args:
        preview: The preview.
        kind: ``lead`` or ``sale``.
        target: The host and account, for people.
    """
    pending = preview.counts[RowStatus.PENDING.value]
    if preview.limit is not None and preview.limit < pending:
        return f"Send {preview.limit:,} of {events(pending, kind)} to {target}?"
    return f"Send {events(pending, kind)} to {target}?"


def facts(preview: Preview, rate: str) -> list[tuple[str, list[str]]]:
    """Return the facts of a preview: counts, sums, dates and the time that sending takes.

    Args:
        preview: The preview.
        rate: The rate as text, or "" for no limit.

    Returns:
        The name of each fact, and its lines.
    """
    pending = preview.counts[RowStatus.PENDING.value]
    limited = preview.limit is not None and preview.limit < pending
    found = [("to send", [rows(pending) + (f", {preview.limit:,} of them now" if limited else "")])]
    others = [status.value for status in RowStatus if status is not RowStatus.PENDING]
    found += [(status, [rows(preview.counts[status])]) for status in others if preview.counts[status]]
    reasons = [f"{shown(reason)}: {count:,}" for reason, count in sorted(preview.reasons.items())]
    found += [("left out", reasons)] if reasons else []
    if preview.empty:
        found.append(("empty", [_empty(column, words) for column, words in preview.empty.items()]))
    if preview.sums:
        found.append(("sum", _sums(preview.sums)))
    if preview.refunded:
        found.append(("refunded", [f"{rows(preview.refunded)} in part, sent in full", *_sums(preview.refunds)]))
    if preview.free:
        found.append(("amount 0", [rows(preview.free)]))
    if preview.first:
        span = preview.first if preview.first == preview.last else f"{preview.first} to {preview.last}"
        found.append(("dated", [f"{span} (UTC)"]))
    if pending:
        least = f"at least {duration(preview.seconds)}" if preview.seconds else "at once"
        found.append(("time", [f"{least} at {rate}" if rate else "as fast as the service answers"]))
    return found


def _empty(column: str, words: Mapping[str, int]) -> str:
    """Return one line with the number of cells of a column that were a word for nothing."""
    count = sum(words.values())
    return f"{shown(column)}: {count:,} {'cell' if count == 1 else 'cells'} ({', '.join(map(shown, words))})"


def show_summary(console: Console, preview: Preview, rate: str) -> None:
    """Write the facts of a preview to stderr: a panel on a terminal, plain lines elsewhere."""
    found = facts(preview, rate)
    title = shown(f"{preview.run}: resuming {preview.file}" if preview.resumes else preview.file)
    if console.quiet:
        return
    if not console.draws_on_stderr:
        console.note(title)
        for name, lines in found:
            console.note(f"  {name}: " + f"\n  {' ' * len(name)}  ".join(lines))
        return
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, lines in found:
        style = _STYLES.get(name, "")
        right = max(map(width, lines)) if name == "sum" else 0
        cell: RenderableType = Text(masked("\n".join(line.rjust(right) for line in lines)), style=style)
        grid.add_row(Text(name), cell)
    console.rich(stderr=True).print(
        Panel(grid, title=Text(masked(title), style="bold"), title_align="left", expand=False, border_style="cyan")
    )


_STYLES = {"to send": "bold green", "invalid": "red", "refused": "red", "unknown": "yellow", "sum": "bold"}


def show_preview(console: Console, preview: Preview, rate: str) -> None:
    """Write a whole preview to stderr: columns, the first events, and the facts."""
    if preview.columns:
        _show_columns(console, preview.columns)
    if preview.events:
        console.note("The first events, as they would be sent:")
    for event in preview.events:
        _show_event(console, event)
    show_summary(console, preview, rate)


def _show_event(console: Console, event: str) -> None:
    if console.quiet or not console.draws_on_stderr:
        console.note(f"  {shown(event)}")
        return
    from rich.padding import Padding
    from rich.text import Text

    text = json.dumps(json.loads(event), ensure_ascii=False)  # with blanks, so that rich can break lines
    console.rich(stderr=True).print(Padding(Text(masked(shown(text))), (0, 0, 0, 2)))


def show_problems(console: Console, groups: Iterable[ProblemGroup]) -> None:
    """Write the groups of problems, each with its hint."""
    for group in groups:
        console.error(
            shown(str(group)), f"       {sentence(shown(group.problem.hint))}" if group.problem.hint else ""
        )


def show_warnings(console: Console, warnings: Iterable[str]) -> None:
    """Write warnings; complete the commands in them with the flags that they need."""
    for warning in warnings:
        console.warn(_RESUME.sub(lambda found: console.next_command(found[1], sends=True), shown(warning)))


def _sums(sums: dict[str, int]) -> list[str]:
    return [amount(total, currency) for currency, total in sums.items()]


def _sample(text: str) -> str:
    """Quote a sample that contains a comma, since samples are separated by commas."""
    return f'"{shown(text)}"' if "," in text else shown(text)


def _show_columns(console: Console, columns: Sequence[MappedColumn]) -> None:
    """Write each field with its origin and a few values."""
    lines = []
    for column in columns:
        constant = None if column.constant is None else f'"{shown(column.constant)}"'
        origin, values = shown(column.column), ", ".join(map(_sample, column.samples))
        if not origin:
            origin, values = "always", constant or ""
        elif constant is not None:
            origin += f", else {constant}"
        lines.append((column.field, origin, values))
    if console.quiet:
        return
    if not console.draws_on_stderr:
        names, origins = (max(width(line[at]) for line in lines) for at in (0, 1))
        for name, origin, values in lines:
            gap = " " * (origins - width(origin))
            console.note(f"  {name:<{names}}  {origin}{gap}  {values}".rstrip())
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    rich = console.rich(stderr=True)
    names, origins = (max(width(line[at]) for line in lines) for at in (0, 1))
    origins = min(origins, rich.width // 3)
    grid.add_column(style="bold", min_width=names)
    grid.add_column(style="cyan", no_wrap=True, max_width=origins)
    # Without a bound of its own, the last column would be cut off at the edge, and would not show that it was.
    grid.add_column(max_width=max(1, rich.width - names - origins - 2 * 2))
    for line in lines:
        grid.add_row(*(Text(masked(cell), no_wrap=True, overflow="ellipsis") for cell in line))
    rich.print(grid)
