"""README and docs: commands run, links resolve, and tables match the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from program import Program

from cms_cli.config import tomltext
from cms_cli.exit_codes import ExitCode
from cms_cli.replay.mapping import presets, rules
from cms_cli.sandbox import KINDS, SandboxServer, load_scenario

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {
    page.name if page.parent == ROOT else f"docs/{page.name}": page.read_text(encoding="utf-8") for page in PAGES
}
DATABASE = "postgresql://cms@db.example.com/cms"
"""The database URL in the docs, replaced by a real one when commands are run."""
BLOCK = re.compile(r"(<!-- command: (?P<name>\w+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)\n```", re.DOTALL)


class Block(NamedTuple):
    """A block of code on a page."""

    page: str
    name: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text.splitlines()[0][:50]}"


BLOCKS = [
    Block(page, found["name"] or "", found["language"], found["text"])
    for page, text in TEXT.items()
    for found in BLOCK.finditer(text)
]
SHELL = [block for block in BLOCKS if block.language == "sh" and not block.name]
PYTHON = [block for block in BLOCKS if block.language == "python"]


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """Return an environment with ``cms`` and ``python3`` on the PATH, and a token."""
    env = Program(tmp_path).env
    tools = tmp_path / "bin"
    tools.mkdir()
    cms = tools / "cms"
    cms.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cms_cli "$@"\n', encoding="utf-8")
    cms.chmod(0o755)
    (tools / "python3").symlink_to(sys.executable)
    return {
        **env,
        "PATH": f"{tools}{os.pathsep}{env['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CMS_BEARER_TOKEN": "readme_token",
        "GITHUB_RUN_ID": "7",
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are for a POSIX shell")
@pytest.mark.parametrize("block", SHELL, ids=str)
def test_a_command_works(
    block: Block, surroundings: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each shell block runs from the project's folder, and every command in it succeeds."""
    script = block.text
    if DATABASE in script:
        made = "database" if "cms state init" in script else "shared"
        script = script.replace(DATABASE, request.getfixturevalue(made))
    if "sqlite3 " in block.text and shutil.which("sqlite3") is None:
        pytest.skip("SQLite's own command line is not on this machine")
    with SandboxServer(tmp_path / "service.sqlite3") as service:
        # Only the host is replaced; the block is run as it is on the page.
        env = {**surroundings, "CMS_HOST": service.url}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        refused = [each.status for each in service.attempts() if each.method == "POST" and each.status != 200]
    assert done.returncode == 0, done.stderr
    assert not refused
    assert "your_jwt_token" not in done.stdout + done.stderr


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_the_python_works(block: Block, surroundings: dict[str, str], tmp_path: Path) -> None:
    """Each Python block runs unchanged except for the host, which is a sandbox."""
    with SandboxServer(tmp_path / "service.sqlite3") as service:
        code = block.text.replace("CMSClient(token=", f"CMSClient(host={service.url!r}, token=")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert len(service.events()) == 1
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Success:")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    """A relative link names an existing file, and its fragment a heading in that file."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, fragment = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
            assert fragment in slugs, target


def test_every_page_is_in_both_lists() -> None:
    """README and the docs index list every page."""
    for page in PAGES[1:]:
        if page.name != "README.md":
            assert f"(docs/{page.name})" in TEXT["README.md"], page
            assert f"({page.name})" in TEXT["docs/README.md"], page


def test_the_readme_is_a_page_and_no_manual() -> None:
    """The README stays short, and its setup command is near the top."""
    assert len(TEXT["README.md"].split()) <= 1600
    named = {block.name: block.text for block in BLOCKS if block.name}
    assert set(named) == {"main", "tests"}
    assert all("\n" not in text for text in named.values())
    assert TEXT["README.md"].index(named["tests"]) < 1500


def test_the_faults_in_the_docs_are_those_of_the_sandbox() -> None:
    """The docs list exactly the sandbox's kinds of fault."""
    table = TEXT["docs/sandbox.md"].partition("| kind of fault |")[2].partition("\n\n")[0]
    kinds = [kind for row in table.splitlines()[2:] for kind in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(kinds) == sorted(KINDS)


def test_the_scenario_in_the_docs_is_one(tmp_path: Path) -> None:
    """The scenario in the docs can be loaded unchanged."""
    (block,) = (block for block in BLOCKS if "[[step]]" in block.text)
    file = tmp_path / "scenario.toml"
    file.write_text(block.text, encoding="utf-8")
    scenario = load_scenario(file)
    assert (scenario.seed, len(scenario.steps), len(scenario.poison)) == (7, 2, 1)


def test_every_key_of_a_mapping_file_is_shown() -> None:
    """The mapping file in the docs can be read unchanged; it and the text after it have every key there is."""
    (block,) = (block for block in BLOCKS if "[defaults_with" in block.text)
    table = tomltext.loads(block.text)
    rules.read(table)
    after = TEXT["docs/files.md"].partition(block.text)[2].partition("\n## ")[0]
    more = {key for key in rules.KEYS if re.search(rf"`{key}\b", after)}
    assert more == {"title", "about", "known_by", "local_times"}
    assert {*table, *more} == set(rules.KEYS)


def test_every_preset_has_a_row_in_the_docs() -> None:
    """The table of presets lists exactly those of the program, and a command shows each."""
    section = TEXT["docs/files.md"].split("\n## Presets\n")[1].split("\n## ")[0]
    assert tuple(sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))) == presets.names()
    assert tuple(sorted(set(re.findall(r"--preset (\w+)", section)))) == presets.names()


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("README.md", "## Use it in CI"),
        ("docs/guarantees.md", "## Exit codes"),
        ("docs/ci.md", "## A file every night, on GitHub"),
    ],
)
def test_the_exit_codes_are_those_of_the_program(page: str, heading: str) -> None:
    """Each table of exit codes lists exactly those of the program."""
    section = TEXT[page].split(heading)[1].split("\n## ")[0]
    codes = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE) for code in row.split(",")}
    assert codes == {int(code) for code in ExitCode}


def test_no_flag_is_named_that_is_not_there(program: Program) -> None:
    """Every long flag in README and docs exists."""
    commands: list[tuple[str, ...]] = [
        (),
        *(("runs", "list"), ("runs", "resume"), ("runs", "prune"), ("runs", "failures")),
        *(("sandbox", "serve"), ("sandbox", "events"), ("sandbox", "report"), ("config", "set")),
        *(("auth", "login"), ("auth", "status"), ("state", "init"), ("state", "import")),
    ]
    known = "".join(program(*command, "--help").stdout for command in commands)
    known += "".join(program(kind, "--help-all").stdout for kind in ("lead", "sale"))
    # Flags of pip, psql and sqlite3 in commands shown together with cms.
    others = {"--quiet", "--editable", "--csv"}
    for page, text in TEXT.items():
        for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - others:
            assert flag in known, f"{page}: {flag}"


def test_every_key_of_the_json_is_named(program: Program) -> None:
    """The docs name every key of the JSON and JSON Lines output."""
    (program.home / "s.csv").write_text(
        "click_id,event_name,customer_external_id,invoice_id,amount,currency\nc,buy,u,i,1,USD\nc,buy,u,j,x,USD\n"
    )
    *rows, summary = program(
        *("sale", "--from-csv", "s.csv", "--sandbox", "--skip-invalid", "--output", "jsonl")
    ).json_lines
    event = program(*("lead", "--event-name", "a", "--customer-external-id", "b", "--dry-run", "--json")).json
    section = TEXT["docs/ci.md"].split("\n## JSON\n")[1].split("\n## ")[0]

    assert len(rows) == 2
    for key in {*rows[0], *summary, *summary["problems"][0], *event}:
        assert f"`{key}`" in section, key
