"""Shell completion: the shipped scripts, and what is offered after TAB."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from program import Program

HERE = Path(__file__).parent
COMPLETIONS = Path(__file__).parent.parent.parent / "cms_cli" / "completions"
SHELLS = {"bash": "cms.bash", "zsh": "_cms", "fish": "cms.fish", "powershell": "cms.ps1"}
HEADER = "click_id,event_name,customer_external_id,invoice_id,amount,currency\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shipped_scripts_are_those_of_show_completion(program: Program, shell: str) -> None:
    """``--show-completion`` writes exactly the script that is shipped."""
    result = program("--show-completion", shell)

    assert (result.code, result.stderr) == (0, "")
    assert (COMPLETIONS / SHELLS[shell]).read_text(encoding="utf-8") == result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_valid_for_its_shell(shell: str) -> None:
    """Each shipped script parses without errors in its shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    flag = "--no-execute" if shell == "fish" else "-n"
    done = subprocess.run([shell, flag, str(COMPLETIONS / SHELLS[shell])], capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("shell", "made"), [("zsh", ".zfunc/_cms"), ("bash", ".bash_completions/cms.sh")])
def test_install_completion(program: Program, shell: str, made: str) -> None:
    """``--install-completion SHELL`` installs the shipped script and writes nothing to stdout."""
    result = program("--install-completion", shell)

    assert (result.code, result.stdout) == (0, "")
    assert made in result.stderr
    script = (program.home / made).read_text(encoding="utf-8")
    assert script.strip() == (COMPLETIONS / SHELLS[shell]).read_text(encoding="utf-8").strip()


def test_an_unknown_shell_names_the_known_ones(program: Program) -> None:
    """An unknown shell exits with 2 and names the known ones."""
    result = program("--show-completion", "tcsh")

    assert (result.code, result.stdout) == (2, "")
    assert all(shell in result.stderr for shell in SHELLS)


def test_values_are_offered(program: Program) -> None:
    """Profiles, zones, modes, units, shells, keys and flags are completed."""
    program.config.write_text('[profiles.shop]\nhost = "https://shop.example"\n', encoding="utf-8")
    other = program.home / "other.toml"
    other.write_text('[profiles.staging]\nhost = "https://s.example"\n', encoding="utf-8")

    assert program.complete("cms sale --profile ") == ["default", "shop"]
    assert program.complete("cms sale --config other.toml --profile s") == ["staging"]
    assert program.complete("cms sale --timezone Europe/Berl") == ["Europe/Berlin"]
    assert program.complete("cms lead --mode ") == ["deferred"]
    assert program.complete("cms sale --amount-unit ") == ["minor", "major"]
    assert program.complete("cms --show-completion z") == ["zsh"]
    assert program.complete("cms config get ti") == ["timezone", "timeout"]
    assert {"sale", "runs", "exit-codes"} <= set(program.complete("cms help "))
    assert program.complete("cms help runs re") == ["resume"]
    assert program.complete("cms help exit-codes ") == []
    assert "--skip-invalid" in program.complete("cms sale --from-csv x.csv --skip")


def test_mappings_are_offered(program: Program) -> None:
    """``--mapping`` completes the mappings of the config file whose names are safe in a shell."""
    program.config.write_text(
        '[mappings.shop.map]\na = "b"\n[mappings."$(touch owned)"]\n[mappings."two words"]\n[mappings.site]\n',
        encoding="utf-8",
    )

    for shell in ("bash", "zsh", "fish"):
        offered = "\n".join(program.complete("cms sale --mapping s", shell))
        assert "shop" in offered
        assert "site" in offered
    assert program.complete("cms sale --mapping ") == ["shop", "site"]
    assert program.complete("cms sale --mapping ./mine") == []


def test_runs_are_offered(online: Program) -> None:
    """``runs show`` completes all runs, ``runs resume`` unfinished ones; both respect ``--state-dir``."""
    rows = [f"c{n},buy,u{n},i{n},{100 + n},USD\n" for n in range(3)]
    (online.home / "s.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    replay = ("sale", "--from-csv", "s.csv", "--rate", "none", "--json")
    done = online(*replay).json["run"]
    (online.home / "s.csv").write_text(HEADER + "".join(rows).replace("i", "j"), encoding="utf-8")
    left = online(*replay, "--limit", "1").json["run"]

    assert online.complete("cms runs show ") == [left, done]
    assert online.complete("cms runs resume ") == [left]
    assert online.complete(f"cms runs failures {done[:8]}") == [done]
    assert online.complete("cms runs show --state-dir elsewhere ") == []


def test_runs_of_other_machines_are_offered(online: Program, shared: str) -> None:
    """Runs of a shared database are completed; if it does not answer, none are."""
    online.env.update(CMS_STATE_URL=shared, CMS_ACCOUNT="shop")
    (online.home / "s.csv").write_text(HEADER + "c,buy,u,i,100,USD\n", encoding="utf-8")
    run = online("sale", "--from-csv", "s.csv", "--json").json["run"]

    assert online.complete("cms runs show ") == [run]
    online.env["CMS_STATE_URL"] = "postgresql://cms@127.0.0.1:1/cms?application_name=x"
    assert online.complete("cms runs show ") == []


@pytest.mark.parametrize("broken", ["config", "journal", "folder"])
def test_broken_files_complete_to_nothing(program: Program, broken: str) -> None:
    """A broken config file or journal yields no completions and no output in the command line."""
    if broken == "config":
        program.config.write_text("not toml", encoding="utf-8")
    elif broken == "journal":
        program.state.mkdir()
        (program.state / "journal.sqlite3").write_bytes(b"no database" * 500)
    else:
        program.state.write_text("a file", encoding="utf-8")

    assert program.complete("cms runs show ") == []
    assert program.complete("cms sale --profile sh") == []


def test_a_flag_and_its_value_in_one_word(program: Program) -> None:
    """The value in ``--output=js``, which bash splits into three words, is completed."""
    words = {"_CMS_COMPLETE": "complete_bash", "COMP_WORDS": "cms\nlead\n--output\n=\njs", "COMP_CWORD": "4"}
    assert program.spawn(env=words).stdout.splitlines() == ["json", "jsonl"]
    words.update(COMP_WORDS="cms\nlead\n--output\n=", COMP_CWORD="3")
    assert program.spawn(env=words).stdout.splitlines() == ["table", "json", "jsonl"]


def test_nothing_from_a_file_is_evaluated_by_zsh(program: Program) -> None:
    """A profile name from the config file is never handed to zsh for evaluation."""
    program.config.write_text('[profiles."$(touch owned)"]\nhost = "https://a.b"\n', encoding="utf-8")

    assert "owned" not in "\n".join(program.complete("cms sale --profile ", "zsh"))


@pytest.mark.imports
def test_a_tab_loads_only_what_it_needs(program: Program) -> None:
    """Completing flags imports neither requests nor rich, sqlite3, csv or a TOML parser."""
    env = {"_CMS_COMPLETE": "complete_bash", "COMP_WORDS": "cms\nsale\n--", "COMP_CWORD": "2"}
    result = program.spawn(env=env, python=("-X", "importtime"))
    names = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}

    assert not names & {
        "requests",
        "urllib3",
        "rich",
        "sqlite3",
        "csv",
        "tomllib",
        "tomli",
        "platformdirs",
        "zoneinfo",
    }
    assert not {name for name in names if name.startswith(("cms_cli.replay", "cms_cli.sandbox"))}


@pytest.fixture
def home(program: Program) -> Program:
    """Return the program as ``cms`` on the PATH, in a folder with a CSV file, for an interactive shell."""
    tools = program.home / "bin"
    tools.mkdir()
    (tools / "cms").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cms_cli "$@"\n', encoding="utf-8")
    (tools / "cms").chmod(0o755)
    (program.home / "example.csv").write_text("a\n", encoding="utf-8")
    program.env.update(PATH=f"{tools}:{program.env['PATH']}", TERM="dumb", PS1="$ ", INPUTRC="/dev/null")
    return program


def typed_into(shell: list[str], home: Program, keys: list[tuple[str, str]]) -> None:
    """Type into a shell on a terminal, and wait after each step until the expected text appears."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, env=home.env, cwd=home.home, start_new_session=True
    )
    os.close(theirs)
    try:
        for typed, shown in keys:
            os.write(ours, typed.encode())
            assert shown in _until(ours, shown), typed
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("cms sa\t\t", "sandbox"),
        ("cms lead --click\t", "--click-id "),
        ("cms sale --from-csv exam\t", "--from-csv example.csv "),
        ("cms sale --output=jsonl --curr\t", "--output=jsonl --currency "),
        ("cms sale --output=t\t", "--output=table"),
    ],
)
def test_in_a_real_bash(home: Program, typed: str, shown: str) -> None:
    """In an interactive bash, TAB completes commands, flags, values and, after ``--from-csv``, files."""
    sourced = f"source '{COMPLETIONS / 'cms.bash'}'; echo rea''dy\n"
    typed_into(["bash", "--noprofile", "--norc", "-i"], home, [(sourced, "\nready"), (typed, shown)])


CLEAR = "\x15"  # Ctrl-U


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
@pytest.mark.parametrize("how", ["linked", "sourced", "installed"])
def test_in_a_real_zsh(home: Program, how: str) -> None:
    """In an interactive zsh, TAB completes commands, flags, values and files from its first press on."""
    begin = "autoload -Uz compinit; compinit -u"
    if how == "linked":
        folder = home.home / "functions"
        folder.mkdir()
        (folder / "_cms").symlink_to(COMPLETIONS / "_cms")
        begin = f"fpath+='{folder}'; {begin}"
    elif how == "sourced":
        begin = f"{begin}; source '{COMPLETIONS / '_cms'}'"
    else:
        assert home("--install-completion", "zsh").code == 0
        begin = "source ~/.zshrc"
    typed_into(
        ["zsh", "-f", "-i"],
        home,
        [
            (f"{begin}; unsetopt zle_bracketed_paste; echo rea''dy\n", "\nready"),
            ("cms lead --click\t", "--click-id "),
            (f"{CLEAR}cms lead --event\t", "--event-name "),
            (f"{CLEAR}cms sale --currency US\t", "USN"),
            (f"{CLEAR}cms sale --from-csv exam\t", "--from-csv example.csv "),
            (f"{CLEAR}cms sa\t", "sandbox"),
        ],
    )


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
@pytest.mark.parametrize("how", ["linked", "installed"])
def test_in_a_real_fish(home: Program, how: str) -> None:
    """fish loads the script by its name and completes commands, flags, values and files."""
    if how == "linked":
        folder = home.home / "xdg-config" / "fish" / "completions"
        folder.mkdir(parents=True)
        (folder / "cms.fish").symlink_to(COMPLETIONS / "cms.fish")
    else:
        del home.env["XDG_CONFIG_HOME"]  # Typer installs into ~/.config and ignores this variable
        assert home("--install-completion", "fish").code == 0
    for line, shown in [
        ("cms sa", "sandbox"),
        ("cms lead --click", "--click-id"),
        ("cms sale --currency US", "USN"),
        ("cms sale --from-csv exam", "example.csv"),
    ]:
        done = subprocess.run(
            ["fish", "-c", f'complete -C "{line}"'], capture_output=True, env=home.env, cwd=home.home, timeout=60
        )
        assert shown in done.stdout.decode(), (line, done)


def test_a_shell_that_is_not_there(program: Program) -> None:
    """Without PowerShell, installing its completion exits with 2 and names the command that shows the script."""
    result = program("--install-completion", "powershell", env={"PATH": str(program.home)})

    assert result.code == 2
    assert "there is no powershell here" in result.stderr
    assert "cms --show-completion powershell" in result.stderr


def _until(terminal: int, text: str) -> str:
    seen, deadline = "", time.monotonic() + 30
    while text not in seen.replace("\r", "") and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1.0)[0]:
            seen += os.read(terminal, 65536).decode("utf-8", "replace")
    return seen.replace("\r", "")
