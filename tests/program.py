"""Runs the real program in an environment built from scratch.

    result = program("lead", "--event-name", "signup", ..., env={"CMS_HOST": server.url})
    assert result.code == 0
    assert result.json["success"]

No CMS_* variable, home folder or proxy is inherited. Calling it runs the program inside the test process, from its
arguments to its exit code, with its own streams. Tests of pipes, signals, start-up or variables that Python itself
reads need a process: ``spawn`` runs it to its end, ``start`` leaves it running, and ``on_terminal`` runs it on a
pseudo-terminal and types there.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cms_cli

TOKEN = "tok_5b1f0c2d9e"
"""The token of all online runs. Not in a conftest.py, since importing one may find another folder's."""

_ROOT = Path(cms_cli.__file__).parent.parent
_KEPT = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP")
_MEASURING = "COVERAGE_"  # lets coverage measure the started processes, too
_READ_AT_THE_START = ("PYTHON", "LANG", "LC_", "TZ")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Opening the terminal makes it the controlling terminal, /dev/tty, which getpass reads from.
OWN_TERMINAL = (
    "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR));"
    " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@dataclass(frozen=True)
class Result:
    """The result of a run.

    Attributes:
        stdout: The output to stdout.
        stderr: The output to stderr.
        code: The exit code, or the negative number of the signal that ended it.
    """

    stdout: str
    stderr: str
    code: int

    @property
    def json(self) -> Any:
        """Return stdout, parsed as one JSON document."""
        return json.loads(self.stdout)

    @property
    def json_lines(self) -> list[Any]:
        """Return stdout, parsed as JSON Lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass(frozen=True)
class Screen:
    """The output on a terminal, stdout and stderr together.

    Attributes:
        raw: The output with its escapes.
        code: The exit code.
    """

    raw: str
    code: int

    @property
    def text(self) -> str:
        """Return the output without escapes and carriage returns."""
        return _ESCAPES.sub("", self.raw).replace("\r\n", "\n")


class Program:
    """The program with its own home folder.

    Args:
        home: The folder for home, config and state.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / "config.toml"
        self.state = home / "state"
        self.env: dict[str, str] = {
            **{name: text for name, text in os.environ.items() if name in _KEPT or name.startswith(_MEASURING)},
            "HOME": str(home),
            "USERPROFILE": str(home),
            "XDG_CONFIG_HOME": str(home / "xdg-config"),
            "XDG_STATE_HOME": str(home / "xdg-state"),
            "XDG_DATA_HOME": str(home / "xdg-data"),
            "XDG_CACHE_HOME": str(home / "xdg-cache"),
            "CMS_CONFIG": str(self.config),
            "CMS_STATE_DIR": str(self.state),
            "PYTHONPATH": str(_ROOT),
        }

    def __call__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: str | bytes = b"",
        cwd: Path | None = None,
    ) -> Result:
        """Run the program to its end inside the test process, which saves the start-up time.

        Args:
            arguments: Those of the command line.
            env: Variables besides the ones of every run.
            stdin: What it can read.
            cwd: The current folder; None for the home.
        """
        from cms_cli.app import main

        environment = {**self.env, **(env or {})}
        early = [
            name
            for name, text in environment.items()
            if name.startswith(_READ_AT_THE_START) and (name, text) != ("PYTHONPATH", str(_ROOT))
        ]
        assert not early, f"Python reads {early[0]} when it starts: use spawn()"
        stdout = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape")
        stderr = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
        with _fed(stdin) as source, _environment(environment, cwd or self.home):
            before = sys.stdin, sys.stdout, sys.stderr
            sys.stdin, sys.stdout, sys.stderr = source, stdout, stderr
            try:
                code = main(arguments)
            finally:
                sys.stdin, sys.stdout, sys.stderr = before
        return Result(*(_text(stream.buffer.getvalue()) for stream in (stdout, stderr)), code)

    def spawn(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: str | bytes = b"",
        timeout: float = 60.0,
        python: Sequence[str] = (),
        cwd: Path | None = None,
    ) -> Result:
        """Run the program to its end as a process.

        Args:
            arguments: Those of the command line.
            env: Variables besides the ones of every run.
            stdin: What it can read.
            timeout: Seconds after which the test fails.
            python: Flags for the interpreter.
            cwd: The current folder; None for the home.
        """
        done = subprocess.run(
            [sys.executable, *python, "-m", "cms_cli", *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**self.env, **(env or {})},
            cwd=cwd or self.home,
            timeout=timeout,
            check=False,
        )
        return Result(_text(done.stdout), _text(done.stderr), done.returncode)

    def complete(self, line: str, shell: str = "bash", **env: str) -> list[str]:
        """Return what a shell is offered for the last word of a command line."""
        words = line.split(" ")
        asked = {
            "_CMS_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": "\n".join(words),
            "COMP_CWORD": f"{len(words) - 1}",
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        result = self(env={**asked, **env})
        assert (result.code, result.stderr) == (0, ""), result
        return [each for each in result.stdout.splitlines() if each]

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the program and leave it running with stdout and stderr in pipes; the caller ends it."""
        return self.launch("-m", "cms_cli", *arguments, env=env)

    def launch(self, *python: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start Python with these arguments, and everything else as for :meth:`start`."""
        return subprocess.Popen(
            [sys.executable, *python],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.env, **(env or {})},
            cwd=self.home,
            encoding="utf-8",
        )

    def on_terminal(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (24, 80),
        typed: Sequence[tuple[str, str]] = (),
        timeout: float = 30.0,
    ) -> Screen:
        """Run the program to its end on a terminal.

        Args:
            arguments: Those of the command line.
            env: Additional variables; TERM is xterm-256color unless it is among them.
            size: Lines and columns.
            typed: Pairs of a text to wait for and a text to type then.
            timeout: Seconds after which the test fails.
        """
        import fcntl
        import pty
        import struct
        import termios

        ours, theirs = pty.openpty()
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            process = subprocess.Popen(
                [sys.executable, "-c", OWN_TERMINAL, "-m", "cms_cli", *arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env={**self.env, "TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})},
                cwd=self.home,
                start_new_session=True,
            )
            os.close(theirs)
            theirs = -1
            try:
                raw = _talk(ours, list(typed), time.monotonic() + timeout)
                code = process.wait(timeout)
            finally:
                process.kill()
                process.wait()
        finally:
            os.close(ours)
            if theirs >= 0:
                os.close(theirs)
        return Screen(raw, code)


@contextmanager
def _environment(variables: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Replace the environment and the current folder inside the block."""
    outside, before = Path.cwd(), dict(os.environ)
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.chdir(outside)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _fed(data: str | bytes) -> Iterator[io.TextIOWrapper]:
    """Yield the reading end of a pipe that the data is written to."""
    theirs, ours = os.pipe()

    def feed() -> None:
        # A program that does not read to the end closes its end first.
        with suppress(BrokenPipeError), os.fdopen(ours, "wb") as pipe:
            pipe.write(data.encode() if isinstance(data, str) else data)

    feeder = threading.Thread(target=feed)
    with os.fdopen(theirs, encoding="utf-8", errors="surrogateescape") as source:
        feeder.start()
        yield source
    feeder.join()


def _talk(terminal: int, typed: list[tuple[str, str]], deadline: float) -> str:
    seen = b""
    answered = 0
    pressed = ""
    while True:
        left = deadline - time.monotonic()
        assert left > 0, f"nothing more on the terminal after {_text(seen)!r}"
        if not select.select([terminal], [], [], min(left, 2.0))[0]:
            if pressed == "\x03":
                # Python misses a signal just before it begins to read from a terminal, so press again as people do.
                os.write(terminal, pressed.encode())
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux: the other end was closed
            data = b""
        if not data:
            return _text(seen)
        seen += data
        if typed and typed[0][0].encode() in seen[answered:]:
            pressed = typed.pop(0)[1]
            os.write(terminal, pressed.encode())
            answered = len(seen)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
