"""Tokens: which are accepted, when they expire, and which belong to one user."""

from __future__ import annotations

import pytest
from clock import Clock
from tokens import jwt

from cms_cli.sandbox import SandboxServer

from .conftest import StartSandbox
from .talk import LEAD, Response, as_json, lead, send


def post(server: SandboxServer, *authorization: str) -> Response:
    headers = {"Content-Type": "application/json"}
    if authorization:
        headers["Authorization"] = authorization[0]
    return send(server, "POST", "/track/lead", as_json(LEAD), **headers)


def users(server: SandboxServer) -> list[str | None]:
    return [attempt.user for attempt in server.attempts()]


BAD = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer  tok_1",
    "Bearer tok 1",
    "tok_1",
    "bearer tok_1",
    "Basic dG9rOjE=",
    "Bearer tök",
]


@pytest.mark.parametrize("authorization", BAD)
def test_a_malformed_token_is_401(sandbox: SandboxServer, authorization: str) -> None:
    answer = post(sandbox, authorization)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert (answer.json["success"], answer.json["statusCode"]) == (False, 401)
    assert sandbox.events() == []


def test_a_missing_token_is_401(sandbox: SandboxServer) -> None:
    assert post(sandbox).status == 401


@pytest.mark.parametrize(
    "token", ["t", "sk_live_4eC39H:qlyj/Wd+arj~==", jwt(sub="u1"), "a.b.c", "ey.!!.x", "x" * 4000]
)
def test_any_well_formed_token_is_accepted(sandbox: SandboxServer, token: str) -> None:
    assert post(sandbox, f"Bearer {token}").status == 200


def test_only_the_configured_token_is_accepted(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(token="right")
    assert [post(sandbox, f"Bearer {token}").status for token in ("right", "wrong", "righ", "Right")] == [
        200,
        401,
        401,
        401,
    ]


def test_a_token_is_checked_before_the_event(sandbox: SandboxServer) -> None:
    answer = send(sandbox, "POST", "/track/lead", b"nonsense")
    assert answer.status == 401


def test_a_token_expires_after_so_many_requests(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(token_requests=2)
    assert [post(sandbox, "Bearer old").status for _ in range(4)] == [200, 200, 401, 401]
    assert post(sandbox, "Bearer new").status == 200


def test_a_token_expires_after_so_many_seconds(start_sandbox: StartSandbox, clock: Clock) -> None:
    sandbox = start_sandbox(token_seconds=10.0, clock_ns=clock)
    assert post(sandbox, "Bearer old").status == 200
    clock.advance(9.999)
    assert post(sandbox, "Bearer old").status == 200
    clock.advance(0.001)
    assert post(sandbox, "Bearer old").status == 401
    assert post(sandbox, "Bearer new").status == 200


def test_the_store_tells_users_apart_and_holds_no_token(sandbox: SandboxServer) -> None:
    for token in ("secret-one", "secret-one", "secret-two"):
        post(sandbox, f"Bearer {token}")
    one, again, two = users(sandbox)
    assert one == again != two
    assert all(b"secret" not in path.read_bytes() for path in sandbox.db.parent.iterdir())


def test_a_renewed_jwt_is_the_same_user(sandbox: SandboxServer) -> None:
    first, second = jwt(iss="cms", sub="u1", exp=1), jwt(iss="cms", sub="u1", exp=2)
    for token in (first, second, jwt(iss="cms", sub="u2"), jwt(iss="other", sub="u1")):
        post(sandbox, f"Bearer {token}")
    one, renewed, other, elsewhere = users(sandbox)
    assert one == renewed
    assert len({one, other, elsewhere}) == 3
    assert len({attempt.token for attempt in sandbox.attempts()}) == 4


def test_the_rate_limit_is_for_each_user(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(rate_limit="1/h")
    assert [lead(sandbox, Authorization=f"Bearer {token}").status for token in "aab"] == [200, 429, 200]
