"""The docs' command list, exit codes and completion paths match the program and the wheel."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from cms_cli.app import app
from cms_cli.exit_codes import ExitCode, first_of

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command with the name that it is called by."""
    for name, entry in app.info.cls.entries.items():  # type: ignore[union-attr]
        command = typer.main.get_command(import_module(entry.module).app)
        under = getattr(command, "commands", None)
        if not under:
            yield f"cms {name}", command
            continue
        for each in under:
            yield f"cms {name} {each}", under[each]


def reference() -> str:
    """Return the table of commands that the docs must contain."""
    lines = ["| command | what it does |", "| --- | --- |"]
    for name, command in commands():
        required = [param for param in command.params if param.param_type_name == "argument"]
        takes = "".join(f" {p.metavar}" if p.required else f" [{p.metavar}]" for p in required)
        lines.append(f"| `{name}{takes}` | {' '.join((command.help or '').partition(chr(10) * 2)[0].split())} |")
    return "\n".join(lines)


def test_the_docs_list_every_command() -> None:
    """The docs list every command with its arguments and the purpose that its help gives."""
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    found = re.search(r"^\| command .*?\|$(?=\n\n)", text, re.MULTILINE | re.DOTALL)

    assert found
    assert found[0] == reference()


def test_the_code_that_counts_is_the_first_of_the_docs() -> None:
    """If several exit codes hold, the one that the docs name first is used."""
    section = (DOCS / "guarantees.md").read_text(encoding="utf-8").split("## Exit codes\n")[1].split("\n## ")[0]
    order = [int(code) for code in re.findall(r"\d+", section.partition("Where several hold, the first of")[2])]

    assert sorted(order) == sorted(code for code in ExitCode if code not in (ExitCode.OK, ExitCode.USAGE))
    for first, second in itertools.combinations(order, 2):
        assert first_of([ExitCode.OK, ExitCode(second), ExitCode(first)]) == first
    assert first_of([]) == ExitCode.OK


def test_the_wheel_brings_the_completions() -> None:
    """The wheel installs every completion script at the place that the docs name."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = project.split("[tool.hatch.build.targets.wheel.shared-data]\n")[1].split("\n[")[0]
    placed = dict(re.findall(r'"(.+)" = "(.+)"', table))

    scripts = [
        path for path in (ROOT / "cms_cli" / "completions").iterdir() if path.is_file() and path.suffix != ".py"
    ]
    assert set(placed) == {f"cms_cli/completions/{path.name}" for path in scripts}
    configuration = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for place in placed.values():
        assert place in configuration, place
