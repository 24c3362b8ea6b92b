"""``--show-completion`` and ``--install-completion``: the completion scripts that the package ships."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.console import Console, write

FILES = {"bash": "cms.bash", "zsh": "_cms", "fish": "cms.fish", "powershell": "cms.ps1"}
"""The file name of the script for each shell."""

FLAGS = ("--show-completion", "--install-completion")

_SCRIPTS = Path(__file__).parent.parent / "completions"
_NAMES = "Name it: bash, zsh, fish or powershell."


def name_shell(arguments: list[str]) -> None:
    """Add the name of the current shell to a completion flag that has no value.

    Raises:
        CommandError: The current shell cannot be detected.
    """
    if not arguments or arguments[-1] not in FLAGS:
        return
    import shellingham  # type: ignore[import-untyped]

    try:
        arguments.append(shellingham.detect_shell()[0].replace("pwsh", "powershell"))
    except shellingham.ShellDetectionFailure:
        raise CommandError(f"{arguments[-1]}: the current shell cannot be detected", _NAMES) from None


def join_words() -> None:
    """Rejoin ``--flag=value`` in the words to complete, since bash splits it into three words."""
    words, current = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    if "=" not in words or not current.isdigit():
        return
    whole: list[str] = []
    place = int(current)
    for at, word in enumerate(words):
        if word != "=" or not whole or not whole[-1].startswith("--"):
            whole.append(word)
        elif at == int(current):
            whole.append("")
        elif at < int(current):
            place -= 1
    os.environ.update(COMP_WORDS="\n".join(whole), COMP_CWORD=str(place))


def show(shell: str) -> None:
    """Write the completion script of a shell to stdout."""
    write(sys.stdout, _script(shell))


def install(shell: str) -> None:
    """Install the completion script of a shell, and load it in the shell's start-up file if need be.

    Raises:
        CommandError: There is no script for the shell, or PowerShell is not installed.
    """
    text = _script(shell)
    home = Path.home()
    if shell == "bash":
        path = home / ".bash_completions" / "cms.sh"
        _add_line(home / ".bashrc", f"source '{path}'")
    elif shell == "zsh":
        path = home / ".zfunc" / "_cms"
        _add_line(home / ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit")
    elif shell == "fish":
        config = os.environ.get("XDG_CONFIG_HOME") or home / ".config"
        path = Path(config, "fish", "completions", "cms.fish")
    else:
        path = _powershell_profile().with_name("cms.ps1")
        _add_line(_powershell_profile(), f". '{path}'")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    Console().note(f"{shell} completes cms from its next start on; the script is {path}")


def _script(shell: str) -> str:
    if shell not in FILES:
        raise CommandError(f"there is no completion for {shell}", _NAMES)
    return (_SCRIPTS / FILES[shell]).read_text(encoding="utf-8")


def _add_line(file: Path, line: str) -> None:
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if line in text.splitlines():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as open_file:
        open_file.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")


def _powershell_profile() -> Path:
    """Return the path of PowerShell's profile, as PowerShell itself reports it."""
    import shutil
    import subprocess

    found = shutil.which("pwsh") or shutil.which("powershell")
    if found is None:
        raise CommandError(
            "--install-completion powershell: there is no powershell here",
            "Put the script into its profile yourself: cms --show-completion powershell",
        )
    done = subprocess.run(  # noqa: S603 - the user's own shell
        [found, "-NoProfile", "-Command", "echo $profile"], stdout=subprocess.PIPE, check=False, encoding="utf-8"
    )
    if done.returncode or not done.stdout.strip():
        raise CommandError("powershell does not say where its profile is", code=ExitCode.INTERNAL)
    return Path(done.stdout.strip())
