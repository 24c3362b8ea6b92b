"""Lets the signals that end a replay finish its requests in flight."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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

    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if view.interrupt is not None:
            received.append(number)
            view.interrupt(heard[number])
        elif number == signal.SIGINT:
            signal.default_int_handler(number, frame)  # raises KeyboardInterrupt
        else:
            raise SystemExit(128 + number)

    for number in heard:
        signal.signal(number, handle)
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
