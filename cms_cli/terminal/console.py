"""Writes to stdout and stderr, styled on a terminal."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO

from cms_cli.terminal import text as texts
from cms_cli.terminal.actions import in_actions

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

_CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
"""ANSI codes for lines that are written without rich, since importing it takes longer than most commands."""


class Console:
    """Writes the result to stdout, and everything else to stderr.

    Args:
        quiet: Leave out notes and warnings, but not errors.
        verbose: Show requests and answers.
        no_color: Use no colour.
        location_flags: The given flags that locate journal and config file, ``" --config FILE"``. Every suggested
            command repeats them.
        account_flags: The given flags that choose the token. Suggested commands that send repeat them.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
        location_flags: str = "",
        account_flags: str = "",
    ) -> None:
        self.quiet = quiet
        self._location_flags = location_flags
        self._account_flags = account_flags
        self.verbose = verbose
        dumb = os.environ.get("TERM") == "dumb"
        self.draws_on_stdout = is_terminal(sys.stdout) and not dumb
        """Whether tables on stdout are drawn with rich, and fitted to the terminal's width."""
        self.draws_on_stderr = is_terminal(sys.stderr) and not dumb
        """Whether a bar or spinner on stderr can be redrawn."""
        plain = no_color or bool(os.environ.get("NO_COLOR"))
        forced = os.environ.get("FORCE_COLOR", "") not in ("", "0")
        self.colors_stdout = not plain and (forced or self.draws_on_stdout)
        self.colors_stderr = not plain and (forced or self.draws_on_stderr)
        self._live: RichConsole | None = None
        # Defuse a log, but not a regular file, whose content has to stay as it is.
        self._defuses = in_actions()
        self._defuses_stdout = self._defuses and not _is_file(sys.stdout)

    @property
    def asks(self) -> bool:
        """True if a question can be asked: stdin and stderr are both terminals."""
        return is_terminal(sys.stdin) and is_terminal(sys.stderr)

    def next_command(self, words: str, *, sends: bool = False) -> str:
        """Return a command for the user to copy, with the flags of this command that it needs too.

        Args:
            words: The command without ``cms``, as in ``runs list``.
            sends: Whether it needs a token.
        """
        return f"cms {words}{self._location_flags}{self._account_flags if sends else ''}"

    def result(self, text: str) -> None:
        """Write lines of the result.

        Raises:
            OSError: stdout cannot take them (a full disk). A closed pipe is no error.
        """
        text = texts.masked(text)
        self._write(sys.stdout, texts.defused(text) if self._defuses_stdout else text)

    def data(self, text: str, encoding: str = "utf-8") -> None:
        """Write lines of a data file: escaped on a terminal, elsewhere unchanged and in the file's encoding.

        Args:
            text: The lines.
            encoding: The file's encoding, used instead of the locale's.
        """
        if is_terminal(sys.stdout):
            self.result(texts.shown_lines(text))
            return
        _use_encoding(sys.stdout, encoding)
        self.result(text)

    def document(self, value: object, form: str) -> None:
        """Write the result as JSON: in one line if ``form`` is ``jsonl``, else indented."""
        if form == "jsonl":
            self.json_line(value)
        else:
            self.json(value)

    def json(self, value: object) -> None:
        """Write the result as one JSON document."""
        self._json(texts.to_json(value, indent=2))
        _documents.append(sys.stdout)

    def json_line(self, value: object) -> None:
        """Write one line of JSON Lines."""
        self._json(texts.to_json(value))

    def _json(self, text: str) -> None:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            # The stream's encoding lacks a character. JSON has an escape for each.
            text = "".join(char if ord(char) < 128 else _json_escape(char) for char in text)
        self._write(sys.stdout, texts.defused_json(texts.masked(text)) if self._defuses else texts.masked(text))

    def note(self, text: str) -> None:
        """Write a status line to stderr, unless ``--quiet`` was given."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Write a warning to stderr, unless ``--quiet`` was given."""
        if not self.quiet:
            self._say(self._wrapped(text, "warning:"), "warning:", "yellow")

    def error(self, message: str, hint: str = "") -> None:
        """Write an error and its hint to stderr."""
        self._say(self._wrapped(message, "error:"), "error:", "bold red")
        if hint:
            self._say(self._wrapped(texts.sentence(hint)))

    def for_ci(self, command: str) -> None:
        """Write a workflow command to the log for the CI system to read; its text must be escaped already."""
        self._write(sys.stderr, texts.masked(command))

    def waiting(self, text: str) -> AbstractContextManager[object]:
        """Show a spinner, on a terminal only, if the block takes longer than ``spinner.MOMENT``."""
        if self.quiet or not self.draws_on_stderr:
            return nullcontext()
        from cms_cli.terminal.spinner import Spinner

        return Spinner(self, texts.masked(texts.shown(text)))

    @contextmanager
    def patience(self, text: str) -> Iterator[None]:
        """Write one line, on a terminal only, if the block takes longer than ``spinner.MOMENT``.

        This is for a block that may ask a question on the terminal, which a spinner would overwrite.
        """
        from threading import Timer

        from cms_cli.terminal.spinner import MOMENT

        timer = Timer(MOMENT, self.note, [text])
        timer.daemon = True
        if self.draws_on_stderr:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def beside(self, live: RichConsole) -> Iterator[None]:
        """Write to stderr above the bar or spinner that ``live`` draws while the block runs."""
        self._live = live
        try:
            yield
        finally:
            self._live = None

    def styled(self, text: str, style: str, *, stdout: bool = False) -> str:
        """Return text in a style such as ``red`` or ``bold cyan``, or unchanged if the stream has no colour."""
        colors = self.colors_stdout if stdout else self.colors_stderr
        codes = ";".join(_CODES[each] for each in style.split())
        return f"\x1b[{codes}m{text}\x1b[0m" if colors and codes else text

    def rich(self, *, stderr: bool = False) -> RichConsole:
        """Return a rich console without markup, emoji and highlighting.

        If the stream is not a terminal, it is so wide that nothing is cut.
        """
        from rich.console import Console as RichConsole

        draws = self.draws_on_stderr if stderr else self.draws_on_stdout
        colors = self.colors_stderr if stderr else self.colors_stdout
        return RichConsole(
            stderr=stderr,
            force_terminal=draws or colors,
            no_color=not colors,
            color_system="standard" if colors else None,
            markup=False,
            emoji=False,
            highlight=False,
            width=columns() if draws else 100_000,
        )

    def _wrapped(self, text: str, label: str = "") -> str:
        if not self.draws_on_stderr:
            return text
        from cms_cli.terminal.wrap import wrapped

        return wrapped(text, columns(), label)

    def _say(self, text: str, label: str = "", style: str = "") -> None:
        text = texts.masked(texts.shown_lines(f"{label} {text}" if label else text))
        if self._defuses:
            text = texts.defused(text)
        # Apply the style last, after escapes in the text are shown as text.
        self._write(sys.stderr, self.styled(label, style) + text[len(label) :])

    def _write(self, stream: TextIO | None, line: str) -> None:
        if self._live is not None and stream is sys.stderr:
            from rich.text import Text

            # Leave breaking long lines to the terminal, so that commands and paths can be copied.
            self._live.print(Text.from_ansi(line), soft_wrap=True)
        else:
            write(stream, line + "\n")


_documents: list[TextIO | None] = []


def has_document() -> bool:
    """Return True if a JSON document was already written to stdout, so that no second one may follow."""
    return any(stream is sys.stdout for stream in _documents)


def columns() -> int:
    """Return the width of the terminal or the value of COLUMNS, whichever is less; 80 if neither is known."""
    named = os.environ.get("COLUMNS", "")
    widths = [int(named)] if named.isdigit() and int(named) else []
    for stream in (sys.stderr, sys.stdout, sys.stdin):
        try:
            widths += filter(None, [os.get_terminal_size(stream.fileno()).columns])  # some terminals say 0
            break
        except (AttributeError, OSError, ValueError):
            continue
    return min(widths, default=shutil.get_terminal_size().columns)


def write(stream: TextIO | None, text: str) -> None:
    """Write text and flush.

    Characters that the stream's encoding lacks are escaped. If the reader of a pipe is gone, the text is dropped
    without an error, so that the exit code still tells what the command did.

    Raises:
        OSError: stdout cannot be written (a full disk).
    """
    if stream is None:  # closed by the shell (``>&-``)
        return
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        # EIO is the error of a terminal that was closed.
        if error.errno in (errno.EPIPE, errno.EIO):
            _stop_writing_to(stream)
        elif stream is sys.stdout:
            raise OSError(error.errno, error.strerror, "the result cannot be written") from error
        # If stderr cannot be written, the error cannot be shown either, and a replay goes on.


def _stop_writing_to(stream: TextIO) -> None:
    # The stream would try to write its buffer again when the interpreter exits.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _use_encoding(stream: TextIO | None, encoding: str) -> None:
    if isinstance(stream, io.TextIOWrapper) and stream.encoding != encoding:
        stream.reconfigure(encoding=encoding, newline="\n")


def is_terminal(stream: TextIO | None) -> bool:
    """Return True if a stream is open and a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _is_file(stream: TextIO | None) -> bool:
    import stat

    try:
        return stream is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
