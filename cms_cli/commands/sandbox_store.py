"""The flag ``--db`` of the sandbox's commands, and the error for a store that cannot be used."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from cms_cli.commands.target import STORE_NAME, sandbox_dir, store_hint
from cms_cli.config.homes import expanded
from cms_cli.config.settings import Settings
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.terminal.console import Console

Store = Annotated[Optional[str], typer.Option("--db", metavar="FILE", help="A store other than that of --sandbox.")]


def store_of(settings: Settings, db: Optional[str]) -> Path:
    """Return the path of the store: the one that ``--db`` names, else that of ``--sandbox``."""
    return expanded(db) if db else sandbox_dir(settings) / STORE_NAME


def store_error(console: Console, problem: Any, db: Optional[str]) -> CommandError:
    """Return the command error for a store that cannot be used."""
    return CommandError(str(problem), store_hint(problem, console, db), ExitCode.INTERNAL)
