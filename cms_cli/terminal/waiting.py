"""A line at the foot of the terminal that is drawn over itself while something takes longer than a moment."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from cms_cli.terminal.text import cut

if TYPE_CHECKING:
    from cms_cli.terminal.console import Console

MOMENT = 0.5
"""Seconds without a sign of life; a sign of anything shorter would only flicker."""

_TICK = 0.12
_FRAMES, _PLAIN_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_REST_OF_LINE = "\x1b[K"


class Waiting:
    """Shows a spinner and a line of words, on a terminal only, from the second half second on.

    A thread of its own draws it, so that it also moves while nothing is heard of what is waited for. Each drawing
    overwrites the one before and clears only what is left of it, so that nothing flickers. Whatever else is written
    goes through :meth:`aside`.

    Args:
        console: Whose stderr; with ``--quiet`` nothing is shown.
        words: Gives what is shown in at most so many columns. It is called from the thread.
    """

    def __init__(self, console: Console, words: Callable[[int], str]) -> None:
        self._console = console
        self._words = words
        self._over = threading.Event()
        self._lock = threading.RLock()
        self._drawn = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Waiting:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to wait; nothing is seen for a moment."""
        if self._thread is None and self._console.draws_on_stderr and not self._console.quiet:
            self._over.clear()
            self._thread = threading.Thread(target=self._spin, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End it, and leave no trace of it."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self.aside():
            pass

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Make way for lines of text, and keep out of them."""
        with self._lock:
            if self._drawn:
                self._write("\r" + _REST_OF_LINE)
                self._drawn = False
            yield

    def _spin(self) -> None:
        wait, frame = MOMENT, 0
        frames = _FRAMES if draws_unicode() else _PLAIN_FRAMES
        while not self._over.wait(wait):
            room = self._console.columns - 3  # the last column makes some terminals begin a new line
            line = f"{frames[frame]} {cut(self._words(room), room)}"
            with self._lock:
                if not self._over.is_set():
                    self._write(f"\r{line}{_REST_OF_LINE}")
                    self._drawn = True
            wait, frame = _TICK, (frame + 1) % len(frames)

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # the terminal has gone; what matters goes on
            pass


def seconds_gone(text: str) -> Callable[[int], str]:
    """Give words for what has no other measure than the time that it takes."""
    begin = time.monotonic()
    return lambda room: f"{cut(text, room - 8)} ({time.monotonic() - begin:.0f} s)"


def draws_unicode() -> bool:
    """Whether stderr can show more than ASCII."""
    return (getattr(sys.stderr, "encoding", None) or "").lower().startswith("utf")
