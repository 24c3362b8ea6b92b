"""What the flags of a replay ask for, in two halves: what shapes the events, and what does not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cms_cli.replay.pacing import Rate


@dataclass(frozen=True)
class Shape:
    """What decides which events a file's bytes become. It is part of a run's identity, as written.

    Attributes:
        preset: The name of a known export, or "".
        mapping: Pairs of a field's Python name and the column expression it is read from.
        constants: Pairs of a field's Python name and the text used where a row has none.
        where: ``COLUMN=VALUE`` and ``COLUMN!=VALUE`` conditions, as written.
        skip_unattributed: Whether rows without a click id are left out rather than wrong.
        amount_unit: ``minor``, ``major``, or "" where nothing says.
        decimal: The decimal mark of amounts, ``.`` or ``,``, or "" to find it.
        timezone: The IANA zone of times without one.
        date_format: A strptime format for dates that no standard reads, or "".
        encoding: The file's encoding, or "" to find it.
        delimiter: The file's delimiter, or "" to find it.
    """

    preset: str = ""
    mapping: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    where: tuple[str, ...] = ()
    skip_unattributed: bool = False
    amount_unit: str = ""
    decimal: str = ""
    timezone: str = "UTC"
    date_format: str = ""
    encoding: str = ""
    delimiter: str = ""

    def to_json(self) -> str:
        """Give the shape as text that is equal exactly when the shapes are."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """Read what :meth:`to_json` wrote."""
        values = json.loads(text)
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in values.items() if name in known}
        for name in ("mapping", "constants"):
            values[name] = tuple((field, value) for field, value in values.get(name, ()))
        values["where"] = tuple(values.get("where", ()))
        return cls(**values)


@dataclass(frozen=True)
class Delivery:
    """How the events are sent. None of it is part of a run's identity.

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
    """

    limit: int | None = None
    rate: Rate | None = None
    concurrency: int = 4
    timeout: float = 30.0
    max_wait: float = 900.0
    max_failures: int | None = None
    max_duration: float | None = None
    skip_invalid: bool = False
    fresh: bool = False
    retry_unknown: bool = False
    retry_refused: bool = False
    failures: Path | None = None
    results: Path | None = None
