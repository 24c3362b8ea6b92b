"""Gets tokens from their sources: files, commands, variables and the config file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, TYPE_CHECKING, BinaryIO

from cms_cli.config.homes import expanded
from cms_cli.config.origin import Origin
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    import subprocess

COMMAND_SECONDS = 60.0
"""The time limit of a ``token_command``, which may ask for a passphrase or the touch of a key."""

_LONGEST = 64 * 1024  # bytes; no server accepts longer headers, and /dev/zero must not fill the memory

_VARIABLE = "CMS_BEARER_TOKEN"
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"

HOW_TO_GET_ONE = (
    "Store one with `cms auth login`, set CMS_BEARER_TOKEN, or name a file with --token-file;"
    " --sandbox and --dry-run need none"
)


class TokenError(CommandError):
    """Raised if there is no token, or none that can be used."""

    code = ExitCode.AUTH


@dataclass(frozen=True)
class Token:
    """A token, ready to be sent.

    Attributes:
        value: The token itself.
        origin: Its origin.
        profile: The profile that it belongs to, or None if it is not from the config file.
    """

    value: str = field(repr=False)
    origin: Origin
    profile: str | None = None


@dataclass(frozen=True)
class TokenSource:
    """A source of a token.

    Attributes:
        origin: The origin of the token.
        fetch: Returns the text with the token. May run a command or read a file, and raise TokenError.
        profile: The profile that the token belongs to, or None if it is not from the config file.
        at_hand: Whether ``fetch`` neither runs a command nor reads stdin.
    """

    origin: Origin
    fetch: Callable[[], str] = field(repr=False)
    profile: str | None = None
    at_hand: bool = True

    def token(self) -> Token:
        """Fetch and check the token.

        Raises:
            TokenError: It cannot be fetched, or is no token.
        """
        return Token(checked(self.fetch(), str(self.origin)), self.origin, self.profile)


def checked(text: str, where: str, hint: str = "") -> str:
    """Return the token in a text, without the white space around it.

    Args:
        text: The text. No message quotes it.
        where: The origin of the text, for messages.
        hint: The hint for a text that is empty; by default, how to get a token.

    Raises:
        TokenError: The text is empty, or cannot be sent in an HTTP header as a token.
    """
    token = text.strip()
    if not token:
        raise TokenError(f"{where}: the token is empty", hint or HOW_TO_GET_ONE)
    if token.lower().startswith("bearer "):
        raise TokenError(f'{where}: the token must not begin with "Bearer": keep only what follows it')
    if token.startswith(f"{_VARIABLE}="):
        raise TokenError(
            f"{where}: the token begins with {_VARIABLE}=",
            "Keep the token alone: a line of an env file has the variable's name before it.",
        )
    if token[0] in _QUOTES and token[-1] in _QUOTES:
        raise TokenError(
            f"{where}: the token is in quotation marks",
            "Keep the token alone: docker's --env-file and a token file take quotation marks for a part of it.",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError(
            f"{where}: the token has a space, a line break or another character that no header can carry",
            "Check that the whole token was copied, and nothing else",
        )
    return token


def from_file(name: str) -> str:
    """Return the text of a token file; ``-`` is stdin.

    Raises:
        TokenError: The file cannot be read.
    """
    try:
        if name == "-":
            data = _read_once(sys.stdin.buffer) if sys.stdin is not None else b""
        else:
            with expanded(name).open("rb") as file:
                data = file.read(_LONGEST)
    except OSError as error:
        raise TokenError(f"--token-file {name}: {error.strerror or error}") from None
    return _decoded(data)


@lru_cache(maxsize=1)
def _read_once(stream: BinaryIO) -> bytes:
    """Return the beginning of a stream, also in a second call: ``runs resume --all`` asks again for each run."""
    return stream.read(_LONGEST)


def from_command(command: str | list[str], where: str) -> str:
    """Run a command that prints a token, and return its output.

    Args:
        command: A string for the shell, or a list of words to run without a shell.
        where: The command's key in the config file, for messages.

    Raises:
        TokenError: The command failed, printed nothing or several lines, or took longer than ``COMMAND_SECONDS``.
            The message quotes its stderr, never its stdout.
    """
    import subprocess

    environment = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    try:
        process = subprocess.Popen(  # noqa: S603 - a line of the user's own config file
            command,
            shell=isinstance(command, str),
            stdin=subprocess.DEVNULL,  # stdin may be the file of a replay
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        raise TokenError(f"{where}: cannot be run: {error.strerror or error}") from None
    try:
        out, err = _outputs_of(process)
    except subprocess.TimeoutExpired:
        raise TokenError(f"{where}: gave no token within {COMMAND_SECONDS:.0f} s") from None
    finally:
        process.kill()  # if it is still running
        process.wait()
    if len(out) > _LONGEST:
        raise TokenError(f"{where}: the command printed more than {_LONGEST // 1024} KiB, which is no token")
    said = err.decode("utf-8", "replace").strip()
    said = f":\n{said}" if said else ""
    if process.returncode != 0:
        raise TokenError(f"{where}: the command failed with code {process.returncode}{said}")
    if not out.strip():
        raise TokenError(f"{where}: the command printed no token{said}")
    if len(out.strip().splitlines()) > 1:
        raise TokenError(
            f"{where}: the command printed more than one line", "Make it print the token only: | head -n 1"
        )
    return _decoded(out)


def _outputs_of(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Return a command's stdout and stderr, once it ends or has printed more than the longest token.

    Raises:
        subprocess.TimeoutExpired: It takes longer than ``COMMAND_SECONDS``.
    """
    import threading

    def read(stream: IO[bytes], at: int) -> None:
        with stream:
            read_of[at] = stream.read(_LONGEST + 1)
            while at and stream.read(_LONGEST):  # drop the rest of stderr, so that the command is not blocked
                pass

    assert process.stdout is not None
    assert process.stderr is not None
    read_of = [b"", b""]
    streams = enumerate((process.stdout, process.stderr))
    # Daemon threads, since a child of the command may keep its outputs open forever.
    readers = [threading.Thread(target=read, args=(stream, at), daemon=True) for at, stream in streams]
    deadline = time.monotonic() + COMMAND_SECONDS
    for reader in readers:
        reader.start()
    readers[0].join(COMMAND_SECONDS)
    if len(read_of[0]) <= _LONGEST:
        process.wait(max(0.0, deadline - time.monotonic()))
        readers[1].join(1.0)
    return read_of[0], read_of[1][:_LONGEST]


def _decoded(data: bytes) -> str:
    # PowerShell's `>` writes a byte order mark, and before version 6 UTF-16. checked() refuses what is not text.
    utf_16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if utf_16 else "utf-8-sig", "replace")
