"""The reasons to stop a replay before all rows have outcomes."""

from __future__ import annotations

from enum import Enum


class Stop(str, Enum):
    """The reason why an invocation stopped early. Of several reasons, the last one in this order counts."""

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
        """Return True if this reason takes precedence over another."""
        order = list(Stop)
        return order.index(self) > order.index(other)


BY_SIGNAL = (Stop.INTERRUPTED, Stop.HUNG_UP, Stop.TERMINATED)
"""The reasons that are signals."""
