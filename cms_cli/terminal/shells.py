"""``--show-completion`` and ``--install-completion``: Typer's scripts, for the shell that is named, or this one.

Typer takes a name only where it is told not to look for the shell itself, and its script for zsh does nothing at
the first TAB where zsh loads it by itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from cms_cli.errors import CommandError
from cms_cli.terminal.console import Console, write

_FLAGS = ("--show-completion", "--install-completion")
_NAMES = "Name it: bash, zsh, fish or powershell."

# zsh takes the whole of a file on its fpath for the completion that it calls: at the first TAB it loads the file,
# at the next ones it calls it as a function.
_ZSH_END = "compdef _cms_completion cms"
_ZSH_LOADED = f"""\
if [[ $zsh_eval_context[-1] == (loadautofunc|shfunc) ]]; then
  _cms_completion "$@"
else
  {_ZSH_END}
fi"""


def name_the_shell(arguments: list[str]) -> None:
    """Add the name of the shell where one of the flags stands without any.

    Raises:
        CommandError: It cannot be seen.
    """
    os.environ["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    if arguments[-1:] and arguments[-1] in _FLAGS:
        from typer._completion_shared import _get_shell_name

        name = _get_shell_name()
        if name is None:
            raise CommandError(f"{arguments[-1]}: which shell? It cannot be seen from here", _NAMES)
        arguments.append(name)


def mend_words() -> None:
    """Take ``--flag=value`` for what it is where bash has made three words of it."""
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


def take_over(command: Any) -> Any:
    """Have both flags do what is done here."""
    for param in command.params:
        if param.name in ("show_completion", "install_completion"):
            param.callback = _show if param.name.startswith("show") else _install
            param.help = (
                "Write the completion script of a shell."
                if param.name.startswith("show")
                else "Have a shell complete cms: this one, or the one named."
            )
    return command


def script(shell: str) -> str:
    """Give the completion script for a shell."""
    from typer._completion_shared import get_completion_script

    text = get_completion_script(prog_name="cms", complete_var="_CMS_COMPLETE", shell=shell)
    return text.replace(_ZSH_END, _ZSH_LOADED) + "\n"


def _show(ctx: Any, _: Any, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        write(sys.stdout, script(_name(value)))
        ctx.exit(0)


def _install(ctx: Any, _: Any, value: Any) -> None:
    if not value or ctx.resilient_parsing:
        return
    from typer._completion_shared import install

    try:
        shell, path = install(shell=_name(value), prog_name="cms", complete_var="_CMS_COMPLETE")
    except FileNotFoundError as error:  # PowerShell is asked where its profile is
        raise CommandError(
            f"--install-completion {_name(value)}: there is no {error.filename} here",
            f"Put the script into its profile yourself: cms --show-completion {_name(value)}",
        ) from None
    if shell == "zsh":
        path.write_text(script(shell), encoding="utf-8")
    Console().note(f"{shell} completes cms from its next start on; the script is {path}")
    ctx.exit(0)


def _name(value: Any) -> str:
    return str(getattr(value, "value", value))
