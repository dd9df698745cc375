"""Choosing what to hand out next: in turn by tenant, at most a cap each, at most a window.

The window of a queue is three jobs a unit, so that whoever comes next waits for few of another
tenant's; units that do more than that between two rounds get what they do in a moment.
"""

import time
from collections import deque
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
    literal_column,
    select,
    union_all,
    update,
)

from core.jobs.models import Job, PausedQueue, Turn, Unit
from core.plans import Queue
from core.tenancy.session import Opening, PlatformSession

WINDOW_PER_UNIT = 3
WIDEST_PER_UNIT = 16
MOMENT_S = 0.05
UNITS_FORGOTTEN_AFTER = timedelta(seconds=10)
_LOCK = 0x64697370  # "disp"


class Message(NamedTuple):
    """A hint to a worker that a job waits."""

    tenant_id: UUID
    job_id: UUID
    kind: str
    queue: str


class Drain:
    """What left a queue's window within the last moment, as one dispatcher saw it."""

    def __init__(self) -> None:
        self._left: deque[tuple[float, int]] = deque()
        self._in_flight = 0
        self._ran_dry = False

    def lately(self) -> int:
        """Answer how many jobs ended within the last moment, as far as was seen.

        Twice as many where none was left: the units waited, and can do more than they showed.
        """
        while self._left and self._left[0][0] < time.monotonic() - MOMENT_S:
            self._left.popleft()
        return sum(count for _, count in self._left) * (2 if self._ran_dry else 1)

    def see(self, in_flight: int, picked: int) -> None:
        """Take note of how many were in flight before a pick, and how many it added."""
        self._left.append((time.monotonic(), max(self._in_flight - in_flight, 0)))
        self._ran_dry = in_flight == 0 < self._in_flight
        self._in_flight = in_flight + picked


def alone(queue: Queue) -> Opening:
    """Answer what a picking transaction opens with: `alone` where nobody else picks there.

    A statement of its own: the pick must see what the one before it committed.
    """
    return Opening(_ALONE, {"picked_queue": queue})


_ALONE = select(
    func.pg_try_advisory_xact_lock(
        literal_column(str(_LOCK)), func.hashtext(bindparam("picked_queue", type_=String))
    ).label("alone")
)


def pick(
    session: PlatformSession, queue: Queue, drain: Drain, *, deadline: timedelta
) -> list[Message]:
    """Pick the first job of each tenant in turn, then the second of each, up to the room."""
    values = {
        "picked_queue": queue,
        "forgotten_after": UNITS_FORGOTTEN_AFTER,
        "lately": drain.lately(),
        "deadline": deadline,
    }
    rows = session.execute(_pick_statement(), values).all()
    picked = [Message(*row[1:]) for row in rows if row.id is not None]
    drain.see(rows[0].in_flight, len(picked))
    return picked


@lru_cache(maxsize=1)
def _pick_statement() -> Select[Any]:
    now = func.clock_timestamp()
    queue = bindparam("picked_queue", type_=String)
    flying = (
        select(Job.tenant_id, func.count().cast(Integer).label("jobs"))
        .where(Job.queue == queue, Job.status.in_(("dispatched", "running")))
        .group_by(Job.tenant_id)
        .cte("flying")
    )
    room = _room(queue, flying)
    chosen = _chosen(queue, flying, room)
    picked = (
        update(Job)
        .where(Job.id == chosen.c.id, Job.status == "queued")
        .values(
            status="dispatched",
            dispatched_at=now,
            deadline_at=now + bindparam("deadline", type_=Interval),
            publishes=1,
        )
        .returning(Job.tenant_id, Job.id, Job.kind, Job.queue)
        .cte("picked")
    )
    moved = (
        update(Turn)
        .where(Turn.queue == queue, Turn.tenant_id.in_(select(picked.c.tenant_id)))
        .values(last_pick=now)
        .cte("moved")
    )
    return (
        select(room.c.in_flight, picked.c.tenant_id, picked.c.id, picked.c.kind, picked.c.queue)
        .select_from(room)
        .outerjoin(picked, literal(value=True))
        .add_cte(moved)
    )


def _room(queue: BindParameter[str], flying: CTE) -> CTE:
    """Count what is `in_flight` in a queue, and the `room` that its units' window leaves.

    A paused queue has none.
    """
    alive = Unit.seen_at > func.clock_timestamp() - bindparam("forgotten_after", type_=Interval)
    units = (
        select(func.coalesce(func.sum(Unit.units), 0))
        .where(Unit.queue == queue, alive)
        .scalar_subquery()
    )
    in_flight = select(func.coalesce(func.sum(flying.c.jobs), 0, type_=Integer)).scalar_subquery()
    seen = select(units.label("units"), in_flight.label("in_flight")).subquery("seen")
    drained = func.least(bindparam("lately", type_=Integer), seen.c.units * WIDEST_PER_UNIT)
    window = func.greatest(seen.c.units * WINDOW_PER_UNIT, drained)
    paused = select(PausedQueue.queue).where(PausedQueue.queue == queue).exists()
    left = case((paused, 0), else_=window - seen.c.in_flight)
    room = func.greatest(left, 0, type_=Integer)
    return select(seen.c.in_flight, room.label("room")).cte("room")


def _chosen(queue: BindParameter[str], flying: CTE, room: CTE) -> CTE:
    """Choose the ids of the jobs to dispatch next, as a CTE with the column `id`.

    Only tenants whose turn comes within the room are looked at: where they fill it, each gives
    its first job, and no other tenant has any.
    """
    space = select(room.c.room).scalar_subquery()
    free = func.least(Turn.cap - func.coalesce(flying.c.jobs, 0), space, type_=Integer)
    # Sorted first, so that the search for jobs ends with the last tenant that is needed.
    standing = (
        select(Turn.tenant_id, Turn.last_pick, free.label("free"))
        .outerjoin(flying, flying.c.tenant_id == Turn.tenant_id)
        .where(Turn.queue == queue, Turn.held.is_(False), Turn.paused.is_(False), free > 0)
        .order_by(Turn.last_pick, Turn.tenant_id)
        .cte("standing")
        .prefix_with("MATERIALIZED")
    )
    first = _waiting(queue, standing.c.tenant_id).limit(1).correlate(standing).lateral("first")
    turn = (
        select(standing, first.c.id)
        .join(first, literal(value=True))
        .order_by(standing.c.last_pick, standing.c.tenant_id)
        .limit(space)
        .cte("turn")
    )
    # What the first ones leave is all that any tenant may give beside.
    left = space - select(func.count()).select_from(turn).scalar_subquery()
    place = func.row_number().over(order_by=(Job.not_before, Job.id))
    more = (
        _waiting(queue, turn.c.tenant_id)
        .add_columns(place.label("place"))
        .offset(1)
        .limit(func.least(turn.c.free - 1, left))
        .correlate(turn)
        .lateral("more")
    )
    firsts = select(turn.c.id, turn.c.last_pick, turn.c.tenant_id, literal(1).label("place"))
    others = select(more.c.id, turn.c.last_pick, turn.c.tenant_id, more.c.place).select_from(turn)
    candidates = union_all(firsts, others.join(more, literal(value=True))).subquery("candidates")
    return (
        select(candidates.c.id)
        .order_by(candidates.c.place, candidates.c.last_pick, candidates.c.tenant_id)
        .limit(space)
        .cte("chosen")
    )


def _waiting(queue: BindParameter[str], tenant_id: ColumnElement[UUID]) -> Select[UUID]:
    """Choose the ids of a tenant's jobs that may go, the first asked for first."""
    return (
        select(Job.id)
        .where(
            Job.queue == queue,
            Job.tenant_id == tenant_id,
            Job.status == "queued",
            Job.not_before <= func.clock_timestamp(),
        )
        .order_by(Job.not_before, Job.id)
    )
