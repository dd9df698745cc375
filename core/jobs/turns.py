"""A tenant's places in the rounds of the queues, kept in step with its plan and status."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from core.jobs.kinds import QUEUES
from core.jobs.models import Turn
from core.plans import UNLIMITED, Plan
from core.tenancy.session import PlatformSession


def set_turns(
    session: PlatformSession, tenant_id: UUID, *, plan: Plan | None, held: bool = False
) -> None:
    """Give a tenant its place in every queue, with its plan's caps; None for no cap.

    `held`: its jobs stay queued, as those of a suspended tenant do.
    """
    for queue in QUEUES:
        limit = plan.jobs_in_flight(queue) if plan is not None else UNLIMITED
        values = {"cap": None if limit == UNLIMITED else limit, "held": held}
        session.execute(
            insert(Turn)
            .values(tenant_id=tenant_id, queue=queue, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "queue"], set_=values)
        )
