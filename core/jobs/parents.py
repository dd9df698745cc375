"""Jobs made of parts: a parent waits, in no queue, until the last of its parts has succeeded.

submit ─→ waiting ── a part succeeds: remaining - 1 ──→ queued at 0 ─→ its own function ─→ …
             ├── a part fails for good ──→ failed, with the part's error
             └── cancelled by hand
The parts of a parent that is cancelled are so with it. Those of one that failed, and what a worker
held just then, are cancelled by the dispatcher, within half a second. Locks are taken part first,
then parent: whoever sees many rows skips those that are locked.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Numeric, bindparam, case, cast, func, select, update
from sqlalchemy.orm import aliased

from core.jobs.events import announce, job_event
from core.jobs.models import ENDED, UNFINISHED, Job
from core.tenancy.session import PlatformSession, TenantSession, open_platform_session, run_as

_BATCH = 500
CANCELLED: dict[str, Any] = {
    "status": "cancelled",
    # Of a try before: it is not what ended the job.
    "error": None,
    "lease_until": None,
    "deadline_at": None,
    "finished_at": func.clock_timestamp(),
}


def part_succeeded(session: TenantSession | PlatformSession, parent_id: UUID) -> None:
    """Count a part as done, in the transaction that ends it; the last one queues its parent.

    One that was at its end when its parent was cancelled or failed is counted too, and no more.
    """
    session.execute(_PART_SUCCEEDED, {"parent": parent_id})


def part_failed(
    session: TenantSession | PlatformSession, parents: Collection[UUID], problem: dict[str, Any]
) -> None:
    """End parents with the error of a part that failed for good, in the same transaction."""
    if not parents:
        return
    session.execute(
        update(Job)
        .where(Job.id.in_(parents), Job.status == "waiting")
        .values(status="failed", error=problem, finished_at=func.clock_timestamp())
    )


def cancel_parts(session: TenantSession | PlatformSession, parent_id: UUID) -> None:
    """Cancel what is left of the parts of a parent, in the transaction that cancels it."""
    left = (
        select(Job.id)
        .where(Job.parent_id == parent_id, Job.status.in_(UNFINISHED))
        .with_for_update(skip_locked=True)
    )
    session.execute(update(Job).where(Job.id.in_(left)).values(CANCELLED))


def cancel_orphans() -> int:
    """Cancel what is left of the parts whose parent has ended; answer how many."""
    part, parent = aliased(Job), aliased(Job)
    orphans = (
        select(part.id)
        .join(parent, parent.id == part.parent_id)
        .where(part.parent_id.is_not(None), part.status.in_(UNFINISHED), parent.status.in_(ENDED))
        .limit(_BATCH)
        # Both are locked, or a parent that is tried again meanwhile would lose its parts.
        .with_for_update(of=[part, parent], skip_locked=True)
        .cte("orphans")
    )
    cancelled = update(Job).where(Job.id.in_(select(orphans.c.id))).values(CANCELLED)
    with open_platform_session() as session:
        return len(session.execute(cancelled.returning(Job.id)).all())


def announce_parent(tenant_id: UUID, parent_id: UUID) -> None:
    """Tell the tenant's listeners how a parent stands, and wake the dispatcher for its queue."""
    rows = run_as(tenant_id, _STANDS, {"parent": parent_id})
    for row in rows:
        told = job_event(
            parent_id,
            row.kind,
            row.status,
            attempt=row.attempt,
            progress=row.progress,
            message=row.message,
            error=row.error if row.status == "failed" else None,
        )
        announce(tenant_id, "job", told, wake=row.queue)


_WAITS = Job.status == "waiting"
_PART_SUCCEEDED = (
    update(Job)
    .where(Job.id == bindparam("parent"))
    .values(
        remaining=Job.remaining - 1,
        progress=func.round(1 - (Job.remaining - 1) / cast(Job.parts, Numeric), 4),
        status=case((_WAITS & (Job.remaining == 1), "queued"), else_=Job.status),
        not_before=case((_WAITS, func.clock_timestamp()), else_=Job.not_before),
    )
    .execution_options(synchronize_session=False)
)
_STANDS = select(
    Job.kind, Job.queue, Job.status, Job.attempt, Job.progress, Job.message, Job.error
).where(Job.id == bindparam("parent"))
