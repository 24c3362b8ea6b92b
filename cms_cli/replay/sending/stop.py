"""The reasons to stop a replay before all rows have their outcomes."""

from __future__ import annotations

from enum import Enum


class Stop(str, Enum):
    """The reason why an invocation stopped early; of several, the last one in this order counts."""

    NONE = "none"
    LIMIT = "limit"
    MAX_DURATION = "max_duration"
    MAX_FAILURES = "max_failures"
    HELD = "held"
    UNREACHABLE = "unreachable"
    NOT_API = "not_api"
    UNAUTHORIZED = "unauthorized"
    TERMINATED = "terminated"
    HUNG_UP = "hung_up"
    INTERRUPTED = "interrupted"

    def outweighs(self, other: Stop) -> bool:
        """Return True if this reason counts if both hold."""
        order = list(Stop)
        return order.index(self) > order.index(other)


BY_SIGNAL = (Stop.INTERRUPTED, Stop.HUNG_UP, Stop.TERMINATED)
"""Those that a signal asked for: somebody waits for the process to end."""
