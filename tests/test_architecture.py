"""Directions of imports, sizes of files and functions, and texts that must not be in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cms_python", "cms_cli")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> list[tuple[str, str]]:
    """Return module and name of every import in a file, including nested and type-checking ones."""
    found = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


# The modules that connect the stages of a replay, those that the stages share, and the stages, each with the stages
# that it must not import.
WIRING = ("run", "plan", "remaining", "request", "intake", "watcher", "warnings", "report", "outputs", "rowfiles")
SHARED = ("model", "problems", "tempfiles")
STAGES = {
    "reading": ("values", "mapping", "journal", "staging", "sending"),
    "values": ("reading", "mapping", "journal", "staging", "sending"),
    "mapping": ("journal", "staging", "sending"),
    "journal": ("reading", "values", "mapping", "staging", "sending"),
    "staging": ("sending",),
    "sending": ("reading", "values", "mapping", "staging"),
}

# Each package, and the packages that it must not import.
FORBIDDEN = [
    ("cms_python", ("cms_cli", "typer", "click", "rich")),
    ("cms_cli", ("click",)),
    (
        "cms_cli.replay",
        ("typer", "rich", "cms_cli.terminal", "cms_cli.commands", "cms_cli.config.settings", "cms_cli.sandbox"),
    ),
    ("cms_cli.sandbox", ("cms_python", "cms_cli.replay", "cms_cli.terminal", "cms_cli.commands", "typer", "rich")),
    ("cms_cli.terminal", ("cms_cli.commands",)),
]


@pytest.mark.parametrize(("importer", "others"), FORBIDDEN)
def test_imports_go_one_way(importer: str, others: tuple[str, ...]) -> None:
    """The SDK does not import the program, a replay no terminal code, the sandbox neither SDK nor replay."""
    wrong = [
        f"{_name(path)} imports {module}"
        for path in FILES
        if _within(_name(path), importer)
        for module, name in _imports(path)
        for other in others
        if _within(f"{module}.{name}", other)
    ]
    assert not wrong


def _reached(package: str) -> set[str]:
    """Return every project module that a package imports, directly or indirectly."""
    imports = {_name(path): _imports(path) for path in FILES}
    waiting = [name for name in imports if _within(name, package)]
    found: set[str] = set()
    while waiting:
        for module, name in imports[waiting.pop()]:
            target = f"{module}.{name}" if f"{module}.{name}" in imports else module
            if target in imports and target not in found:
                found.add(target)
                waiting.append(target)
    return found


@pytest.mark.parametrize(("stage", "others"), STAGES.items())
def test_no_stage_of_a_replay_knows_a_later_one(stage: str, others: tuple[str, ...]) -> None:
    """No stage of a replay imports a later stage, directly or indirectly."""
    hidden = [f"cms_cli.replay.{other}" for other in (*others, *WIRING)]
    assert not [name for name in _reached(f"cms_cli.replay.{stage}") for other in hidden if _within(name, other)]


def test_every_module_of_a_replay_has_its_place() -> None:
    """Every module beside the stages is listed as connecting or shared."""
    folder = ROOT / "cms_cli" / "replay"
    beside = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert beside == {*WIRING, *SHARED}
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set(STAGES)


def test_the_sandbox_is_a_second_opinion() -> None:
    """The sandbox imports nothing of this project but itself, so that it can check the rest."""
    for path in FILES:
        if _within(_name(path), "cms_cli.sandbox"):
            ours = [module for module, _ in _imports(path) if module.split(".")[0] in PACKAGES]
            assert all(_within(module, "cms_cli.sandbox") for module in ours), path


def test_the_program_uses_public_names_of_the_sdk_only() -> None:
    """The command line imports only public names of the SDK."""
    import cms_python

    for path in FILES:
        for module, name in _imports(path):
            if _within(_name(path), "cms_cli") and _within(module, "cms_python"):
                assert module == "cms_python", f"{path} imports {module}"
                assert name in cms_python.__all__, f"{path} imports {name}"


def test_one_module_imports_requests() -> None:
    """Only the SDK's transport and the probe of ``cms auth status`` import requests."""
    users = {_name(path) for path in FILES for module, _ in _imports(path) if _within(module, "requests")}
    assert users == {"cms_python._transport", "cms_cli.access.reach"}


def test_only_output_prints() -> None:
    """Only the terminal package, and the modules around Typer's help, write to stdout and stderr."""
    allowed = {"cms_cli.__main__", "cms_cli.terminal.help", "cms_cli.app"}
    for path in FILES:
        name = _name(path)
        if _within(name, "cms_cli.terminal") or name in allowed:
            continue
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo"), path


def test_files_and_functions_stay_readable() -> None:
    """Files have at most 400 lines and functions 60, not counting the flags that a command declares."""
    for path in FILES:
        assert path.read_text(encoding="utf-8").count("\n") <= 400, path
        for node in ast.walk(_tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                flags = 2 * len(node.args.args) if "commands" in path.parts else 0
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno + 1 - flags <= 60, f"{path}: {node.name}"


def test_nothing_tells_of_the_machine_it_was_made_on() -> None:
    """The repository contains no home folders and no package index addresses."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    telling = re.compile(
        r"/(?:home|Users)/\w+/|/root/|[/.]pyenv/versions/\d|https?://(?:\w+\.)?pypi(?:\.python)?\.org/"
    )
    this = Path(__file__).name
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.name != this:
            assert not telling.search(path.read_text(encoding="utf-8", errors="ignore")), name


@pytest.mark.imports
@pytest.mark.parametrize(
    "module", ["typer", "rich", "requests", "urllib3", "http.client", "ssl", "socket", "sqlite3", "click"]
)
def test_importing_the_sdk_is_light(module: str) -> None:
    """``import cms_python`` loads no HTTP stack and nothing of the command line."""
    code = f"import sys, cms_python; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_every_module_can_be_imported() -> None:
    """Every module can be imported on the running Python version."""
    names = [_name(path) for path in FILES]
    code = f"from importlib import import_module\nfor name in {names}: import_module(name)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
