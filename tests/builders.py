"""What tests are built from: each builder makes one real thing and says what is special."""

import secrets
from uuid import UUID, uuid4

from core.jobs.turns import set_turns
from core.plans import plan_of
from core.tenancy.models import Tenant
from core.tenancy.provisioning import provision
from core.tenancy.session import open_platform_session


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
