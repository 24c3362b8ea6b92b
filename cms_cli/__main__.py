"""The entry point of ``python -m cms_cli`` and of the installed ``cms``."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself takes 4 ms
    from typing import NoReturn


def run() -> NoReturn:
    """Run the program and exit with its exit code."""
    # Imports create about 50,000 objects, none of them garbage. A collection every 700 objects, Python's default,
    # takes 6 of 140 ms.
    gc.set_threshold(50_000)
    try:
        from cms_cli.app import main

        code = main()
    except KeyboardInterrupt:
        # During an import, or after everything is done: end without a traceback.
        code = 130
    except Exception as error:
        # Before Python 3.12, what is raised while a class is created (such as during an import) arrives wrapped.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        code = 130
    _leave(code)


def _leave(code: int) -> NoReturn:
    """Exit without the interpreter's cleanup, unless threads still run.

    Everything is written and closed by now. The cleanup would only free modules one by one, which takes 10 to 20 of
    the 200 ms of a `cms lead`.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:  # the reader is gone
            pass
    threading = sys.modules.get("threading")
    waited_for = threading is not None and any(
        not each.daemon for each in threading.enumerate() if each is not threading.main_thread()
    )
    if waited_for:
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    run()
