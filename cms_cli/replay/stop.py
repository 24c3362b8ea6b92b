"""Why a replay ends before its rows do."""

from __future__ import annotations

from enum import Enum


class Stop(str, Enum):
    """Why an invocation ended before its rows did."""

    NONE = "none"
    LIMIT = "limit"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"
    UNAUTHORIZED = "unauthorized"
    NOT_API = "not_api"
    UNREACHABLE = "unreachable"
    MAX_FAILURES = "max_failures"
    MAX_DURATION = "max_duration"


BY_SIGNAL = (Stop.INTERRUPTED, Stop.TERMINATED)
"""What somebody asked for who waits for the process to end."""
