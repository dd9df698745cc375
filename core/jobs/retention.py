"""How long the rows of ended jobs are kept, and who deletes them: a job, in small batches."""

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import aliased

from core.jobs.heartbeats import forget_the_dead
from core.jobs.kinds import KINDS, RETIRE_JOBS
from core.jobs.models import UNFINISHED, Job
from core.jobs.periods import enqueue_periods
from core.jobs.running import RunningJob
from core.tenancy.idempotency import forget_answers
from core.tenancy.session import open_platform_session
from core.wording import counted

RETIRE_EVERY = timedelta(hours=1)
# A dead letter waits this long for somebody to try it again or let it go.
FAILED_KEPT = timedelta(days=90)
BATCH = 1_000
_ENDED_WELL = ("succeeded", "cancelled", "superseded")


def enqueue_retirement() -> int:
    """Queue the job that deletes old jobs, once a period; answer how many are new."""
    return enqueue_periods(RETIRE_JOBS, RETIRE_EVERY)


def retire_jobs(job: RunningJob) -> None:
    """Delete the rows of jobs that ended long enough ago, a transaction for each batch.

    Who died long ago is forgotten too, and what creating requests were answered.
    """
    retired = 0
    while batch := delete_old():
        retired += batch
        job.progress(0.5, f"{counted(retired, 'old job')} deleted")
    forget_the_dead()
    forget_answers()


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
    kinds = [(kind, kind.kept_days) for kind in KINDS.values() if kind.kept_days is not None]
    ended_well = (
        (Job.kind == kind.name)
        & Job.status.in_(("succeeded", "superseded") if kind.cancelled_kept else _ENDED_WELL)
        & (Job.finished_at < now - timedelta(days=days))
        for kind, days in kinds
    )
    dead = (
        Job.kind.in_([kind.name for kind, _ in kinds])
        & (Job.status == "failed")
        & (Job.finished_at < now - FAILED_KEPT)
    )
    # Whoever tries a parent again needs all its parts.
    parent = aliased(Job)
    needed = select(parent.id).where(
        parent.id == Job.parent_id, parent.status.in_((*UNFINISHED, "failed"))
    )
    least = min(days for _, days in kinds)
    # The oldest first, by the index of what has ended.
    return (
        (Job.finished_at < now - timedelta(days=least))
        & or_(dead, *ended_well)
        & or_(Job.parent_id.is_(None), ~needed.exists())
    )
