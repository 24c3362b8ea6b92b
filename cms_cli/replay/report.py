"""The result of a replay, with the pure mapping to its exit code."""

from __future__ import annotations

from dataclasses import dataclass, field

from cms_cli.exit_codes import ExitCode, first_of
from cms_cli.replay.journal.rows import RowStatus
from cms_cli.replay.model import Problem
from cms_cli.replay.sending.stop import Stop

SCHEMA_VERSION = 1
"""The version of the JSON report, to be raised if a key is removed or changes its meaning."""


@dataclass(frozen=True)
class ReplayReport:
    """The result of one invocation.

    Attributes:
        run: The run's name; None if there is no run (a new dry run, or nothing sent because of invalid rows).
        file: The input's path as it was given, or another name for it.
        counts: The number of the input's rows by outcome, with every outcome as a key.
        seconds: The duration of this invocation.
        problems: The first problems, in file order.
        stop: Why sending stopped while rows were pending, or NONE.
        reason: The same for people, or "".
        finished_before: Whether an earlier invocation had finished the run, so that this one sent nothing.
        blocked: Whether nothing was sent because rows are invalid.
        warnings: The warnings about input, token and earlier runs.
        new_warnings: The warnings that the preview did not show.
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
        """The number of rows that are still to be sent."""
        return self.counts[RowStatus.PENDING.value]

    def to_dict(self) -> dict[str, object]:
        """Return the object that ``--json`` writes, and ``--output jsonl`` in its last line."""
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
        """The exit code of the command."""
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
