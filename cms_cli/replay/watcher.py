"""The interface through which a replay reports progress and asks for confirmation."""

from __future__ import annotations

from collections.abc import Callable

from cms_cli.replay.journal.rows import SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.sending.listener import Listener
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.staging.preview import Preview


class Watcher(Listener):
    """Receives the progress of a replay, and confirms that its events are to be sent.

    This base class does nothing and confirms everything.
    """

    every_row = False
    """Whether to call :meth:`staged`, for which every row has to be read again."""

    def waiting(self, seconds: float) -> None:
        """Called about once a second while another process holds the run, with the most seconds to wait."""

    def reading(self, rows: int) -> None:
        """Called with the number of rows read so far."""

    def staged(self, rows: list[SettledRow]) -> None:
        """Called with rows that have an outcome without being sent; see :attr:`every_row`."""

    def confirm(self, preview: Preview) -> bool:
        """Called with the preview before anything is sent; return True to send."""
        del preview
        return True

    def blocked(self, preview: Preview) -> None:
        """Called if nothing will be sent because rows are invalid."""

    def sending(self, run: Run, pending: int) -> None:
        """Called when sending begins."""

    def on_stop(self, interrupt: Callable[[Stop], None]) -> None:
        """Called when sending begins, with the function that stops it; a signal handler may call that function."""
