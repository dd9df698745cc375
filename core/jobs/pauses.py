"""Pausing and resuming: of a queue, or of one tenant; what is asked for meanwhile waits."""

from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from core.errors import InvalidInputError, NotFoundError
from core.jobs.kinds import QUEUES
from core.jobs.models import Job, PausedQueue, Turn
from core.jobs.submit import wake_after_commit
from core.tenancy.models import Tenant
from core.tenancy.session import PlatformSession


def pause_queue(session: PlatformSession, queue: str) -> None:
    """Dispatch nothing more of a queue; what runs or is dispatched ends. Twice is once."""
    refuse_unknown_queue(queue)
    session.execute(insert(PausedQueue).values(queue=queue).on_conflict_do_nothing())


def resume_queue(session: PlatformSession, queue: str) -> None:
    """Dispatch from a queue again."""
    refuse_unknown_queue(queue)
    session.execute(delete(PausedQueue).where(PausedQueue.queue == queue))
    wake_after_commit(session, queue)


def paused_queues(session: PlatformSession) -> list[str]:
    """Answer the queues that are paused, by name."""
    return list(session.scalars(select(PausedQueue.queue).order_by(PausedQueue.queue)))


def paused_tenants(session: PlatformSession) -> list[str]:
    """Answer the slugs of the tenants that are paused, by name."""
    return _slugs(session, Turn.paused.is_(True))


def held_tenants(session: PlatformSession) -> list[str]:
    """Answer the slugs of the tenants whose status holds back jobs that wait, by name."""
    waits = select(Job.id).where(
        Job.tenant_id == Turn.tenant_id, Job.queue == Turn.queue, Job.status == "queued"
    )
    return _slugs(session, Turn.held.is_(True) & waits.exists())


def _slugs(session: PlatformSession, condition: ColumnElement[bool]) -> list[str]:
    chosen = select(Turn.tenant_id).where(condition)
    slugs = select(Tenant.subdomain).where(Tenant.id.in_(chosen)).order_by(Tenant.subdomain)
    return list(session.scalars(slugs))


def pause_tenant(session: PlatformSession, tenant_id: UUID, *, paused: bool = True) -> None:
    """Dispatch nothing more of a tenant, or again; apart from what its status holds back.

    Raises NotFoundError for a tenant that has no place in any queue.
    """
    turns = update(Turn).where(Turn.tenant_id == tenant_id).values(paused=paused)
    queues = session.scalars(turns.returning(Turn.queue)).all()
    if not queues:
        raise NotFoundError("There is no such tenant.")
    if not paused:
        for queue in queues:
            wake_after_commit(session, queue)


def refuse_unknown_queue(queue: str) -> None:
    """Raise InvalidInputError for a queue that is none."""
    if queue not in QUEUES:
        raise InvalidInputError(
            f"There is no queue {queue[:40]!r}; take one of {', '.join(QUEUES)}.",
            code="unknown_queue",
        )
