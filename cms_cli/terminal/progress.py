"""What is seen while a replay goes on: a bar on a terminal, a plain line every few seconds anywhere else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from cms_cli.replay.journal.rows import RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.sending.listener import Progress
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.pacing import ideal_seconds
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.watcher import Watcher
from cms_cli.terminal import replay as shown
from cms_cli.terminal.console import Console
from cms_cli.terminal.text import cut, masked, width
from cms_cli.terminal.text import shown as shown_text
from cms_cli.terminal.waiting import draws_unicode

_EVERY = 5.0  # seconds between two plain lines
_LEAST_BAR, _LONGEST_BAR = 8, 40  # columns
_NO_NEWS = (RowStatus.ACCEPTED.value, RowStatus.PENDING.value)


class ReplayView(Watcher):
    """Shows a replay, as a context: on a terminal there is a sign of life from its beginning to its end."""

    def __init__(self, console: Console, form: str, delivery: Delivery, *, ask: bool) -> None:
        """Get ready.

        Args:
            console: Where to.
            form: ``table``, ``json`` or ``jsonl``.
            delivery: How rows are sent, for estimates.
            ask: Whether to ask before sending, where there is somebody to ask.
        """
        self._console = console
        self._form = form
        self.every_row = form == "jsonl"
        self._delivery = delivery
        self._ask = ask
        self._counts: Counter[str] = Counter()
        self._pending = 0
        self._read = 0
        self._progress: Progress | None = None
        self._begin = self._said = time.monotonic()
        self._sign = console.waiting_with(self._line)
        self._interrupt: Callable[[Callable[[Stop], None]], None] | None = None

    def __enter__(self) -> ReplayView:
        self._sign.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sign.stop()

    @property
    def rate(self) -> str:
        """The rate, for people; "" where nothing limits it."""
        return str(self._delivery.rate) if self._delivery.rate else ""

    def when_stoppable(self, then: Callable[[Callable[[Stop], None]], None]) -> None:
        """Have something done with what ends the sending, once there is any."""
        self._interrupt = then

    def on_stop(self, interrupt: Callable[[Stop], None]) -> None:
        """Pass on what ends the sending."""
        if self._interrupt is not None:
            self._interrupt(interrupt)

    def reading(self, rows: int) -> None:
        """Show how far reading has come."""
        self._read = rows
        now = time.monotonic()
        if not self._console.draws_on_stderr and now - self._said >= _EVERY:
            self._said = now
            self._console.note(f"checking: {rows:,} rows read")

    def confirm(self, preview: Preview) -> bool:
        """Show the preview; on a terminal, ask."""
        self._sign.stop()
        shown.show_problems(self._console, preview.problems)
        shown.show_warnings(self._console, preview.warnings)
        if not self._ask or not self._console.asks:
            self._console.note("; ".join(line.strip() for line in shown.summary_lines(preview, self.rate)))
            return True
        import typer

        shown.show_preview(self._console, preview, self.rate)
        return typer.confirm("Send them?", default=False, err=True)

    def blocked(self, preview: Preview) -> None:
        """Show what is wrong."""
        self._sign.stop()
        shown.show_problems(self._console, preview.problems)

    def sending(self, run: Run, pending: int) -> None:
        """Begin to count."""
        del run
        self._pending = pending
        self._begin = self._said = time.monotonic()
        self._progress = Progress(0, "", 0.0)
        self._sign.start()

    def staged(self, rows: list[SettledRow]) -> None:
        """Write rows that were not sent."""
        for row in rows:
            self._console.json_line(shown.row_json(row))

    def settled(self, rows: list[SettledRow]) -> None:
        """Count rows, and write each where every row is asked for."""
        for row in rows:
            self._counts[row.status] += 1
            if self._form == "jsonl":
                self._console.json_line(shown.row_json(row))

    def progress(self, progress: Progress) -> None:
        """Show where things stand."""
        self._progress = progress
        now = time.monotonic()
        if not self._console.draws_on_stderr and now - self._said >= _EVERY:
            self._said = now
            counts = ", ".join(f"{count:,} {status}" for status, count in sorted(self._counts.items()))
            parts = [
                f"{progress.settled:,} of {self._pending:,} settled" + (f" ({counts})" if counts else ""),
                *self._pace(progress),
            ]
            self._console.note("; ".join(parts))

    def _line(self, room: int) -> str:
        """Give the words beside the spinner."""
        progress = self._progress
        if progress is None:
            return f"checking: {self._read:,} rows read" if self._read else "reading"
        news = [f"{count:,} {status}" for status, count in sorted(self._counts.items()) if status not in _NO_NEWS]
        words = "  ".join([f"{progress.settled:,}/{self._pending:,}", *news, *self._pace(progress)])
        bar = min(room - width(words) - 2, _LONGEST_BAR)
        if bar < _LEAST_BAR:
            return cut(words, room)
        done = round(bar * min(progress.settled / max(self._pending, 1), 1.0))
        full, empty = ("\u2501", "\u2500") if draws_unicode() else ("#", "-")
        return f"{full * done}{empty * (bar - done)}  {words}"

    def _pace(self, progress: Progress) -> list[str]:
        """Give rate, time left, and what is waited for."""
        elapsed = time.monotonic() - self._begin
        remaining = self._pending - progress.settled
        parts = []
        if progress.settled and elapsed >= 1:
            per_second = progress.settled / elapsed
            parts.append(f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second * 60:.0f}/min")
            left = remaining / per_second
            if self._delivery.rate is not None:
                # A first window goes out at once; what its pace promises is not kept.
                left = max(left, ideal_seconds(remaining + self._delivery.rate.count, self._delivery.rate))
            parts.append(f"{shown.duration(left)} left")
        more = progress.until - time.monotonic()
        if progress.waiting and more > 1:
            parts.append(f"waiting {more:.0f} s: {masked(shown_text(progress.waiting))}")
        return parts
