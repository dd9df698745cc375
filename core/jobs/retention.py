"""How long the rows of ended jobs are kept, and who deletes them: a job, in small batches."""

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select

from core.jobs.heartbeats import forget_the_dead
from core.jobs.kinds import KINDS, RETIRE_JOBS
from core.jobs.models import Job
from core.jobs.periods import enqueue_periods
from core.jobs.running import RunningJob
from core.tenancy.session import open_platform_session
from core.wording import counted

RETIRE_EVERY = timedelta(hours=1)
# A dead letter waits this long for somebody to try it again or let it go.
FAILED_KEPT = timedelta(days=90)
BATCH = 1_000


def enqueue_retirement() -> int:
    """Queue the job that deletes old jobs, once a period; answer how many are new."""
    return enqueue_periods(RETIRE_JOBS, RETIRE_EVERY)


def retire_jobs(job: RunningJob) -> None:
    """Delete the rows of jobs that ended long enough ago, a transaction for each batch."""
    retired = 0
    while batch := delete_old():
        retired += batch
        job.progress(0.5, f"{counted(retired, 'old job')} deleted")
    forget_the_dead()


def delete_old(batch: int = BATCH) -> int:
    """Delete the oldest ended jobs that need not be kept, at most a batch; answer how many."""
    old = (
        select(Job.id)
        .where(_is_old())
        .order_by(Job.finished_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    with open_platform_session() as session:
        gone = session.execute(delete(Job).where(Job.id.in_(select(old.c.id))).returning(Job.id))
        return len(gone.all())


def _is_old() -> ColumnElement[bool]:
    now = func.clock_timestamp()
    ended_well = Job.status.in_(("succeeded", "cancelled", "superseded"))
    by_kind = (
        (Job.kind == kind.name) & (Job.finished_at < now - timedelta(days=kind.kept_days))
        for kind in KINDS.values()
        if kind.kept_days is not None
    )
    dead = (Job.status == "failed") & (Job.finished_at < now - FAILED_KEPT)
    least = min(kind.kept_days for kind in KINDS.values() if kind.kept_days is not None)
    # The oldest first, by the index of what has ended.
    return (Job.finished_at < now - timedelta(days=least)) & or_(dead, ended_well & or_(*by_kind))
