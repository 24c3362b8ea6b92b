"""Writes the completion scripts that stand beside this file, as the program gives them.

    python completions/generate.py

Run it after an update of Typer; a test compares what it would write with what is here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

FILES = {"bash": "cms.bash", "zsh": "_cms", "fish": "cms.fish", "powershell": "cms.ps1"}
"""The file of each shell, under the name that it is looked for."""


def script(shell: str) -> str:
    """Give the script for a shell.

    Args:
        shell: ``bash``, ``zsh``, ``fish`` or ``powershell``.
    """
    done = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", "cms_cli", "--show-completion", shell],
        stdout=subprocess.PIPE,
        cwd=HERE.parent,
        env={**os.environ, "PYTHONUTF8": "1"},
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def main() -> None:
    """Write all of them."""
    for shell, name in FILES.items():
        (HERE / name).write_bytes(script(shell).encode())


if __name__ == "__main__":
    main()
