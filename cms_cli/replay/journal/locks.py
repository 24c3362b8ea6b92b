"""Lock files: a run is held by one process at a time, and the system frees the lock however that process ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cms_cli.replay.journal.sqlite_file import JournalError, identity_of, private_folder


class RunBusyError(Exception):
    """Another process is at work on this run."""


class HeldLock:
    """A lock that this process holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = identity_of(path)

    def check(self) -> None:
        """Check that the lock file is still the one that was locked.

        Raises:
            JournalError: Something has removed it, so that another process may hold the run as well.
        """
        if identity_of(self._path) != self._file:
            raise JournalError(
                f"{self._path} was removed while this run was at work, so another process may take the run over",
                "Exclude the state folder from clean-up jobs. The same command resumes the run.",
            )


@contextmanager
def hold(folder: Path, identity: str) -> Iterator[HeldLock]:
    """Hold the lock that ``identity`` names for this process.

    Raises:
        RunBusyError: Another process holds it.
        JournalError: The folder of locks cannot be written.
    """
    from filelock import FileLock, Timeout

    path = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.lock"
    lock = FileLock(str(path), timeout=0, mode=0o600)
    try:
        private_folder(folder)
        lock.acquire()
    except Timeout:
        raise RunBusyError from None
    except (OSError, NotImplementedError) as error:
        raise JournalError(
            f"{path}: {getattr(error, 'strerror', None) or error}",
            "Check that the state folder can be written and locked, or name another with --state-dir.",
        ) from error
    try:
        yield HeldLock(path)
    finally:
        with suppress(OSError):
            lock.release()
