"""Tables: drawn and fitted on a terminal, aligned and complete anywhere else."""

from __future__ import annotations

from collections.abc import Sequence

from cms_cli.output.console import Console
from cms_cli.output.text import masked, shown, width

_GAP = "  "


def pairs(console: Console, rows: Sequence[tuple[str, str]], title: str = "", *, style: str = "") -> None:
    """Write names and their values as the result.

    Args:
        console: Where to.
        rows: Each name and its value, as text from anywhere.
        title: What a drawn table is headed with.
        style: The colour that the first value has in a drawn table.
    """
    if console.draws_on_stdout:
        _draw(console, (), rows, frozenset(), title, style)
    else:
        names = max((width(shown(name)) for name, _ in rows), default=0)
        for name, value in rows:
            console.result(f"{_padded(shown(name), names, right=False)}{_GAP}{shown(value)}".rstrip())


def table(
    console: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    title: str = "",
) -> None:
    """Write rows under a header as the result.

    Args:
        console: Where to.
        header: The columns' names.
        rows: As many cells each, as text from anywhere.
        right: The columns, from 0, whose cells are numbers.
        title: What a drawn table is headed with.
    """
    if console.draws_on_stdout:
        _draw(console, header, rows, right, title)
        return
    lines = [list(header), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(width(line[at]) for line in lines) for at in range(len(header))]
    for line in lines:
        console.result(_GAP.join(_padded(cell, widths[at], at in right) for at, cell in enumerate(line)).rstrip())


def _padded(cell: str, columns: int, right: bool) -> str:
    fill = " " * (columns - width(cell))
    return fill + cell if right else cell + fill


def _draw(
    console: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: frozenset[int],
    title: str,
    first: str = "",
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        box=box.SIMPLE_HEAD if header else box.ROUNDED,
        show_header=bool(header),
        pad_edge=not header,
        padding=(0, 1, 0, 0) if header else (0, 1),
        title=Text(masked(shown(title)), style="bold") if title else None,
        title_justify="left",
    )
    for at in range(len(header) or 2):
        name = not header and at == 0
        drawn.add_column(
            Text(header[at]) if header else "",
            justify="right" if at in right else "left",
            style="bold" if name else "",
            no_wrap=name,
            overflow="fold",
            min_width=width(header[at]) if header else None,
        )
    for number, row in enumerate(rows):
        *names, value = (masked(shown(cell)) for cell in row)
        drawn.add_row(*map(Text, names), Text(value, style="" if header or number else first))
    console.rich().print(drawn)
