"""What an answer's headers say of the service's rate limit, in each of the forms in use. Pure."""

from __future__ import annotations

import re
import time

from cms_python._answer import RateLimit
from cms_python._exchange import Headers

_SMALLEST_UNIX_TIME = 1e9
"""A larger ``reset`` is a Unix time, as some services send it, and not a number of seconds to wait."""


def read_rate_limit(headers: Headers) -> RateLimit | None:
    """Read ``RateLimit``, ``RateLimit-*`` or ``X-RateLimit-*``.

    Args:
        headers: The answer's headers.

    Returns:
        What is left, or None where nothing is said, or half of it.
    """
    for prefix in ("RateLimit-", "X-RateLimit-"):
        remaining = headers.get(prefix + "Remaining", "").strip()
        reset = headers.get(prefix + "Reset", "").strip()
        if _is_number(remaining) and _is_number(reset):
            return RateLimit(int(remaining), _seconds(float(reset)))
    text = headers.get("RateLimit", "")
    if text:
        # "limit=60, remaining=3, reset=12" of one draft, '"default";r=3;t=12' of later ones.
        left = re.search(r"\b(?:r|remaining)\s*=\s*(\d{1,9})\b", text)
        wait = re.search(r"\b(?:t|reset)\s*=\s*(\d{1,9})\b", text)
        if left and wait:
            return RateLimit(int(left[1]), float(wait[1]))
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _seconds(reset: float) -> float:
    return max(0.0, reset - time.time()) if reset > _SMALLEST_UNIX_TIME else reset
