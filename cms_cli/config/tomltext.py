"""TOML, and the line numbers of its keys."""

from __future__ import annotations

import re
import sys
from typing import Any


def loads(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValueError: It is none; the message says where.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def line_of(text: str, section: str, key: str, nth: int = 1) -> int:
    """Find the line of a key, or of a section's head where ``key`` is empty; 0 if it is not found.

    The parser tells no lines. This reads the file's plain forms, which are what people write.

    Args:
        text: The file.
        section: The section's name, ``map``; "" for the top.
        key: A key in it.
        nth: The index of the section among those of this name: ``[[skip]]``.
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
