"""The options for sending. None of them is part of a run's identity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cms_cli.replay.sending.pacing import Rate

DEFAULT_CONCURRENCY = 8
"""The default number of requests in flight at once."""

DEFAULT_MAX_WAIT = 900.0
"""The default seconds without any settled row after which a replay stops."""


@dataclass(frozen=True)
class Delivery:
    """The options for sending.

    Attributes:
        limit: The most rows to send in this invocation, or None.
        rate: The rate limit to keep, or None for no limit.
        concurrency: The most requests in flight at once.
        timeout: The seconds that one request may take.
        max_wait: The seconds without any settled row after which the run stops; waiting for the rate limit does not
            count.
        max_failures: The number of refused and unknown rows in this invocation at which it stops, or None.
        max_duration: The seconds after which this invocation stops, or None.
        skip_invalid: Whether to send the valid rows if others are invalid.
        fresh: Whether to forget what was sent of this file.
        retry_unknown: Whether to send events again that may have arrived.
        retry_refused: Whether to send events again that the service refused.
        failures: The file for rows that were invalid, refused or unknown, or None.
        results: The file for the outcomes of all rows, or None.
        repeats: What to do with leads without a time that look like one sent from another file: ``send``, ``skip``,
            or "" if it was not said.
    """

    limit: int | None = None
    rate: Rate | None = None
    concurrency: int = DEFAULT_CONCURRENCY
    timeout: float = 30.0
    max_wait: float = DEFAULT_MAX_WAIT
    max_failures: int | None = None
    max_duration: float | None = None
    skip_invalid: bool = False
    fresh: bool = False
    retry_unknown: bool = False
    retry_refused: bool = False
    failures: Path | None = None
    results: Path | None = None
    repeats: str = ""
