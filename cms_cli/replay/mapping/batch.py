"""Cells of many rows at a time, a column at a time: most of what they need is then one call into C."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from cms_cli.replay.mapping.columns import AnySource, Joined
from cms_cli.replay.values.cells import bare

_WHITE = "\t\n\r\v\f\x1c\x1d\x1e\x1f"  # what str.strip() takes away of ASCII, but for the blank


class Batch:
    """Cells of some rows, by column.

    Attributes:
        cells: The cells of each row.
        plain: Whether all of them are ASCII as it stands: no white space around it, no formula.
    """

    def __init__(self, cells: Sequence[list[str]]) -> None:
        self.cells = cells
        together = "|".join(("", *map("|".join, cells), ""))
        # A search for one character costs next to nothing.
        self.plain = (
            together.isascii()
            and ("=" not in together or '="' not in together)
            and not any(map(together.__contains__, _WHITE))
            and "|'" not in together
            and (" " not in together or ("| " not in together and " |" not in together))
        )

    def column(self, source: AnySource, nothing: frozenset[str]) -> list[str]:
        """Give a source's texts, as :meth:`Source.read` does."""
        if isinstance(source, Joined) or source.keys:
            texts = [source.read(cells) for cells in self.cells]
        else:
            texts = list(map(itemgetter(source.place), self.cells))
            if not self.plain:
                together = "".join(texts)
                texts = list(map(bare if '="' in together or "'" in together else str.strip, texts))
        if nothing and not nothing.isdisjoint(texts):
            texts = ["" if text in nothing else text for text in texts]
        return texts
