"""The result of a replay: pure data, and the pure mapping to an exit code."""

from __future__ import annotations

from dataclasses import dataclass, field

from cms_cli.exit_codes import ExitCode, first_of
from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.model import Problem
from cms_cli.replay.sending.stop import Stop

SCHEMA_VERSION = 1
"""Of the JSON report; raised when a key changes its meaning or goes."""


@dataclass(frozen=True)
class ReplayReport:
    """The result of one invocation.

    Attributes:
        run: The run's name; None if nothing was staged (a dry run, invalid rows).
        file: The input, as it was named.
        counts: By outcome, over all rows of the input; every outcome is there.
        seconds: The duration of this invocation.
        problems: The first problems, in file order.
        stop: Why it ended before all rows had an outcome, if it did.
        reason: The same in words.
        finished_before: Whether the run had been finished by an earlier invocation, so that nothing was sent.
        blocked: Whether invalid rows kept everything from being sent.
        warnings: The warnings about input, token and earlier runs.
        new_warnings: Those of them that the preview did not show.
    """

    run: str | None
    file: str
    counts: dict[str, int]
    seconds: float
    problems: list[Problem] = field(default_factory=list)
    stop: Stop = Stop.NONE
    reason: str = ""
    finished_before: bool = False
    blocked: bool = False
    warnings: tuple[str, ...] = ()
    new_warnings: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The number of rows read, which is the sum of the counts."""
        return sum(self.counts.values())

    @property
    def pending(self) -> int:
        """The rows that still have no outcome."""
        return self.counts[RowStatus.PENDING.value]

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object of ``--json``, and of the last line of ``--output jsonl``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run": self.run,
            "file": self.file,
            "counts": self.counts,
            "total": self.total,
            "seconds": round(self.seconds, 3),
            "problems": [problem.to_dict() for problem in self.problems],
            "warnings": list(self.warnings),
        }

    @property
    def exit_code(self) -> ExitCode:
        """The code that the command ends with."""
        if self.blocked:
            return ExitCode.USAGE
        codes = [_BY_STOP[self.stop]] if self.stop in _BY_STOP else []
        if self.counts[RowStatus.UNKNOWN.value]:
            codes.append(ExitCode.UNKNOWN)
        if self.counts[RowStatus.REFUSED.value] or self.counts[RowStatus.INVALID.value]:
            codes.append(ExitCode.REFUSED)
        return first_of(codes)


_BY_STOP = {
    Stop.INTERRUPTED: ExitCode.INTERRUPTED,
    Stop.TERMINATED: ExitCode.TERMINATED,
    Stop.HUNG_UP: ExitCode.HUNG_UP,
    Stop.UNAUTHORIZED: ExitCode.AUTH,
    Stop.NOT_API: ExitCode.UNAVAILABLE,
    Stop.UNREACHABLE: ExitCode.UNAVAILABLE,
    Stop.HELD: ExitCode.UNAVAILABLE,
    Stop.MAX_FAILURES: ExitCode.STOPPED,
    Stop.MAX_DURATION: ExitCode.STOPPED,
}
