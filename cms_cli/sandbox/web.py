"""The page at ``/``: who may see it, its files, and what it asks for.

Everything of it but ``/`` lies below ``/_sandbox/``, where the service has no routes. Requests of the page are no
attempts at the API: they need no token, are not counted by the rate limit, meet no faults, and are not in the book.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from cms_cli.sandbox.answers import HTML_TYPE, Answer, Headers, error, json_answer
from cms_cli.sandbox.errors import OptionError, StoreError
from cms_cli.sandbox.service import Request

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
# Nothing from elsewhere, nothing inline, nobody's frame. Trusted types make it an error to turn text into HTML.
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

Handler = Callable[[Request], Answer]


def pages(db: Path, port: int) -> dict[str, Handler]:
    """What answers ``GET``, by path.

    Args:
        db: The store's file.
        port: The server's.
    """
    guard = _Guard(port)
    handlers: dict[str, Handler] = {path: guard(_file(*content)) for path, content in _FILES.items()}
    handlers[f"{FOLDER}/overview"] = guard(lambda request: _overview(db, request))
    return handlers


class _Guard:
    """Lets only those through who asked for this machine by its name.

    A page elsewhere could have its own name resolve to 127.0.0.1 (DNS rebinding), and its scripts would be in the
    same origin as this server and read what is in the book. The ``Host`` header gives it away.
    """

    def __init__(self, port: int) -> None:
        names = ("127.0.0.1", "localhost", "[::1]")
        self._hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())
        self._url = f"http://127.0.0.1:{port}/"

    def __call__(self, handler: Handler) -> Handler:
        def guarded(request: Request) -> Answer:
            if request.headers.get("host", "").lower() not in self._hosts:
                return error(421, f"This page is at {self._url} and at no other name", headers=_HEADERS)
            return handler(request).with_headers(_HEADERS)

        return guarded


def _file(name: str, content_type: str) -> Handler:
    def handler(_request: Request) -> Answer:
        import pkgutil  # not loaded unless somebody looks

        return Answer(200, pkgutil.get_data("cms_cli.sandbox", f"page/{name}") or b"", content_type)

    return handler


def _overview(db: Path, request: Request) -> Answer:
    from cms_cli.sandbox.overview import OverviewQuery, read_overview

    try:
        return json_answer(200, read_overview(db, OverviewQuery.of(request.query)))
    except (OptionError, ValueError) as problem:
        return error(400, str(problem))
    except StoreError as problem:
        return error(503, str(problem))
