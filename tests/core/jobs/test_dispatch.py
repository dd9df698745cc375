from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from core.ids import PLATFORM
from core.jobs import claims, picks
from core.jobs.dispatch import dispatch, reap, republish_all, republish_overdue
from core.jobs.kinds import END_TRIAL, RUN_BACKTEST
from core.jobs.models import Job, Turn
from core.jobs.picks import WIDEST_PER_UNIT, WINDOW_PER_UNIT, Drain, Message
from core.jobs.submit import submit_job
from core.jobs.units import forget_units, register_units
from core.plans import plan_of
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")


def jobs_of(tenant: UUID, count: int) -> list[UUID]:
    with open_session(tenant) as session:
        return [submit_job(session, kind=RUN_BACKTEST, args={}) for _ in range(count)]


def dispatched(drain: Drain | None = None) -> list[Message]:
    published: list[Message] = []
    dispatch("interactive", published.extend, drain)
    return published


def make_overdue() -> None:
    with open_platform_session() as session:
        session.execute(
            update(Job).values(deadline_at=func.clock_timestamp() - timedelta(seconds=1))
        )


def test_what_is_published_is_committed_before() -> None:
    register_units(uuid4(), {"interactive": 1})
    (job,) = jobs_of(a_tenant(), 1)

    def publish(messages: list[Message]) -> None:
        assert [message.job_id for message in messages] == [job]
        with open_platform_session() as session:
            assert session.scalar(select(Job.status)) == "dispatched"

    assert dispatch("interactive", publish) == 1


def test_a_queue_gets_no_more_than_its_window() -> None:
    register_units(uuid4(), {"interactive": 1})
    jobs_of(a_tenant(tier="enterprise"), 10)
    assert len(dispatched()) == WINDOW_PER_UNIT
    assert dispatched() == []


def test_a_window_widens_to_what_the_units_do_and_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picks, "MOMENT_S", 3_600.0)
    register_units(uuid4(), {"interactive": 1})
    tenant = a_tenant()
    with open_platform_session() as session:
        session.execute(update(Turn).values(cap=None))
    jobs_of(tenant, 60)
    drain, rounds = Drain(), []
    while not rounds or rounds[-1]:
        published = dispatched(drain)
        rounds.append(len(published))
        for message in published:
            taken = claims.claim(tenant, message.job_id)
            assert taken is not None
            with claims.finishing(taken):
                pass
    assert rounds[:3] == [WINDOW_PER_UNIT, WINDOW_PER_UNIT, 2 * WINDOW_PER_UNIT]
    assert max(rounds) == WIDEST_PER_UNIT


def test_a_window_is_narrow_again_a_moment_after_the_units_were_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picks, "MOMENT_S", 3_600.0)
    drain = Drain()
    drain.see(0, picked=30)
    drain.see(10, picked=0)
    assert drain.lately() == 20
    monkeypatch.setattr(picks, "MOMENT_S", 0.0)
    assert drain.lately() == 0


def test_a_window_that_ran_dry_is_twice_as_wide_as_what_went_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picks, "MOMENT_S", 3_600.0)
    drain = Drain()
    drain.see(0, picked=3)
    drain.see(0, picked=0)
    assert drain.lately() == 6
    drain.see(0, picked=0)
    assert drain.lately() == 3


def test_a_tenant_gets_no_more_than_its_cap_and_the_rest_waits() -> None:
    register_units(uuid4(), {"interactive": 10})
    starter = a_tenant(tier="starter")
    jobs_of(starter, 5)
    assert len(dispatched()) == plan_of("starter").interactive_jobs
    assert dispatched() == []
    with open_platform_session() as session:
        assert session.scalar(select(func.count()).where(Job.status == "queued")) == 3


def test_tenants_take_turns_whatever_the_length_of_their_queues() -> None:
    register_units(uuid4(), {"interactive": 1})
    crowd, single = a_tenant(), a_tenant()
    jobs_of(crowd, 50)
    jobs_of(single, 1)
    assert single in {message.tenant_id for message in dispatched()}


def test_a_held_tenants_jobs_wait() -> None:
    register_units(uuid4(), {"interactive": 1})
    held = a_tenant()
    jobs_of(held, 1)
    with open_platform_session() as session:
        session.execute(update(Turn).where(Turn.tenant_id == held).values(held=True))
    assert dispatched() == []


def test_a_supervisor_that_stops_takes_its_units_with_it() -> None:
    supervisor = uuid4()
    register_units(supervisor, {"interactive": 1})
    forget_units(supervisor)
    jobs_of(a_tenant(), 1)
    assert dispatched() == []


def test_a_lost_message_is_published_again_after_its_deadline() -> None:
    register_units(uuid4(), {"interactive": 1})
    jobs_of(a_tenant(), 1)
    first = dispatched()
    again: list[Message] = []
    assert republish_overdue(again.extend) == 0
    make_overdue()
    assert republish_overdue(again.extend) == 1
    assert again == first
    assert republish_overdue(again.extend) == 0, "the new deadline lies ahead"


def test_a_message_that_was_lost_a_thousand_times_is_published_again() -> None:
    register_units(uuid4(), {"interactive": 1})
    (job,) = jobs_of(a_tenant(), 1)
    dispatched()
    make_overdue()
    with open_platform_session() as session:
        session.get_one(Job, job).publishes = 1_000
    assert republish_overdue([].extend) == 1


def test_a_claimed_job_is_not_published_again() -> None:
    register_units(uuid4(), {"interactive": 1})
    tenant = a_tenant()
    (job,) = jobs_of(tenant, 1)
    dispatched()
    assert claims.claim(tenant, job) is not None
    make_overdue()
    again: list[Message] = []
    assert republish_overdue(again.extend) == republish_all(again.extend) == 0


def test_after_a_flush_everything_dispatched_is_published_at_once() -> None:
    register_units(uuid4(), {"interactive": 1})
    jobs_of(a_tenant(), 2)
    first = dispatched()
    again: list[Message] = []
    assert republish_all(again.extend) == 2
    assert sorted(again) == sorted(first)


def test_of_two_dead_jobs_for_the_same_work_the_newer_one_is_tried_again() -> None:
    older, newer = (a_dead_job(key="a") for _ in range(2))
    assert reap() == 2
    assert (status_of(older), status_of(newer)) == ("superseded", "queued")


def test_a_dead_job_is_tried_again_where_the_newer_one_has_died_too_often() -> None:
    older, newer = (a_dead_job(key="a") for _ in range(2))
    with open_platform_session() as session:
        session.get_one(Job, newer).failures_allowed = 1
    assert reap() == 2
    assert (status_of(older), status_of(newer)) == ("queued", "failed")


def test_a_dead_job_that_meets_a_waiting_one_is_superseded() -> None:
    dead = a_dead_job(key="a")
    waiting = a_platform_job(key="a")
    assert reap() == 1
    assert (status_of(dead), status_of(waiting)) == ("superseded", "queued")


def a_platform_job(*, key: str) -> UUID:
    with open_platform_session() as session:
        return submit_job(session, kind=END_TRIAL, args={}, key=key)


def a_dead_job(*, key: str) -> UUID:
    job = a_platform_job(key=key)
    assert claims.claim(PLATFORM, job) is not None
    with open_platform_session() as session:
        session.get_one(Job, job).lease_until = datetime(2000, 1, 1, tzinfo=UTC)
    return job


def status_of(job: UUID) -> str:
    with open_platform_session() as session:
        return session.get_one(Job, job).status
