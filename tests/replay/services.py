"""A sandbox in a process of its own, with a book that no crash of the program under test can touch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from program import Program


@contextmanager
def served(program: Program, db: Path, *flags: str) -> Iterator[str]:
    """Serve a sandbox on a free port; gives its URL, and makes it the program's host."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cms_cli", "sandbox", "serve", "--port", "0", "--db", str(db), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=program.env,
        cwd=program.home,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), url
        program.env.update(CMS_HOST=url, CMS_BEARER_TOKEN="tok_of_the_test")
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=30)
