from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from core.jobs.kinds import END_TRIAL
from core.jobs.models import Job
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session
from scheduler.ticks import TICKS, Tick
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")
every_tick = pytest.mark.parametrize("tick", TICKS, ids=[tick.name for tick in TICKS])


def a_trial_that_ended() -> UUID:
    tenant_id = a_tenant()
    with open_platform_session() as session:
        tenant = session.get_one(Tenant, tenant_id)
        tenant.status, tenant.trial_ends_at = "trialing", datetime(2020, 1, 1, tzinfo=UTC)
    return tenant_id


def queued() -> list[tuple[str, str | None]]:
    with open_platform_session() as session:
        return [(job.kind, job.key) for job in session.scalars(select(Job))]


def test_ticks_have_names_of_their_own_and_time_between_them() -> None:
    assert len({tick.name for tick in TICKS}) == len(TICKS)
    assert all(tick.every_s >= 1 for tick in TICKS)


@every_tick
def test_what_is_due_is_queued_once_by_three_schedulers_at_once(tick: Tick) -> None:
    due = a_trial_that_ended()
    with ThreadPoolExecutor(3) as schedulers:
        list(schedulers.map(lambda _: tick.function(), range(6)))
    once = queued()
    assert (END_TRIAL.name, str(due)) in once
    assert len(once) == len(set(once))


@every_tick
def test_a_tick_with_nothing_due_queues_nothing_more(tick: Tick) -> None:
    a_trial_that_ended()
    tick.function()
    before = queued()
    tick.function()
    assert queued() == before
