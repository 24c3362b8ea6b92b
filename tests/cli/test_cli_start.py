"""The first screen, help pages, mistyped commands, and the imports at start-up."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from program import Program, Result

from cms_cli.app import app
from cms_cli.config.keys import KEYS
from cms_cli.exit_codes import ExitCode
from cms_cli.replay.sending.options import Delivery
from cms_cli.replay.sending.pacing import DOCUMENTED_RATE
from cms_python import __version__

ENTRIES = app.info.cls.entries  # type: ignore[union-attr]
COMMANDS = list(ENTRIES)
LOADED = {name: typer.main.get_command(import_module(entry.module).app) for name, entry in ENTRIES.items()}
GROUPS = [(name,) for name, command in LOADED.items() if hasattr(command, "commands")]
PAGES = [
    (),
    *((name,) for name in COMMANDS),
    *((name, under) for name, command in LOADED.items() for under in getattr(command, "commands", ())),
]


def test_version(program: Program) -> None:
    """``cms --version`` and ``-V`` print the version and ignore what follows."""
    assert program.spawn("--version").stdout == program("-V").stdout == f"cms {__version__}\n"
    assert program("--version", "lead").stdout == f"cms {__version__}\n"


def test_the_first_screen_says_where_to_begin(program: Program) -> None:
    """``cms`` alone shows every command and a first one to try, within 80x24, and exits with 0."""
    result = program()

    assert program("--help") == program("-h") == program("help") == result
    assert (result.code, result.stderr) == (0, "")
    assert "--sandbox" in result.stdout
    assert "cms auth login" in result.stdout
    for name in COMMANDS:
        assert f"  {name} " in result.stdout
    lines = result.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_the_first_screen_can_be_followed(program: Program) -> None:
    """The commands on the first screen and the sale page lead to a lead and a sale in the sandbox."""
    tried = [
        line.split()[1:] for line in program().stdout.partition("Then for real")[0].splitlines() if "  cms " in line
    ]
    assert len(tried) == 2
    lead, events = (program.spawn(*words) for words in tried)
    assert (lead.code, events.code) == (0, 0)
    assert "signup" in events.stdout

    page = program("sale", "--help").stdout.replace("\\\n", " ")
    (sale,) = (
        line.split()[1:] for line in page.splitlines() if "--invoice-id inv_1" in line and "--sandbox" in line
    )
    assert program(*sale).code == 0
    assert [event["kind"] for event in program(*tried[1], "--json").json] == ["lead", "sale"]


@pytest.mark.parametrize("name", ["lead", "sale"])
def test_the_examples_of_a_page_can_be_sent(program: Program, name: str) -> None:
    """Every example of a single event on a help page passes all checks."""
    page = program(name, "--help").stdout.partition("Examples:")[2].replace("\\\n", " ")
    examples = [
        line.split()[1:] for line in page.splitlines() if line.startswith("  cms ") and "--from" not in line
    ]

    assert examples
    for example in examples:
        assert program(*example, "--dry-run").code == 0, example


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_every_help_page(program: Program, page: tuple[str, ...]) -> None:
    """A help page in a pipe is plain text of 80 columns: usage, an explanation per flag, examples."""
    result = program(*page, "--help-all" if page in (("lead",), ("sale",)) else "--help")

    assert (result.code, result.stderr) == (0, "")
    assert not page or result.stdout.startswith(f"Usage: {' '.join(('cms', *page))}")
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert not re.search(r"^  (-\w, )?--[\w-]+( \S+)?$(?!\n {4})", result.stdout, re.MULTILINE)
    if page and page[:1] != ("sandbox",):
        examples = result.stdout.partition("\nExamples:\n")[2]
        assert len(re.findall(r"^  cms ", examples, re.MULTILINE)) >= 2


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_a_help_page_on_a_narrow_terminal(program: Program, page: tuple[str, ...]) -> None:
    """With 60 columns the terminal has no line to break, and an example can still be copied as it stands."""
    narrow, wide = (program(*page, "--help", env={"COLUMNS": each}).stdout for each in ("60", "80"))

    assert max(map(len, narrow.splitlines())) <= 60
    commands = [re.findall(r"^  cms .*", re.sub(r" \\\n +", " ", text), re.MULTILINE) for text in (narrow, wide)]
    if page:
        assert commands[0] == commands[1]
    assert narrow.count("\\") == narrow.count("\\\n")


def test_help_names_the_defaults_that_hold(program: Program) -> None:
    """The defaults on the help page are those that the program uses."""
    page = " ".join(program("sale", "--help-all").stdout.split())

    assert f"Requests in flight at once, {Delivery().concurrency} by default." in page
    assert f"{DOCUMENTED_RATE} by default" in page
    timeout, max_wait = (program("config", "get", key).stdout.strip() for key in ("timeout", "max_wait"))
    assert f"Seconds that one request may take. [default: {timeout}]" in page
    assert f"[default: {max_wait}, in a replay {Delivery().max_wait:.0f}]" in page


@pytest.mark.parametrize("page", [page for page in PAGES if page and page not in GROUPS], ids=" ".join)
def test_every_command_takes_the_flags_of_output(program: Program, page: tuple[str, ...]) -> None:
    """Every command takes ``-q`` and ``--no-color``."""
    flags = program(*page, "--help-all" if page in (("lead",), ("sale",)) else "--help").stdout

    assert "-q, --quiet" in flags
    assert "--no-color" in flags


def test_short_help(program: Program) -> None:
    """``-h`` works like ``--help``."""
    assert program("lead", "-h").stdout == program("lead", "--help").stdout
    assert program("sandbox", "serve", "-h").code == 0


@pytest.mark.parametrize("group", ["auth", "config", "sandbox"])
def test_a_group_alone_shows_its_page(program: Program, group: str) -> None:
    """A command group without a subcommand shows its help."""
    assert program(group) == program(group, "--help")


@pytest.mark.parametrize("arguments", [*((name, "--help") for name in COMMANDS), ("leed",)], ids=" ".join)
def test_a_process_of_its_own_changes_nothing(program: Program, arguments: tuple[str, ...]) -> None:
    """The program answers the same as a process and inside the test process."""
    assert program.spawn(*arguments) == program(*arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_purposes_agree(name: str) -> None:
    """A command's purpose on the first screen is the first line of its help."""
    assert (LOADED[name].help or "").partition("\n\n")[0].replace("\n", " ") == ENTRIES[name].purpose


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("leed",), "did you mean lead?"),
        (("login",), "cms auth login"),
        (("auth", "stats"), "did you mean status?"),
        (("lead", "--clik-id", "a"), "did you mean --click-id"),
        (("lead", "--event-name"), "--event-name"),
        (("lead", "extra"), "extra"),
        (("--nope",), "--nope"),
        (("--nope", "lead"), "cms has no flag --nope"),
        (("lead", "--limit", "0"), "--limit 0: must be a whole number of at least 1"),
        (("lead", "--limit=x"), "--limit x: must be a whole number of at least 1"),
        (("lead", "--output", "xml"), "--output xml: must be table, json or jsonl"),
        (("lead", "--timeout", "soon"), "--timeout soon: must be a number"),
        (("sandbox", "serve", "--port", "70000"), "--port 70000: must be a whole number from 0 to 65535"),
        (("lead", "--json=yes"), "--json takes no value"),
        (("lead", "a b", "c"), "cms lead takes no argument 'a b' c"),
        (("sale", "--from-csv", "a.csv", "b.csv"), "b.csv; --from-csv takes one file, so join several"),
        (("lead", "--event-name", "a", "--event-name=b"), "--event-name is given twice"),
        (("sale", "--from-csv", "a", "--from-csv", "b"), "--from-csv is given twice"),
        (("config", "get"), "missing: KEY\n"),
        (("config", "set"), "missing: KEY, VALUE\n"),
    ],
    ids=" ".join,
)
def test_what_is_mistyped(program: Program, arguments: tuple[str, ...], said: str) -> None:
    """A mistyped command or flag exits with 2 and says what is wrong, what was meant and where to look."""
    result = program(*arguments)

    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    page = max((page for page in PAGES if page == arguments[: len(page)]), key=len)
    twice = "given twice" in said
    assert twice or result.stderr.endswith(f"See: {' '.join(('cms', *page))} --help\n")
    assert "\u256d" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        (("--profile", "shop", "auth", "status"), "cms auth"),
        (("auth", "--config", "a.toml", "status"), "cms auth status"),
    ],
    ids=str,
)
def test_a_flag_before_its_command(program: Program, arguments: tuple[str, ...], page: str) -> None:
    """A flag before its command exits with 2, and the error shows where it goes."""
    result = program(*arguments)

    flag = next(word for word in arguments if word.startswith("-"))
    assert result.code == 2
    assert result.stderr == f"error: {flag} goes after the command: {page} ... {flag}\nSee: {page} --help\n"


@pytest.mark.parametrize("first", [["--json"], ["-q", "--json"], ["--json", "--no-color"]], ids=str)
def test_flags_of_output_before_the_command(program: Program, first: list[str]) -> None:
    """``--json``, ``-q`` and ``--no-color`` also work before a command and after a group."""
    event = ("lead", "--event-name", "a", "--customer-external-id", "b", "--dry-run")
    assert program(*first, *event).json == program(*event, "--json").json
    assert program(*first, "config", "list").json == program("config", *first, "list").json


def test_help_shows_what_most_need(program: Program) -> None:
    """``--help`` of lead and sale shows the common flags, ``--help-all`` every flag."""
    for name in ("lead", "sale"):
        short, every = (
            set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", program(name, flag).stdout, re.MULTILINE))
            for flag in ("--help", "--help-all")
        )
        declared = {max(param.opts, key=len) for param in LOADED[name].params}
        assert every == {*declared, "--help"}
        assert {"--event-name", "--timestamp", "--from-csv", "--dry-run", "--help-all"} <= short < every
        assert len(short) <= 30


def test_help_with_topics(program: Program) -> None:
    """``cms help`` shows every command's page and the topics exit-codes, environment and files."""
    assert program("help", "runs", "resume") == program("runs", "resume", "--help")
    assert program("help", "sale") == program("sale", "--help")
    codes = program("help", "exit-codes").stdout
    assert all(re.search(rf"^  {int(code)} ", codes, re.MULTILINE) for code in ExitCode)
    variables = program("help", "environment").stdout
    assert {key.variable for key in KEYS.values()} - {""} <= set(re.findall(r"\w+", variables))
    assert str(program.config) in program("help", "files").stdout
    assert str(program.state) in program("help", "files").stdout
    wrong = program("help", "exit-code")
    assert wrong.code == 2
    assert "did you mean exit-codes?" in wrong.stderr


def test_a_file_without_its_flag(program: Program) -> None:
    """An existing file without its flag gets the suggestion of ``--from-csv`` or ``--from-jsonl``."""
    (program.home / "my sales.csv").write_text("a\n")
    (program.home / "leads.jsonl").write_text("{}\n")

    assert "did you mean --from-csv 'my sales.csv'?" in program("sale", "my sales.csv").stderr
    assert "did you mean --from-jsonl leads.jsonl?" in program("lead", "leads.jsonl", "--dry-run").stderr
    assert "did you mean" not in program("sale", "none.csv").stderr
    assert "did you mean" not in program("runs", "list", "leads.jsonl").stderr


def test_a_shell_completes_flags_and_values(program: Program) -> None:
    """Flags, choices, profiles, currencies and config keys are completed."""
    program.config.write_text('[profiles.shop]\nhost = "https://shop.example"\n')

    assert program.complete("cms lead --customer-e") == ["--customer-external-id", "--customer-email"]
    assert program.complete("cms lead --output ") == ["table", "json", "jsonl"]
    assert program.complete("cms sale --profile ") == ["default", "shop"]
    assert program.complete("cms sale --currency US") == ["USD", "USN"]
    assert program.complete("cms sale --currency us") == ["usd", "usn"]
    assert program.complete("cms config get time") == ["timezone", "timeout"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_every_shell_completes_commands(program: Program, shell: str) -> None:
    """Every shell completes every command."""
    offered = " ".join(program.complete("cms ", shell))

    for name in COMMANDS:
        assert name in offered


@pytest.mark.imports
def test_completion_loads_no_rich(program: Program) -> None:
    """Completion does not import rich, which would make TAB noticeably slower."""
    names = imported(program, env={"_CMS_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "cms "})

    assert "rich" not in names


def test_show_completion(program: Program) -> None:
    """``cms --show-completion bash`` writes a completion script."""
    result = program("--show-completion", "bash")

    assert (result.code, result.stderr) == (0, "")
    assert "_CMS_COMPLETE" in result.stdout


def imported(program: Program, *arguments: str, env: dict[str, str] | None = None) -> set[str]:
    result = program.spawn(*arguments, env=env, python=("-X", "importtime"))
    assert result.code == 0, result.stderr
    return {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:")
    }


NOT_FOR_ONE_EVENT = {
    *("rich", "pydantic", "click", "sqlite3", "platformdirs", "filelock", "tomlkit", "tomllib", "tomli"),
    *("asyncio", "concurrent.futures", "multiprocessing", "unittest"),
    "cms_cli.access.account",
}
"""Modules that sending one event does not import; on Python 3.9 Typer imports click."""

NETWORK = {
    *("socket", "ssl", "http.client", "email", "requests", "urllib3", "certifi", "idna", "zoneinfo", "decimal"),
    *("csv", "importlib.metadata"),
}
"""Modules that a dry run of one event does not import either."""

EVENT = ("lead", "--event-name", "a", "--customer-external-id", "b", "--json")


def not_needed(names: set[str]) -> set[str]:
    astray = {name for name in names if name.startswith(("cms_cli.sandbox", "cms_cli.replay"))}
    astray |= names & NOT_FOR_ONE_EVENT
    return astray - {"click"} if sys.version_info < (3, 10) else astray


@pytest.mark.imports
def test_a_dry_run_imports_no_network(program: Program) -> None:
    """A dry run of one event imports no sockets and nothing that only replays, tables or the sandbox need."""
    names = imported(program, *EVENT, "--dry-run")

    assert not not_needed(names)
    assert not names & NETWORK


@pytest.mark.imports
def test_a_lead_imports_what_sending_needs(online: Program) -> None:
    """A lead imports nothing that only replays, tables or the sandbox need."""
    names = imported(online, *EVENT)

    assert {"requests", "cms_python._transport"} <= names
    assert not not_needed(names)


@pytest.mark.imports
def test_the_database_driver_is_loaded_only_where_a_database_is_used(online: Program) -> None:
    """psycopg is not imported by a replay with local state, nor by a single event with CMS_STATE_URL."""
    (online.home / "s.csv").write_text("event_name,customer_external_id\nsignup,u1\n", encoding="utf-8")
    replay = imported(online, "lead", "--from-csv", "s.csv", "--yes")
    single = imported(online, *EVENT, env={"CMS_STATE_URL": "postgresql://cms@127.0.0.1:1/cms"})

    assert "sqlite3" in replay
    assert not {"psycopg", "cms_cli.replay.journal.postgres_journal"} & (replay | single)


def interrupted(program: Program, module: str, *, before: str, by: str) -> Result:
    """Run ``cms runs list`` with code that runs as soon as a module is imported."""
    (program.home / "sitecustomize.py").write_text(
        f"import os, signal, sys\n{before}"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        f"            {by}\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    paths = os.pathsep.join((str(program.home), program.env["PYTHONPATH"]))
    return program.spawn("runs", "list", env={"PYTHONPATH": paths})


@pytest.mark.skipif(os.name != "posix", reason="a process cannot interrupt itself elsewhere")
def test_ctrl_c_while_modules_are_loaded(program: Program) -> None:
    """Ctrl-C during imports exits with 130 and no traceback."""
    # Python starts with SIGINT ignored if the tests run in the background.
    before = "signal.signal(signal.SIGINT, signal.default_int_handler)\n"

    result = interrupted(program, "typer", before=before, by="os.kill(os.getpid(), signal.SIGINT)")

    assert (result.code, result.stdout, result.stderr) == (130, "", "")


def test_ctrl_c_while_a_class_is_made(program: Program) -> None:
    """Ctrl-C in a ``__set_name__``, which Python before 3.12 wraps, exits with 130 and no traceback."""
    before = "class Field:\n    def __set_name__(self, owner, name):\n        raise KeyboardInterrupt\n"

    result = interrupted(
        program, "cms_cli.config.settings", before=before, by="type('Made', (), {'field': Field()})"
    )

    assert (result.code, result.stdout, result.stderr) == (130, "", "")


def test_places_are_those_of_platformdirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The config path, computed without platformdirs on Linux, is the one that platformdirs gives."""
    import platformdirs

    from cms_cli.config.file import default_path

    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in (None, str(tmp_path / "xdg")):
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        if folder:
            monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        assert default_path() == platformdirs.user_config_path("cms", appauthor=False) / "config.toml"
