"""The end of a trial: the tenant is suspended until it subscribes, and nothing is deleted."""

from uuid import UUID

from sqlalchemy import String, cast, func, select, update

from core.ids import PLATFORM
from core.jobs.kinds import END_TRIAL
from core.jobs.models import Job
from core.jobs.running import RunningJob
from core.jobs.submit import submit_job
from core.jobs.turns import set_turns
from core.plans import plan_of
from core.tenancy.models import Tenant
from core.tenancy.session import PlatformSession, open_platform_session

_BATCH = 1_000


def enqueue_ended_trials() -> int:
    """Queue a job for each tenant whose trial is over and that has none waiting; count them."""
    waits = (
        select(Job.id)
        .where(
            Job.tenant_id == PLATFORM,
            Job.kind == END_TRIAL.name,
            Job.key == cast(Tenant.id, String),
            # As the index says, so that it is used.
            Job.uniqueness == "coalesce",
            Job.status.in_(("queued", "dispatched")),
        )
        .exists()
    )
    over = (Tenant.status == "trialing", Tenant.trial_ends_at <= func.now())
    with open_platform_session() as session:
        ended = session.scalars(select(Tenant.id).where(*over, ~waits).limit(_BATCH)).all()
        for tenant_id in ended:
            submit_job(
                session,
                kind=END_TRIAL,
                args={"tenant_id": str(tenant_id)},
                key=str(tenant_id),
            )
    return len(ended)


def end_trial(job: RunningJob) -> None:
    """Suspend a tenant whose trial is over and that has not subscribed meanwhile."""
    tenant_id = UUID(job.args["tenant_id"])
    with job.finishing() as session:
        if not isinstance(session, PlatformSession):
            raise TypeError("a trial is ended by the platform")
        tier = session.scalar(
            update(Tenant)
            .where(
                Tenant.id == tenant_id,
                Tenant.status == "trialing",
                Tenant.trial_ends_at <= func.now(),
            )
            .values(status="suspended")
            .returning(Tenant.subscription_tier)
        )
        if tier is not None:
            set_turns(session, tenant_id, plan=plan_of(tier), held=True)
