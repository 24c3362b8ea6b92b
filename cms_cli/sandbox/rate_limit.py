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
    """A limit of ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """Parse a rate such as ``60/m``, ``10/s``, ``1000/h`` or ``5/10s``; return ``None`` for ``none``.

        Raises:
            OptionError: The text is not a rate, or allows no requests.
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
        at_ns: The time in nanoseconds of the limit's clock. It never decreases for a user.
        admitted: Whether the request is admitted and counted; if not, it is answered 429.
        limit, remaining: The requests allowed in a window, and those left of it. ``limit`` is 0 without a rate
            limit.
        reset: The seconds after which another request will be admitted, rounded up.
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
    """Admits requests of a user so that no window of time, beginning at any moment, has more than the rate allows.

    It counts all requests with an accepted token that it admits, regardless of their answers. A request is counted
    for exactly ``rate.seconds`` after it was admitted.
    """

    def __init__(self, rate: Rate | None, clock_ns: Callable[[], int]) -> None:
        self._rate = rate
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._admitted: dict[str, deque[int]] = {}

    def admit(self, user: str) -> Admission:
        """Decide about a request of a user, and count it if it is admitted."""
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
