"""The rate limit: a sliding window of requests for each user."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass
from typing import Callable

from cms_cli.sandbox.answers import Headers
from cms_cli.sandbox.errors import OptionError

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([0-9]{1,9})/([0-9]{0,6})([smh])")
_MANY_USERS = 10_000
_NS = 1_000_000_000


@dataclass(frozen=True)
class Rate:
    """At most ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """Read ``60/m``, ``10/s``, ``1000/h`` or ``5/10s``; ``none`` is ``None``.

        Raises:
            OptionError: ``text`` is none of these, or allows nothing.
        """
        if text == "none":
            return None
        match = _RATE.fullmatch(text)
        rate = cls(int(match[1]), int(match[2] or 1) * _SECONDS[match[3]]) if match else None
        if rate is None or rate.limit < 1 or rate.seconds < 1:
            raise OptionError(f"not a rate: {text!r}; write 60/m, 10/s, 5/10s or none")
        return rate


@dataclass(frozen=True)
class Admission:
    """The rate limit's decision about one request.

    Attributes:
        at_ns: When, in nanoseconds of the limit's clock. It never goes backwards within one user.
        admitted: Whether the request is counted; one that is answered 429 is not.
        limit, remaining: Requests a window, and those that are left of it. ``limit`` is 0 if there is none.
        reset: Whole seconds until the oldest counted request leaves the window, rounded up: after exactly this
            long another request is admitted.
    """

    at_ns: int
    admitted: bool
    limit: int = 0
    remaining: int = 0
    reset: int = 0

    def headers(self) -> Headers:
        """Return ``RateLimit-*`` (draft-ietf-httpapi-ratelimit-headers-03), and ``Retry-After`` for a 429."""
        if not self.limit:
            return ()
        headers = (
            ("RateLimit-Limit", str(self.limit)),
            ("RateLimit-Remaining", str(self.remaining)),
            ("RateLimit-Reset", str(self.reset)),
        )
        return headers if self.admitted else (("Retry-After", str(self.reset)), *headers)


class SlidingWindow:
    """Admits requests so that no window of a user, wherever it begins, ever holds more than the rate.

    It counts requests with an accepted token, whatever they are answered, except those that it refuses. A request
    leaves the window exactly ``rate.seconds`` after it was admitted.
    """

    def __init__(self, rate: Rate | None, clock_ns: Callable[[], int]) -> None:
        self._rate = rate
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._admitted: dict[str, deque[int]] = {}

    def admit(self, user: str) -> Admission:
        """Count a request of ``user``, or return how long it must wait."""
        rate = self._rate
        if rate is None:
            return Admission(self._clock_ns(), admitted=True)
        window_ns = rate.seconds * _NS
        with self._lock:
            now = self._clock_ns()
            times = self._admitted.get(user)
            if times is None:
                self._forget_idle(now - window_ns)
                times = self._admitted[user] = deque()
            while times and times[0] <= now - window_ns:
                times.popleft()
            admitted = len(times) < rate.limit
            if admitted:
                times.append(now)
            reset = -(-(times[0] + window_ns - now) // _NS)
            return Admission(now, admitted, rate.limit, rate.limit - len(times), reset)

    def _forget_idle(self, before: int) -> None:
        if len(self._admitted) >= _MANY_USERS:
            self._admitted = {user: times for user, times in self._admitted.items() if times[-1] > before}
