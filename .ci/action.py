"""Runs a replay for action.yml, with inputs from the environment and outputs in the file GITHUB_OUTPUT.

Needs `cms` on the PATH. The exit code is that of `cms`, except that a replay stopped by --max-duration succeeds,
since the next job continues it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

BAD_INPUT = 2
STOPPED = 7  # also the exit code of --max-failures, which fails the step


def command(inputs: dict[str, str]) -> list[str]:
    """Return the command line for the inputs.

    Args:
        inputs: The inputs by variable name, such as ``INPUT_FILE``; a missing one counts as empty.

    Raises:
        ValueError: An input is invalid; the message names it.
    """
    kind, file = inputs.get("INPUT_KIND") or "sale", inputs.get("INPUT_FILE", "")
    if kind not in ("sale", "lead"):
        raise ValueError(f"kind must be sale or lead, not {kind}")
    if not file:
        raise ValueError("file is empty: name the file to replay")
    source = "--from-jsonl" if file.endswith((".jsonl", ".ndjson")) else "--from-csv"
    line = ["cms", kind, source, file, "--json", "--yes"]
    for flag, name in (("--preset", "PRESET"), ("--mapping", "MAPPING"), ("--state-dir", "STATE_DIR")):
        if inputs.get(f"INPUT_{name}"):
            line += [flag, inputs[f"INPUT_{name}"]]
    if inputs.get("INPUT_DRY_RUN") == "true":
        line.append("--dry-run")
    elif inputs.get("INPUT_MAX_DURATION"):
        line += ["--max-duration", inputs["INPUT_MAX_DURATION"]]
    try:
        return line + shlex.split(inputs.get("INPUT_FLAGS", ""))
    except ValueError as error:
        raise ValueError(f"flags cannot be read as a shell does: {error}") from None


def outputs(report: dict[str, object], exit_code: int) -> dict[str, str]:
    """Return the outputs of the action by name."""
    counts = report.get("counts")
    # Without a run nothing was sent: it was a dry run, or the file had invalid rows.
    complete = bool(report.get("run")) and isinstance(counts, dict) and counts.get("pending") == 0
    return {
        "exit-code": str(exit_code),
        "complete": "true" if complete else "false",
        "run": str(report.get("run") or ""),
        "counts": json.dumps(counts if isinstance(counts, dict) else {}),
    }


def main() -> int:
    """Run the replay, write the outputs, and return the exit code of the step."""
    try:
        line = command(dict(os.environ))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    print(done.stdout, end="")
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in outputs(report, done.returncode).items())
    if done.returncode == STOPPED and not any(word.startswith("--max-failures") for word in line):
        print("::notice::Stopped by max-duration; the next job goes on with the rows that are left")
        return 0
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
