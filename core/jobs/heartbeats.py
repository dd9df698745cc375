"""Who is alive: dispatchers and schedulers say so every few seconds, units in `units`."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, union_all
from sqlalchemy.dialects.postgresql import insert

from core.jobs.models import Heartbeat, Unit
from core.tenancy.session import PlatformSession, open_platform_session

BEAT_EVERY_S = 3.0
DEAD_AFTER = timedelta(seconds=10)
_FORGOTTEN_AFTER = timedelta(days=1)
_SINCE = func.clock_timestamp() - DEAD_AFTER
# Rows of a program's or queue's name and how many are alive.
ALIVE = union_all(
    select(Heartbeat.program.label("name"), func.count().label("count"))
    .where(Heartbeat.seen_at > _SINCE)
    .group_by(Heartbeat.program),
    select(Unit.queue, func.sum(Unit.units)).where(Unit.seen_at > _SINCE).group_by(Unit.queue),
)


def beat(program: str, process_id: UUID) -> None:
    """Write that a process of a program is alive, as of now."""
    now = func.clock_timestamp()
    with open_platform_session() as session:
        session.execute(
            insert(Heartbeat)
            .values(id=process_id, program=program, seen_at=now)
            .on_conflict_do_update(index_elements=["id"], set_={"seen_at": now})
        )


def stop_beating(process_id: UUID) -> None:
    """Take a process from the register, as it stops."""
    with open_platform_session() as session:
        session.execute(delete(Heartbeat).where(Heartbeat.id == process_id))


def alive(session: PlatformSession) -> dict[str, int]:
    """Answer how many dispatchers and schedulers are alive, and how many units by queue."""
    return dict(session.execute(ALIVE).all())


def forget_the_dead() -> int:
    """Delete the rows of processes that were killed long ago; answer how many."""
    long_ago = func.clock_timestamp() - _FORGOTTEN_AFTER
    with open_platform_session() as session:
        return sum(
            len(session.execute(delete(row).where(row.seen_at < long_ago).returning(row.id)).all())
            for row in (Heartbeat, Unit)
        )
