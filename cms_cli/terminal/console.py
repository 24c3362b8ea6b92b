"""Where a command's words go, and in what dress."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from cms_cli.terminal import text as texts
from cms_cli.terminal.actions import in_actions

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

    from cms_cli.terminal.waiting import Waiting

RED, YELLOW = "\x1b[31m", "\x1b[33m"
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
# A command that a message ends with, or has between backticks.
_COPIED = re.compile(r"(?<=: )(?:cms|chmod) [^;]+|`[^`]+`")
_NO_BREAK = "\0"  # stands for a blank; no text that is shown has any


class Console:
    """stdout for the result and nothing else; stderr for everything else.

    Args:
        quiet: Leave notes and warnings out. Errors still show.
        verbose: Show requests and answers.
        no_color: Use no colour, whatever the terminal can.
        place: The flags that say where journal and settings are, which the next command needs too.
        account: Likewise those that say whose token is used.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        no_color: bool = False,
        place: str = "",
        account: str = "",
    ) -> None:
        self.quiet = quiet
        self._place = place
        self._account = account
        self.verbose = verbose
        dumb = os.environ.get("TERM") == "dumb"
        self._colorless = no_color or dumb or bool(os.environ.get("NO_COLOR"))
        self.draws_on_stdout = _is_terminal(sys.stdout) and not dumb
        """Whether tables on stdout may be drawn, and made to fit its width."""
        self.draws_on_stderr = _is_terminal(sys.stderr) and not dumb
        """Whether a bar or spinner on stderr may be drawn over itself."""
        self._waiting: Waiting | None = None
        # A regular file is no log: what scripts write there has to stay as it is.
        self._defuses = in_actions()
        self._defuses_stdout = self._defuses and not _is_file(sys.stdout)

    @property
    def asks(self) -> bool:
        """Whether there is somebody to ask: stdin and stderr are both terminals."""
        return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    @property
    def columns(self) -> int:
        """How wide the terminal on stderr is."""
        import shutil

        try:
            # Not shutil's answer, which is stdout's: with that in a file, a bar that is drawn for 80 columns breaks
            # on a narrower terminal, and each drawing of it stays there as a line of its own.
            found = os.get_terminal_size(sys.stderr.fileno()).columns
        except (AttributeError, OSError, ValueError):
            found = 0
        # A terminal may say 0, and shutil passes that on.
        return found or shutil.get_terminal_size().columns or 80

    def next_command(self, words: str, *, sends: bool = False) -> str:
        """Give a command to go on with, to be copied: with those flags of this one that it needs as well."""
        return f"cms {words}{self._place}{self._account if sends else ''}"

    def result(self, text: str) -> None:
        """Write lines of the result.

        Raises:
            OSError: stdout cannot take them (a full disk). A closed pipe is no error.
        """
        text = texts.masked(text)
        self._write(sys.stdout, texts.defused(text) if self._defuses_stdout else text)

    def data(self, text: str, encoding: str = "utf-8") -> None:
        """Write lines of a file that others read: as they are, and escaped only where a terminal shows them.

        Args:
            text: The lines.
            encoding: The file's, whatever the locale's may be; a terminal has its own.
        """
        if _is_terminal(sys.stdout):
            self.result(texts.shown_lines(text))
            return
        _use_encoding(sys.stdout, encoding)
        self.result(text)

    def document(self, value: object, form: str) -> None:
        """Write the result as JSON: one line where ``form`` is ``jsonl``, else as people like to read it."""
        if form == "jsonl":
            self.json_line(value)
        else:
            self.json(value)

    def json(self, value: object) -> None:
        """Write the result as one JSON document."""
        self._json(texts.to_json(value, indent=2))

    def json_line(self, value: object) -> None:
        """Write one line of JSON Lines."""
        self._json(texts.to_json(value))

    def _json(self, text: str) -> None:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            # The terminal or locale cannot show it; as an escape every JSON reader understands it.
            text = "".join(char if ord(char) < 128 else _json_escape(char) for char in text)
        self._write(sys.stdout, texts.defused_json(texts.masked(text)) if self._defuses else texts.masked(text))

    def note(self, text: str) -> None:
        """Tell what is going on; not with ``--quiet``."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Tell of something that may be wrong; not with ``--quiet``."""
        if not self.quiet:
            self._say(text, "warning:", YELLOW)

    def error(self, message: str, hint: str = "") -> None:
        """Tell what went wrong, and what to do about it."""
        self._say(message, "error:", RED)
        if hint:
            self._say(hint)

    def for_ci(self, command: str) -> None:
        """Write a command to the CI system that reads this log; its text has been escaped as it asks."""
        self._write(sys.stderr, texts.masked(command))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show a sign of life while the block takes longer than a moment; on a terminal only."""
        from cms_cli.terminal.waiting import seconds_gone

        with self.waiting_with(seconds_gone(texts.masked(texts.shown(text)))):
            yield

    @contextmanager
    def patience(self, text: str) -> Iterator[None]:
        """Say once, on a terminal, that the block takes longer than a moment.

        For what may ask something there itself: a spinner would write into the answer.
        """
        from threading import Timer

        from cms_cli.terminal.waiting import MOMENT

        timer = Timer(MOMENT, self.note, [text])
        timer.daemon = True
        if self.draws_on_stderr:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def waiting_with(self, words: Callable[[int], str]) -> Waiting:
        """Give a spinner with changing words, to be started; it makes way for everything that is written.

        Args:
            words: Gives what is shown in at most so many columns; called from another thread.
        """
        from cms_cli.terminal.waiting import Waiting

        self._waiting = Waiting(self, words)
        return self._waiting

    def styled(self, text: str, style: str) -> str:
        """Give text in a colour, where stderr is a terminal that wants any."""
        return f"{style}{text}{_PLAIN}" if self.draws_on_stderr and not self._colorless else text

    def heading(self, text: str) -> str:
        """Give a heading for stdout: bold where it is a terminal that wants any style."""
        return f"{_BOLD}{text}{_PLAIN}" if self.draws_on_stdout and not self._colorless else text

    def rich(self, *, stderr: bool = False) -> RichConsole:
        """Give a rich console that takes text as text: no markup, no emoji, no highlighting.

        Where nothing can be drawn it has no colour, and so many columns that nothing is cut.
        """
        from rich.console import Console as RichConsole

        draws = self.draws_on_stderr if stderr else self.draws_on_stdout
        return RichConsole(
            stderr=stderr,
            force_terminal=draws,
            no_color=self._colorless,
            color_system=None if self._colorless or not draws else "auto",
            markup=False,
            emoji=False,
            highlight=False,
            width=None if draws else 100_000,
        )

    def _say(self, text: str, label: str = "", style: str = "") -> None:
        text = texts.masked(texts.shown_lines(f"{label} {text}" if label else text))
        if self._defuses:
            text = texts.defused(text)
        if self.draws_on_stderr:
            text = _folded(text, self.columns)
        # Styled last, so that the width of a line is that of its words.
        self._write(sys.stderr, self.styled(label, style) + text[len(label) :])

    def _write(self, stream: TextIO | None, line: str) -> None:
        if self._waiting is not None and (stream is not sys.stdout or self.draws_on_stdout):
            with self._waiting.aside():
                write(stream, line + "\n")
        else:
            write(stream, line + "\n")


def write(stream: TextIO | None, text: str) -> None:
    """Write text at once.

    What the stream's encoding lacks is written as an escape. Nobody listening any more (a closed pipe) is no
    error: what is left goes nowhere, and the command still ends with the code of what it did.

    Raises:
        OSError: stdout cannot take it (a full disk).
    """
    if stream is None:  # closed before we began (``>&-``)
        return
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as error:
        # EIO is what a terminal that was closed answers.
        if error.errno in (errno.EPIPE, errno.EIO):
            _stop_writing_to(stream)
        elif stream is sys.stdout:
            raise OSError(error.errno, error.strerror, "the result cannot be written") from error
        # A log that takes no more does not keep a replay from going on, and there is nobody to tell.


def _stop_writing_to(stream: TextIO) -> None:
    # The stream still holds what it could not write, and would try again when the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _use_encoding(stream: TextIO | None, encoding: str) -> None:
    if isinstance(stream, io.TextIOWrapper) and stream.encoding != encoding:
        stream.reconfigure(encoding=encoding, newline="\n")


def _is_terminal(stream: TextIO | None) -> bool:
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


def _folded(text: str, columns: int) -> str:
    """Break lines between words where the terminal would break them anywhere.

    A path, a URL or JSON is left to the terminal, and a command stays on one line where it can: broken by us, they
    could not be copied.
    """
    if all(texts.width(line) <= columns for line in text.split("\n")):
        return text
    import textwrap

    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        whole = _COPIED.sub(lambda match: match[0].replace(" ", _NO_BREAK), line)
        lines += textwrap.wrap(
            whole, columns, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
        ) or [""]
    return "\n".join(lines).replace(_NO_BREAK, " ")


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
