"""Parses TOML, and finds the line numbers of its keys."""

from __future__ import annotations

import re
import sys
from typing import Any


def loads(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: The text is not TOML; the message says on which line.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def line_of(text: str, section: str, key: str, nth: int = 1) -> int:
    """Find the line of a key or of a section's header.

    tomllib reports no lines. This finds keys in the forms that people usually write, not in every form of TOML.

    Args:
        text: The file.
        section: The section's name, as in ``map``; "" for the top level.
        key: A key in the section, or "" for the section's header.
        nth: Which of several sections of this name (``[[skip]]``), counted from 1.

    Returns:
        The line number, from 1; 0 if it is not found.
    """
    section, full = _bare(section), _bare(f"{section}.{key}".lstrip("."))
    here, heads = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
        if head:
            here = _bare(head[1])
            heads += here == section
            if (here == section and not key and heads == nth) or (key and here == full):
                return number
        elif key and here == section and max(heads, 1) == nth and _is_key(line, key):
            return number
        elif key and here != section and _bare(f"{here}.{line.partition('=')[0]}").lstrip(".") == full:
            return number  # map.amount = "Total"
    return 0


def _is_key(line: str, key: str) -> bool:
    return re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", line) is not None


def _bare(name: str) -> str:
    return re.sub(r"""["']|\s""", "", name)
