"""GitHub Actions: problems on the lines of the file that has them, and a table on the job's page.

Nothing that a row contains gets into either: people who may read a job's log need not be people who may read the
customers' names in a file. A problem is told by its column and its code.
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
"""GitHub shows no more of one step."""

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&@:$])")


def in_actions() -> bool:
    """Return True if this is a step of a GitHub workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def tell(console: Console, report: ReplayReport, *, sent: bool = True) -> None:
    """Annotate the lines that have problems, and add to the job's summary; do nothing outside GitHub Actions.

    Args:
        console: The console to annotate on: stderr, which the runner reads as well as stdout.
        report: The replay's report.
        sent: Whether it was more than a dry run.
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
        file: The input, as it was named.
        problems: The problems of its rows.
        failed: Whether they made the command fail; otherwise they are warnings.
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
    """Return a problem's name without its value; a code that does not look like one may be a service's text."""
    code = problem.code if _CODE.fullmatch(problem.code or "") else "refused"
    return f"{problem.column}: {code}" if problem.column else code


def _in_repository(file: str) -> str:
    """Return a file's path in the repository; "" if it is no file or outside, since GitHub shows no such line."""
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
