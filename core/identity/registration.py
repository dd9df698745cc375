"""Joining a tenant: by invitation, through its open door, or by an admin's hand."""

from dataclasses import dataclass

from core.audit.chain import record
from core.errors import ForbiddenError, InvalidInputError
from core.identity.members import Member, find_member
from core.identity.passwords import password_faults
from core.identity.people import NewPerson, Proof, normal_email, person_faults, person_of, prove
from core.identity.places import (
    HeldTenant,
    Place,
    add_membership,
    hold_tenant,
    is_invited,
    take_invitation,
)
from core.identity.principal import Principal
from core.identity.roles import DEFAULT_ROLE, role_faults
from core.tenancy.resolution import TenantRef
from core.tenancy.session import PlatformSession, open_platform_session


@dataclass(frozen=True, slots=True)
class _Asked:
    """A registration in order; `role` only where an admin asked for it."""

    tenant: TenantRef
    person: NewPerson
    admin: Principal | None
    role: str
    invitation_token: str | None


def register(
    tenant: TenantRef,
    *,
    email: str,
    username: str,
    password: str,
    first_name: str | None = None,
    last_name: str | None = None,
    role: str | None = None,
    invitation_token: str | None = None,
    by: Principal | None = None,
    address: str | None = None,
) -> Member:
    """Make somebody a member, and a person of the platform where they are none yet.

    An existing person joins by giving the password they have. `role` counts only from an admin
    of this tenant (`by`); an invitation carries its own, the open door gives `user`. Raises
    InvalidInputError with faults; ForbiddenError, code `registration_closed`,
    `email_domain_refused` or `invitation_not_valid`; ConflictError, code `email_not_available`
    or `already_member`; QuotaExceededError; ThrottledError.
    """
    admin = by if _is_admin_of(by, tenant) else None
    faults = person_faults(
        email=email, username=username, first_name=first_name, last_name=last_name
    )
    faults += password_faults(password, email=email, username=username)
    faults += role_faults(role if admin is not None else None, None)
    if faults:
        raise InvalidInputError("The registration is not complete.", errors=faults)
    person = NewPerson(normal_email(email), username.strip(), first_name, last_name)
    given = role if admin is not None and role is not None else DEFAULT_ROLE
    asked = _Asked(tenant, person, admin, given, invitation_token)
    # Who may not join learns so before any mail is looked up.
    with open_platform_session() as session:
        _refuse_uninvited(session, hold_tenant(session, tenant_id=tenant.id), asked)
    return _join(asked, prove(person.email, password, address=address))


def _join(asked: _Asked, proof: Proof) -> Member:
    tenant_id = asked.tenant.id
    with open_platform_session() as session:
        held = hold_tenant(session, tenant_id=tenant_id)
        place = _take_place(session, held, asked)
        user_id = person_of(session, proof, asked.person)
        add_membership(session, held, user_id=user_id, place=place)
        record(
            session,
            actor=asked.admin.user_id if asked.admin is not None else user_id,
            action="member.registered",
            target=f"user:{user_id}",
            detail={"role": place.role},
            tenant_id=tenant_id,
        )
        return find_member(session, tenant_id=tenant_id, user_id=user_id)


def _is_admin_of(by: Principal | None, tenant: TenantRef) -> bool:
    return by is not None and by.tenant_id == tenant.id and "users:write" in by.permissions


def _refuse_uninvited(session: PlatformSession, held: HeldTenant, asked: _Asked) -> None:
    if asked.invitation_token:
        if not is_invited(
            session, tenant_id=held.id, token=asked.invitation_token, email=asked.person.email
        ):
            raise _invitation_not_valid()
        return
    if asked.admin is not None:
        return
    if not held.registration_open:
        raise ForbiddenError(
            "This firm takes new members by invitation. Ask one of its admins.",
            code="registration_closed",
        )
    domain = asked.person.email.rpartition("@")[2]
    if held.registration_domains and domain not in held.registration_domains:
        raise ForbiddenError(
            "This firm takes registrations from its own mail domains alone. Use your mail there, "
            "or ask one of its admins for an invitation.",
            code="email_domain_refused",
        )


def _take_place(session: PlatformSession, held: HeldTenant, asked: _Asked) -> Place:
    _refuse_uninvited(session, held, asked)
    if not asked.invitation_token:
        return Place(asked.role)
    place = take_invitation(session, held, token=asked.invitation_token, email=asked.person.email)
    if place is None:
        raise _invitation_not_valid()
    return place


def _invitation_not_valid() -> ForbiddenError:
    return ForbiddenError(
        "The invitation was used, is too old, or is for another mail. Ask for a new one.",
        code="invitation_not_valid",
    )
