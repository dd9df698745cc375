from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from core.jobs.heartbeats import alive
from core.jobs.kinds import END_TRIAL, RETIRE_JOBS, RUN_BACKTEST
from core.jobs.models import Job
from core.jobs.submit import submit_job
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session, open_session
from scheduler.ticks import TICKS, Tick
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")


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


def an_old_job() -> None:
    tenant_id = a_tenant()
    with open_session(tenant_id) as session:
        job = submit_job(session, kind=RUN_BACKTEST, args={})
        session.get_one(Job, job).status = "succeeded"
        session.get_one(Job, job).finished_at = datetime(2020, 1, 1, tzinfo=UTC)


DUE = {"end_trials": a_trial_that_ended, "retire_jobs": an_old_job}
QUEUES_ONE = {"end_trials": END_TRIAL, "retire_jobs": RETIRE_JOBS}
working_tick = pytest.mark.parametrize(
    "tick", [tick for tick in TICKS if tick.name in DUE], ids=lambda tick: tick.name
)


def test_every_tick_that_queues_is_shown_to_do_so() -> None:
    assert {tick.name for tick in TICKS} - {"heartbeat"} == DUE.keys() == QUEUES_ONE.keys()


@working_tick
def test_what_is_due_is_queued_once_by_three_schedulers_at_once(tick: Tick) -> None:
    DUE[tick.name]()
    with ThreadPoolExecutor(3) as schedulers:
        list(schedulers.map(lambda _: tick.function(), range(6)))
    kinds = [kind for kind, _key in queued()]
    assert kinds.count(QUEUES_ONE[tick.name].name) == 1


@working_tick
def test_a_tick_with_nothing_due_queues_nothing_more(tick: Tick) -> None:
    DUE[tick.name]()
    tick.function()
    before = queued()
    tick.function()
    assert queued() == before


def test_a_scheduler_is_seen_alive_by_its_tick() -> None:
    (heartbeat,) = (tick for tick in TICKS if tick.name == "heartbeat")
    heartbeat.function()
    heartbeat.function()
    with open_platform_session() as session:
        assert alive(session) == {"scheduler": 1}
