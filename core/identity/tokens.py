"""Access tokens: signed, short-lived, and trusted for who came, never for what they may do."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt

from core import clock
from core.errors import ConfigurationError, UnauthenticatedError
from core.settings import get_settings

ISSUER = "neozork"
AUDIENCE = "neozork-api"
_CLAIMS = ("iss", "aud", "sub", "jti", "iat", "exp", "tenant", "mv", "cv")
# PyJWT takes a claim that is null for a missing one; an operator's tenant and mv are null.
_NEVER_NULL = [name for name in _CLAIMS if name not in {"tenant", "mv"}]
_THREE_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST = 4_096

_SIGNER = jwt.PyJWT(
    options={
        "require": _NEVER_NULL,
        "strict_aud": True,
        "enforce_minimum_key_length": True,
        # Machines' clocks differ by less than a second, which would refuse a fresh token.
        "verify_iat": False,
    }
)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What an access token says; `tenant_id` and `membership_version` None for an operator."""

    user_id: UUID
    tenant_id: UUID | None
    jti: UUID
    expires_at: datetime
    membership_version: int | None
    credentials_version: int


def new_access_token(
    *,
    user_id: UUID,
    tenant_id: UUID | None,
    membership_version: int | None,
    credentials_version: int,
) -> AccessToken:
    """Answer the content of a new access token, good for as long as the settings say."""
    lifetime = timedelta(minutes=get_settings().jwt_access_token_expire_minutes)
    return AccessToken(
        user_id=user_id,
        tenant_id=tenant_id,
        jti=uuid4(),
        expires_at=clock.now().replace(microsecond=0) + lifetime,
        membership_version=membership_version,
        credentials_version=credentials_version,
    )


def sign_access_token(token: AccessToken) -> str:
    """Answer an access token as a JWT.

    Raises ConfigurationError where JWT_SECRET_KEY is missing or too short to sign with.
    """
    settings = get_settings()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(token.user_id),
        "jti": str(token.jti),
        "iat": int(clock.now().timestamp()),
        "exp": int(token.expires_at.timestamp()),
        "tenant": str(token.tenant_id) if token.tenant_id is not None else None,
        "mv": token.membership_version,
        "cv": token.credentials_version,
    }
    try:
        return _SIGNER.encode(
            claims, settings.required("jwt_secret_key"), algorithm=settings.jwt_algorithm
        )
    except jwt.InvalidKeyError as error:
        raise _weak_key() from error


def read_access_token(encoded: str) -> AccessToken:
    """Answer what a JWT says, once its signature and claims hold.

    Raises UnauthenticatedError, code `token_expired` or `invalid_token`, and ConfigurationError
    where JWT_SECRET_KEY is missing or too short.
    """
    settings = get_settings()
    if len(encoded) > _LONGEST or not _is_canonical(encoded):
        raise invalid_token()
    try:
        claims = _SIGNER.decode(
            encoded,
            settings.required("jwt_secret_key"),
            algorithms=[settings.jwt_algorithm],
            audience=AUDIENCE,
            issuer=ISSUER,
        )
        return _read(claims)
    except jwt.ExpiredSignatureError:
        raise UnauthenticatedError(
            "The access token has expired. Refresh it or sign in.", code="token_expired"
        ) from None
    except jwt.InvalidKeyError as error:
        raise _weak_key() from error
    except (jwt.InvalidTokenError, AttributeError, KeyError, TypeError, ValueError):
        raise invalid_token() from None


def invalid_token() -> UnauthenticatedError:
    """Answer the one error for every token that does not hold, whatever the reason."""
    return UnauthenticatedError("The access token is not valid. Sign in.", code="invalid_token")


def _read(claims: dict[str, Any]) -> AccessToken:
    tenant, version = claims["tenant"], claims["mv"]
    if (tenant is None) is not (version is None):
        raise ValueError("a membership has a tenant and a version, an operator neither")
    return AccessToken(
        user_id=UUID(claims["sub"]),
        tenant_id=None if tenant is None else UUID(tenant),
        jti=UUID(claims["jti"]),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        membership_version=None if version is None else _whole(version),
        credentials_version=_whole(claims["cv"]),
    )


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a version is a whole number")
    return value


def _is_canonical(encoded: str) -> bool:
    """Tell whether the text is the one spelling of its signature: base64 takes several."""
    if not _THREE_PARTS.fullmatch(encoded):
        return False
    signature = encoded.rpartition(".")[2]
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except binascii.Error:
        return False
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == signature


def _weak_key() -> ConfigurationError:
    return ConfigurationError("JWT_SECRET_KEY is too short: take 32 random characters or more.")
