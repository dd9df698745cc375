"""Jobs that ended badly: try them again, or let them go; by hand, one or many."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from core.errors import ConflictError
from core.jobs.control import JobFilter, get_job, jobs_by_id, refuse_part
from core.jobs.models import UNFINISHED, Job, standing
from core.jobs.submit import wake_after_commit
from core.tenancy.session import PlatformSession, TenantSession, open_platform_session

MOST_AT_ONCE = 1_000


def retry_job(session: TenantSession | PlatformSession, job_id: UUID) -> Job:
    """Queue a failed or cancelled job again, with its failures forgotten.

    A parent's parts that have succeeded stay so. Raises ConflictError where the job is not at
    such an end, or its parts were deleted, code `job_not_retryable`; where the same work was asked
    for again meanwhile, code `job_asked_again`; for a part; and while a parent's parts still end,
    code `job_ending`.
    """
    refuse_part(get_job(session, job_id))
    bad_end = (Job.id == job_id) & Job.status.in_(("failed", "cancelled"))
    try:
        with session.begin_nested():
            again = _queue_again(session, bad_end)
    except IntegrityError:
        raise ConflictError(
            "The same work was asked for again meanwhile; look at the newer job.",
            code="job_asked_again",
        ) from None
    job = get_job(session, job_id, anew=True)
    if again:
        return job
    if job.status not in ("failed", "cancelled"):
        raise ConflictError(
            f"The job {standing(job.status)}; only a failed or cancelled one can be tried again.",
            code="job_not_retryable",
        )
    if _parts_there(session, job) < (job.parts or 0):
        raise ConflictError(
            "Parts of the job were deleted, for it ended long ago. Ask for the work anew.",
            code="job_not_retryable",
        )
    raise ConflictError(
        "Parts of the job are still being stopped; try again in a second.",
        code="job_ending",
        retry_after_s=1,
    )


def _parts_there(session: TenantSession | PlatformSession, parent: Job) -> int:
    count = select(func.count()).select_from(Job).where(Job.parent_id == parent.id)
    return session.scalar(count) or 0


def retry_failed(session: TenantSession | PlatformSession, chosen: JobFilter) -> list[UUID]:
    """Queue failed jobs again, the oldest first and at most MOST_AT_ONCE; answer their ids.

    Left alone is what is asked for again by itself, and a parent whose parts still end or were
    deleted.
    """
    lasting = Job.uniqueness.is_distinct_from("coalesce")
    return _queue_again(session, Job.id.in_(_failed(session, chosen, lasting)))


def discard_job(session: TenantSession | PlatformSession, job_id: UUID) -> Job:
    """Let a failed job go: it is cancelled, keeps its error, and its work may be asked for again.

    Raises ConflictError where it has not failed, code `job_not_failed`, and for a part.
    """
    refuse_part(get_job(session, job_id))
    gone = discard_failed(session, JobFilter(ids=[job_id]))
    job = get_job(session, job_id, anew=True)
    if not gone and job.status != "cancelled":
        raise ConflictError(
            f"The job {standing(job.status)}; only a failed one can be discarded.",
            code="job_not_failed",
        )
    return job


def discard_failed(session: TenantSession | PlatformSession, chosen: JobFilter) -> list[UUID]:
    """Let failed jobs go, the oldest first and at most MOST_AT_ONCE; answer their ids."""
    gone = update(Job).where(Job.id.in_(_failed(session, chosen))).values(status="cancelled")
    return list(session.scalars(gone.returning(Job.id)))


def move_all(
    move: Callable[[PlatformSession, JobFilter], list[UUID]], chosen: JobFilter
) -> Iterator[list[Job]]:
    """Move all that had failed when it began, a transaction for each batch; yield each.

    One that fails again meanwhile is left alone, or it might be moved for ever.
    """
    with open_platform_session() as session:
        began = session.scalar(select(func.clock_timestamp()))
    while True:
        with open_platform_session() as session:
            moved = jobs_by_id(session, move(session, replace(chosen, ended_before=began)))
        if not moved:
            return
        yield moved


def _failed(
    session: TenantSession | PlatformSession, chosen: JobFilter, *more: ColumnElement[bool]
) -> Select[Any]:
    failed = (
        select(Job.id)
        .where(Job.status == "failed", *chosen.conditions(session), *more)
        .order_by(Job.created_at, Job.id)
        .limit(MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
        # As a subquery it might be asked anew for every row, which its limit would not bound.
        .cte("failed")
    )
    return select(failed.c.id)


_AFRESH: dict[str, Any] = {
    "failures": 0,
    "message": None,
    "error": None,
    "started_at": None,
    "not_before": func.clock_timestamp(),
    "finished_at": None,
}


def _queue_again(
    session: TenantSession | PlatformSession, ended: ColumnElement[bool]
) -> list[UUID]:
    part = aliased(Job)
    parts = select(func.count(part.id)).where(part.parent_id == Job.id)
    left = parts.where(part.status != "succeeded").correlate(Job).scalar_subquery()
    # One that still ends might be counted as left, and never be heard of again.
    ending = parts.where(part.status.in_(UNFINISHED)).correlate(Job).scalar_subquery()
    whole = Job.parts.is_(None) | (parts.correlate(Job).scalar_subquery() == Job.parts)
    again = (
        update(Job)
        .where(ended, Job.parent_id.is_(None), ending == 0, whole)
        .values(
            status=case((left > 0, "waiting"), else_="queued"),
            remaining=case((Job.parts.is_not(None), left), else_=None),
            progress=case((Job.parts.is_not(None), Job.progress), else_=0.0),
            **_AFRESH,
        )
        .returning(Job.id, Job.queue, Job.parts)
    )
    queued = session.execute(again).all()
    _queue_parts(session, [row.id for row in queued if row.parts is not None])
    for queue in {row.queue for row in queued}:
        wake_after_commit(session, queue)
    return [row.id for row in queued]


def _queue_parts(session: TenantSession | PlatformSession, parents: Sequence[UUID]) -> None:
    if not parents:
        return
    again = (
        update(Job)
        .where(Job.parent_id.in_(parents), Job.status.in_(("failed", "cancelled")))
        .values(status="queued", progress=0.0, **_AFRESH)
        .returning(Job.queue)
    )
    for queue in set(session.scalars(again)):
        wake_after_commit(session, queue)
