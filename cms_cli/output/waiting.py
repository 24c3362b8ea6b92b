"""A sign of life on the terminal while something takes longer than a moment."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cms_cli.output.console import Console

_MOMENT = 0.5  # seconds without a sign; anything shorter would only flicker
_TICK = 0.12
_FRAMES, _PLAIN_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_CLEAR = "\r\x1b[K"


class Waiting:
    """Shows a spinner with the seconds gone, on a terminal only, from the second half second on.

    Args:
        console: Whose stderr; with ``--quiet`` nothing is shown.
        text: What is being waited for.
    """

    def __init__(self, console: Console, text: str) -> None:
        self._console = console
        self._text = text
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._drawn = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Waiting:
        if self._console.draws_on_stderr and not self._console.quiet:
            self._thread = threading.Thread(target=self._spin, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.clear()

    def clear(self) -> None:
        """Make way for a line of text."""
        with self._lock:
            if self._drawn:
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()
                self._drawn = False

    def _spin(self) -> None:
        begin = time.monotonic()
        wait, frame = _MOMENT, 0
        frames = _FRAMES if (sys.stderr.encoding or "").lower().startswith("utf") else _PLAIN_FRAMES
        while not self._over.wait(wait):
            with self._lock:
                sys.stderr.write(f"{_CLEAR}{frames[frame]} {self._text} ({time.monotonic() - begin:.0f} s)")
                sys.stderr.flush()
                self._drawn = True
            wait, frame = _TICK, (frame + 1) % len(frames)
