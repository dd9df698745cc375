"""A tenant's members: listed, changed and removed; never a person's mail or password."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_

from core import clock
from core.audit.chain import record
from core.errors import ConflictError, Fault, InvalidInputError, NotFoundError
from core.identity.models import TenantUser, User
from core.identity.places import HeldTenant, hold_tenant, refuse_full
from core.identity.refresh import end_memberships_tokens
from core.identity.roles import OPERATOR_PERMISSIONS, OPERATOR_ROLE, permissions_of, role_faults
from core.tenancy.models import Tenant
from core.tenancy.session import PlatformSession


@dataclass(frozen=True, slots=True)
class Member:
    """A person as a tenant sees them; an operator has no tenant and no tier.

    `permissions` are the effective ones, `extra_permissions` those beyond the role's.
    """

    id: UUID
    tenant_id: UUID | None
    email: str
    username: str
    first_name: str | None
    last_name: str | None
    role: str
    permissions: tuple[str, ...]
    extra_permissions: tuple[str, ...]
    subscription_tier: str | None
    is_active: bool
    created_at: datetime
    last_login: datetime | None

    @classmethod
    def of_operator(cls, user: User) -> Self:
        """Answer an operator in the shape of a member."""
        return cls(
            id=user.id,
            tenant_id=None,
            email=user.email,
            username=user.username,
            first_name=user.first_name,
            last_name=user.last_name,
            role=OPERATOR_ROLE,
            permissions=tuple(sorted(OPERATOR_PERMISSIONS)),
            extra_permissions=(),
            subscription_tier=None,
            is_active=True,
            created_at=user.created_at,
            last_login=user.last_login,
        )

    def as_document(self) -> dict[str, Any]:
        """Answer the user as it is published."""
        return {
            "id": str(self.id),
            "tenant_id": str(self.tenant_id) if self.tenant_id is not None else None,
            "email": self.email,
            "username": self.username,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "role": self.role,
            "permissions": list(self.permissions),
            "extra_permissions": list(self.extra_permissions),
            "subscription_tier": self.subscription_tier,
            "is_active": self.is_active,
            "created_at": clock.iso(self.created_at),
            "last_login": clock.iso(self.last_login) if self.last_login is not None else None,
        }


def list_members(
    session: PlatformSession, *, tenant_id: UUID, limit: int, cursor: str | None = None
) -> tuple[list[Member], int, str | None]:
    """Answer members, oldest first, with how many there are and the cursor of the next page.

    Raises InvalidInputError, code `invalid_cursor`, for a cursor that we did not give.
    """
    statement = _members(tenant_id)
    if cursor is not None:
        after = tuple_(TenantUser.created_at, TenantUser.id)
        statement = statement.where(after > _read_cursor(cursor))
    rows = session.execute(
        statement.order_by(TenantUser.created_at, TenantUser.id).limit(limit + 1)
    ).all()
    total = session.scalar(select(func.count()).where(TenantUser.tenant_id == tenant_id)) or 0
    items = [_member(*row) for row in rows[:limit]]
    following = _write_cursor(rows[limit - 1][1]) if len(rows) > limit else None
    return items, total, following


def find_member(session: PlatformSession, *, tenant_id: UUID, user_id: UUID) -> Member:
    """Answer one member.

    Raises NotFoundError where the tenant has no such member, whoever else may exist.
    """
    row = session.execute(
        _members(tenant_id)
        .where(TenantUser.user_id == user_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise _no_member()
    return _member(*row)


def update_member(
    session: PlatformSession,
    *,
    tenant_id: UUID,
    user_id: UUID,
    by: UUID,
    role: str | None = None,
    permissions: Sequence[str] | None = None,
    is_active: bool | None = None,
) -> Member:
    """Change what a member may do; None leaves as it is. Their earlier tokens become void.

    Raises InvalidInputError with faults, NotFoundError, ConflictError, code `last_admin`, where
    no active admin would be left, and QuotaExceededError where a member comes back and the plan
    is full.
    """
    if faults := role_faults(role, permissions):
        raise InvalidInputError("The member cannot be changed so.", errors=faults)
    held = hold_tenant(session, tenant_id=tenant_id)
    membership = _held_membership(session, held, user_id)
    extra = sorted(set(permissions)) if permissions is not None else None
    asked = {"role": role, "permissions": extra, "is_active": is_active}
    changes = {
        name: value
        for name, value in asked.items()
        if value is not None and value != getattr(membership, name)
    }
    if changes:
        _apply(session, held, membership, changes)
        record(
            session,
            actor=by,
            action="member.changed",
            target=f"user:{user_id}",
            detail=changes,
            tenant_id=tenant_id,
        )
    return find_member(session, tenant_id=tenant_id, user_id=user_id)


def remove_member(session: PlatformSession, *, tenant_id: UUID, user_id: UUID, by: UUID) -> None:
    """End a membership and every login into the tenant that it had; the person remains.

    Raises NotFoundError, and ConflictError, code `last_admin`, for the last active admin.
    """
    held = hold_tenant(session, tenant_id=tenant_id)
    membership = _held_membership(session, held, user_id)
    _refuse_last_admin(session, membership)
    session.delete(membership)
    session.flush()
    end_memberships_tokens(session, user_id=user_id, tenant_id=tenant_id)
    record(
        session,
        actor=by,
        action="member.removed",
        target=f"user:{user_id}",
        tenant_id=tenant_id,
    )


def _members(tenant_id: UUID) -> Select[User, TenantUser, str]:
    return (
        select(User, TenantUser, Tenant.subscription_tier)
        .join(TenantUser, TenantUser.user_id == User.id)
        .join(Tenant, Tenant.id == TenantUser.tenant_id)
        .where(TenantUser.tenant_id == tenant_id)
    )


def _member(user: User, membership: TenantUser, tier: str) -> Member:
    return Member(
        id=user.id,
        tenant_id=membership.tenant_id,
        email=user.email,
        username=user.username,
        first_name=user.first_name,
        last_name=user.last_name,
        role=membership.role,
        permissions=tuple(sorted(permissions_of(membership.role, membership.permissions))),
        extra_permissions=tuple(membership.permissions),
        subscription_tier=tier,
        is_active=membership.is_active,
        created_at=membership.created_at,
        last_login=membership.last_login,
    )


def _held_membership(session: PlatformSession, held: HeldTenant, user_id: UUID) -> TenantUser:
    membership = session.scalar(
        select(TenantUser)
        .where(TenantUser.tenant_id == held.id, TenantUser.user_id == user_id)
        .with_for_update()
    )
    if membership is None:
        raise _no_member()
    return membership


def _apply(
    session: PlatformSession, held: HeldTenant, membership: TenantUser, changes: dict[str, Any]
) -> None:
    if "role" in changes or changes.get("is_active") is False:
        _refuse_last_admin(session, membership)
    if changes.get("is_active") is True:
        refuse_full(session, held)
    for name, value in changes.items():
        setattr(membership, name, value)
    membership.version += 1
    session.flush()
    if changes.get("is_active") is False:
        end_memberships_tokens(session, user_id=membership.user_id, tenant_id=held.id)


def _refuse_last_admin(session: PlatformSession, membership: TenantUser) -> None:
    """Refuse to take an active admin away where there is no other; the tenant is held."""
    if membership.role != "admin" or not membership.is_active:
        return
    others = session.scalar(
        select(func.count()).where(
            TenantUser.tenant_id == membership.tenant_id,
            TenantUser.user_id != membership.user_id,
            TenantUser.role == "admin",
            TenantUser.is_active,
        )
    )
    if not others:
        raise ConflictError(
            "This is the last active admin. Make another member an admin first.", code="last_admin"
        )


def _no_member() -> NotFoundError:
    return NotFoundError("There is no such member.", code="user_not_found")


def _write_cursor(membership: TenantUser) -> str:
    text = f"{membership.created_at.isoformat()}|{membership.id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        moment, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        created_at, membership_id = datetime.fromisoformat(moment), UUID(number)
    except (ValueError, binascii.Error):
        created_at, membership_id = None, None
    if created_at is None or membership_id is None or created_at.tzinfo is None:
        fault = Fault("/cursor", "invalid_cursor", "This cursor is none of ours.")
        raise InvalidInputError(
            "The cursor cannot be read. Take the `next_cursor` of the page before.",
            code="invalid_cursor",
            errors=[fault],
        )
    return created_at, membership_id
