"""Tables: drawn with rich on a terminal; elsewhere, reports are aligned and lists are separated by tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cms_cli.terminal.console import Console
from cms_cli.terminal.text import masked, shown, width

if TYPE_CHECKING:
    from rich.text import Text

_GAP = "  "
_LEAST = 12  # the least width of a shortened cell


@dataclass(frozen=True)
class Column:
    """A column of a list or report.

    Attributes:
        name: Its header.
        right: Whether its cells are numbers.
        shortened: Whether its cells may end in an ellipsis on a terminal.
        dropped: The order in which columns are left out on a narrow terminal: 1 first, 2 next; 0 is never.
    """

    name: str
    right: bool = False
    shortened: bool = False
    dropped: int = 0


def pairs(console: Console, rows: Sequence[tuple[str, str]], title: str = "", *, style: str = "") -> None:
    """Write names and their values as the result.

    Args:
        console: The console to write to.
        rows: The names and values. They may come from anywhere; control characters are escaped.
        title: The heading of the drawn table.
        style: The colour of title and border.
    """
    if not console.draws_on_stdout:
        names = max((width(shown(name)) for name, _ in rows), default=0)
        for name, value in rows:
            console.result(f"{_padded(shown(name), names, right=False)}{_GAP}{shown(value)}".rstrip())
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rich = console.rich()
    table = Table(
        box=box.ROUNDED,
        show_header=False,
        title=_title(title, style),
        title_justify="left",
        border_style=style,
    )
    # A name from the service may be long; leave room for its value.
    longest = max(rich.width // 3, _LEAST)
    table.add_column(style="bold", overflow="fold", max_width=longest)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(masked(shown(cell))) for cell in row))
    rich.print(table)


def report(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    totals: int = 0,
    title: str = "",
    styles: Mapping[str, str] = {},
) -> None:
    """Write rows under a header as the result. If they are not drawn, they are aligned, for people who read logs.

    Args:
        console: The console to write to.
        columns: The columns.
        rows: The cells of each row. They may come from anywhere; control characters are escaped.
        totals: The number of rows at the end that are totals.
        title: The heading of the drawn table.
        styles: The colour of a cell by its text.
    """
    if console.draws_on_stdout:
        _draw(console, columns, rows, totals, title, styles)
        return
    lines = [[column.name for column in columns], *([shown(cell) for cell in row] for row in rows)]
    widths = [max(width(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        cells = [_padded(cell, widths[at], columns[at].right) for at, cell in enumerate(line)]
        painted = [
            console.styled(cell, styles.get(text, ""), stdout=True) if styles.get(text) else cell
            for cell, text in zip(cells, line)
        ]
        console.result(_GAP.join(painted).rstrip())


def listing(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    totals: int = 0,
    styles: Mapping[str, str] = {},
) -> None:
    """Write a list as the result. If it is not drawn, it is separated by tabs, for ``cut`` and ``awk``.

    Args:
        console: The console to write to.
        columns: The columns.
        rows: The cells of each row. They may come from anywhere; control characters are escaped.
        totals: The number of rows at the end that are totals.
        styles: The colour of a drawn cell by its text.
    """
    if console.draws_on_stdout:
        _draw(console, columns, rows, totals, "", styles)
        return
    for line in ([column.name for column in columns], *rows):
        console.result("\t".join(map(shown, line)))


def _padded(cell: str, columns: int, right: bool) -> str:
    fill = " " * (columns - width(cell))
    return fill + cell if right else cell + fill


def _title(title: str, style: str = "") -> Text | None:
    from rich.text import Text

    return Text(masked(shown(title)), style=f"bold {style}".strip()) if title else None


def _draw(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    totals: int,
    title: str,
    styles: Mapping[str, str],
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rich = console.rich()
    cells = [[masked(shown(cell)) for cell in row] for row in rows]
    needed = [_needed(column, cells, at) for at, column in enumerate(columns)]
    kept, fits = _that_fit(columns, needed, rich.width)
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=_title(title),
        title_justify="left",
        header_style="bold",
    )
    for at in kept:
        column = columns[at]
        table.add_column(
            column.name,
            justify="right" if column.right else "left",
            overflow="fold",
            # Only shortened columns shrink; if that is not enough, all may wrap, or rich would cut the table off.
            no_wrap=fits and not column.shortened,
        )
    for number, row in enumerate(cells, 1):
        total = number > len(cells) - totals
        texts = [Text(row[at], style=styles.get(row[at], "bold" if total else "")) for at in kept]
        for at, text in zip(kept, texts):
            # A cell of a shortened column is not wrapped, and ends in an ellipsis.
            text.no_wrap, text.overflow = columns[at].shortened, "ellipsis" if columns[at].shortened else "fold"
        table.add_row(*texts, end_section=number == len(cells) - totals)
    rich.print(table)


def _that_fit(columns: Sequence[Column], needed: Sequence[int], room: int) -> tuple[list[int], bool]:
    """Return the columns to show, without those that are dropped for want of room, and True if they fit."""
    kept = list(range(len(columns)))
    for drop in range(1, 1 + max(column.dropped for column in columns)):
        if _together(kept, needed) <= room:
            break
        kept = [at for at in kept if columns[at].dropped != drop]
    return kept, _together(kept, needed) <= room


def _together(kept: Sequence[int], needed: Sequence[int]) -> int:
    return sum(needed[at] + 2 for at in kept)  # each column with a gap


def _needed(column: Column, cells: Sequence[Sequence[str]], at: int) -> int:
    widest = max((width(row[at]) for row in cells), default=0)
    return max(width(column.name), min(widest, _LEAST) if column.shortened else widest)
