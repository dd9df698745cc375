"""Refresh tokens: opaque, rotated at each use, one family per login.

A used token that comes again ends its family with the access tokens issued in it, for one of
its two holders is a thief (RFC 9700, 4.14.2). There is no grace for a client whose answer was
lost: any such window would serve the thief as well, and the person only signs in again.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from core import clock
from core.identity.models import RefreshToken, RevokedToken
from core.identity.tokens import AccessToken
from core.ids import new_token, token_digest
from core.settings import get_settings
from core.tenancy.session import PlatformSession

_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class HeldToken:
    """What a refresh token stands for; `tenant_id` None for an operator."""

    id: UUID
    family_id: UUID
    user_id: UUID
    tenant_id: UUID | None
    credentials_version: int
    access_jti: UUID


@dataclass(frozen=True, slots=True)
class NewRefreshToken:
    """A refresh token as its client gets it, this once."""

    token: str
    expires_at: datetime


def find_refresh_token(session: PlatformSession, *, token: str) -> HeldToken | None:
    """Answer what a refresh token stands for, good or not; None for one never issued."""
    if not _SHAPE.fullmatch(token):
        return None
    row = session.scalar(select(RefreshToken).where(RefreshToken.digest == token_digest(token)))
    if row is None:
        return None
    return HeldToken(
        id=row.id,
        family_id=row.family_id,
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        credentials_version=row.credentials_version,
        access_jti=row.access_jti,
    )


def use_refresh_token(session: PlatformSession, held: HeldToken) -> bool:
    """Use a token up; False where it no longer counts, and its family is then ended.

    Of any number of calls at once exactly one is True. The family is locked until the commit,
    so that ending it cannot miss a successor that is being born.
    """
    name = f"family/{held.family_id}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    used = session.scalar(
        update(RefreshToken)
        .where(
            RefreshToken.id == held.id,
            RefreshToken.used_at.is_(None),
            RefreshToken.revoked_at.is_(None),
            RefreshToken.expires_at > clock.now(),
        )
        .values(used_at=clock.now())
        .returning(RefreshToken.id)
    )
    if used is None:
        end_families(session, RefreshToken.family_id == held.family_id)
    return used is not None


def add_refresh_token(
    session: PlatformSession, *, access: AccessToken, family_id: UUID | None = None
) -> NewRefreshToken:
    """Issue a refresh token beside an access token, in a family or as the first of a new one."""
    token = new_token()
    expires_at = clock.now() + timedelta(days=get_settings().refresh_token_expire_days)
    session.add(
        RefreshToken(
            family_id=family_id or uuid4(),
            user_id=access.user_id,
            tenant_id=access.tenant_id,
            digest=token_digest(token),
            credentials_version=access.credentials_version,
            access_jti=access.jti,
            access_expires_at=access.expires_at,
            expires_at=expires_at,
        )
    )
    session.flush()
    return NewRefreshToken(token, expires_at)


def end_family_of(session: PlatformSession, *, jti: UUID) -> None:
    """End the login that an access token came from."""
    families = select(RefreshToken.family_id).where(RefreshToken.access_jti == jti)
    end_families(session, RefreshToken.family_id.in_(families))


def end_memberships_tokens(session: PlatformSession, *, user_id: UUID, tenant_id: UUID) -> None:
    """End every login of a person in a tenant."""
    end_families(session, RefreshToken.user_id == user_id, RefreshToken.tenant_id == tenant_id)


def end_families(session: PlatformSession, *which: ColumnElement[bool]) -> None:
    """Revoke refresh tokens and every access token issued with them that is still good."""
    now = clock.now()
    session.execute(
        update(RefreshToken)
        .where(*which, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )
    issued = select(RefreshToken.access_jti, RefreshToken.access_expires_at).where(
        *which, RefreshToken.access_expires_at > now
    )
    session.execute(
        insert(RevokedToken).from_select(["jti", "expires_at"], issued).on_conflict_do_nothing()
    )


def revoke_access_token(session: PlatformSession, *, jti: UUID, expires_at: datetime) -> None:
    """End one access token before its time."""
    session.execute(
        insert(RevokedToken).values(jti=jti, expires_at=expires_at).on_conflict_do_nothing()
    )


def forget_expired(session: PlatformSession) -> None:
    """Delete the rows of tokens that have expired; for housekeeping."""
    now = clock.now()
    for model in (RefreshToken, RevokedToken):
        session.execute(
            delete(model)
            .where(model.expires_at <= now)
            .execution_options(synchronize_session=False)
        )
