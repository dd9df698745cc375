"""A dispatcher for comparison: whoever asked first is served first, without turns, caps, window."""

import sys
from datetime import timedelta

from sqlalchemy import func, select, update

from core.jobs import dispatch
from core.jobs.models import Job
from core.jobs.picks import Drain, Message
from core.plans import Queue
from core.tenancy.session import PlatformSession
from workers.dispatcher import main

AT_ONCE = 100


def first_come(
    session: PlatformSession, queue: Queue, _drain: Drain, *, deadline: timedelta
) -> list[Message]:
    now = func.clock_timestamp()
    first = (
        select(Job.id)
        .where(Job.queue == queue, Job.status == "queued", Job.not_before <= now)
        .order_by(Job.not_before, Job.id)
        .limit(AT_ONCE)
        .cte("first")
    )
    picked = (
        update(Job)
        .where(Job.id.in_(select(first.c.id)), Job.status == "queued")
        .values(status="dispatched", dispatched_at=now, deadline_at=now + deadline, publishes=1)
        .returning(Job.tenant_id, Job.id, Job.kind, Job.queue)
    )
    return [Message(*row) for row in session.execute(picked).all()]


if __name__ == "__main__":
    dispatch.pick = first_come
    sys.exit(main())
