"""Temporary files: gone with the process, however it ends, and readable by nobody else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cms_cli.replay.model import MachineError


def temporary(folder: Path | None = None) -> IO[bytes]:
    """Make one without a name.

    Args:
        folder: Where it goes; None for the system's own place.

    Raises:
        OSError: It cannot be made.
    """
    return tempfile.TemporaryFile(prefix="cms-", dir=folder)


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Say what to do where there is no room for one: that is a failure of this machine, and not of the input.

    Args:
        what: What is to be written to it, for the message.

    Raises:
        MachineError: It cannot be made, or written.
    """
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"a temporary file for {what}: {error.strerror or error}",
            "Make room for it, or name a folder that has some in TMPDIR.",
        ) from error
