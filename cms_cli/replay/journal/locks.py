"""Lock files: only one process at a time holds a run. The system frees the lock of a process that has ended."""

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
            JournalError: The file was removed, so another process may hold the run as well.
        """
        if identity_of(self._path) != self._file:
            raise JournalError(
                f"{self._path} was removed while this run was at work, so another process may take the run over",
                "Exclude the state folder from clean-up jobs. The same command resumes the run.",
            )


@contextmanager
def hold(folder: Path, identity: str) -> Iterator[HeldLock]:
    """Hold a lock for this process while the block runs.

    Args:
        folder: The folder of the lock files.
        identity: The text that identifies the lock; the file's name is its hash.

    Raises:
        RunBusyError: Another process holds the lock.
        JournalError: The folder of lock files cannot be written.
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
