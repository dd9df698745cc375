"""Handing out work: in turn by tenant, at most a cap each, at most a window per queue.

Any number of dispatchers may run; one at a time picks, under an advisory lock. A pick commits
`dispatched` and only then publishes: a message that is lost is published again after its
deadline, one that comes twice finds nothing to claim.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Select, case, func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from core.errors import NeozorkError
from core.jobs import claims
from core.jobs.kinds import KINDS
from core.jobs.metrics import count_death
from core.jobs.models import Job
from core.jobs.parents import part_failed
from core.jobs.picks import Drain, Message, alone, pick
from core.plans import Queue
from core.tenancy.session import open_platform_session, opened

DEADLINE = timedelta(seconds=5)
LONGEST_DEADLINE = timedelta(seconds=10)
_BATCH = 500
_MOST_DOUBLINGS = 10


Publish = Callable[[Sequence[Message]], None]


def dispatch(queue: Queue, publish: Publish, drain: Drain | None = None) -> int:
    """Pick what a queue has room for, commit it as dispatched, publish it; answer how many.

    `drain`: what the queue drained lately, as this dispatcher saw it; it opens the window.
    """
    drain = drain or Drain()
    with open_platform_session(alone(queue)) as session:
        picked = pick(session, queue, drain, deadline=DEADLINE) if opened(session)[0].alone else []
    publish(picked)
    return len(picked)


def republish_overdue(publish: Publish) -> int:
    """Publish again what was dispatched and not claimed by its deadline; answer how many."""
    now = func.clock_timestamp()
    # Without units a job waits for days: an unbounded power leaves what an interval can hold.
    doublings = func.least(Job.publishes, _MOST_DOUBLINGS)
    wait = func.least(DEADLINE * func.power(2, doublings), LONGEST_DEADLINE)
    overdue = (
        select(Job.id)
        .where(Job.status == "dispatched", Job.deadline_at <= now)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    return _publish_again(overdue, now + wait, publish)


def republish_all(publish: Publish) -> int:
    """Publish again everything dispatched, after Valkey lost its memory; answer how many."""
    flushed = select(Job.id).where(Job.status == "dispatched").with_for_update(skip_locked=True)
    return _publish_again(flushed, func.clock_timestamp() + DEADLINE, publish)


def reap() -> int:
    """Take back the jobs whose worker is dead: a failure each; answer how many."""
    now = func.clock_timestamp()
    dead = (
        select(Job.id)
        .where(Job.status == "running", Job.lease_until < now)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
        .cte("dead")
    )
    last = Job.failures + 1 >= Job.failures_allowed
    superseded = _meets_a_newer_one(dead)
    ends = last | superseded
    taken_back = (
        update(Job)
        .where(Job.id.in_(select(dead.c.id)))
        .values(
            status=case((last, "failed"), (superseded, "superseded"), else_="queued"),
            failures=Job.failures + 1,
            error=_WORKER_DIED,
            lease_until=None,
            not_before=case((ends, Job.not_before), else_=claims.back_off(Job.failures)),
            finished_at=case((ends, now), else_=None),
        )
        .returning(
            *(Job.id, Job.tenant_id, Job.kind, Job.attempt, Job.parent_id),
            *(Job.status, Job.progress, Job.message),
        )
    )
    try:
        with open_platform_session() as session:
            rows = session.execute(taken_back).all()
            lost = [row.parent_id for row in rows if row.parent_id and row.status == "failed"]
            part_failed(session, lost, _WORKER_DIED)
    except IntegrityError:
        # A newer row for the same work was committed meanwhile; the next look sees it.
        return 0
    for row in rows:
        taken = claims.Claim(row.id, row.tenant_id, row.kind, {}, row.attempt, None, row.parent_id)
        told = {"progress": row.progress, "message": row.message, "error": _WORKER_DIED}
        claims.announce_status(taken, row.status, **told)
        if row.kind in KINDS:
            count_death(KINDS[row.kind])
    return len(rows)


_WORKER_DIED = NeozorkError(
    "The worker that ran this job died. If it happens again with the same input, the input is "
    "too large for a worker.",
    code="worker_died",
).problem()


def _meets_a_newer_one(dead: CTE) -> ColumnElement[bool]:
    """Tell of a dead job whether the queue holds, or is about to, a newer row for its work."""
    twin = aliased(Job)
    waits = twin.status.in_(("queued", "dispatched"))
    comes_back = (
        twin.id.in_(select(dead.c.id))
        & (twin.failures + 1 < twin.failures_allowed)
        & (tuple_(twin.created_at, twin.id) > tuple_(Job.created_at, Job.id))
    )
    return (
        select(twin.id)
        .where(
            twin.tenant_id == Job.tenant_id,
            twin.kind == Job.kind,
            twin.key == Job.key,
            twin.uniqueness == "coalesce",
            waits | comes_back,
        )
        .correlate(Job)
        .exists()
    )


def _publish_again(chosen: Select[UUID], deadline: ColumnElement[Any], publish: Publish) -> int:
    # As a subquery it might be asked anew for every row, which its limit would not bound.
    late = chosen.cte("late")
    with open_platform_session() as session:
        rows = session.execute(
            update(Job)
            .where(Job.id.in_(select(late.c.id)), Job.status == "dispatched")
            .values(deadline_at=deadline, publishes=Job.publishes + 1)
            .returning(Job.tenant_id, Job.id, Job.kind, Job.queue)
        ).all()
    publish([Message(*row) for row in rows])
    return len(rows)
