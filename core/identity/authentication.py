"""Signing in and out, and who a token is, asked anew of the rows with each call."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from core import clock
from core.audit.chain import record
from core.errors import UnauthenticatedError
from core.identity.members import Member, find_member
from core.identity.models import RevokedToken, TenantUser, User
from core.identity.passwords import Verdict, verify_password
from core.identity.people import normal_email
from core.identity.principal import Principal
from core.identity.refresh import (
    add_refresh_token,
    end_family_of,
    find_refresh_token,
    revoke_access_token,
    use_refresh_token,
)
from core.identity.roles import OPERATOR_PERMISSIONS, OPERATOR_ROLE, permissions_of
from core.identity.throttling import Attempt, count_failure, forget_failures, refuse_excess
from core.identity.tokens import (
    AccessToken,
    invalid_token,
    new_access_token,
    read_access_token,
    sign_access_token,
)
from core.ids import PLATFORM
from core.settings import get_settings
from core.tenancy.models import Tenant
from core.tenancy.resolution import TenantRef
from core.tenancy.session import PlatformSession, open_platform_session


class InvalidCredentialsError(UnauthenticatedError):
    """Raised when a sign-in failed, whatever the reason."""

    code = "invalid_credentials"
    title = "The sign-in failed"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a client gets when it signs in or refreshes; `expires_in` in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_at: datetime
    user: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Account:
    """Somebody who may sign in here if the password is right."""

    user_id: UUID
    password_hash: str | None
    credentials_version: int
    membership_version: int | None


def login(tenant: TenantRef, *, email: str, password: str, address: str | None) -> SignedIn:
    """Sign a member in with mail and password, from an address.

    Raises UnauthenticatedError, code `invalid_credentials`, which does not tell whether the
    mail, the membership or the password was wrong, and costs the same; ThrottledError.
    """
    return _log_in(tenant, email=email, password=password, address=address)


def login_operator(*, email: str, password: str, address: str | None) -> SignedIn:
    """Sign an operator of the platform in; raises as `login` does."""
    return _log_in(None, email=email, password=password, address=address)


def refresh(refresh_token: str, *, tenant: TenantRef | None = None) -> SignedIn:
    """Exchange a refresh token for a new pair of tokens, once.

    `tenant`: where one was named, the token must be of it. Raises UnauthenticatedError, code
    `invalid_refresh_token`; a token that was used before ends its whole login.
    """
    with open_platform_session() as session:
        held = find_refresh_token(session, token=refresh_token)
        if held is None or (tenant is not None and held.tenant_id != tenant.id):
            raise _invalid_refresh_token()
        account = _account(session, held.tenant_id, User.id == held.user_id)
        good = use_refresh_token(session, held)
        if not good:
            record(
                session,
                actor=None,
                action="session.ended_by_reuse",
                target=f"user:{held.user_id}",
                tenant_id=held.tenant_id or PLATFORM,
            )
        elif account is not None and account.credentials_version == held.credentials_version:
            return _issue(session, held.tenant_id, account, family_id=held.family_id)
    # Raised outside, for what was ended must be committed.
    raise _invalid_refresh_token()


def logout(principal: Principal, *, refresh_token: str | None = None) -> None:
    """End the login that a principal's token came from: it, and the family behind it.

    `refresh_token`: one that the client still holds; its family ends too, if it is the caller's.
    """
    with open_platform_session() as session:
        revoke_access_token(session, jti=principal.jti, expires_at=principal.expires_at)
        end_family_of(session, jti=principal.jti)
        held = find_refresh_token(session, token=refresh_token) if refresh_token else None
        if held is not None and held.user_id == principal.user_id:
            end_family_of(session, jti=held.access_jti)
        record(
            session,
            actor=principal.user_id,
            action="session.ended",
            target=f"user:{principal.user_id}",
            tenant_id=principal.tenant_id or PLATFORM,
        )


def authenticate(encoded: str) -> Principal:
    """Answer who an access token is, by the rows as they stand now, in one query.

    A changed role, password or membership, and a logout, act at once. Raises
    UnauthenticatedError, code `invalid_token` or `token_expired`.
    """
    token = read_access_token(encoded)
    revoked = select(RevokedToken.jti).where(RevokedToken.jti == token.jti).exists()
    statement = (
        select(User.is_operator, TenantUser, Tenant)
        .outerjoin(
            TenantUser,
            (TenantUser.user_id == User.id)
            & (TenantUser.tenant_id == token.tenant_id)
            & (TenantUser.version == token.membership_version)
            & TenantUser.is_active,
        )
        .outerjoin(Tenant, Tenant.id == TenantUser.tenant_id)
        .where(
            User.id == token.user_id,
            User.credentials_version == token.credentials_version,
            ~revoked,
        )
    )
    with open_platform_session() as session:
        row = session.execute(statement).one_or_none()
    if row is None:
        raise invalid_token()
    is_operator, membership, tenant = row
    return _principal(token, membership, tenant, is_operator=is_operator)


def _principal(
    token: AccessToken,
    membership: TenantUser | None,
    tenant: Tenant | None,
    *,
    is_operator: bool,
) -> Principal:
    if membership is not None and tenant is not None:
        ref = TenantRef(tenant.id, tenant.subdomain, tenant.status, tenant.subscription_tier)
        role, granted = membership.role, permissions_of(membership.role, membership.permissions)
    elif token.tenant_id is None and is_operator:
        ref, role, granted = None, OPERATOR_ROLE, OPERATOR_PERMISSIONS
    else:
        raise invalid_token()
    return Principal(token.user_id, ref, role, granted, token.jti, token.expires_at)


def _log_in(
    tenant: TenantRef | None, *, email: str, password: str, address: str | None
) -> SignedIn:
    mail = normal_email(email)
    attempt = Attempt(mail, address)
    refuse_excess(attempt)
    tenant_id = tenant.id if tenant is not None else None
    with open_platform_session() as session:
        account = _account(session, tenant_id, User.email == mail)
    verdict = verify_password(password, account.password_hash if account is not None else None)
    if account is None or not verdict.right:
        count_failure(attempt)
        _record_failure(tenant_id, account, address)
        raise _invalid_credentials()
    refuse_excess(attempt)
    signed_in = _open(tenant_id, account, verdict, address)
    forget_failures(attempt)
    return signed_in


def _open(
    tenant_id: UUID | None, account: _Account, verdict: Verdict, address: str | None
) -> SignedIn:
    with open_platform_session() as session:
        values: dict[str, Any] = {"last_login": clock.now()}
        if verdict.rehash is not None:
            values["password_hash"] = verdict.rehash
        unchanged = session.scalar(
            update(User)
            .where(User.id == account.user_id, User.password_hash == account.password_hash)
            .values(values)
            .returning(User.id)
        )
        session.execute(
            update(TenantUser)
            .where(TenantUser.user_id == account.user_id, TenantUser.tenant_id == tenant_id)
            .values(last_login=clock.now())
        )
        current = _account(session, tenant_id, User.id == account.user_id)
        if unchanged is None or current is None:
            raise _invalid_credentials()
        signed_in = _issue(session, tenant_id, current)
        record(
            session,
            actor=account.user_id,
            action="session.opened",
            target=f"user:{account.user_id}",
            detail={"address": address},
            tenant_id=tenant_id or PLATFORM,
        )
    return signed_in


def _issue(
    session: PlatformSession,
    tenant_id: UUID | None,
    account: _Account,
    *,
    family_id: UUID | None = None,
) -> SignedIn:
    access = new_access_token(
        user_id=account.user_id,
        tenant_id=tenant_id,
        membership_version=account.membership_version,
        credentials_version=account.credentials_version,
    )
    refresh_token = add_refresh_token(session, access=access, family_id=family_id)
    return SignedIn(
        access_token=sign_access_token(access),
        expires_in=get_settings().jwt_access_token_expire_minutes * 60,
        refresh_token=refresh_token.token,
        refresh_expires_at=refresh_token.expires_at,
        user=_document(session, tenant_id, account.user_id),
    )


def _account(session: PlatformSession, tenant_id: UUID | None, which: Any) -> _Account | None:
    """Answer who may sign in; a membership is held until the commit, so that it cannot end."""
    if tenant_id is None:
        row = session.scalar(select(User).where(which, User.is_operator))
        version = None
    else:
        found = session.execute(
            select(User, TenantUser.version)
            .join(TenantUser, TenantUser.user_id == User.id)
            .where(which, TenantUser.tenant_id == tenant_id, TenantUser.is_active)
            .with_for_update(read=True, of=TenantUser)
        ).one_or_none()
        row, version = found if found is not None else (None, None)
    if row is None:
        return None
    return _Account(row.id, row.password_hash, row.credentials_version, version)


def _document(session: PlatformSession, tenant_id: UUID | None, user_id: UUID) -> dict[str, Any]:
    if tenant_id is not None:
        return find_member(session, tenant_id=tenant_id, user_id=user_id).as_document()
    user = session.get_one(User, user_id)
    return Member.of_operator(user).as_document()


def _record_failure(tenant_id: UUID | None, account: _Account | None, address: str | None) -> None:
    """Record a failure; the mail that was tried is not kept, for it may be anybody's."""
    user_id = account.user_id if account is not None else None
    with open_platform_session() as session:
        record(
            session,
            actor=None,
            action="session.refused",
            target=f"user:{user_id}" if user_id is not None else "user:unknown",
            detail={"address": address},
            tenant_id=tenant_id or PLATFORM,
        )


def _invalid_credentials() -> InvalidCredentialsError:
    return InvalidCredentialsError("Mail or password is wrong, or you are no member here.")


def _invalid_refresh_token() -> UnauthenticatedError:
    return UnauthenticatedError(
        "The refresh token is not valid any more. Sign in.", code="invalid_refresh_token"
    )
