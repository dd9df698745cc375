"""What an operator does to tenants and operators, from the command line or the admin pages."""

from collections.abc import Sequence
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import select, update

from core.audit.chain import record
from core.errors import ConflictError, Fault, InvalidInputError, NotFoundError
from core.identity.models import User
from core.identity.passwords import password_faults
from core.identity.people import (
    NewPerson,
    local_part,
    normal_email,
    person_faults,
    person_of,
    prove,
)
from core.identity.signup import tenant_document
from core.ids import PLATFORM
from core.jobs.turns import set_turns
from core.plans import PLANS, plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import PlatformSession, open_platform_session

Status = Literal["trialing", "active", "suspended"]
STATUSES: tuple[Status, ...] = get_args(Status)


def set_tenant(
    slug: str,
    *,
    tier: str | None = None,
    open_registration: bool | None = None,
    status: str | None = None,
    domains: Sequence[str] | None = None,
    host: str | None = None,
    by: UUID | None = None,
) -> dict[str, Any]:
    """Change a tenant and answer it; None leaves as it is.

    `tier` takes its caps along; status `suspended` holds the tenant's jobs. `domains`: mail
    domains that may register, empty for all. `host`: the tenant's own host name, empty for
    none. Raises InvalidInputError with faults, NotFoundError, and ConflictError, code
    `domain_taken`, or `tenant_provisioning` for the status of one that is still being set up.
    """
    if faults := _faults(tier, status):
        raise InvalidInputError("The tenant cannot be changed so.", errors=faults)
    asked: dict[str, Any] = {
        "subscription_tier": tier,
        "registration_open": open_registration,
        "status": status,
        "registration_domains": _lower(domains) if domains is not None else None,
    }
    changes = {name: value for name, value in asked.items() if value is not None}
    if host is not None:
        changes["domain"] = host.strip().lower().rstrip(".") or None
    with open_platform_session() as session:
        tenant = _change(session, slug, changes)
        record(
            session,
            actor=by,
            action="tenant.changed",
            target=f"tenant:{tenant.id}",
            detail=changes,
            tenant_id=tenant.id,
        )
        return tenant_document(session, tenant_id=tenant.id)


def _change(session: PlatformSession, slug: str, changes: dict[str, Any]) -> Tenant:
    tenant = session.scalar(
        select(Tenant).where(Tenant.subdomain == slug).with_for_update(key_share=True)
    )
    if tenant is None:
        raise NotFoundError("There is no such tenant.", code="tenant_not_found")
    if tenant.status == "provisioning" and "status" in changes:
        raise ConflictError(
            "The firm is still being set up: its status is its job's, tenancy.provision.",
            code="tenant_provisioning",
        )
    taken = changes.get("domain") and session.scalar(
        select(Tenant.id).where(Tenant.domain == changes["domain"], Tenant.id != tenant.id)
    )
    if taken:
        raise ConflictError("Another tenant has this host name.", code="domain_taken")
    for name, value in changes.items():
        setattr(tenant, name, value)
    session.flush()
    held = tenant.status == "suspended"
    set_turns(session, tenant.id, plan=plan_of(tenant.subscription_tier), held=held)
    return tenant


def create_superuser(email: str, password: str) -> UUID:
    """Make an operator of the platform and answer their id.

    A person whom the platform knows becomes one by the password they have. Raises
    InvalidInputError with faults, and ConflictError, code `email_not_available` or
    `already_operator`.
    """
    mail = normal_email(email)
    faults = person_faults(email=email, username=local_part(mail) or "-")
    if faults := faults + password_faults(password, email=mail):
        raise InvalidInputError("The operator cannot be made.", errors=faults)
    new = NewPerson(mail, local_part(mail))
    proof = prove(mail, password, address=None)
    with open_platform_session() as session:
        user_id = person_of(session, proof, new)
        made = session.scalar(
            update(User)
            .where(User.id == user_id, User.is_operator.is_(False))
            .values(is_operator=True)
            .returning(User.id)
        )
        if made is None:
            raise ConflictError("This person is an operator already.", code="already_operator")
        record(
            session,
            actor=None,
            action="operator.made",
            target=f"user:{user_id}",
            tenant_id=PLATFORM,
        )
    return user_id


def _faults(tier: str | None, status: str | None) -> list[Fault]:
    faults = []
    if tier is not None and tier not in PLANS:
        hint = f"Take one of {', '.join(PLANS)}."
        faults.append(Fault("/tier", "unknown_tier", "There is no such tier.", hint))
    if status is not None and status not in STATUSES:
        hint = f"Take one of {', '.join(STATUSES)}."
        faults.append(Fault("/status", "unknown_status", "There is no such status.", hint))
    return faults


def _lower(domains: Sequence[str]) -> list[str]:
    return sorted({domain.strip().lower().removeprefix("@") for domain in domains})
