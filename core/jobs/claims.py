"""Doing a job exactly once: claim, renew, finish, each fenced by the attempt.

A worker that stood still past its lease finds its fence gone: whatever it then writes, it
writes nothing. `finishing` opens with the fence, so that effects and end are one transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Double,
    Update,
    and_,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from core.errors import NeozorkError
from core.jobs.events import announce, job_event, wake_dispatcher
from core.jobs.models import WAITING, Job
from core.jobs.parents import announce_parent, part_failed, part_succeeded
from core.tenancy.session import (
    Opening,
    PlatformSession,
    TenantSession,
    open_session_of,
    opened,
    run_as,
)

LEASE = timedelta(seconds=10)
_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 300.0
# A service may be away for about an hour of tries without a job being blamed for it, however long
# ago that was asked for.
_TRIES_EXCUSED = 800
_ABSENT_FOR_S = 5.0


class FenceLostError(NeozorkError):
    """Raised when a worker's claim no longer holds: the job was cancelled, or given to another."""

    code = "fence_lost"
    title = "This attempt no longer counts"


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a job, as its worker holds it; `waited_s`: since it could have run."""

    id: UUID
    tenant_id: UUID
    kind: str
    args: dict[str, Any]
    attempt: int
    request_id: str | None
    parent_id: UUID | None = None
    waited_s: float = 0.0


def claim(tenant_id: UUID, job_id: UUID) -> Claim | None:
    """Take a job that waits, with a new attempt and a lease; None where there is none to take.

    A message may come twice, late, or before the row says `dispatched`: all are the same. The
    claim itself may be sent twice, where its connection dies: it is one attempt.
    """
    rows = run_as(tenant_id, _CLAIM, {"claimed": job_id, "lease": LEASE, "claimed_as": uuid4()})
    if not rows:
        return None
    *row, progress = rows[0]
    taken = Claim(job_id, tenant_id, *row)
    announce_status(taken, "running", progress=progress)
    return taken


def renew(taken: Claim, progress: float, message: str | None) -> None:
    """Extend the lease and keep the last progress; FenceLostError where it is too late."""
    kept = {"lease": LEASE, "kept_progress": progress, "kept_message": message}
    if not run_as(taken.tenant_id, _RENEW, _fence(taken) | kept):
        raise _lost(taken)


def holds(taken: Claim) -> bool:
    """Tell whether the claim still stands, without writing."""
    return bool(run_as(taken.tenant_id, _HOLDS, _fence(taken)))


@contextmanager
def finishing(taken: Claim) -> Iterator[TenantSession | PlatformSession]:
    """Open the transaction that ends the job: write its effects in the block.

    The fence comes first and holds the row; raises FenceLostError before any effect is written.
    """
    with open_session_of(taken.tenant_id, Opening(_SUCCEED, _fence(taken))) as session:
        if not opened(session):
            raise _lost(taken)
        yield session
        if taken.parent_id is not None:
            part_succeeded(session, taken.parent_id)


def fail(taken: Claim, problem: dict[str, Any], *, again: bool, absence: bool = False) -> str:
    """End the attempt with an error, and answer the job's status: queued again, or failed.

    `again` False ends it now, for an error that another attempt would only repeat. `absence`: it
    is a service that failed, which blames a job only where it was tried very often. A job that
    meets a newer one waiting for the same work ends as superseded.
    """
    with open_session_of(taken.tenant_id) as session:
        failures, excused = session.execute(
            select(Job.failures + 1 - Job.failures_allowed, Job.attempt <= _TRIES_EXCUSED).where(
                Job.id == taken.id
            )
        ).one_or_none() or (0, False)
        blame = {"failures": Job.failures + 1, "error": problem}
        if absence and excused:
            later = _after(_ABSENT_FOR_S)
            stands = _wait_again(session, taken, not_before=later, error=problem)
        elif again and failures < 0:
            stands = _wait_again(session, taken, not_before=back_off(Job.failures), **blame)
        else:
            stands = _end(session, taken, "failed", **blame)
            if taken.parent_id is not None:
                part_failed(session, [taken.parent_id], problem)
    announce_status(taken, **stands)
    return str(stands["status"])


def give_back(taken: Claim) -> None:
    """Return an unfinished job to the queue without blame, as a unit does that must stop.

    One that meets a newer one waiting for the same work ends as superseded.
    """
    with open_session_of(taken.tenant_id) as session:
        stands = _wait_again(session, taken, started_at=None)
    announce_status(taken, **stands)


def back_off(failures: InstrumentedAttribute[int]) -> ColumnElement[Any]:
    """Answer when a job may run again after its n-th failure: doubling, with jitter."""
    return _after(func.least(_FIRST_BACK_OFF_S * func.power(2, failures), _LONGEST_BACK_OFF_S))


def _after(longest_s: ColumnElement[Any] | float) -> ColumnElement[Any]:
    seconds = longest_s * (0.5 + func.random() / 2)
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def announce_status(taken: Claim, status: str, *, wake: str | None = None, **more: Any) -> None:
    """Tell the tenant's listeners what became of a job, and wake the dispatcher for a queue.

    Of a part nobody hears: what it did to its parent is told.
    """
    if taken.parent_id is not None:
        if status != "running":
            announce_parent(taken.tenant_id, taken.parent_id)
        if wake is not None:
            wake_dispatcher(wake)
        return
    told = job_event(taken.id, taken.kind, status, attempt=taken.attempt, **more)
    announce(taken.tenant_id, "job", told, wake=wake)


def _wait_again(
    session: TenantSession | PlatformSession, taken: Claim, **changed: Any
) -> dict[str, Any]:
    try:
        with session.begin_nested():
            waits = _MINE.values(status="queued", lease_until=None, **changed)
            return _fenced(session, taken, waits)
    except IntegrityError:
        return _end(session, taken, "superseded", **changed)


def _end(
    session: TenantSession | PlatformSession, taken: Claim, status: str, **changed: Any
) -> dict[str, Any]:
    ended = {"status": status, "lease_until": None, "finished_at": func.clock_timestamp()}
    return _fenced(session, taken, _MINE.values(ended | changed))


def _fenced(
    session: TenantSession | PlatformSession, taken: Claim, statement: Update
) -> dict[str, Any]:
    """Write behind the fence, and answer what listeners and the dispatcher are told of the row."""
    wake = Job.queue.label("wake")
    told = statement.returning(Job.status, Job.progress, Job.message, Job.error, wake)
    row = session.execute(told, _fence(taken)).one_or_none()
    if row is None:
        raise _lost(taken)
    return row._asdict()


def _fence(taken: Claim) -> dict[str, Any]:
    return {"claimed": taken.id, "mine": taken.attempt}


def _lost(taken: Claim) -> FenceLostError:
    return FenceLostError(
        f"Attempt {taken.attempt} of job {taken.id} ended: it was cancelled or given to "
        "another worker."
    )


# Built once: the path of every job, where building and synchronizing cost more than the rest.
_NOW = func.clock_timestamp()
_ROW = (
    update(Job).where(Job.id == bindparam("claimed")).execution_options(synchronize_session=False)
)
_HELD = and_(Job.status == "running", Job.claimed_as == bindparam("claimed_as"))
# Durable at its commit: forgotten in a crash, its attempt's number would be given out again, and
# two workers would pass one fence.
_CLAIM = (
    _ROW.where(
        or_(and_(or_(*(Job.status == status for status in WAITING)), Job.not_before <= _NOW), _HELD)
    )
    .values(
        status="running",
        attempt=case((_HELD, Job.attempt), else_=Job.attempt + 1),
        claimed_as=bindparam("claimed_as"),
        lease_until=_NOW + bindparam("lease"),
        deadline_at=None,
        started_at=_NOW,
        # What a parent's parts have done stays shown while it ends.
        progress=case((Job.parts.is_not(None), Job.progress), else_=0.0),
        message=None,
    )
    .returning(
        Job.kind,
        Job.args,
        Job.attempt,
        Job.request_id,
        Job.parent_id,
        cast(func.extract("epoch", Job.started_at - Job.not_before), Double),
        Job.progress,
    )
)
_MINE = _ROW.where(Job.attempt == bindparam("mine"), Job.status == "running")
_RENEW = _MINE.values(
    lease_until=_NOW + bindparam("lease"),
    progress=bindparam("kept_progress"),
    message=bindparam("kept_message"),
).returning(Job.id)
_HOLDS = select(Job.id).where(
    Job.id == bindparam("claimed"), Job.attempt == bindparam("mine"), Job.status == "running"
)
_SUCCEED = _MINE.values(
    status="succeeded", progress=1.0, message=None, lease_until=None, finished_at=_NOW
).returning(Job.id)
