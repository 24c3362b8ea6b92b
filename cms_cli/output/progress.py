"""What is seen while a replay goes on: a bar on a terminal, a plain line every few seconds anywhere else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from cms_cli.output import replay as shown
from cms_cli.output.console import Console
from cms_cli.replay.delivery import Progress, Stop
from cms_cli.replay.options import Delivery
from cms_cli.replay.pacing import ideal_seconds
from cms_cli.replay.preview import Preview
from cms_cli.replay.rowbook import SettledRow
from cms_cli.replay.run import Watcher
from cms_cli.replay.runs import Run

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_EVERY = 5.0  # seconds between two plain lines
_SOON = 0.5  # seconds after which something is to be seen on a terminal


class ReplayView(Watcher):
    """Shows a replay. Leave it with :meth:`close`, whatever happened."""

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
        self._delivery = delivery
        self._ask = ask
        self._counts: Counter[str] = Counter()
        self._pending = 0
        self._begin = time.monotonic()
        self._said = self._begin
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._interrupt: Callable[[Callable[[Stop], None]], None] | None = None

    @property
    def rate(self) -> str:
        """The rate, for people."""
        return str(self._delivery.rate) if self._delivery.rate else "full speed"

    def when_stoppable(self, then: Callable[[Callable[[Stop], None]], None]) -> None:
        """Have something done with what ends the sending, once there is any."""
        self._interrupt = then

    def on_stop(self, interrupt: Callable[[Stop], None]) -> None:
        """Pass on what ends the sending."""
        if self._interrupt is not None:
            self._interrupt(interrupt)

    def reading(self, rows: int) -> None:
        """Show how far reading has come."""
        now = time.monotonic()
        if self._console.draws_on_stderr:
            if now - self._begin > _SOON and not self._console.quiet:
                self._draw(f"checking: {rows:,} rows read", None)
        elif now - self._said >= _EVERY:
            self._said = now
            self._console.note(f"checking: {rows:,} rows read")

    def confirm(self, preview: Preview) -> bool:
        """Show the preview; on a terminal, ask."""
        self.close()
        shown.show_problems(self._console, preview.problems)
        for warning in preview.warnings:
            self._console.warn(warning)
        if not self._ask or not self._console.asks:
            self._console.note("; ".join(line.strip() for line in shown.summary_lines(preview, self.rate)))
            return True
        import typer

        shown.show_preview(self._console, preview, self.rate)
        return typer.confirm("Send them?", default=False, err=True)

    def blocked(self, preview: Preview) -> None:
        """Show what is wrong."""
        self.close()
        shown.show_problems(self._console, preview.problems)

    def sending(self, run: Run, pending: int) -> None:
        """Begin to count."""
        del run
        self._pending = pending
        self._begin = self._said = time.monotonic()

    def settled(self, rows: list[SettledRow]) -> None:
        """Count rows, and write each where every row is asked for."""
        for row in rows:
            self._counts[row.status] += 1
            if self._form == "jsonl":
                self._console.json_line(shown.row_json(row))

    def progress(self, progress: Progress) -> None:
        """Show where things stand."""
        if self._console.quiet:
            return
        now = time.monotonic()
        if self._console.draws_on_stderr:
            if now - self._begin > _SOON:
                self._draw(self._words(progress), progress.settled)
        elif now - self._said >= _EVERY:
            self._said = now
            self._console.note(
                f"{progress.settled:,} of {self._pending:,} settled; {self._words(progress)}; "
                f"{self._left(progress)}"
            )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _words(self, progress: Progress) -> str:
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(self._counts.items())) or "sending"
        if not progress.waiting:
            return counts
        left = max(0.0, progress.until - time.time())
        return f"{counts}; waiting {left:.0f} s: {progress.waiting}"

    def _left(self, progress: Progress) -> str:
        remaining = self._pending - progress.settled
        elapsed = time.monotonic() - self._begin
        by_pace = elapsed / progress.settled * remaining if progress.settled else 0.0
        if self._delivery.rate is not None:
            by_pace = ideal_seconds(remaining + self._delivery.rate.count, self._delivery.rate)
        return f"about {shown.duration(by_pace)} left"

    def _draw(self, words: str, settled: int | None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        if self._bar is None:
            console = self._console.rich(stderr=True)
            columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
            if settled is not None:
                columns = [
                    SpinnerColumn(),
                    BarColumn(bar_width=None),
                    MofNCompleteColumn(),
                    TextColumn("{task.description}", markup=False),
                    TimeRemainingColumn(),
                ]
            self._bar = Bar(*columns, console=console, transient=True, refresh_per_second=4)
            self._task = self._bar.add_task("", total=self._pending if settled is not None else None)
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, description=words, completed=settled or 0)
