"""Tenants whose schema is behind the newest release: found by a tick, migrated by a job."""

from sqlalchemy import select

from core.ids import PLATFORM
from core.jobs.kinds import MIGRATE_TENANTS
from core.jobs.models import UNFINISHED, Job
from core.jobs.running import RunningJob
from core.jobs.submit import submit_job
from core.tenancy.session import open_platform_session
from core.tenancy.upgrades import count_due, upgrade_tenants
from core.wording import counted


def enqueue_migration() -> int:
    """Queue the one job for all tenants that are behind; answer how many they are.

    While such a job is under way there is no other: it takes what becomes due meanwhile.
    """
    under_way = select(Job.id).where(
        Job.tenant_id == PLATFORM,
        Job.queue == MIGRATE_TENANTS.queue,
        Job.kind == MIGRATE_TENANTS.name,
        Job.status.in_(UNFINISHED),
    )
    with open_platform_session() as session:
        due = count_due(session)
        if not due or session.scalar(under_way.limit(1)) is not None:
            return 0
        submit_job(session, kind=MIGRATE_TENANTS, args={}, key="all")
    return due


def migrate_tenants(job: RunningJob) -> None:
    """Bring every tenant that is behind and due to the newest release."""
    with open_platform_session() as session:
        due = count_due(session)
    upgrade_tenants(
        lambda done: job.progress(
            min(1.0, done.migrated / max(due, 1)),
            f"{done.migrated:,} of {counted(due, 'tenant')} migrated",
        )
    )
