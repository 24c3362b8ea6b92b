"""Tables: drawn and fitted on a terminal, aligned and complete anywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cms_cli.terminal.console import RED, YELLOW, Console
from cms_cli.terminal.text import masked, shown, width

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
    widths = _widths(header, cells, right, rich.width)
    if widths is None:
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
            no_wrap=name and widest <= names,
            overflow="fold",
            width=widths[at] if header else None,
            max_width=names if name else None,
        )
    colours = {text: _RICH_NAMES[colour] for text, colour in (styles or {}).items()}
    for number, row in enumerate(cells):
        texts = [Text(cell, style=colours.get(cell, "")) for cell in row]
        if first and not number:
            texts[-1].stylize(first)
        drawn.add_row(*texts)
    rich.print(drawn)


def _widths(
    header: Sequence[str], cells: Sequence[Sequence[str]], right: frozenset[int], columns: int
) -> list[int] | None:
    """Give how wide each column of a table is; None where it cannot be read in so many columns.

    Left to rich, a column may become narrower than its words while another one has room to spare.
    """
    contents = [[row[at] for row in cells] for at in range(len(header))]
    most = [max(map(width, (name, *content))) for name, content in zip(header, contents)]
    for whole in (range(len(header)), right):  # what is narrow is broken, between words, only where it has to be
        least = [_least(name, content, at in whole) for at, (name, content) in enumerate(zip(header, contents))]
        room = columns - sum(least) - 2 * len(least) - 1
        if room >= 0:
            return _shared(least, most, room)
    return None


def _least(name: str, content: Sequence[str], whole: bool) -> int:
    """How narrow a column may become: no word is broken, unless it is as long as a path or a URL."""
    widest = max(map(width, content), default=0)
    if whole and widest <= _NARROW:
        return max(width(name), widest)
    words = (width(word) for cell in content for word in cell.split())
    return max(width(name), min(widest, _LEAST), *(size for size in words if size <= _NARROW))


def _shared(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Give the narrowest columns what room there is, until each has all that it can use."""
    widths = list(least)
    while room and widths != most:
        room -= 1
        widths[min((size, at) for at, size in enumerate(widths) if size < most[at])[1]] += 1
    return widths
