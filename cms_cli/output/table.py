"""Tables: drawn and fitted on a terminal, aligned and complete anywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cms_cli.output.console import RED, YELLOW, Console
from cms_cli.output.text import masked, shown, width

GREEN = "\x1b[32m"

_GAP = "  "
_NARROW = 16  # columns; what is no wider is never broken
_LEAST = 8  # columns that anything wider has to have
_RICH_NAMES = {GREEN: "green", RED: "red", YELLOW: "yellow"}


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
    styles: Mapping[str, str] = {},
) -> None:
    """Write rows under a header as the result.

    Args:
        console: Where to.
        header: The columns' names.
        rows: As many cells each, as text from anywhere.
        right: The columns, from 0, whose cells are numbers.
        title: What a drawn table is headed with.
        styles: The colour of a drawn cell by its text, where it says good or bad.
    """
    if console.draws_on_stdout:
        _draw(console, header, rows, right, title, styles=styles)
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
    styles: Mapping[str, str] | None = None,
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rich = console.rich()
    cells = [[masked(shown(cell)) for cell in row] for row in rows]
    if header and not _fits(header, cells, rich.width):
        for row in cells:
            _draw(console, (), list(zip(header, row))[1:], frozenset(), row[0], styles=styles)
        return
    drawn = Table(
        box=box.SIMPLE_HEAD if header else box.ROUNDED,
        show_header=bool(header),
        pad_edge=not header,
        padding=(0, 1, 0, 0) if header else (0, 1),
        title=Text(masked(shown(title)), style="bold") if title else None,
        title_justify="left",
    )
    names = max(rich.width // 3, _NARROW)  # a service's key may be long, and its value has to fit as well
    for at in range(len(header) or 2):
        name = not header and at == 0
        widest = max((width(row[at]) for row in cells), default=0)
        drawn.add_column(
            Text(header[at]) if header else "",
            justify="right" if at in right else "left",
            style="bold" if name else "",
            no_wrap=widest <= (names if name else _NARROW if header else 0),
            overflow="fold",
            min_width=width(header[at]) if header else None,
            max_width=names if name else None,
        )
    colours = {text: _RICH_NAMES[colour] for text, colour in (styles or {}).items()}
    for number, row in enumerate(cells):
        texts = [Text(cell, style=colours.get(cell, "")) for cell in row]
        if first and not number:
            texts[-1].stylize(first)
        drawn.add_row(*texts)
    rich.print(drawn)


def _fits(header: Sequence[str], cells: Sequence[Sequence[str]], columns: int) -> bool:
    """Whether a table can be read in so many columns; if not, its rows are shown one by one."""
    least = 1
    for at, name in enumerate(header):
        widest = max(width(row[at]) for row in cells) if cells else 0
        least += max(width(name), widest if widest <= _NARROW else _LEAST) + 2
    return least <= columns
