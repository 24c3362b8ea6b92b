"""The account that a token belongs to."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokens import jwt_of

from cms_cli.access.account import Account, account_of, is_jwt, is_token_alone

TOKENS = st.one_of(st.text(), st.builds(lambda a, b, c: f"{a}.{b}.{c}", st.text(), st.text(), st.text()))


def test_a_renewed_jwt_is_the_same_account() -> None:
    """A JWT's issuer and subject identify the account; its expiry and the profile do not."""
    old = account_of(jwt_of({"iss": "cms", "sub": "u1", "exp": 1}), None)
    new = account_of(jwt_of({"iss": "cms", "sub": "u1", "exp": 4_000_000_000}), "shop")

    assert old.key == new.key
    assert (new.issuer, new.subject) == ("cms", "u1")
    assert new.expires_at == datetime(2096, 10, 2, 7, 6, 40, tzinfo=timezone.utc)


@pytest.mark.parametrize("other", [{"iss": "cms", "sub": "u2"}, {"iss": "x", "sub": "u1"}, {"sub": "u1"}])
def test_another_subject_or_issuer_is_another_account(other: dict[str, str]) -> None:
    """JWTs that differ in issuer or subject belong to different accounts."""
    assert account_of(jwt_of(other), None).key != account_of(jwt_of({"iss": "cms", "sub": "u1"}), None).key


def test_an_opaque_token_goes_by_its_profile_or_a_hash() -> None:
    """An opaque token's account is its profile, or else a hash that does not contain the token."""
    assert account_of("opaque", "shop") == account_of("renewed", "shop")
    lone = account_of("opaque", None)
    assert lone.key != account_of("other", None).key
    assert "opaque" not in lone.key
    assert lone.expires_at is None


@pytest.mark.parametrize("exp", ["soon", True, 1e300, float("nan"), None, [1]])
def test_an_exp_claim_that_is_not_a_time_is_ignored(exp: object) -> None:
    """A JWT whose exp claim is not a time counts as one without an expiry."""
    assert account_of(jwt_of({"sub": "a", "exp": exp}), None).expires_at is None


def test_a_subject_may_be_a_number() -> None:
    """A numeric subject is read as text."""
    assert account_of(jwt_of({"sub": 42}), None).subject == "42"


@given(TOKENS, TOKENS)
def test_any_text_has_an_account(token: str, other: str) -> None:
    """Text that is no JWT goes by its profile, or else by a hash that no other text has."""
    assume(not is_jwt(token) and not is_jwt(other))
    account = account_of(token, None)
    assert account == Account(account.key)
    assert (account.key == account_of(other, None).key) is (token == other)
    assert is_token_alone(account.key)
    assert account_of(token, "shop") == account_of(other, "shop") != account
