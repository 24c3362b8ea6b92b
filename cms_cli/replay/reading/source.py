"""The input's bytes, from a file or a pipe, read as often as needed and identified by their SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from cms_cli.replay.model import InputError
from cms_cli.replay.tempfiles import room_for, temporary

STDIN = "-"
"""The path that stands for standard input."""

_BLOCK = 1024 * 1024
_GZIP = b"\x1f\x8b"
_COPY = "a copy of the input"


@dataclass(frozen=True)
class Source:
    """An open input.

    Attributes:
        name: Its name, for people.
        path: The file, absolute; None for a pipe.
        stream: Its bytes; seekable.
        file: The system's identity of the file, also if stdin comes from one; None for a pipe.
        size: Their number.
        sha256: The SHA-256 of the input itself, hexadecimal; of a gzip file, before it is unpacked.
        unpacked: Whether the stream is a gzip file's content, in a temporary copy.
    """

    name: str
    path: Path | None
    stream: BinaryIO
    file: os.stat_result | None
    size: int
    sha256: str
    unpacked: bool = False

    def rewound(self) -> BinaryIO:
        """Return the stream, at its beginning."""
        self.stream.seek(0)
        return self.stream

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the input in an error of reading it, as a context.

        Raises:
            InputError: What was raised, with the name before it.
        """
        try:
            yield
        except UnreadableError:  # has the name
            raise
        except InputError as error:
            raise InputError(f"{self.name}: {error.message}", error.hint) from None

    def check_unchanged(self) -> None:
        """Check that the bytes read are those whose SHA-256 was taken.

        Raises:
            InputError: The file has been written to meanwhile.
        """
        if self.unpacked:  # the copy is private to this process
            return
        if os.fstat(self.stream.fileno()).st_size != self.size or sha256_of(self.rewound()) != self.sha256:
            raise InputError(
                f"{self.name} was changed while it was read", "Run the command again when it is complete."
            )


class UnreadableError(InputError):
    """The system cannot read an input, which the message names."""


class _NamedFile(io.FileIO):
    """A file whose errors name it, however late they come, as from a drive that was removed."""

    def readinto(self, buffer: Any) -> Any:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise _unreadable(str(self.name), error) from error


def _unreadable(path: str, error: OSError) -> UnreadableError:
    return UnreadableError(f"{path}: {error.strerror or error}", "Name a file that can be read, or - for stdin.")


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open an input; a pipe's bytes are first copied to a temporary file that nobody else can read.

    Raises:
        InputError: It cannot be read.
        MachineError: There is no room for the copy.
    """
    try:
        stream: IO[bytes]
        if path == STDIN:
            if sys.stdin is None:  # as a shell's <&- leaves it
                raise InputError("standard input is closed", "Write to it, or name a file.")
            name, file, stream = "standard input", None, _spooled(sys.stdin.buffer)
            known = _regular(sys.stdin.buffer)
        else:
            # Closed below, whichever of the two streams it became.
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
        # A name that is not in the system's encoding is no text, and cannot be kept.
        told = os.fsencode(name).decode(errors="backslashreplace")
        stream.seek(0)
        if stream.read(len(_GZIP)) != _GZIP:
            yield Source(told, file, cast(BinaryIO, stream), known, size, sha256)
            return
        with _unpacked(stream, told) as content:
            size = content.seek(0, os.SEEK_END)
            yield Source(told, file, cast(BinaryIO, content), known, size, sha256, unpacked=True)


def _unpacked(stream: IO[bytes], name: str) -> IO[bytes]:
    """Return the content of a gzip file, in a temporary file."""
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
    """Return the system's identity of a regular file; None for any other."""
    try:
        found = os.fstat(stream.fileno())
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _spooled(pipe: IO[bytes]) -> IO[bytes]:
    with room_for(_COPY):
        copy = temporary()  # closed by open_source
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
    """Return the SHA-256 of all bytes of a stream, hexadecimal."""
    stream.seek(0)
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
