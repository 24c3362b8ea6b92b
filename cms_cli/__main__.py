"""``python -m cms_cli``, and what the installed ``cms`` calls."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself takes 4 ms, a quarter of what `cms --version` takes
    from typing import NoReturn


def run() -> NoReturn:
    """Run the program and leave the process with its exit code."""
    version = _version() if sys.argv[1:] == ["--version"] else ""
    if version and sys.stdout is not None:
        try:
            sys.stdout.write(f"cms {version}\n")
            sys.stdout.flush()
            _leave(0)
        except OSError:  # a closed pipe, a full disk: below it ends as with any other command
            pass
    # Loading modules makes 50,000 objects that all stay. Looking through them for garbage every 700 objects, as
    # Python does, takes 6 of 140 ms. What a replay throws away needs no such looking; what does is found later.
    gc.set_threshold(50_000)
    try:
        from cms_cli.app import main

        code = main()
    except KeyboardInterrupt:
        # While modules are loaded, or when everything is done: no traceback, and nothing is lost.
        code = 130
    _leave(code)


def _version() -> str:
    """Read the version off the file that states it.

    Every install script asks for it, and a bare interpreter is what it should cost: importing the SDK first makes
    it five times as much, Typer six times.
    """
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - no pathlib
    try:
        with open(f"{folder}/cms_python/_version.py", encoding="utf-8") as file:  # noqa: PTH123 - no pathlib
            return file.read().partition('__version__ = "')[2].partition('"')[0]
    except OSError:  # a zip file, say
        return ""


def _leave(code: int) -> NoReturn:
    """End the process without taking the interpreter apart piece by piece.

    Everything is written and closed by now. What is left of the ordinary end is to free the modules one by one,
    which takes 10 to 20 ms of a `cms lead` that takes 200.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:  # nobody listens any more
            pass
    threading = sys.modules.get("threading")
    if threading is not None and any(
        not each.daemon for each in threading.enumerate() if each is not threading.main_thread()
    ):
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    run()
