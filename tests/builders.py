"""What tests are built from: each builder makes one real thing and says what is special."""

import secrets
from functools import lru_cache
from uuid import UUID, uuid4

from core.identity.authentication import login
from core.identity.models import TenantUser, User
from core.identity.passwords import hash_password
from core.jobs.turns import set_turns
from core.plans import plan_of
from core.tenancy.models import Tenant
from core.tenancy.provisioning import provision
from core.tenancy.resolution import Signals, TenantRef, resolve
from core.tenancy.session import open_platform_session

PASSWORD = "correct horse battery"


def a_slug(prefix: str = "firm") -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


def a_tenant(*, slug: str | None = None, tier: str = "professional") -> UUID:
    """Make a provisioned, active tenant and answer its id."""
    tenant_id = uuid4()
    name = slug or a_slug()
    with open_platform_session() as session:
        session.add(Tenant(id=tenant_id, name=name, subdomain=name, subscription_tier=tier))
        set_turns(session, tenant_id, plan=plan_of(tier))
    provision(tenant_id)
    return tenant_id


def a_mail() -> str:
    return f"{secrets.token_hex(6)}@people.example.com"


def a_user(
    *, email: str | None = None, password: str | None = PASSWORD, is_operator: bool = False
) -> UUID:
    """Make a person in no tenant and answer their id; `password` None: none is set yet."""
    user_id = uuid4()
    mail = email or a_mail()
    known_hash = _hash_of(password) if password is not None else None
    with open_platform_session() as session:
        session.add(
            User(
                id=user_id,
                email=mail,
                username=mail.partition("@")[0],
                password_hash=known_hash,
                is_operator=is_operator,
            )
        )
    return user_id


def a_member(
    tenant_id: UUID,
    *,
    role: str = "user",
    email: str | None = None,
    password: str | None = PASSWORD,
    user_id: UUID | None = None,
    is_active: bool = True,
) -> UUID:
    """Make a member, of a new person unless one is named, and answer the person's id."""
    member = user_id or a_user(email=email, password=password)
    with open_platform_session() as session:
        session.add(TenantUser(tenant_id=tenant_id, user_id=member, role=role, is_active=is_active))
    return member


def a_token(tenant_id: UUID, *, role: str = "user") -> str:
    """Sign a new member of a tenant in and answer their access token."""
    mail = a_mail()
    a_member(tenant_id, role=role, email=mail)
    return login(a_ref(tenant_id), email=mail, password=PASSWORD, address=None).access_token


def a_ref(tenant_id: UUID) -> TenantRef:
    """Answer a tenant as a call knows it."""
    return resolve(Signals(path=str(tenant_id)))


@lru_cache
def _hash_of(password: str) -> str:
    return hash_password(password)
