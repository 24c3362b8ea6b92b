"""The interface through which sending reports its progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cms_cli.replay.journal.rows import SettledRow
from cms_cli.replay.sending.stop import Stop


@dataclass(frozen=True)
class Ended:
    """The end of sending.

    Attributes:
        stop: The reason to stop while rows were left, or NONE.
        reason: The same for people; "" if there was none.
    """

    stop: Stop = Stop.NONE
    reason: str = ""


class Progress(NamedTuple):
    """The progress of sending.

    Attributes:
        settled: The number of rows that got their outcome in this invocation.
        waiting: The reason for waiting, for people; "" while requests are sent.
        until: The time at which the wait ends, by ``time.monotonic()``; 0 if it is not known.
    """

    settled: int
    waiting: str
    until: float


class Listener:
    """Receives the progress of sending. This base class does nothing."""

    def settled(self, rows: list[SettledRow]) -> None:
        """Called with rows whose outcome has been committed."""

    def progress(self, progress: Progress) -> None:
        """Called at least once a second with the progress."""
