"""Asking for work: rows, in the transaction of the change that asks for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import structlog
from sqlalchemy import DateTime, Table, bindparam, event, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.ids import PLATFORM
from core.jobs.events import announce, job_event, wake_dispatcher
from core.jobs.kinds import Kind
from core.jobs.models import Job
from core.tenancy.session import PlatformSession, TenantSession

_TO_WAKE = "queues_to_wake"
_TO_TELL = "jobs_to_tell_of"
# A listener that hears of a hundred new jobs at once looks at the list for the rest.
_TOLD_AT_ONCE = 100


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
    asked = _asked(session, kind, args, key=key, not_before=not_before, created_by=created_by)
    return _submit(session, kind, asked)[0]


def submit_parent(
    session: TenantSession | PlatformSession,
    *,
    kind: Kind,
    args: dict[str, Any],
    part: Kind,
    parts: Sequence[dict[str, Any]],
    key: str | None = None,
    created_by: UUID | None = None,
) -> UUID:
    """Write a parent that waits for its parts, and the parts; answer the parent's id.

    `parts`: the arguments of each, at least one. The parent's own function runs once all of
    them have succeeded. With a `key` whose work is there already, nothing is written.
    """
    asked = _asked(session, kind, args, key=key, created_by=created_by)
    asked |= {"given_status": "waiting", "given_parts": len(parts)}
    parent_id, is_new = _submit(session, kind, asked)
    if is_new:
        rows = [_asked(session, part, one, created_by=created_by) for one in parts]
        session.execute(_INSERT, [row | {"given_parent_id": parent_id} for row in rows])
        wake_after_commit(session, part.queue)
    return parent_id


def _asked(
    session: TenantSession | PlatformSession,
    kind: Kind,
    args: dict[str, Any],
    *,
    key: str | None = None,
    not_before: datetime | None = None,
    created_by: UUID | None = None,
) -> dict[str, Any]:
    return {
        "given_tenant_id": _tenant_of(session),
        "given_kind": kind.name,
        "given_queue": kind.queue,
        "given_uniqueness": kind.uniqueness if key is not None else None,
        "given_key": key,
        "given_args": args,
        "given_status": "queued",
        "given_failures_allowed": kind.failures_allowed,
        "given_parent_id": None,
        "given_parts": None,
        "earliest": not_before,
        "given_request_id": structlog.contextvars.get_contextvars().get("request_id"),
        "given_created_by": created_by,
    }


def _submit(
    session: TenantSession | PlatformSession, kind: Kind, asked: dict[str, Any]
) -> tuple[UUID, bool]:
    """Answer the id of the job's row, and whether it is new."""
    tenant_id = _tenant_of(session)
    wake_after_commit(session, kind.queue)
    while True:
        inserted: UUID | None = session.scalar(_INSERT_ONE, asked)
        if inserted is not None:
            told = job_event(inserted, kind.name, asked["given_status"], attempt=0)
            session.info.setdefault(_TO_TELL, []).append((tenant_id, told))
            return inserted, True
        known: UUID | None = session.scalar(_same_work(tenant_id, kind, asked["given_key"]))
        if known is not None:
            return known, False


def _tenant_of(session: TenantSession | PlatformSession) -> UUID:
    return session.tenant_id if isinstance(session, TenantSession) else PLATFORM


_GIVEN = (
    *("tenant_id", "kind", "queue", "uniqueness", "key", "args", "status", "failures_allowed"),
    *("parent_id", "parts", "request_id", "created_by"),
)
# Of the table, not the class: the ORM's bulk insert costs half as much again.
_INSERT = insert(cast(Table, Job.__table__)).values(
    {name: bindparam(f"given_{name}") for name in _GIVEN}
    | {
        "remaining": bindparam("given_parts"),
        "not_before": func.coalesce(
            bindparam("earliest", type_=DateTime(timezone=True)), func.clock_timestamp()
        ),
    }
)
_INSERT_ONE = _INSERT.on_conflict_do_nothing().returning(Job.id)


def _same_work(tenant_id: UUID, kind: Kind, key: str | None) -> Any:
    same = select(Job.id).where(Job.tenant_id == tenant_id, Job.kind == kind.name, Job.key == key)
    if kind.uniqueness == "once":
        return same.where(Job.status != "cancelled")
    return same.where(Job.status.in_(("queued", "dispatched")))


def wake_after_commit(session: TenantSession | PlatformSession, queue: str) -> None:
    """Wake the dispatcher for a queue once the session's transaction is committed."""
    queues: set[str] = session.info.setdefault(_TO_WAKE, set())
    if not queues:
        event.listen(session, "after_commit", _wake)
    queues.add(queue)


def _wake(session: Session) -> None:
    # A savepoint's release is announced as a commit too.
    if session.in_nested_transaction():
        return
    queues = sorted(session.info.pop(_TO_WAKE, ()))
    told = session.info.pop(_TO_TELL, ())[:_TOLD_AT_ONCE]
    # Told before it is handed out, so that nobody hears of its start first.
    for tenant_id, event_data in told[:-1]:
        announce(tenant_id, "job", event_data)
    for tenant_id, event_data in told[-1:]:
        announce(tenant_id, "job", event_data, wake=queues.pop() if queues else None)
    for queue in queues:
        wake_dispatcher(queue)
