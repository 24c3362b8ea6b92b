"""Sandboxes for replays: in this process, or in a separate one that no crash of the program can affect."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from program import TOKEN, Program

from cms_cli.sandbox import SandboxServer


def sandbox(folder: Path, **how: Any) -> SandboxServer:
    """Return a sandbox that runs in this process and keeps its store in a folder."""
    return SandboxServer(folder / "sandbox.db", **how)


@contextmanager
def served(program: Program, db: Path, *flags: str) -> Iterator[str]:
    """Serve a sandbox on a free port, make it the program's host, and yield its URL."""
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
        program.env.update(CMS_HOST=url, CMS_BEARER_TOKEN=TOKEN)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=30)
