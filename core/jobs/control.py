"""A tenant's view of its jobs: look, list, cancel, try again."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from core.clock import iso
from core.errors import ConflictError, NotFoundError
from core.jobs.claims import Claim, announce_status
from core.jobs.models import UNFINISHED, Job
from core.jobs.submit import wake_after_commit
from core.tenancy.pages import Page, read_page
from core.tenancy.session import TenantSession


def get_job(session: TenantSession, job_id: UUID) -> Job:
    """Answer a job of the tenant; NotFoundError where there is none of that id."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFoundError("There is no job of this id.")
    return job


def list_jobs(
    session: TenantSession,
    *,
    limit: int,
    cursor: str | None = None,
    status: str | None = None,
    kind: str | None = None,
) -> Page[Job]:
    """Answer a page of the tenant's jobs, newest first, of one status or kind if asked."""
    statement = select(Job).where(Job.tenant_id == session.tenant_id)
    if status is not None:
        statement = statement.where(Job.status == status)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    return read_page(session, statement, by=(Job.created_at, Job.id), limit=limit, cursor=cursor)


def unfinished_jobs(session: TenantSession) -> list[Job]:
    """Answer the jobs that a new listener must know of, oldest first."""
    statement = select(Job).where(Job.tenant_id == session.tenant_id, Job.status.in_(UNFINISHED))
    return list(session.scalars(statement.order_by(Job.created_at, Job.id)))


def jobs_by_id(session: TenantSession, ids: Collection[str]) -> list[Job]:
    """Answer the tenant's jobs of these ids, in no order."""
    return list(session.scalars(select(Job).where(Job.id.in_([UUID(job) for job in ids]))))


def cancel_job(session: TenantSession, job_id: UUID) -> Job:
    """End a job that is not finished; a worker that runs it loses its fence and stops.

    A cancelled job stays so however often it is cancelled. Raises ConflictError where it ended
    otherwise.
    """
    cancelled = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status.in_(UNFINISHED))
        .values(
            status="cancelled",
            lease_until=None,
            deadline_at=None,
            finished_at=func.clock_timestamp(),
        )
        .returning(Job.id)
    ).one_or_none()
    job = get_job(session, job_id)
    if cancelled is None and job.status != "cancelled":
        raise ConflictError(
            f"The job has {job.status} already; there is nothing left to cancel.",
            code="job_finished",
        )
    return job


def retry_job(session: TenantSession, job_id: UUID) -> Job:
    """Queue a failed or cancelled job again, with its failures forgotten.

    Raises ConflictError where the job is not at such an end, code `job_not_retryable`, or the
    same work was asked for again meanwhile, code `job_asked_again`.
    """
    again = (
        update(Job)
        .where(Job.id == job_id, Job.status.in_(("failed", "cancelled")))
        .values(
            status="queued",
            failures=0,
            progress=0.0,
            message=None,
            error=None,
            started_at=None,
            not_before=func.clock_timestamp(),
            finished_at=None,
        )
        .returning(Job.queue)
    )
    try:
        with session.begin_nested():
            queued = session.scalar(again)
    except IntegrityError:
        raise ConflictError(
            "The same work was asked for again meanwhile; look at the newer job.",
            code="job_asked_again",
        ) from None
    job = get_job(session, job_id)
    if queued is None:
        raise ConflictError(
            f"The job is {job.status}; only a failed or cancelled one can be tried again.",
            code="job_not_retryable",
        )
    wake_after_commit(session, queued)
    return job


def announce_job(job: Job) -> None:
    """Tell the tenant's listeners how a job stands, after the commit that changed it."""
    taken = Claim(job.id, job.tenant_id, job.kind, job.args, job.attempt, job.request_id)
    announce_status(taken, job.status, progress=job.progress, message=job.message)


def job_document(job: Job) -> dict[str, Any]:
    """Answer a job as it is published."""
    return {
        "id": str(job.id),
        "kind": job.kind,
        "status": job.status,
        "progress": job.progress,
        "message": job.message,
        "attempt": job.attempt,
        "error": job.error if job.status != "succeeded" else None,
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at) if job.started_at else None,
        "finished_at": iso(job.finished_at) if job.finished_at else None,
    }
