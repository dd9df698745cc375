import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
import time_machine

from core.errors import ConfigurationError, UnauthenticatedError
from core.identity.tokens import (
    AUDIENCE,
    ISSUER,
    AccessToken,
    new_access_token,
    read_access_token,
    sign_access_token,
)
from core.settings import get_settings


@pytest.fixture(autouse=True)
def a_key(monkeypatch: pytest.MonkeyPatch) -> str:
    return with_key(monkeypatch, "a secret of the tests, long enough to sign with")


def with_key(monkeypatch: pytest.MonkeyPatch, key: str) -> str:
    monkeypatch.setenv("JWT_SECRET_KEY", key)
    get_settings.cache_clear()
    return key


@pytest.fixture(autouse=True)
def settings_as_before() -> Any:
    yield
    get_settings.cache_clear()


def a_member_token() -> AccessToken:
    return new_access_token(
        user_id=uuid4(), tenant_id=uuid4(), membership_version=3, credentials_version=2
    )


def claims_of(encoded: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(encoded, options={"verify_signature": False})
    return claims


def code_of(encoded: str) -> str:
    with pytest.raises(UnauthenticatedError) as raised:
        read_access_token(encoded)
    return raised.value.instance_code


def test_a_token_reads_as_it_was_signed() -> None:
    token = a_member_token()
    assert read_access_token(sign_access_token(token)) == token


def test_an_operators_token_has_no_tenant() -> None:
    token = new_access_token(
        user_id=uuid4(), tenant_id=None, membership_version=None, credentials_version=1
    )
    assert read_access_token(sign_access_token(token)) == token


def test_a_token_carries_no_role_and_no_mail() -> None:
    claims = claims_of(sign_access_token(a_member_token()))
    assert claims.keys() == {"iss", "aud", "sub", "jti", "iat", "exp", "tenant", "mv", "cv"}


def test_a_token_without_signature_is_refused(a_key: str) -> None:
    claims = claims_of(sign_access_token(a_member_token()))
    assert jwt.encode(claims, a_key, algorithm="HS256")
    assert code_of(jwt.encode(claims, None, algorithm="none")) == "invalid_token"
    header, payload, _ = sign_access_token(a_member_token()).split(".")
    assert code_of(f"{header}.{payload}.") == "invalid_token"


def test_another_algorithm_under_the_same_key_is_refused(a_key: str) -> None:
    claims = claims_of(sign_access_token(a_member_token()))
    longer = a_key * 2
    assert code_of(jwt.encode(claims, longer, algorithm="HS512")) == "invalid_token"


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "another"},
        {"aud": [AUDIENCE, "another"]},
        {"iss": "another"},
        {"sub": 7},
        {"sub": "nobody"},
        {"jti": "no uuid"},
        {"cv": "1"},
        {"mv": None},
        {"tenant": None},
        {"tenant": 5},
        {"exp": "soon"},
        {"nbf": int(datetime.now(UTC).timestamp()) + 86_400},
    ],
)
def test_a_wrong_claim_is_refused(a_key: str, wrong: dict[str, Any]) -> None:
    claims = claims_of(sign_access_token(a_member_token()))
    assert read_access_token(jwt.encode(claims, a_key, algorithm="HS256"))
    assert code_of(jwt.encode(claims | wrong, a_key, algorithm="HS256")) == "invalid_token"


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti", "iat", "exp", "tenant", "mv", "cv"])
def test_a_missing_claim_is_refused(a_key: str, name: str) -> None:
    claims = claims_of(sign_access_token(a_member_token()))
    del claims[name]
    assert code_of(jwt.encode(claims, a_key, algorithm="HS256")) == "invalid_token"


def test_an_expired_token_says_so() -> None:
    encoded = sign_access_token(a_member_token())
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=29)):
        assert read_access_token(encoded)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=31)):
        assert code_of(encoded) == "token_expired"


def test_another_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = sign_access_token(a_member_token())
    with_key(monkeypatch, "another secret of the tests, as long as the first")
    assert code_of(encoded) == "invalid_token"


def test_a_short_key_neither_signs_nor_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = sign_access_token(a_member_token())
    with_key(monkeypatch, "short")
    with pytest.raises(ConfigurationError):
        sign_access_token(a_member_token())
    with pytest.raises(ConfigurationError):
        read_access_token(encoded)


@pytest.mark.parametrize("tail", ["=", "==", "A", ".", ".x", " ", "\n", "é", "\ud800"])
def test_trailing_characters_are_refused(tail: str) -> None:
    encoded = sign_access_token(a_member_token())
    assert code_of(encoded + tail) == "invalid_token"


def test_one_signature_has_one_spelling() -> None:
    encoded = sign_access_token(a_member_token())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = encoded[:-1] + alphabet[alphabet.index(encoded[-1]) ^ 1]
    raw = [base64.urlsafe_b64decode(text.rpartition(".")[2] + "=") for text in (encoded, twin)]
    assert raw[0] == raw[1]
    assert code_of(twin) == "invalid_token"


def test_an_edited_payload_is_refused() -> None:
    header, _, signature = sign_access_token(a_member_token()).split(".")
    forged = json.dumps({"iss": ISSUER, "aud": AUDIENCE, "tenant": str(uuid4())}).encode()
    payload = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
    assert code_of(f"{header}.{payload}.{signature}") == "invalid_token"


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "Bearer x", "x" * 5_000, "\x00.\x00.\x00"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    assert code_of(text) == "invalid_token"
