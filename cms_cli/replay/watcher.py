"""The interface through which a replay reports progress and asks for confirmation."""

from __future__ import annotations

from collections.abc import Callable

from cms_cli.replay.journal.rows import SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.sending.listener import Listener
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.staging.preview import Preview


class Watcher(Listener):
    """Called during a replay, and asked before anything is sent. Confirms everything itself."""

    every_row = False
    """Whether :meth:`staged` is wanted, for which every row has to be read once more."""

    def waiting(self, seconds: float) -> None:
        """Called about once a second while another process may hold the run, with the seconds left at most."""

    def reading(self, rows: int) -> None:
        """Called with the number of rows read so far."""

    def staged(self, rows: list[SettledRow]) -> None:
        """Called with rows that got their outcome without being sent; see :attr:`every_row`."""

    def confirm(self, preview: Preview) -> bool:
        """Return True if to send."""
        del preview
        return True

    def blocked(self, preview: Preview) -> None:
        """Called when nothing will be sent, because rows are invalid."""

    def sending(self, run: Run, pending: int) -> None:
        """Called when sending begins."""

    def on_stop(self, interrupt: Callable[[Stop], None]) -> None:
        """Called with the function that ends the sending, for signals."""
