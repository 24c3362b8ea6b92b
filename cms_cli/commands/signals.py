"""Lets the signals that end a replay finish its requests in flight."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.replay.model import MachineError
from cms_cli.replay.sending.stop import Stop
from cms_cli.terminal.progress import ReplayView


@contextmanager
def stoppable(view: ReplayView) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP finish the requests in flight, once sending has begun.

    Signals that were ignored at the start stay ignored, as with ``nohup cms ...`` or ``cms ... &`` in a script.
    """
    before = {number: signal.getsignal(number) for number in _stops()}
    heard = {number: stop for number, stop in _stops().items() if before[number] is not signal.SIG_IGN}

    def end_at_once(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number, stop in heard.items():
        if stop is not Stop.INTERRUPTED:  # Python itself raises KeyboardInterrupt for Ctrl-C
            signal.signal(number, end_at_once)

    received: list[int] = []

    def listen(interrupt: Callable[[Stop], None]) -> None:
        def settle_first(number: int, _: object) -> None:
            received.append(number)
            interrupt(heard[number])

        for number in heard:
            signal.signal(number, settle_first)

    view.when_stoppable(listen)
    try:
        yield
    except MachineError as error:  # such as a database that did not come back; the signal decides the exit code
        if not received:
            raise
        raise CommandError(error.message, error.hint, ExitCode(128 + received[-1])) from error
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _stops() -> dict[int, Stop]:
    """Return the signals that stop a replay, each with the reason to report."""
    stops: dict[int, Stop] = {signal.SIGINT: Stop.INTERRUPTED, signal.SIGTERM: Stop.TERMINATED}
    if os.name == "posix":
        stops[signal.SIGHUP] = Stop.HUNG_UP
    return stops
