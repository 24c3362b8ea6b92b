"""Expands ``~`` at the beginning of a path, also on a system without home folders."""

from __future__ import annotations

import os
from pathlib import Path


def ensure_home() -> None:
    """Set HOME if it is missing or relative; `Path.home()` would raise.

    A container may run with a user id that no account has, and without HOME. ``/`` is what Docker sets it to then.
    """
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib raises
    if not os.path.isabs(home):  # noqa: PTH117 - start-up cost
        os.environ["HOME"] = "/" if home == "~" else os.path.abspath(home)  # noqa: PTH100 - pathlib keeps ".."


def expanded(name: str) -> Path:
    """Return the path with ``~`` or ``~user`` expanded; for an unknown user, it stays as it is, as in a shell."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - pathlib raises
