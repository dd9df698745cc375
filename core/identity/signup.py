"""Sign-up: a tenant with its first admin, committed at once; its schema is then made by a job."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from core import clock
from core.audit.chain import record
from core.errors import ConflictError, Fault, InvalidInputError
from core.identity.links import add_password_link
from core.identity.members import Member, find_member
from core.identity.models import TenantUser
from core.identity.passwords import password_faults
from core.identity.people import (
    NewPerson,
    Proof,
    find_person,
    is_name,
    local_part,
    normal_email,
    person_faults,
    person_of,
    prove,
)
from core.ids import RESERVED_SLUGS, is_slug
from core.jobs.kinds import PROVISION_TENANT
from core.jobs.running import RunningJob
from core.jobs.submit import submit_job
from core.jobs.turns import set_turns
from core.plans import TRIAL_DAYS, TRIAL_TIER, plan_of
from core.tenancy.models import Tenant
from core.tenancy.provisioning import provision
from core.tenancy.session import PlatformSession, TenantSession, open_platform_session

_LONGEST_NAME = 200
# A job that finds the work done by hand changes nothing; it waits, so as not to meet it.
_JOB_WAITS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SignedUp:
    """A tenant that was signed up, its first admin, and the job that makes its schema."""

    tenant: dict[str, Any]
    user: Member
    job_id: UUID


@dataclass(frozen=True, slots=True)
class CreatedTenant:
    """A tenant that is ready; `password_path` sets its admin's password once, None: they have one.

    `password_path` is a path on the platform's own host, and carries a token.
    """

    id: UUID
    tenant: dict[str, Any]
    user: Member
    password_path: str | None


def sign_up(
    *,
    name: str,
    subdomain: str,
    admin_email: str,
    admin_username: str,
    admin_password: str,
    address: str | None = None,
) -> SignedUp:
    """Make a tenant with its first admin, and ask for its schema, in one transaction.

    A person whom the platform knows becomes the admin by giving the password they have. Raises
    InvalidInputError with every fault; ConflictError, code `subdomain_taken` or
    `email_not_available`; ThrottledError.
    """
    faults = _tenant_faults(name, subdomain)
    faults += person_faults(email=admin_email, username=admin_username, prefix="/admin_")
    faults += password_faults(
        admin_password, email=admin_email, username=admin_username, path="/admin_password"
    )
    if faults:
        raise InvalidInputError("The sign-up is not complete.", errors=faults)
    admin = NewPerson(normal_email(admin_email), admin_username.strip())
    _refuse_taken(subdomain)
    proof = prove(admin.email, admin_password, address=address)
    with open_platform_session() as session:
        tenant_id, user_id = _add_tenant(session, name, subdomain, proof, admin)
        job_id = submit_job(
            session,
            kind=PROVISION_TENANT,
            args={"tenant_id": str(tenant_id)},
            key=str(tenant_id),
            created_by=user_id,
        )
        _record(session, tenant_id, user_id, "tenant.signed_up")
        return SignedUp(
            tenant_document(session, tenant_id=tenant_id),
            find_member(session, tenant_id=tenant_id, user_id=user_id),
            job_id,
        )


def provision_tenant(job: RunningJob) -> None:
    """Make a tenant's schema and begin its trial: the job that sign-up asks for."""
    tenant_id = UUID(job.args["tenant_id"])
    provision(tenant_id)
    with job.finishing() as session:
        _begin_trial(session, tenant_id)


def create_tenant(
    name: str, subdomain: str, admin_email: str, admin_password: str | None = None
) -> CreatedTenant:
    """Make a tenant and its schema at once, as the owner of the database may.

    The admin's user name is their mail's local part. Without a password a new person gets a
    one-time link; a known one keeps the password they have. Raises InvalidInputError with
    faults, and ConflictError, code `subdomain_taken` or `email_not_available`.
    """
    mail = normal_email(admin_email)
    admin = NewPerson(mail, local_part(mail))
    faults = _tenant_faults(name, subdomain)
    faults += person_faults(email=admin_email, username=admin.username or "-", prefix="/admin_")
    if admin_password is not None:
        faults += password_faults(admin_password, email=mail, path="/admin_password")
    if faults:
        raise InvalidInputError("The tenant cannot be made.", errors=faults)
    _refuse_taken(subdomain)
    if admin_password is not None:
        proof = prove(mail, admin_password, address=None)
    else:
        with open_platform_session() as session:
            proof = Proof(find_person(session, email=mail), None)
    tenant_id, user_id, path = _create(name, subdomain, proof, admin)
    provision(tenant_id)
    with open_platform_session() as session:
        _begin_trial(session, tenant_id)
    with open_platform_session() as session:
        return CreatedTenant(
            tenant_id,
            tenant_document(session, tenant_id=tenant_id),
            find_member(session, tenant_id=tenant_id, user_id=user_id),
            path,
        )


def tenant_document(session: PlatformSession, *, tenant_id: UUID) -> dict[str, Any]:
    """Answer a tenant as it is published."""
    tenant = session.get_one(Tenant, tenant_id, populate_existing=True)
    return {
        "id": str(tenant.id),
        "name": tenant.name,
        "subdomain": tenant.subdomain,
        "domain": tenant.domain,
        "status": tenant.status,
        "subscription_tier": tenant.subscription_tier,
        "trial_ends_at": clock.iso(tenant.trial_ends_at) if tenant.trial_ends_at else None,
        "created_at": clock.iso(tenant.created_at),
    }


def _create(
    name: str, subdomain: str, proof: Proof, admin: NewPerson
) -> tuple[UUID, UUID, str | None]:
    """Commit the tenant; should this process die before its schema stands, the job makes it."""
    has_password = proof.new_hash or (proof.person is not None and proof.person.password_hash)
    with open_platform_session() as session:
        tenant_id, user_id = _add_tenant(session, name, subdomain, proof, admin)
        submit_job(
            session,
            kind=PROVISION_TENANT,
            args={"tenant_id": str(tenant_id)},
            key=str(tenant_id),
            not_before=clock.now() + _JOB_WAITS,
        )
        path = None if has_password else add_password_link(session, user_id=user_id)
        _record(session, tenant_id, None, "tenant.created")
    return tenant_id, user_id, path


def _add_tenant(
    session: PlatformSession, name: str, subdomain: str, proof: Proof, admin: NewPerson
) -> tuple[UUID, UUID]:
    tenant_id: UUID | None = session.scalar(
        insert(Tenant)
        .values(
            name=name.strip(),
            subdomain=subdomain,
            status="provisioning",
            subscription_tier=TRIAL_TIER,
        )
        .on_conflict_do_nothing(index_elements=["subdomain"])
        .returning(Tenant.id)
    )
    if tenant_id is None:
        raise _subdomain_taken(subdomain)
    user_id = person_of(session, proof, admin)
    session.add(TenantUser(tenant_id=tenant_id, user_id=user_id, role="admin"))
    set_turns(session, tenant_id, plan=plan_of(TRIAL_TIER))
    session.flush()
    return tenant_id, user_id


def _begin_trial(session: TenantSession | PlatformSession, tenant_id: UUID) -> None:
    begun = session.scalar(
        update(Tenant)
        .where(Tenant.id == tenant_id, Tenant.status == "provisioning")
        .values(status="trialing", trial_ends_at=clock.now() + timedelta(days=TRIAL_DAYS))
        .returning(Tenant.id)
    )
    if begun is not None:
        _record(session, tenant_id, None, "tenant.provisioned")


def _record(
    session: TenantSession | PlatformSession, tenant_id: UUID, actor: UUID | None, action: str
) -> None:
    target = f"tenant:{tenant_id}"
    record(session, actor=actor, action=action, target=target, tenant_id=tenant_id)


def _refuse_taken(subdomain: str) -> None:
    with open_platform_session() as session:
        if session.scalar(select(Tenant.id).where(Tenant.subdomain == subdomain)) is not None:
            raise _subdomain_taken(subdomain)


def _subdomain_taken(subdomain: str) -> ConflictError:
    return ConflictError(
        f"The subdomain {subdomain} is taken. Choose another.", code="subdomain_taken"
    )


def _tenant_faults(name: str, subdomain: str) -> list[Fault]:
    faults = []
    if not is_name(name, longest=_LONGEST_NAME):
        message = f"A firm's name has 1 to {_LONGEST_NAME} printable characters."
        faults.append(Fault("/name", "name_not_valid", message))
    if subdomain in RESERVED_SLUGS:
        message = f"The subdomain {subdomain} is the platform's own."
        faults.append(Fault("/subdomain", "subdomain_reserved", message, "Choose another."))
    elif not is_slug(subdomain):
        message = "A subdomain has 1 to 63 of a-z, 0-9 and hyphens, with no hyphen at its ends."
        faults.append(Fault("/subdomain", "subdomain_not_valid", message))
    return faults
