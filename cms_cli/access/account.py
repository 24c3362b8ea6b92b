"""The account that a token claims to be for. Pure; signatures are not verified."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from hashlib import sha256

# The prefix of an account's key says how the account was identified.
_JWT, _PROFILE, _TOKEN, _NAME = "jwt ", "profile ", "token ", "account "


@dataclass(frozen=True)
class Account:
    """An account at the service.

    Attributes:
        key: Its identity in journal and ledger, which is not secret: the JWT's issuer and subject, else the
            profile, else a hash of the token. A renewed JWT has the same key.
        subject: The JWT's ``sub``, or None.
        issuer: The JWT's ``iss``, or None.
        expires_at: The JWT's ``exp`` in UTC, or None if it has none.
    """

    key: str
    subject: str | None = None
    issuer: str | None = None
    expires_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Return True if the token has expired, going by its ``exp``.

        Args:
            now: The time, with a zone.
        """
        return self.expires_at is not None and self.expires_at <= now


def account_of(token: str, profile: str | None) -> Account:
    """Identify the account of a token.

    Args:
        token: The bearer token, a JWT or anything else.
        profile: The profile of the config file that the token came from, or None.
    """
    claims = _claims(token)
    subject, issuer = _text(claims.get("sub")), _text(claims.get("iss"))
    if subject is not None:
        key = f"{_JWT}{json.dumps([issuer, subject])}"
    elif profile is not None:
        key = f"{_PROFILE}{profile}"
    else:
        key = f"{_TOKEN}{sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return Account(key, subject, issuer, _instant(claims.get("exp")))


def shared(account: Account, name: str | None) -> Account | None:
    """Return the account with the key that it has in shared state, which is the same on every machine.

    A JWT's key is. A profile's name is not, and neither is a token's hash, since machines may renew it at different
    times; such an account needs a name.

    Args:
        account: The account of a token.
        name: The name that the settings give to the account, or None.

    Returns:
        The account, or None if it needs a name and has none.
    """
    if account.key.startswith(_JWT):
        return account
    return replace(account, key=f"{_NAME}{name}") if name else None


def owner_in(key: str) -> str | None:
    """Return the owner that an account's key contains, a name or a JWT's ``sub``, or None if it has neither."""
    if key.startswith(_NAME):
        return key[len(_NAME) :]
    return str(json.loads(key[len(_JWT) :])[1]) if key.startswith(_JWT) else None


def is_profile(key: str) -> bool:
    """Return True if an account is identified by the profile of its token."""
    return key.startswith(_PROFILE)


def is_token_alone(key: str) -> bool:
    """Return True if an account is identified by its token only, so that a renewed token is another account."""
    return key.startswith(_TOKEN)


def is_jwt(token: str) -> bool:
    """Return True if a token has a JWT's shape: three parts, of which the second is a JSON object."""
    return bool(_claims(token))


def _claims(token: str) -> dict[str, object]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def _text(claim: object) -> str | None:
    if isinstance(claim, int) and not isinstance(claim, bool):
        return str(claim)  # RFC 7519 requires a string, but some issuers use numbers
    return claim if isinstance(claim, str) and claim else None


def _instant(claim: object) -> datetime | None:
    if not isinstance(claim, (int, float)) or isinstance(claim, bool):
        return None
    try:
        return datetime.fromtimestamp(claim, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
