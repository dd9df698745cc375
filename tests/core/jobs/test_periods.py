from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select

from core.ids import PLATFORM
from core.jobs.kinds import RECONCILE_TURNS
from core.jobs.models import Job
from core.jobs.periods import MADE_GOOD, enqueue_periods
from core.tenancy.session import open_platform_session
from tests.laws.isolation.planting import Connection
from tests.programs import until

pytestmark = pytest.mark.usefixtures("quiet_jobs")
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def keys() -> list[str]:
    with open_platform_session() as session:
        asked = select(Job.key).where(Job.kind == RECONCILE_TURNS.name).order_by(Job.key)
        return list(session.scalars(asked))


def begins() -> list[datetime]:
    return [datetime.fromisoformat(key) for key in keys()]


def test_a_period_is_queued_once_by_many_at_once() -> None:
    with ThreadPoolExecutor(3) as schedulers:
        list(schedulers.map(lambda _: enqueue_periods(RECONCILE_TURNS, DAY), range(9)))
    (begun,) = begins()
    assert (begun.hour, begun.minute, begun.second) == (0, 0, 0)
    assert enqueue_periods(RECONCILE_TURNS, DAY) == 0


def test_a_period_whose_job_has_ended_is_not_queued_again(as_superuser: Connection) -> None:
    enqueue_periods(RECONCILE_TURNS, DAY)
    as_superuser.execute("UPDATE neozork.jobs SET status = 'succeeded'")
    assert enqueue_periods(RECONCILE_TURNS, DAY) == 0


def test_periods_that_passed_while_nobody_asked_are_made_good() -> None:
    enqueue_periods(RECONCILE_TURNS, SECOND)
    (first,) = begins()
    until(lambda: datetime.now(UTC) > first + 4 * SECOND, "some periods to pass")
    assert enqueue_periods(RECONCILE_TURNS, SECOND) >= 3
    assert {later - one for one, later in pairwise(begins())} == {SECOND}


def test_after_a_long_absence_only_the_newest_periods_are_made_good(
    as_superuser: Connection,
) -> None:
    enqueue_periods(RECONCILE_TURNS, DAY)
    as_superuser.execute("UPDATE neozork.jobs SET key = '2020-01-01T00:00:00Z'")
    assert enqueue_periods(RECONCILE_TURNS, DAY) == MADE_GOOD
    assert enqueue_periods(RECONCILE_TURNS, DAY) == 0


def test_a_database_whose_clock_was_set_back_queues_nothing_twice(
    as_superuser: Connection,
) -> None:
    enqueue_periods(RECONCILE_TURNS, DAY)
    as_superuser.execute("UPDATE neozork.jobs SET key = '2222-01-01T00:00:00Z'")
    assert enqueue_periods(RECONCILE_TURNS, DAY) == 0


def test_a_periods_job_is_the_platforms() -> None:
    enqueue_periods(RECONCILE_TURNS, DAY)
    with open_platform_session() as session:
        assert session.scalars(select(Job.tenant_id)).all() == [PLATFORM]
