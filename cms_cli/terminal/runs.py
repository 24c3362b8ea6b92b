"""Shows runs, as text or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from cms_cli.replay.journal.rows import FAILED, RowStatus
from cms_cli.replay.journal.runs import Run, RunState
from cms_cli.replay.model import Problem
from cms_cli.terminal.console import Console
from cms_cli.terminal.table import Column, listing, pairs
from cms_cli.terminal.text import shown
from cms_cli.terminal.units import rows

_FIRST = 5

_COLUMNS: tuple[Column, ...] = (
    Column("run"),
    Column("state"),
    Column("begun (UTC)", dropped=2),
    Column("rows", right=True),
    Column("outcomes", shortened=True),
    Column("file", shortened=True),
    Column("host", shortened=True, dropped=1),
)
STATES = {RunState.UNFINISHED.value: "yellow", RunState.FINISHED.value: "green"}


def all_runs(console: Console, form: str, found: Sequence[tuple[Run, Mapping[str, int]]]) -> None:
    """Show a list of runs."""
    if form == "jsonl":
        for run, counts in found:
            console.json_line(_as_dict(run, counts))
    elif form == "json":
        console.json([_as_dict(run, counts) for run, counts in found])
    elif not found:
        console.note("there are no runs yet; cms sale --from-csv FILE begins one")
    else:
        one_host = len({run.host for run, _ in found}) == 1
        lines = [
            [
                run.name,
                run.state.value,
                _when(run.created)[:16],  # to the minute
                f"{sum(counts.values()):,}" if console.draws_on_stdout else str(sum(counts.values())),
                _brief(counts),
                _nearby(run.file) if console.draws_on_stdout else run.file,
                run.host,
            ]
            for run, counts in found
        ]
        columns = _COLUMNS
        if one_host and console.draws_on_stdout:  # the column would say the same in every line
            columns, lines = columns[:-1], [line[:-1] for line in lines]
        listing(console, columns, lines, styles=STATES)


def details(console: Console, form: str, run: Run, counts: Mapping[str, int], problems: Sequence[Problem]) -> None:
    """Show one run."""
    if form != "table":
        value = {**_as_dict(run, counts), "problems": [problem.to_dict() for problem in problems]}
        console.document(value, form)
        return
    lines = [
        ("run", run.name),
        ("state", run.state.value),
        ("file", run.file),
        ("host", run.host),
        ("account", run.account),
        ("begun", _when(run.created) + " UTC"),
        ("last change", _when(run.touched) + " UTC"),
        *((status, f"{count:,}") for status, count in counts.items() if count),
        ("total", f"{sum(counts.values()):,}"),
    ]
    pairs(console, lines, run.name)
    for problem in problems[:_FIRST]:
        console.note(f"line {problem.line}: {shown(problem.message)}")
    more = sum(counts[status.value] for status in FAILED) - _FIRST
    if more > 0 and run.state is RunState.STAGING:
        console.note(f"and {more:,} more so far")
    elif more > 0:
        console.note(f"and {more:,} more: {console.next_command(f'runs failures {run.name}')}")
    if run.state is RunState.UNFINISHED and counts[RowStatus.PENDING.value]:
        resume = console.next_command(f"runs resume {run.name}", sends=True)
        console.note(f"{rows(counts[RowStatus.PENDING.value])} left; resume with: {resume}")


def _as_dict(run: Run, counts: Mapping[str, int]) -> dict[str, object]:
    return {
        "run": run.name,
        "kind": run.kind,
        "state": run.state.value,
        "file": run.file,
        "sha256": run.sha256,
        "host": run.host,
        "account": run.account,
        "created": _when(run.created).replace(" ", "T") + "Z",
        "touched": _when(run.touched).replace(" ", "T") + "Z",
        "exit_code": run.exit_code,
        "counts": dict(counts),
        "total": sum(counts.values()),
    }


def _nearby(file: str) -> str:
    """Return a path relative to the current folder if it is below it, else the path itself."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file


def _brief(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def pruned(console: Console, form: str, gone: int, ledger: bool) -> None:
    """Report what was removed."""
    if form != "table":
        console.document({"removed": gone, "ledger_cleared": ledger}, form)
        return
    console.note(f"{gone} {'run' if gone == 1 else 'runs'} removed" + ("; the ledger is empty" if ledger else ""))
