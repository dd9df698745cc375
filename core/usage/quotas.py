"""How many things a tenant may have, enforced in the transaction that makes the thing."""

from sqlalchemy import Select, func, select

from core.errors import QuotaExceededError
from core.plans import UNLIMITED, Plan, plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import TenantSession


def current_plan(session: TenantSession) -> Plan:
    """Answer the plan of the session's tenant, as its row says now."""
    tier = session.scalar(select(Tenant.subscription_tier).where(Tenant.id == session.tenant_id))
    if tier is None:
        raise LookupError("a tenant's session without its tenant")
    return plan_of(tier)


def take_place(session: TenantSession, *, metric: str, limit: int, used: Select[int]) -> None:
    """Make room for one more thing, or raise QuotaExceededError.

    `used` counts what is there. The tenant's makers of this metric go one at a time until
    their commit, so that any number of threads at a limit of Q makes exactly Q.
    """
    if limit == UNLIMITED:
        return
    name = f"quota/{session.tenant_id}/{metric}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    count = session.scalar(used) or 0
    if count >= limit:
        raise QuotaExceededError(
            f"Your plan allows {limit} {metric.replace('_', ' ')} and you have {count}. Delete "
            "one, or move to a larger plan.",
            metric=metric,
            limit=limit,
            used=count,
        )
