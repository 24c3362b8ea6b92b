"""The interface through which sending reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cms_cli.replay.journal.rows import SettledRow
from cms_cli.replay.sending.stop import Stop


@dataclass(frozen=True)
class Ended:
    """The end of sending.

    Attributes:
        stop: Why, where rows may be left.
        reason: The same for people; "" if nothing stopped it.
    """

    stop: Stop = Stop.NONE
    reason: str = ""


class Progress(NamedTuple):
    """The progress of sending.

    Attributes:
        settled: Rows that got their outcome in this invocation.
        waiting: The reason for waiting, for people; "" while requests go out.
        until: When that ends, by time.monotonic(), which nobody sets; 0 if it is not known.
    """

    settled: int
    waiting: str
    until: float


class Listener:
    """Called while rows are sent. Does nothing itself."""

    def settled(self, rows: list[SettledRow]) -> None:
        """Called with rows whose outcome has been committed."""

    def progress(self, progress: Progress) -> None:
        """Called at least once a second."""
