"""The threads that send. They do nothing else; the main thread records the outcomes that they return."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

from cms_cli.replay.journal.steady import steady
from cms_python import Outcome, Status, WireEvent

Send = Callable[[WireEvent], Outcome]
"""Makes one attempt to send an event. It blocks until the answer or the timeout, and raises only for bugs."""


_TOO_LATE = Outcome(
    Status.UNSENT, "this machine was suspended, or too busy, when the request was due; it was not sent", "too_late"
)


class Returned(NamedTuple):
    """A request that a worker has finished.

    Attributes:
        ticket: The number of the request.
        outcome: Its outcome; None if the worker failed.
        error: The exception of a worker that failed, to be raised in the main thread; else None.
        at: The time at which it returned, by the workers' clock.
    """

    ticket: int
    outcome: Outcome | None
    error: BaseException | None
    at: float


class Workers:
    """Sends a limited number of requests at the same time. Threads are started when they are first needed.

    Attributes:
        in_flight: The number of requests that were given and not returned yet.
    """

    def __init__(self, send: Send, most: int, now: Callable[[], float]) -> None:
        self._send = send
        self._most = most
        self._now = now
        self._threads: list[threading.Thread] = []
        self._tasks: SimpleQueue[tuple[int, WireEvent, float] | None] = SimpleQueue()
        self._returned: SimpleQueue[Returned | None] = SimpleQueue()
        self.in_flight = 0

    @property
    def free(self) -> int:
        """The number of requests that may be given now."""
        return self._most - self.in_flight

    def give(self, ticket: int, event: WireEvent, leave_by: float) -> None:
        """Hand a request to a worker.

        Args:
            ticket: The number of the request.
            event: The event to send.
            leave_by: The time by :func:`steady` after which it is no longer sent, but returned as surely unsent.
        """
        self.in_flight += 1
        if self.in_flight > len(self._threads):
            # A daemon thread, so that one that waits for an answer does not keep the process from ending.
            thread = threading.Thread(target=self._work, name=f"send-{len(self._threads) + 1}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system allows no more threads; use those that there are
                if not self._threads:
                    raise
            else:
                self._threads.append(thread)
        self._tasks.put((ticket, event, leave_by))

    def wait(self, seconds: float, others: float = 0.0) -> list[Returned]:
        """Wait until a request returns, :meth:`wake` is called or the time is up; return finished requests.

        Args:
            seconds: The longest time to wait.
            others: The seconds to wait for further requests once one has returned.
        """
        came: list[Returned] = []
        until = time.monotonic() + max(0.0, seconds)
        with suppress(Empty):
            while self.in_flight or not came:
                item = self._returned.get(timeout=max(0.0, until - time.monotonic()))
                if item is None:
                    until = 0.0
                    continue
                self.in_flight -= 1
                if not came:
                    until = min(until, time.monotonic() + others)
                came.append(item)
        return came

    def wake(self) -> None:
        """End a call of :meth:`wait`. Safe in a signal handler."""
        self._returned.put(None)

    def close(self) -> None:
        """End the idle threads now, and the others once they have their answer."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                return
            ticket, event, leave_by = task
            outcome, bug = None, None
            try:
                outcome = self._send(event) if steady() < leave_by else _TOO_LATE
            except BaseException as error:  # any, or the main thread would wait forever
                bug = error
            self._returned.put(Returned(ticket, outcome, bug, self._now()))
