"""Checks if a host answers, and as an API does. Sends neither the token nor an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cms_python import Answer

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_LONGEST = 64 * 1024


@dataclass(frozen=True)
class Reach:
    """The result of checking a host.

    Attributes:
        answers: Whether anything answered.
        like_api: True if it answered as an API does, False if as a web site, None if neither is clear.
        detail: The result in words.
    """

    answers: bool
    like_api: bool | None
    detail: str


def ask(host: str, timeout: float) -> Reach:
    """Send a GET to a host's lead route, which accepts only POST, and interpret the answer.

    Args:
        host: The base URL.
        timeout: Seconds to wait for the connection, and again for the beginning of the answer.
    """
    import requests

    try:
        with requests.get(
            f"{host}/track/lead",
            timeout=timeout,
            allow_redirects=False,
            stream=True,
            headers={"Accept": "application/json"},
            auth=_no_login,
        ) as answer:
            kind = answer.headers.get("Content-Type", "").lower()
            return _read(Answer(answer.status_code, kind, _beginning(answer)))
    except requests.exceptions.SSLError:
        return Reach(False, None, "no secure connection: check the clock, the CA bundle and any proxy")
    except requests.exceptions.ProxyError:
        return Reach(False, None, "the proxy did not let the request through")
    except requests.exceptions.Timeout:
        return Reach(False, None, f"no answer within {timeout:g} s")
    except requests.RequestException as error:
        return Reach(False, None, _reason(error))
    except OSError:  # a missing CA bundle
        return Reach(
            False, None, "the connection's settings cannot be used: check the proxy and CA bundle variables"
        )


def _no_login(request: PreparedRequest) -> PreparedRequest:
    # Without an auth callable, requests would read ~/.netrc for a password.
    return request


def _beginning(answer: Response) -> bytes:
    """Return the first bytes of a body, or b"" if the connection breaks off; the host has answered by then."""
    from urllib3.exceptions import HTTPError

    try:
        return bytes(answer.raw.read1(_LONGEST))  # the body may be endless
    except (HTTPError, OSError):
        return b""


def _read(answer: Answer) -> Reach:
    if 300 <= answer.status < 400:
        return Reach(True, False, f"answers with a redirect ({answer.status}): probably not the API")
    if answer.says_json:
        return Reach(True, True, f"answers as an API does ({answer.status})")
    if answer.is_web_page:
        return Reach(True, False, f"answers with a web page ({answer.status}): perhaps not the API")
    return Reach(True, None, f"answers ({answer.status})")


def _reason(error: BaseException) -> str:
    text = str(error)
    if "resol" in text or "getaddrinfo" in text:
        return "no such host: check its spelling and the network"
    if "refused" in text:
        return "nothing answers there: the connection was refused"
    if "aborted" in text:
        return "the connection was lost before an answer came"
    return f"nothing answers there ({type(error).__name__})"
