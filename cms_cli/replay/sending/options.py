"""Options for sending; none of them is part of a run's identity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cms_cli.replay.sending.pacing import Rate

DEFAULT_CONCURRENCY = 8
"""Requests in flight at once by default. More of them cost less of the processor each."""

DEFAULT_MAX_WAIT = 900.0
"""Seconds without any row settling after which a replay stops."""


@dataclass(frozen=True)
class Delivery:
    """Options for sending. None of them is part of a run's identity.

    Attributes:
        limit: Rows to send in this invocation at most, or None.
        rate: The limit that is kept to, or None for none.
        concurrency: Requests in flight at once.
        timeout: Seconds one request may take.
        max_wait: Seconds without any row settling, pacing aside, after which the run stops.
        max_failures: Refused and unknown rows of this invocation that stop it, or None.
        max_duration: Seconds after which this invocation stops, or None.
        skip_invalid: Send the good rows although some are bad.
        fresh: Forget what is known of this file's rows.
        retry_unknown: Send again what may have arrived.
        retry_refused: Send again what the service refused.
        failures: The file for rows that were invalid, refused or unknown, or None.
        results: The file for every row's outcome, or None.
        repeats: What to do with leads without a time that look like one that was sent from another file: "" to ask,
            ``send`` or ``skip``.
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
