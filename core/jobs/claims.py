"""Doing a job exactly once: claim, renew, finish, each fenced by the attempt.

A worker that stood still past its lease finds its fence gone: whatever it then writes, it
writes nothing. `finishing` opens with the fence, so that effects and end are one transaction.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Update, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from core.errors import NeozorkError
from core.jobs.events import announce
from core.jobs.models import WAITING, Job
from core.tenancy.session import PlatformSession, TenantSession, open_session_of

LEASE = timedelta(seconds=10)
_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 300.0


class FenceLostError(NeozorkError):
    """Raised when a worker's claim no longer holds: the job was cancelled, or given to another."""

    code = "fence_lost"
    title = "This attempt no longer counts"


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt at a job, as its worker holds it."""

    id: UUID
    tenant_id: UUID
    kind: str
    args: dict[str, Any]
    attempt: int
    request_id: str | None


def claim(tenant_id: UUID, job_id: UUID) -> Claim | None:
    """Take a job that waits, with a new attempt and a lease; None where there is none to take.

    A message may come twice, late, or before the row says `dispatched`: all are the same.
    """
    now = func.clock_timestamp()
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status.in_(WAITING), Job.not_before <= now)
        .values(
            status="running",
            attempt=Job.attempt + 1,
            lease_until=now + LEASE,
            deadline_at=None,
            started_at=now,
            progress=0.0,
            message=None,
        )
        .returning(Job.kind, Job.args, Job.attempt, Job.request_id)
    )
    with open_session_of(tenant_id) as session:
        row = session.execute(statement).one_or_none()
    if row is None:
        return None
    taken = Claim(job_id, tenant_id, row.kind, row.args, row.attempt, row.request_id)
    announce_status(taken, "running")
    return taken


def renew(taken: Claim, progress: float, message: str | None) -> None:
    """Extend the lease and keep the last progress; FenceLostError where it is too late."""
    with open_session_of(taken.tenant_id) as session:
        _fenced(
            session,
            taken,
            _mine(taken).values(
                lease_until=func.clock_timestamp() + LEASE, progress=progress, message=message
            ),
        )


def holds(taken: Claim) -> bool:
    """Tell whether the claim still stands, without writing."""
    with open_session_of(taken.tenant_id) as session:
        row = session.execute(
            select(Job.attempt, Job.status).where(Job.id == taken.id)
        ).one_or_none()
    return row is not None and row.attempt == taken.attempt and row.status == "running"


@contextmanager
def finishing(taken: Claim) -> Iterator[TenantSession | PlatformSession]:
    """Open the transaction that ends the job: write its effects in the block.

    The fence comes first and holds the row; raises FenceLostError before any effect is written.
    """
    with open_session_of(taken.tenant_id) as session:
        _fenced(
            session,
            taken,
            _mine(taken).values(
                status="succeeded",
                progress=1.0,
                lease_until=None,
                finished_at=func.clock_timestamp(),
            ),
        )
        yield session
    announce_status(taken, "succeeded", progress=1.0)


def fail(taken: Claim, problem: dict[str, Any], *, again: bool) -> None:
    """End the attempt with an error: the job waits and is tried again, or stays failed.

    `again` False ends it now, for an error that another attempt would only repeat. A job that
    meets a newer one waiting for the same work ends as superseded.
    """
    with open_session_of(taken.tenant_id) as session:
        failures = session.scalar(
            select(Job.failures + 1 - Job.failures_allowed).where(Job.id == taken.id)
        )
        waits = again and failures is not None and failures < 0
        status = _wait_again(session, taken, problem) if waits else None
        if status is None:
            status = "failed"
            _fenced(session, taken, _ended(_mine(taken), status, problem))
    announce_status(taken, status)


def give_back(taken: Claim) -> None:
    """Return an unfinished job to the queue without blame, as a unit does that must stop."""
    with open_session_of(taken.tenant_id) as session:
        _fenced(
            session,
            taken,
            _mine(taken).values(status="queued", lease_until=None, started_at=None),
        )
    announce_status(taken, "queued")


def back_off(failures: InstrumentedAttribute[int]) -> ColumnElement[Any]:
    """Answer when a job may run again after its n-th failure: doubling, with jitter."""
    seconds = func.least(
        _FIRST_BACK_OFF_S * func.power(2, failures), _LONGEST_BACK_OFF_S
    ) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def announce_status(taken: Claim, status: str, **more: Any) -> None:
    """Tell the tenant's listeners what became of a job."""
    announce(
        taken.tenant_id,
        "job",
        {
            "id": str(taken.id),
            "kind": taken.kind,
            "status": status,
            "attempt": taken.attempt,
            **more,
        },
    )


def _mine(taken: Claim) -> Update:
    return update(Job).where(
        Job.id == taken.id, Job.attempt == taken.attempt, Job.status == "running"
    )


def _ended(statement: Update, status: str, problem: dict[str, Any]) -> Update:
    return statement.values(
        status=status,
        failures=Job.failures + 1,
        error=problem,
        lease_until=None,
        finished_at=func.clock_timestamp(),
    )


def _wait_again(
    session: TenantSession | PlatformSession, taken: Claim, problem: dict[str, Any]
) -> str:
    try:
        with session.begin_nested():
            _fenced(
                session,
                taken,
                _mine(taken).values(
                    status="queued",
                    failures=Job.failures + 1,
                    error=problem,
                    lease_until=None,
                    not_before=back_off(Job.failures),
                ),
            )
    except IntegrityError:
        _fenced(session, taken, _ended(_mine(taken), "superseded", problem))
        return "superseded"
    return "queued"


def _fenced(session: TenantSession | PlatformSession, taken: Claim, statement: Update) -> None:
    if session.execute(statement.returning(Job.id)).one_or_none() is None:
        raise FenceLostError(
            f"Attempt {taken.attempt} of job {taken.id} ended: it was cancelled or given to "
            "another worker."
        )
