"""Places in a tenant: who gets one, within what the plan allows, and the invitations to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from core import clock
from core.audit.chain import record
from core.errors import ConflictError, InvalidInputError, NotFoundError, QuotaExceededError
from core.identity.links import JOIN_PATH, add_password_link
from core.identity.models import Invitation, TenantUser
from core.identity.people import (
    NewPerson,
    add_person,
    find_person,
    local_part,
    normal_email,
    person_faults,
)
from core.identity.roles import DEFAULT_ROLE, role_faults
from core.ids import new_token, token_digest
from core.plans import UNLIMITED, plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import PlatformSession

INVITATION_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class HeldTenant:
    """A tenant whose memberships nobody else changes before the commit."""

    id: UUID
    tier: str
    registration_open: bool
    registration_domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What a membership begins with."""

    role: str = DEFAULT_ROLE
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """What became of adding somebody: the member, or None where they were invited.

    `path`: of the page where they set a password, or accept; it carries a token, shown once.
    """

    user_id: UUID | None
    path: str


def hold_tenant(session: PlatformSession, *, tenant_id: UUID) -> HeldTenant:
    """Hold a tenant's memberships and plan for this transaction; signing in goes on meanwhile.

    Raises NotFoundError.
    """
    row = session.execute(
        select(Tenant.subscription_tier, Tenant.registration_open, Tenant.registration_domains)
        .where(Tenant.id == tenant_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise NotFoundError("There is no such tenant.", code="tenant_not_found")
    tier, is_open, domains = row
    return HeldTenant(tenant_id, tier, is_open, tuple(domains))


def refuse_full(session: PlatformSession, held: HeldTenant) -> None:
    """Raise QuotaExceededError where the plan takes no more users: active plus invited."""
    limit = plan_of(held.tier).users
    if limit == UNLIMITED:
        return
    active = session.scalar(
        select(func.count()).where(TenantUser.tenant_id == held.id, TenantUser.is_active)
    )
    invited = session.scalar(
        select(func.count()).where(
            Invitation.tenant_id == held.id, Invitation.expires_at > clock.now()
        )
    )
    used = (active or 0) + (invited or 0)
    if used >= limit:
        raise QuotaExceededError(
            f"The {held.tier} plan has {limit} users, and all are taken. Remove one, or take a "
            "larger plan.",
            metric="users",
            limit=limit,
            used=used,
        )


def add_membership(
    session: PlatformSession, held: HeldTenant, *, user_id: UUID, place: Place
) -> None:
    """Make a person a member of a tenant that is held.

    Raises ConflictError, code `already_member`, and QuotaExceededError.
    """
    known = session.scalar(
        select(TenantUser.id).where(TenantUser.tenant_id == held.id, TenantUser.user_id == user_id)
    )
    if known is not None:
        raise ConflictError("This person is a member already.", code="already_member")
    refuse_full(session, held)
    session.add(
        TenantUser(
            tenant_id=held.id,
            user_id=user_id,
            role=place.role,
            permissions=list(place.permissions),
        )
    )
    session.flush()


def add_member(
    session: PlatformSession,
    *,
    tenant_id: UUID,
    by: UUID,
    email: str,
    username: str | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    role: str = DEFAULT_ROLE,
    permissions: Sequence[str] = (),
) -> Added:
    """Give somebody a place, as an admin does.

    A new mail becomes a member at once, with a link to set the password; an existing person is
    invited, for no admin disposes of them. Raises InvalidInputError with faults,
    ConflictError, code `already_member`, QuotaExceededError.
    """
    mail = normal_email(email)
    new = NewPerson(mail, username or local_part(mail), first_name, last_name)
    faults = person_faults(
        email=email, username=new.username or "-", first_name=first_name, last_name=last_name
    )
    if faults := faults + role_faults(role, permissions):
        raise InvalidInputError("The member cannot be added.", errors=faults)
    held, place = hold_tenant(session, tenant_id=tenant_id), _place(role, permissions)
    if find_person(session, email=mail) is not None:
        return Added(None, _invite(session, held, by=by, email=mail, place=place))
    user_id = add_person(session, new, password_hash=None)
    add_membership(session, held, user_id=user_id, place=place)
    answer = Added(user_id, add_password_link(session, user_id=user_id))
    record(
        session,
        actor=by,
        action="member.added",
        target=f"user:{user_id}",
        detail={"role": role},
        tenant_id=held.id,
    )
    return answer


def invite_member(
    session: PlatformSession,
    *,
    tenant_id: UUID,
    by: UUID,
    email: str,
    role: str = DEFAULT_ROLE,
    permissions: Sequence[str] = (),
) -> str:
    """Keep a place for a mail, known or not, and answer the path of the page that accepts it.

    Inviting a mail again replaces its invitation. Raises as `add_member` does.
    """
    mail = normal_email(email)
    faults = person_faults(email=email, username="-") + role_faults(role, permissions)
    if faults:
        raise InvalidInputError("The invitation cannot be made.", errors=faults)
    held, place = hold_tenant(session, tenant_id=tenant_id), _place(role, permissions)
    return _invite(session, held, by=by, email=mail, place=place)


def take_invitation(
    session: PlatformSession, held: HeldTenant, *, token: str, email: str
) -> Place | None:
    """Use an invitation up and answer its place, None where it is not good for this mail."""
    row = session.execute(
        delete(Invitation)
        .where(
            Invitation.tenant_id == held.id,
            Invitation.digest == _digest(token),
            Invitation.email == email,
            Invitation.expires_at > clock.now(),
        )
        .returning(Invitation.role, Invitation.permissions)
    ).one_or_none()
    return Place(row.role, tuple(row.permissions)) if row is not None else None


def is_invited(session: PlatformSession, *, tenant_id: UUID, token: str, email: str) -> bool:
    """Tell whether an invitation is good for a mail, without using it up."""
    known = session.scalar(
        select(Invitation.id).where(
            Invitation.tenant_id == tenant_id,
            Invitation.digest == _digest(token),
            Invitation.email == email,
            Invitation.expires_at > clock.now(),
        )
    )
    return known is not None


def _invite(
    session: PlatformSession, held: HeldTenant, *, by: UUID, email: str, place: Place
) -> str:
    person = find_person(session, email=email)
    if person is not None and session.scalar(
        select(TenantUser.id).where(
            TenantUser.tenant_id == held.id, TenantUser.user_id == person.id
        )
    ):
        raise ConflictError("This person is a member already.", code="already_member")
    session.execute(
        delete(Invitation).where(Invitation.tenant_id == held.id, Invitation.email == email)
    )
    refuse_full(session, held)
    token = new_token()
    invitation_id = session.scalar(
        insert(Invitation)
        .values(
            tenant_id=held.id,
            email=email,
            role=place.role,
            permissions=list(place.permissions),
            digest=token_digest(token),
            invited_by=by,
            expires_at=clock.now() + INVITATION_LIFETIME,
        )
        .returning(Invitation.id)
    )
    record(
        session,
        actor=by,
        action="member.invited",
        target=f"invitation:{invitation_id}",
        detail={"role": place.role},
        tenant_id=held.id,
    )
    return JOIN_PATH + token


def _place(role: str, permissions: Sequence[str]) -> Place:
    return Place(role, tuple(sorted(set(permissions))))


def _digest(token: str) -> bytes:
    return token_digest(token) if token.isascii() else b""
