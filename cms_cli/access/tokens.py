"""The sources of tokens."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from cms_cli.config.homes import expanded
from cms_cli.config.origin import Origin
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    import subprocess

COMMAND_SECONDS = 60.0
"""The time limit of a ``token_command``: somebody may have to type a passphrase or touch a key."""

_LONGEST = 64 * 1024  # bytes; no header takes more, and /dev/zero must not fill the memory

_VARIABLE = "CMS_BEARER_TOKEN"
_QUOTES = "\"'`\u201c\u201d\u2018\u2019"

HOW_TO_GET_ONE = (
    "Store one with `cms auth login`, set CMS_BEARER_TOKEN, or name a file with --token-file;"
    " --sandbox and --dry-run need none"
)


class TokenError(CommandError):
    """There is no token, or none that can be used."""

    code = ExitCode.AUTH


@dataclass(frozen=True)
class Token:
    """A token that can be sent.

    Attributes:
        value: The token itself.
        origin: Its origin.
        profile: The profile of the config file that it belongs to, or None.
    """

    value: str = field(repr=False)
    origin: Origin
    profile: str | None = None


@dataclass(frozen=True)
class TokenSource:
    """A place that may hold a token.

    Attributes:
        origin: Which.
        fetch: Gets the text. May run a command or read a file; raises TokenError.
        profile: The profile of the config file that it belongs to, or None.
        at_hand: Whether getting it neither runs a command nor reads stdin.
    """

    origin: Origin
    fetch: Callable[[], str] = field(repr=False)
    profile: str | None = None
    at_hand: bool = True

    def token(self) -> Token:
        """Get the token.

        Raises:
            TokenError: It cannot be fetched, or what was fetched is no token.
        """
        return Token(checked(self.fetch(), str(self.origin)), self.origin, self.profile)


def checked(text: str, where: str, hint: str = "") -> str:
    """Return the token in a text, without the spaces and line breaks around it.

    Args:
        text: The text, which no message quotes.
        where: Its origin, for messages.
        hint: The hint if the text is empty.

    Raises:
        TokenError: There is none in it, or no HTTP header could carry it.
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
    """Read a token file; ``-`` is stdin.

    Raises:
        TokenError: It cannot be read.
    """
    try:
        if name == "-":
            data = sys.stdin.buffer.read(_LONGEST) if sys.stdin is not None else b""
        else:
            with expanded(name).open("rb") as file:
                data = file.read(_LONGEST)
    except OSError as error:
        raise TokenError(f"--token-file {name}: {error.strerror or error}") from None
    return _decoded(data)


def from_command(command: str | list[str], where: str) -> str:
    """Run a command that prints a token.

    Args:
        command: Text for the shell, or a list of words that no shell sees.
        where: The command's name in messages: its key in the config file.

    Raises:
        TokenError: It failed, said nothing, or took longer than a minute. What it wrote to stderr is shown, what it
            wrote to stdout never.
    """
    import subprocess

    environment = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    try:
        process = subprocess.Popen(  # noqa: S603 - a line of the user's own config file
            command,
            shell=isinstance(command, str),
            stdin=subprocess.DEVNULL,  # a replay may be reading its file from stdin
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
    """Read what a command prints, until it ends or has printed more than a token can be.

    Raises:
        subprocess.TimeoutExpired: It takes longer than a minute.
    """
    import threading

    def read(stream: IO[bytes], at: int) -> None:
        with stream:
            read_of[at] = stream.read(_LONGEST + 1)
            while at and stream.read(_LONGEST):  # a log of any length is read and dropped
                pass

    assert process.stdout is not None
    assert process.stderr is not None
    read_of = [b"", b""]
    streams = enumerate((process.stdout, process.stderr))
    # Daemon threads: processes that the command has started may keep its outputs open for ever.
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
    # PowerShell writes a byte order mark, and before version 6 its `>` writes UTF-16. What is not text at all fails
    # the check for a header's characters.
    utf_16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if utf_16 else "utf-8-sig", "replace")
