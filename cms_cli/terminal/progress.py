"""Shows the progress of a replay: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING

from cms_cli.replay.journal.rows import RowStatus, SettledRow
from cms_cli.replay.journal.runs import Run
from cms_cli.replay.sending.listener import Progress
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.pacing import ideal_seconds
from cms_cli.replay.sending.stop import Stop
from cms_cli.replay.staging.preview import Preview
from cms_cli.replay.watcher import Watcher
from cms_cli.terminal import preview as previews
from cms_cli.terminal.console import Console
from cms_cli.terminal.replay import row_json
from cms_cli.terminal.text import masked, shown
from cms_cli.terminal.units import duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_EVERY = 5.0  # seconds between two plain lines
_BAR = 30  # columns
_HELD = "waiting for another cms that holds this run"
_NO_NEWS = (RowStatus.ACCEPTED.value, RowStatus.PENDING.value)


class ReplayView(Watcher):
    """Shows a replay while it runs; a context manager, which draws a spinner or bar on a terminal.

    Attributes:
        interrupt: The function that stops sending; None before sending begins.

    Args:
        console: The console to write to.
        form: ``table``, ``json`` or ``jsonl``.
        delivery: The options for sending, for estimates.
        kind: ``lead`` or ``sale``.
        target: The host and account, for the question.
        ask: Whether to ask before sending, if a question can be asked.
    """

    def __init__(
        self, console: Console, form: str, delivery: Delivery, *, kind: str, target: str, ask: bool
    ) -> None:
        self._console = console
        self._form = form
        self.every_row = form == "jsonl"
        self._delivery = delivery
        self._kind, self._target = kind, target
        self._ask = ask
        # If every row is written to the same terminal, no bar is needed.
        self._draws = console.draws_on_stderr and not console.quiet
        self._draws = self._draws and not (self.every_row and console.draws_on_stdout)
        self._counts: Counter[str] = Counter()
        self._pending = 0
        self._read = 0
        self._waiting_until = 0.0  # for another process that holds the run, by time.monotonic()
        self._progress: Progress | None = None
        self._begin = self._said = time.monotonic()
        self._drawn = ExitStack()
        self._bar: Bar | None = None
        self.interrupt: Callable[[Stop], None] | None = None

    def __enter__(self) -> ReplayView:
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._drawn.close()

    @property
    def rate(self) -> str:
        """The rate limit as text; "" if there is none."""
        return str(self._delivery.rate) if self._delivery.rate else ""

    def on_stop(self, interrupt: Callable[[Stop], None]) -> None:
        """Keep the function that stops sending; draw the bar."""
        self.interrupt = interrupt
        self._draw()  # only now, since from now on Ctrl-C lets requests in flight finish

    def waiting(self, seconds: float) -> None:
        """Show that another process holds the run; as a plain line, only once."""
        waited_until, self._waiting_until = self._waiting_until, time.monotonic() + seconds
        if not self._draws and not waited_until:
            self._console.note(f"{_HELD}, {duration(seconds)} at most")

    def reading(self, rows: int) -> None:
        """Show how many rows have been read."""
        self._read, self._waiting_until = rows, 0.0
        if self._is_time_for_a_line():
            self._console.note(f"checking: {rows:,} rows read")

    def confirm(self, preview: Preview) -> bool:
        """Show the preview and, on a terminal, ask; return True to send."""
        self._drawn.close()
        previews.show_problems(self._console, preview.problems)
        previews.show_warnings(self._console, preview.warnings)
        if not self._ask or not self._console.asks:
            previews.show_summary(self._console, preview, self.rate)
            return True
        import typer

        previews.show_preview(self._console, preview, self.rate)
        question = previews.question(preview, self._kind, self._target)
        return typer.confirm(question, default=False, err=True, prompt_suffix=" ")

    def blocked(self, preview: Preview) -> None:
        """Show the problems of the rows."""
        self._drawn.close()
        previews.show_problems(self._console, preview.problems)

    def sending(self, run: Run, pending: int) -> None:
        """Start the counts and the clock of sending."""
        del run
        self._pending = pending
        self._begin = self._said = time.monotonic()
        self._progress = Progress(0, "", 0.0)
        self._drawn.close()

    def staged(self, rows: list[SettledRow]) -> None:
        """Write the rows that were settled without being sent, as JSON Lines."""
        for row in rows:
            self._console.json_line(row_json(row))

    def settled(self, rows: list[SettledRow]) -> None:
        """Count settled rows and, for JSON Lines, write each."""
        for row in rows:
            self._counts[row.status] += 1
            if self._form == "jsonl":
                self._console.json_line(row_json(row))

    def progress(self, progress: Progress) -> None:
        """Show the progress of sending."""
        self._progress = progress
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=progress.settled)
        elif self._is_time_for_a_line():
            counts = ", ".join(f"{count:,} {status}" for status, count in sorted(self._counts.items()))
            parts = [
                f"{progress.settled:,} of {self._pending:,} settled" + (f" ({counts})" if counts else ""),
                *self._pace(progress),
            ]
            self._console.note("; ".join(parts))

    def _is_time_for_a_line(self) -> bool:
        now = time.monotonic()
        if self._console.draws_on_stderr or now - self._said < _EVERY:
            return False
        self._said = now
        return True

    def _draw(self) -> None:
        """Draw a spinner while rows are read, or a bar while they are sent, until ``_drawn`` is closed."""
        if not self._draws:
            return
        from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task
        from rich.progress import Progress as Bar
        from rich.table import Column
        from rich.text import Text

        from cms_cli.terminal.spinner import spinner

        view = self

        class Words(ProgressColumn):
            """The text beside the bar, rendered anew at each refresh, also while no row settles."""

            def render(self, task: Task) -> Text:
                del task
                words = Text(view._words(), no_wrap=True)
                words.truncate(room, overflow="ellipsis")
                return words

        rich = self._console.rich(stderr=True)
        long = min(_BAR, rich.width // 4) if self._progress is not None else 0
        room = rich.width - len("- ") - long - len(" ") - len("^C")  # leave room for the ^C that a terminal echoes
        self._bar = Bar(
            SpinnerColumn(spinner(rich), style="cyan"),
            *([BarColumn(long, complete_style="cyan", finished_style="green")] if long else []),
            Words(Column(no_wrap=True)),
            console=rich,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bar.add_task("", total=self._pending or None)
        self._drawn.callback(setattr, self, "_bar", None)
        self._drawn.enter_context(self._bar)
        self._drawn.enter_context(self._console.beside(rich))

    def _words(self) -> str:
        """Return the text beside the bar: counts, rate and time left."""
        progress = self._progress
        more = self._waiting_until - time.monotonic()
        if more > 0:
            return f"{_HELD}, {duration(more)} at most"
        if progress is None:
            return f"checking: {self._read:,} rows read" if self._read else "reading"
        news = [f"{count:,} {status}" for status, count in sorted(self._counts.items()) if status not in _NO_NEWS]
        return "  ".join([f"{progress.settled:,}/{self._pending:,}", *news, *self._pace(progress)])

    def _pace(self, progress: Progress) -> list[str]:
        """Return the rate, the time left, and the reason for waiting, as far as they are known."""
        elapsed = time.monotonic() - self._begin
        remaining = self._pending - progress.settled
        parts = []
        if progress.settled and elapsed >= 1:
            per_second = progress.settled / elapsed
            parts.append(f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second * 60:.0f}/min")
            left = remaining / per_second
            if self._delivery.rate is not None:
                # The first window goes out at once, so the rate so far is higher than the rate of the rest.
                left = max(left, ideal_seconds(remaining + self._delivery.rate.count, self._delivery.rate))
            parts.append(f"{duration(left)} left")
        more = progress.until - time.monotonic()
        if progress.waiting and (more > 1 or not progress.until):
            how_long = f" {more:.0f} s" if progress.until else ""
            parts.append(f"waiting{how_long}: {masked(shown(progress.waiting))}")
        return parts
