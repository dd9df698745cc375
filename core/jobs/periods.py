"""Work that comes round: one job a period, by the database's clock, whoever asks how often."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from core.clock import iso
from core.ids import PLATFORM
from core.jobs.kinds import Kind
from core.jobs.models import Job
from core.jobs.submit import submit_job
from core.tenancy.session import open_platform_session

# What comes round looks at all that is there: more of what was missed would find nothing to do.
MADE_GOOD = 60
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def enqueue_periods(kind: Kind, every: timedelta) -> int:
    """Queue a kind's job for each period that has begun and has none; answer how many.

    `kind` is unique `once`; its key is the period's begin. All count periods from 1970 on, and
    so mean the same. Of those that passed while nobody asked the newest MADE_GOOD are made good.
    """
    newest_key = select(func.max(Job.key)).where(
        Job.tenant_id == PLATFORM,
        Job.kind == kind.name,
        # As the index says, so that it is used.
        Job.uniqueness == "once",
        Job.status != "cancelled",
    )
    with open_platform_session() as session:
        now, key = session.execute(
            select(func.clock_timestamp(), newest_key.scalar_subquery())
        ).one()
        begun = _FIRST + (now - _FIRST) // every * every
        known = datetime.fromisoformat(key) if key is not None else begun - every
        missing = [begun - number * every for number in range(MADE_GOOD)]
        due = sorted(period for period in missing if period > known)
        for period in due:
            submit_job(session, kind=kind, args={}, key=iso(period))
    return len(due)
