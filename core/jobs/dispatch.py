"""Handing out work: in turn by tenant, at most a cap each, at most a window per queue.

Any number of dispatchers may run; one at a time picks, under an advisory lock. A pick commits
`dispatched` and only then publishes: a message that is lost is published again after its
deadline, one that comes twice finds nothing to claim.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Integer,
    Interval,
    Select,
    String,
    bindparam,
    case,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate

from core.errors import NeozorkError
from core.jobs import claims
from core.jobs.models import Job, Turn, Unit
from core.plans import Queue
from core.tenancy.session import PlatformSession, open_platform_session

DEADLINE = timedelta(seconds=5)
LONGEST_DEADLINE = timedelta(seconds=10)
WINDOW_PER_UNIT = 3
UNITS_FORGOTTEN_AFTER = timedelta(seconds=10)
_BATCH = 500
_LOCK = 0x64697370  # "disp"


class Message(NamedTuple):
    """A hint to a worker that a job waits."""

    tenant_id: UUID
    job_id: UUID
    kind: str
    queue: str


Publish = Callable[[Sequence[Message]], None]


def dispatch(queue: Queue, publish: Publish) -> int:
    """Pick what a queue has room for, commit it as dispatched, publish it; answer how many."""
    with open_platform_session() as session:
        if not _alone(session, queue):
            return 0
        room = _room(session, queue)
        picked = _pick(session, queue, room) if room > 0 else []
    publish(picked)
    return len(picked)


def republish_overdue(publish: Publish) -> int:
    """Publish again what was dispatched and not claimed by its deadline; answer how many."""
    now = func.clock_timestamp()
    wait = func.least(DEADLINE * func.power(2, Job.publishes), LONGEST_DEADLINE)
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
        .returning(Job.id, Job.tenant_id, Job.kind, Job.args, Job.attempt, Job.status)
    )
    try:
        with open_platform_session() as session:
            rows = session.execute(taken_back).all()
    except IntegrityError:
        # A newer row for the same work was committed meanwhile; the next look sees it.
        return 0
    for row in rows:
        taken = claims.Claim(row.id, row.tenant_id, row.kind, row.args, row.attempt, None)
        claims.announce_status(taken, row.status)
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


def _alone(session: PlatformSession, queue: Queue) -> bool:
    locked = select(func.pg_try_advisory_xact_lock(_LOCK, func.hashtext(queue)))
    return bool(session.scalar(locked))


def _room(session: PlatformSession, queue: Queue) -> int:
    """Answer how many jobs the queue's units can take now: a window less what is in flight."""
    values = {"picked_queue": queue, "forgotten_after": UNITS_FORGOTTEN_AFTER}
    return int(session.scalar(_room_statement(), values) or 0)


@lru_cache(maxsize=1)
def _room_statement() -> Select[int]:
    queue = bindparam("picked_queue", type_=String)
    alive = Unit.seen_at > func.clock_timestamp() - bindparam("forgotten_after", type_=Interval)
    units = (
        select(func.coalesce(func.sum(Unit.units), 0))
        .where(Unit.queue == queue, alive)
        .scalar_subquery()
    )
    in_flight = (
        select(func.count())
        .where(Job.queue == queue, Job.status.in_(("dispatched", "running")))
        .scalar_subquery()
    )
    return select(units * WINDOW_PER_UNIT - in_flight)


def _pick(session: PlatformSession, queue: Queue, room: int) -> list[Message]:
    """Pick the first job of each tenant in turn, then the second of each, up to the room."""
    values = {"picked_queue": queue, "room": room, "deadline": DEADLINE}
    rows = session.execute(_pick_statement(), values).all()
    if rows:
        picked_from = {row.tenant_id for row in rows}
        session.execute(
            update(Turn)
            .where(Turn.queue == queue, Turn.tenant_id.in_(picked_from))
            .values(last_pick=func.clock_timestamp())
            .execution_options(synchronize_session=False)
        )
    return [Message(*row) for row in rows]


@lru_cache(maxsize=1)
def _pick_statement() -> ReturningUpdate[UUID, UUID, str, str]:
    now = func.clock_timestamp()
    chosen = _chosen(bindparam("picked_queue", type_=String), bindparam("room", type_=Integer))
    return (
        update(Job)
        .where(Job.id == chosen.c.id, Job.status == "queued")
        .values(
            status="dispatched",
            dispatched_at=now,
            deadline_at=now + bindparam("deadline", type_=Interval),
            publishes=1,
        )
        .returning(Job.tenant_id, Job.id, Job.kind, Job.queue)
        .execution_options(synchronize_session=False)
    )


def _chosen(queue: BindParameter[str], room: BindParameter[int]) -> CTE:
    """Choose the ids of the jobs to dispatch next, as a CTE with the column `id`."""
    flying = aliased(Job)
    in_flight = (
        select(func.count(flying.id))
        .where(
            flying.queue == queue,
            flying.tenant_id == Turn.tenant_id,
            flying.status.in_(("dispatched", "running")),
        )
        .correlate(Turn)
        .scalar_subquery()
    )
    turn = (
        select(
            Turn.tenant_id,
            Turn.last_pick,
            func.least(Turn.cap - in_flight, room, type_=Integer).label("free"),
        )
        .where(Turn.queue == queue, Turn.held.is_(False))
        .cte("turn")
    )
    waiting = (
        select(Job.id, func.row_number().over(order_by=(Job.not_before, Job.id)).label("place"))
        .where(
            Job.queue == queue,
            Job.tenant_id == turn.c.tenant_id,
            Job.status == "queued",
            Job.not_before <= func.clock_timestamp(),
        )
        .order_by(Job.not_before, Job.id)
        .limit(func.greatest(turn.c.free, 0))
        .correlate(turn)
        .lateral("waiting")
    )
    return (
        select(waiting.c.id)
        .select_from(turn)
        .join(waiting, literal(value=True))
        .order_by(waiting.c.place, turn.c.last_pick, turn.c.tenant_id)
        .limit(room)
        .cte("chosen")
    )


def _publish_again(chosen: Select[UUID], deadline: ColumnElement[Any], publish: Publish) -> int:
    with open_platform_session() as session:
        rows = session.execute(
            update(Job)
            .where(Job.id.in_(chosen), Job.status == "dispatched")
            .values(deadline_at=deadline, publishes=Job.publishes + 1)
            .returning(Job.tenant_id, Job.id, Job.kind, Job.queue)
        ).all()
    publish([Message(*row) for row in rows])
    return len(rows)
