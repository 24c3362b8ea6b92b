"""Serves the page at ``/``: its files, and the overview that it polls.

Apart from ``/``, all of its paths are below ``/_sandbox/``, where the service has no routes. The page's requests
need no token, do not count towards the rate limit, get no faults, and are not recorded.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from cms_cli.sandbox.answers import HTML_TYPE, Answer, Headers, error, json_answer
from cms_cli.sandbox.errors import OptionError, StoreError
from cms_cli.sandbox.service import Page

FOLDER = "/_sandbox"

_JAVASCRIPT = "text/javascript; charset=utf-8"
_FILES = {
    "/": ("page.html", HTML_TYPE),
    f"{FOLDER}/page.css": ("page.css", "text/css; charset=utf-8"),
    f"{FOLDER}/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"{FOLDER}/{name}.js": (f"{name}.js", _JAVASCRIPT)
        for name in ("page", "chart", "dom", "lists", "money", "time")
    },
}
# Allow only files of this server, no inline code, and no framing. Trusted types turn parsing text as HTML into an
# error.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Headers = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)


def pages(store: Path) -> dict[str, Page]:
    """Return the pages by path.

    Args:
        store: The store's file.
    """
    found: dict[str, Page] = {path: partial(_file, *content) for path, content in _FILES.items()}
    found[f"{FOLDER}/overview"] = partial(_overview, store)
    return found


def _file(name: str, content_type: str, _query: str) -> Answer:
    import pkgutil  # loaded on the first visit

    content = pkgutil.get_data("cms_cli.sandbox", f"page/{name}") or b""
    return Answer(200, content, content_type, _HEADERS)


def _overview(store: Path, query: str) -> Answer:
    from cms_cli.sandbox.overview import read_overview, read_query

    try:
        answer = json_answer(200, read_overview(store, read_query(query)))
    except (OptionError, ValueError) as problem:
        answer = error(400, str(problem))
    except StoreError as problem:
        answer = error(503, str(problem))
    return answer.with_headers(_HEADERS)
