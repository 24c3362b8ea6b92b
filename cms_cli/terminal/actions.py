"""GitHub Actions: annotations of the lines that have problems, and the summary on the job's page.

Neither contains any value of a row, since people who can read a job's log may not be allowed to see customers'
data. A problem is described by its column and code.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cms_cli.replay.model import Problem
    from cms_cli.replay.report import ReplayReport
    from cms_cli.terminal.console import Console

_MOST_ANNOTATIONS = 10
"""GitHub shows at most this many annotations of a step."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&@:$])")


def in_actions() -> bool:
    """Return True if the process runs in a step of a GitHub workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def tell(console: Console, report: ReplayReport, *, sent: bool = True) -> None:
    """Annotate the lines that have problems, and add to the job's summary; do nothing outside GitHub Actions.

    Args:
        console: The console, to write annotations to stderr. GitHub's runner reads both streams.
        report: The replay's report.
        sent: True for a replay, False for a dry run.
    """
    if not in_actions():
        return
    for line in commands(report.file, report.problems, report.exit_code != 0):
        console.for_ci(line)
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(summary(report, sent=sent))
        except OSError as error:
            console.warn(f"the step summary cannot be written: {error.strerror or error}")


def commands(file: str, problems: Sequence[Problem], failed: bool) -> list[str]:
    """Return workflow commands that annotate the lines of a file.

    Args:
        file: The path of the input, as it was given.
        problems: The problems of its rows.
        failed: Whether the command failed, so that they are errors and not warnings.
    """
    level = "error" if failed else "warning"
    place = _in_repository(file)
    lines = []
    for problem in problems[: _MOST_ANNOTATIONS if len(problems) <= _MOST_ANNOTATIONS else _MOST_ANNOTATIONS - 1]:
        where = f" file={_property(place)},line={problem.line},title=cms" if place else " title=cms"
        at = "" if place else f"line {problem.line}: "
        lines.append(f"::{level}{where}::{_data(at + _what(problem))}")
    more = len(problems) - len(lines)
    if more:
        lines.append(f"::{level} title=cms::{more} more rows have problems; the step summary counts them")
    return lines


def summary(report: ReplayReport, *, sent: bool) -> str:
    """Return a report as Markdown for the job's page."""
    title = report.run or ("cms" if sent else "cms, a dry run")
    lines = [f"### {_escaped(title)}: {_escaped(report.file)}", "", "| outcome | rows |", "| --- | ---: |"]
    counts: Mapping[str, int] = report.counts
    lines += [f"| {status} | {count:,} |" for status, count in counts.items() if count]
    lines += [f"| **total** | **{report.total:,}** |", ""]
    found = Counter(_what(problem) for problem in report.problems)
    if found:
        lines += ["| problem | rows |", "| --- | ---: |"]
        lines += [f"| {_escaped(what)} | {count:,} |" for what, count in found.most_common(_MOST_ANNOTATIONS)]
        lines.append("")
    if report.blocked:
        lines += ["Nothing was sent: some rows are invalid.", ""]
    elif not sent:
        lines += ["Nothing was sent.", ""]
    elif report.pending:
        lines += [f"Resume with `cms runs resume {report.run}`.", ""]
    return "\n".join(lines) + "\n"


def _what(problem: Problem) -> str:
    """Return the column and code of a problem. A malformed code may be text from the service and is left out."""
    code = problem.code if _CODE.fullmatch(problem.code or "") else "refused"
    return f"{problem.column}: {code}" if problem.column else code


def _in_repository(file: str) -> str:
    """Return a file's path in the repository, or "" if it has none, since GitHub can then not annotate it."""
    if not Path(file).is_file():
        return ""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    try:
        return Path(file).resolve().relative_to(workspace).as_posix()
    except ValueError:
        return ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _escaped(text: str) -> str:
    from cms_cli.terminal.text import shown

    return _MARKDOWN.sub(r"\\\1", shown(text))
