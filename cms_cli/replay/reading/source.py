"""Opens an input, a file or a pipe, so that it can be read repeatedly and is identified by its SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from cms_cli.replay.model import InputError
from cms_cli.replay.tempfiles import room_for

STDIN = "-"
"""The path that means standard input."""

_BLOCK = 1024 * 1024
_GZIP = b"\x1f\x8b"
_COPY = "a copy of the input"


@dataclass(frozen=True)
class Source:
    """An open input.

    Attributes:
        name: Its name, for people.
        path: The absolute path of the file; None for stdin and pipes.
        stream: Its bytes, seekable.
        file: The ``stat`` of the file, by which it is recognised, also if stdin is a file; None for a pipe.
        size: The number of bytes in ``stream``.
        sha256: The SHA-256 of the input in hexadecimal; for a gzip file, before it is unpacked.
        unpacked: Whether ``stream`` is a temporary file with the content of a gzip file.
    """

    name: str
    path: Path | None
    stream: BinaryIO
    file: os.stat_result | None
    size: int
    sha256: str
    unpacked: bool = False

    def rewound(self) -> BinaryIO:
        """Return the stream, moved to its beginning."""
        self.stream.seek(0)
        return self.stream

    @contextmanager
    def named(self) -> Iterator[None]:
        """Add the input's name to the errors that the block raises.

        Raises:
            InputError: An error of the block, with the name before its message.
        """
        try:
            yield
        except UnreadableError:  # its message has the name already
            raise
        except InputError as error:
            raise InputError(f"{self.name}: {error.message}", error.hint) from None

    def check_unchanged(self) -> None:
        """Check that the file still has the bytes whose SHA-256 was computed.

        Raises:
            InputError: The file was changed meanwhile.
        """
        if self.unpacked:  # the copy is private to this process
            return
        if os.fstat(self.stream.fileno()).st_size != self.size or sha256_of(self.rewound()) != self.sha256:
            raise InputError(
                f"{self.name} was changed while it was read", "Run the command again when it is complete."
            )


class UnreadableError(InputError):
    """The operating system cannot read an input. The message names it."""


class _NamedFile(io.FileIO):
    """A file whose read errors name it, even later on, such as after its drive was removed."""

    def readinto(self, buffer: Any) -> Any:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise _unreadable(str(self.name), error) from error


def _unreadable(path: str, error: OSError) -> UnreadableError:
    return UnreadableError(f"{path}: {error.strerror or error}", "Name a file that can be read, or - for stdin.")


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open an input. A pipe is first copied to a temporary file, which only this user can read.

    Args:
        path: The path of the file, or ``-`` for stdin.

    Raises:
        InputError: The input cannot be read.
        MachineError: There is no room for the temporary file.
    """
    try:
        stream: IO[bytes]
        if path == STDIN:
            if sys.stdin is None:  # closed by the shell (<&-)
                raise InputError("standard input is closed", "Write to it, or name a file.")
            name, file, stream = "standard input", None, _spooled(sys.stdin.buffer)
            known = _regular(sys.stdin.buffer)
        else:
            # Closed below: as `stream`, or once it is copied.
            opened = io.BufferedReader(_NamedFile(path))
            name, file, stream = path, Path(path).absolute(), opened
            known = _regular(opened)
            if known is None:
                with opened:
                    file, stream = None, _spooled(opened)
    except OSError as error:
        raise _unreadable(path, error) from error
    with stream:
        sha256 = sha256_of(stream)
        size = stream.tell()
        # A name that is not in the system's encoding has lone surrogates, which cannot be stored.
        label = os.fsencode(name).decode(errors="backslashreplace")
        stream.seek(0)
        if stream.read(len(_GZIP)) != _GZIP:
            yield Source(label, file, cast(BinaryIO, stream), known, size, sha256)
            return
        with _unpacked(stream, label) as content:
            size = content.seek(0, os.SEEK_END)
            yield Source(label, file, cast(BinaryIO, content), known, size, sha256, unpacked=True)


def _unpacked(stream: IO[bytes], name: str) -> IO[bytes]:
    """Return a temporary file with the content of a gzip file."""
    import gzip
    import zlib

    stream.seek(0)
    try:
        return _spooled(cast("IO[bytes]", gzip.GzipFile(fileobj=stream)))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"{name} is a gzip file that cannot be unpacked: {error}", "It is damaged or cut off: fetch it again."
        ) from None


def _regular(stream: IO[bytes]) -> os.stat_result | None:
    """Return the ``stat`` of a regular file; None for anything else."""
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _spooled(pipe: IO[bytes]) -> IO[bytes]:
    with room_for(_COPY):
        copy = tempfile.TemporaryFile(prefix="cms-")  # noqa: SIM115 - closed by open_source
    try:
        while block := pipe.read(_BLOCK):
            with room_for(_COPY):
                copy.write(block)
        with room_for(_COPY):
            copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy


def sha256_of(stream: IO[bytes]) -> str:
    """Return the SHA-256 of all bytes of a stream, in hexadecimal."""
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
