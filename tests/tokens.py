"""Makes tokens like the service's: JWTs, whose claims anyone can read."""

from __future__ import annotations

import base64
import json


def jwt(**claims: object) -> str:
    """Return a JWT with these claims, without a valid signature."""
    return jwt_of(claims)


def jwt_of(payload: object) -> str:
    """Return what is a JWT by its form, with any JSON where the claims are."""
    parts = ({"alg": "HS256"}, payload, {"signature": True})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
