"""Jobs as people handle them: look, search, cancel."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from core.clock import iso
from core.errors import ConflictError, Fault, InvalidInputError, NotFoundError
from core.jobs.claims import Claim, announce_status
from core.jobs.kinds import PART_KINDS
from core.jobs.models import UNFINISHED, Job, standing
from core.jobs.parents import CANCELLED, cancel_parts
from core.tenancy.pages import Page, read_page
from core.tenancy.session import PlatformSession, TenantSession

# So that one tenant's thousands keep no other's requests waiting while a listener is told.
TOLD_AT_MOST = 500


def get_job(session: TenantSession | PlatformSession, job_id: UUID, *, anew: bool = False) -> Job:
    """Answer a job; NotFoundError where there is none of that id. `anew`: read it once more."""
    job = session.get(Job, job_id, populate_existing=anew)
    if job is None:
        raise NotFoundError("There is no job of this id.")
    return job


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: those that match everything that is given.

    `error_code`: the code of the problem that a job ended or was last tried with. `created_from`
    counts, `created_to` and `ended_before` do not. `tenant_id`: for operators, who see all. Parts
    are found by their parent alone. InvalidInputError says why no job at all can match.
    """

    ids: Collection[UUID] | None = None
    status: str | None = None
    kind: str | None = None
    queue: str | None = None
    error_code: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    ended_before: datetime | None = None
    parent_id: UUID | None = None
    tenant_id: UUID | None = None

    def __post_init__(self) -> None:
        """Refuse what no job can match: whoever asks for it means something else."""
        faults = []
        if self.created_from and self.created_to and self.created_from >= self.created_to:
            text = "The range of times ends before it begins, or as it does."
            hint = "Send a created_to that is later than created_from."
            faults.append(Fault("/created_to", "bad_range", text, hint))
        if self.kind in PART_KINDS and self.parent_id is None:
            text = "Parts are found by their parent alone."
            hint = "Send the parent_id too, or the kind of the parent."
            faults.append(Fault("/kind", "parent_needed", text, hint))
        if faults:
            told = " ".join(fault.message for fault in faults)
            raise InvalidInputError(f"No job can match. {told}", errors=faults)

    def conditions(self, session: TenantSession | PlatformSession) -> list[ColumnElement[bool]]:
        """Answer the conditions, among them whose jobs a session may see at all."""
        whose = session.tenant_id if isinstance(session, TenantSession) else self.tenant_id
        equal = {
            Job.tenant_id: whose,
            Job.status: self.status,
            Job.kind: self.kind,
            Job.queue: self.queue,
            Job.error["code"].astext: self.error_code,
        }
        conditions = [column == value for column, value in equal.items() if value is not None]
        conditions.append(Job.parent_id.is_not_distinct_from(self.parent_id))
        if self.error_code is not None:
            # It may keep the error of a try before, which nobody is shown.
            conditions.append(Job.status != "succeeded")
        if self.ids is not None:
            conditions.append(Job.id.in_(self.ids))
        if self.created_from is not None:
            conditions.append(Job.created_at >= self.created_from)
        if self.created_to is not None:
            conditions.append(Job.created_at < self.created_to)
        if self.ended_before is not None:
            conditions.append(Job.finished_at < self.ended_before)
        return conditions


def list_jobs(
    session: TenantSession | PlatformSession,
    *,
    chosen: JobFilter,
    limit: int,
    cursor: str | None = None,
) -> Page[Job]:
    """Answer a page of jobs, newest first."""
    statement = select(Job).where(*chosen.conditions(session))
    return read_page(session, statement, by=(Job.created_at, Job.id), limit=limit, cursor=cursor)


def count_parts(session: TenantSession | PlatformSession, parent_id: UUID) -> dict[str, int]:
    """Answer how many parts of a parent stand at each status."""
    counted = select(Job.status, func.count()).where(Job.parent_id == parent_id)
    return dict(session.execute(counted.group_by(Job.status).order_by(Job.status)).all())


def unfinished_jobs(session: TenantSession) -> list[Job]:
    """Answer the jobs that a new listener must know of, oldest first.

    Of more than `TOLD_AT_MOST`: those that run, then the newest that wait.
    """
    waits = Job.status.in_(("queued", "dispatched"))
    statement = (
        select(Job)
        .where(
            Job.tenant_id == session.tenant_id,
            Job.status.in_(UNFINISHED),
            Job.parent_id.is_(None),
        )
        .order_by(waits, Job.created_at.desc(), Job.id.desc())
        .limit(TOLD_AT_MOST)
    )
    return sorted(session.scalars(statement), key=lambda job: (job.created_at, job.id))


def jobs_by_id(session: TenantSession | PlatformSession, ids: Collection[UUID]) -> list[Job]:
    """Answer the jobs of these ids, oldest first."""
    statement = select(Job).where(Job.id.in_(ids)).order_by(Job.created_at, Job.id)
    return list(session.scalars(statement))


def cancel_job(session: TenantSession | PlatformSession, job_id: UUID) -> Job:
    """End a job that is not finished, with its parts; a worker that runs it loses its fence.

    A cancelled job stays so however often it is cancelled. Raises ConflictError where it ended
    otherwise, code `job_finished`, or is a part of another, code `part_of_another`.
    """
    refuse_part(get_job(session, job_id))
    cancelled = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status.in_(UNFINISHED))
        .values(CANCELLED)
        .returning(Job.id, Job.parts)
    ).one_or_none()
    if cancelled is not None and cancelled.parts is not None:
        cancel_parts(session, job_id)
    job = get_job(session, job_id, anew=True)
    if cancelled is None and job.status != "cancelled":
        raise ConflictError(
            f"The job {standing(job.status)} already; there is nothing left to cancel.",
            code="job_finished",
        )
    return job


def refuse_part(job: Job) -> None:
    """Raise ConflictError for a part, which only its parent's fate moves."""
    if job.parent_id is not None:
        raise ConflictError(
            f"The job is a part of the job {job.parent_id}; say it of that one.",
            code="part_of_another",
        )


def announce_job(job: Job) -> None:
    """Tell the tenant's listeners how a job stands, after the commit that changed it."""
    taken = Claim(job.id, job.tenant_id, job.kind, job.args, job.attempt, job.request_id)
    told = {"progress": job.progress, "message": job.message, "error": job.error}
    announce_status(taken, job.status, wake=job.queue, **told)


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
