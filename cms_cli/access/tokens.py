"""Where a token can come from, and getting it from there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from cms_cli.config.homes import expanded
from cms_cli.config.origin import Origin
from cms_cli.errors import CommandError
from cms_cli.exit_codes import ExitCode

COMMAND_SECONDS = 60.0
"""How long a ``token_command`` may take: somebody may have to type a passphrase or touch a key."""

_LONGEST = 64 * 1024  # bytes; no header takes more, and /dev/zero must not fill the memory

HOW_TO_GET_ONE = (
    "keep one with `cms auth login`, set CMS_BEARER_TOKEN, or name a file with --token-file;"
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
        origin: Where it came from.
        profile: The profile of the config file that it belongs to, or None.
    """

    value: str = field(repr=False)
    origin: Origin
    profile: str | None = None


@dataclass(frozen=True)
class TokenSource:
    """A place that has a token.

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


def checked(text: str, where: str) -> str:
    """Give the token in a text, without the blanks and line breaks around it.

    Args:
        text: The text, which no message quotes.
        where: Where it came from, for messages.

    Raises:
        TokenError: There is none in it, or no HTTP header could carry it.
    """
    token = text.strip()
    if not token:
        raise TokenError(f"{where}: the token is empty", HOW_TO_GET_ONE)
    if token.lower().startswith("bearer "):
        raise TokenError(f'{where}: the token itself is wanted, without "Bearer" before it')
    if not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError(
            f"{where}: the token has a blank, a line break or another character that no header can carry",
            "check that the whole token was copied, and nothing else",
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

    try:
        process = subprocess.Popen(  # noqa: S603 - a line of the user's own config file
            command,
            shell=isinstance(command, str),
            stdin=subprocess.DEVNULL,  # a replay may be reading its file from stdin
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise TokenError(f"{where}: cannot be run: {error.strerror or error}") from None
    with process:
        try:
            out, err = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise TokenError(f"{where}: gave no token within {COMMAND_SECONDS:.0f} s") from None
        except BaseException:
            process.kill()
            raise
    said = err.decode("utf-8", "replace").strip()
    said = f":\n{said}" if said else ""
    if process.returncode != 0:
        raise TokenError(f"{where}: the command failed with code {process.returncode}{said}")
    if not out.strip():
        raise TokenError(f"{where}: the command printed no token{said}")
    if len(out.strip().splitlines()) > 1:
        raise TokenError(
            f"{where}: the command printed more than one line", "have it print the token only: | head -n 1"
        )
    return _decoded(out)


def _decoded(data: bytes) -> str:
    # PowerShell writes a byte order mark, and before version 6 its `>` writes UTF-16. What is not text at all fails
    # the check for a header's characters.
    utf_16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if utf_16 else "utf-8-sig", "replace")
