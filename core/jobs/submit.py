"""Asking for work: one row, in the transaction of the change that asks for it."""

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import redis
import structlog
from sqlalchemy import event, func, select
from sqlalchemy.dialects.postgresql import insert

from core.ids import PLATFORM
from core.jobs.kinds import Kind
from core.jobs.models import Job
from core.tenancy.session import PlatformSession, TenantSession
from core.valkey import get_valkey

WAKE_CHANNEL = "jobs:wake"


def submit_job(
    session: TenantSession | PlatformSession,
    *,
    kind: Kind,
    args: dict[str, Any],
    key: str | None = None,
    not_before: datetime | None = None,
    created_by: UUID | None = None,
) -> UUID:
    """Write a job's row and answer its id; rolled back, it never existed.

    With a `key`, the kind's uniqueness holds: the id of the row already there is answered.
    Once the transaction is committed, the dispatcher is woken.
    """
    tenant_id = session.tenant_id if isinstance(session, TenantSession) else PLATFORM
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "kind": kind.name,
        "queue": kind.queue,
        "uniqueness": kind.uniqueness if key is not None else None,
        "key": key,
        "args": args,
        "failures_allowed": kind.failures_allowed,
        "not_before": not_before or func.clock_timestamp(),
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
        "created_by": created_by,
    }
    wake_after_commit(session, kind.queue)
    while True:
        inserted: UUID | None = session.scalar(
            insert(Job).values(values).on_conflict_do_nothing().returning(Job.id)
        )
        if inserted is not None:
            return inserted
        known: UUID | None = session.scalar(_same_work(tenant_id, kind, key))
        if known is not None:
            return known


def _same_work(tenant_id: UUID, kind: Kind, key: str | None) -> Any:
    same = select(Job.id).where(Job.tenant_id == tenant_id, Job.kind == kind.name, Job.key == key)
    if kind.uniqueness == "once":
        return same.where(Job.status != "cancelled")
    return same.where(Job.status.in_(("queued", "dispatched")))


def wake_after_commit(session: TenantSession | PlatformSession, queue: str) -> None:
    """Wake the dispatcher for a queue once the session's transaction is committed."""
    event.listen(session, "after_commit", lambda _: wake_dispatcher(queue), once=True)


def wake_dispatcher(queue: str) -> None:
    """Tell the dispatcher that a queue has work or room; it also looks by itself, soon."""
    with suppress(redis.RedisError):
        get_valkey().publish(WAKE_CHANNEL, queue)
