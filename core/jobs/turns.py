"""A tenant's places in the rounds of the queues, kept in step with its plan and status."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Integer, String, and_, column, or_, select, values
from sqlalchemy.dialects.postgresql import insert

from core.ids import PLATFORM
from core.jobs.kinds import QUEUES, RECONCILE_TURNS
from core.jobs.models import Turn
from core.jobs.periods import enqueue_periods
from core.jobs.running import RunningJob
from core.plans import PLANS, UNLIMITED, Plan, Queue, plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import PlatformSession

RECONCILE_EVERY = timedelta(minutes=10)


def set_turns(
    session: PlatformSession, tenant_id: UUID, *, plan: Plan | None, held: bool = False
) -> None:
    """Give a tenant its place in every queue, with its plan's caps; None for no cap.

    `held`: its jobs stay queued, as those of a suspended tenant do.
    """
    for queue in QUEUES:
        changed = {"cap": _cap(plan, queue), "held": held}
        session.execute(
            insert(Turn)
            .values(tenant_id=tenant_id, queue=queue, **changed)
            .on_conflict_do_update(index_elements=["tenant_id", "queue"], set_=changed)
        )


def enqueue_reconciliation() -> int:
    """Queue the job that mends turns, once a period; answer how many are new."""
    return enqueue_periods(RECONCILE_TURNS, RECONCILE_EVERY)


def reconcile_turns(job: RunningJob) -> None:
    """Mend the turns that are missing, or differ from their tenant's tier and status."""
    with job.finishing() as session:
        if not isinstance(session, PlatformSession):
            raise TypeError("turns are the platform's")
        # Whoever changes a tier holds the tenant's row too: what is read here stays true.
        wrong = select(Tenant).where(Tenant.id.in_(_tenants_out_of_step())).order_by(Tenant.id)
        for tenant in session.scalars(wrong.with_for_update(key_share=True)):
            held = tenant.status == "suspended"
            set_turns(session, tenant.id, plan=plan_of(tenant.subscription_tier), held=held)
        own = select(Turn.queue).where(
            Turn.tenant_id == PLATFORM, Turn.cap.is_(None), Turn.held.is_(False)
        )
        if set(session.scalars(own)) != set(QUEUES):
            set_turns(session, PLATFORM, plan=None)


def _tenants_out_of_step() -> Any:
    """Choose the ids of tenants that lack a turn, or have one with another cap or hold."""
    right = values(
        column("tier", String), column("queue", String), column("cap", Integer), name="right"
    ).data([(tier, queue, _cap(plan, queue)) for tier, plan in PLANS.items() for queue in QUEUES])
    turn = and_(Turn.tenant_id == Tenant.id, Turn.queue == right.c.queue)
    differs = or_(
        Turn.tenant_id.is_(None),
        Turn.cap.is_distinct_from(right.c.cap),
        Turn.held.is_distinct_from((Tenant.status == "suspended").cast(Boolean)),
    )
    return (
        select(Tenant.id)
        .join(right, right.c.tier == Tenant.subscription_tier)
        .outerjoin(Turn, turn)
        .where(differs)
    )


def _cap(plan: Plan | None, queue: Queue) -> int | None:
    limit = plan.jobs_in_flight(queue) if plan is not None else UNLIMITED
    return None if limit == UNLIMITED else limit
