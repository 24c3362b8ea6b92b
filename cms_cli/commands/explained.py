"""Turns the errors of a replay and of the journal into command errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode
from cms_cli.replay.journal.identity import RunConflictError
from cms_cli.replay.journal.locks import RunBusyError
from cms_cli.replay.model import InputError, MachineError
from cms_cli.terminal.console import Console

_RUNS_COMMAND = re.compile(r"cms (runs (resume|show|failures) (?:lead|sale)-\w+)")


@contextmanager
def explained(console: Console) -> Iterator[None]:
    """Turn errors of a replay or journal into command errors; complete the commands in their hints with flags."""
    try:
        yield
    except (InputError, RunConflictError) as error:
        hint = _RUNS_COMMAND.sub(lambda it: console.next_command(it[1], sends=it[2] == "resume"), error.hint)
        raise CommandError(error.message, hint) from error
    except RunBusyError as error:
        raise CommandError(
            "another cms is at work on this run", "Wait for it, or stop it first.", ExitCode.UNAVAILABLE
        ) from error
    except MachineError as error:
        raise CommandError(error.message, error.hint, ExitCode.INTERNAL) from error
