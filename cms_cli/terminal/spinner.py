"""A spinner on stderr, shown only while something takes longer than a moment."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from cms_cli.terminal.console import Console

MOMENT = 0.5
"""Seconds before anything is shown. For less, a spinner would only flicker, and importing rich takes time."""


class Spinner:
    """Shows rich's spinner beside a text while the block runs, after a short delay.

    Args:
        console: The console to write to; the spinner is on stderr.
        text: One line of text.
    """

    def __init__(self, console: Console, text: str) -> None:
        self._console = console
        self._text = text
        self._lock = threading.Lock()
        self._shown = ExitStack()
        self._over = False
        self._timer = threading.Timer(MOMENT, self._show)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            self._shown.close()

    def _show(self) -> None:
        with self._lock:
            if self._over:
                return
            from rich.status import Status
            from rich.text import Text

            rich = self._console.rich(stderr=True)
            text = Text(self._text, no_wrap=True, overflow="ellipsis")
            self._shown.enter_context(Status(text, console=rich, spinner=spinner(rich)))
            self._shown.enter_context(self._console.beside(rich))


def spinner(rich: RichConsole) -> str:
    """Return the name of a spinner that the terminal's encoding can show."""
    return "line" if rich.options.ascii_only else "dots"
