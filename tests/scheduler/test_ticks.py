import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select

from core.identity.trials import enqueue_ended_trials
from core.jobs.heartbeats import alive
from core.jobs.kinds import END_TRIAL
from core.jobs.models import Job
from core.tenancy.engine import app_engine, owner_engine
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session
from scheduler.ticks import TICKS, Tick
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")
QUEUING = [tick for tick in TICKS if tick.name != "heartbeat"]
every_tick = pytest.mark.parametrize("tick", QUEUING, ids=[tick.name for tick in QUEUING])


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
    assert all(tick.every_s > 0 for tick in TICKS)


def a_tenant_behind() -> None:
    a_tenant()
    with owner_engine().begin() as owner:
        owner.exec_driver_sql(
            "INSERT INTO neozork.tenant_upgrades SELECT head, 'older', '' FROM"
            " neozork.tenant_releases ON CONFLICT DO NOTHING"
        )
        owner.exec_driver_sql("UPDATE neozork.tenant_schemas SET revision = 'older'")


@pytest.fixture
def all_due() -> Iterator[UUID]:
    """Give every tick something to do."""
    a_tenant_behind()
    yield a_trial_that_ended()
    with owner_engine().begin() as owner:
        owner.exec_driver_sql(
            "UPDATE neozork.tenant_schemas SET revision ="
            " (SELECT head FROM neozork.tenant_releases) WHERE revision = 'older'"
        )
        owner.exec_driver_sql("DELETE FROM neozork.tenant_upgrades")


@every_tick
@pytest.mark.usefixtures("all_due")
def test_what_is_due_is_queued_once_by_three_schedulers_at_once(tick: Tick) -> None:
    with ThreadPoolExecutor(3) as schedulers:
        list(schedulers.map(lambda _: tick.function(), range(6)))
    once = queued()
    assert once
    assert len(once) == len(set(once))


def test_a_trial_that_ended_is_queued_by_its_tenant() -> None:
    due = a_trial_that_ended()
    assert enqueue_ended_trials() >= 1
    assert (END_TRIAL.name, str(due)) in queued()


@every_tick
@pytest.mark.usefixtures("all_due")
def test_what_a_tick_asks_is_answered_from_an_index(tick: Tick) -> None:
    asked: list[tuple[str, Any]] = []
    engine = app_engine()

    def hear(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(engine, "before_cursor_execute", hear)
    tick.function()
    tick.function()
    event.remove(engine, "before_cursor_execute", hear)
    questions = [each for each in asked if each[0].startswith("SELECT")]
    assert questions
    with owner_engine().begin() as owner:
        owner.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, values in questions:
            plan = "\n".join(owner.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())
            # A few rows, one for each release that there ever was.
            scanned = set(re.findall(r"Seq Scan on (\w+)", plan)) - {"tenant_releases"}
            assert not scanned, plan


@every_tick
@pytest.mark.usefixtures("all_due")
def test_a_tick_with_nothing_due_queues_nothing_more(tick: Tick) -> None:
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
