"""Shows tokens' origins, accounts and hosts, as text or JSON; never a token itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cms_cli.access.account import Account
from cms_cli.access.reach import Reach
from cms_cli.access.tokens import TokenError, TokenSource
from cms_cli.config.origin import Setting
from cms_cli.terminal.console import Console
from cms_cli.terminal.table import pairs


@dataclass
class Status:
    """The result of ``cms auth status``.

    Attributes:
        profile: The profile and its origin.
        host: The host and its origin.
        sources: The sources of tokens, in order of precedence.
        account: The token's account; None if there is no token.
        jwt: Whether the token has the form of a JWT.
        problem: The error that left no token to use, or None.
        reach: The result of checking the host; None if it was not checked.
    """

    profile: Setting[str]
    host: Setting[str]
    sources: Sequence[TokenSource]
    account: Account | None = None
    jwt: bool = False
    problem: TokenError | None = None
    reach: Reach | None = None


def kept(console: Console, profile: str, path: str, account: Account, jwt: bool, now: datetime) -> None:
    """Report that a token was stored, with its claims."""
    console.note(f"stored the token of profile {profile} in {path}")
    if account.subject:
        console.note(f"it is the token of {account.subject}" + (f" at {account.issuer}" if account.issuer else ""))
    if account.expires_at is not None:
        if account.expired(now):
            console.warn(f"it has expired: {_expiry(account, now)}")
        else:
            console.note(f"it expires {_expiry(account, now)}")
    elif not jwt:
        console.note("it is not a JWT, so it names no account and no expiry")


def status(console: Console, form: str, found: Status, now: datetime) -> None:
    """Show the result of ``cms auth status``."""
    if form != "table":
        console.document(_document(found, now), form)
        return
    rows = [("profile", f"{found.profile.value} ({found.profile.origin})")]
    rows.append(("token", str(found.sources[0].origin) if found.sources else "none"))
    rows += [("shadowed", str(source.origin)) for source in found.sources[1:]]
    if found.account is not None:
        rows.append(("kind", "JWT" if found.jwt else "opaque: it names no account"))
        claims = (("subject", found.account.subject), ("issuer", found.account.issuer))
        rows += [(name, value) for name, value in claims if value]
        if found.account.expires_at is not None:
            over = "EXPIRED " if found.account.expired(now) else ""
            rows.append(("expires", over + _expiry(found.account, now)))
    rows.append(("host", f"{found.host.value} ({found.host.origin})"))
    if found.reach is not None:
        rows.append(("answer", found.reach.detail))
    pairs(console, rows)
    if found.problem is not None:
        console.error(found.problem.message, found.problem.hint)


def _document(found: Status, now: datetime) -> dict[str, object]:
    account = found.account
    return {
        "profile": {"value": found.profile.value, "origin": found.profile.origin.to_dict()},
        "token": {
            "usable": account is not None and not account.expired(now),
            "origin": found.sources[0].origin.to_dict() if found.sources else None,
            "shadowed": [source.origin.to_dict() for source in found.sources[1:]],
            "problem": found.problem.message if found.problem else None,
            "jwt": found.jwt,
            "subject": account.subject if account else None,
            "issuer": account.issuer if account else None,
            "expires_at": account.expires_at.isoformat() if account and account.expires_at else None,
            "expired": account.expired(now) if account else None,
        },
        "host": {
            "value": found.host.value,
            "origin": found.host.origin.to_dict(),
            "answers": found.reach.answers if found.reach else None,
            "like_api": found.reach.like_api if found.reach else None,
            "detail": found.reach.detail if found.reach else None,
        },
    }


def _expiry(account: Account, now: datetime) -> str:
    if account.expires_at is None:
        return ""
    seconds = (account.expires_at - now).total_seconds()
    text = f"{account.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{text} (in {_span(seconds)})" if seconds >= 0 else f"{text} ({_span(-seconds)} ago)"


def _span(seconds: float) -> str:
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'s' if count != 1 else ''}"
    return "less than a minute"
