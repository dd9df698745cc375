from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from core.ids import PLATFORM
from core.jobs.heartbeats import beat
from core.jobs.kinds import KINDS, PROVISION_TENANT, RETIRE_JOBS, RUN_BACKTEST
from core.jobs.models import Heartbeat, Job
from core.jobs.retention import delete_old, enqueue_retirement
from core.jobs.running import perform
from core.jobs.submit import submit_job
from core.tenancy.session import open_platform_session
from workers.perform import function_of

pytestmark = pytest.mark.usefixtures("quiet_jobs")


def ended(days_ago: int, status: str = "succeeded", kind: str = RUN_BACKTEST.name) -> UUID:
    with open_platform_session() as session:
        job = submit_job(session, kind=KINDS[kind], args={})
        at = datetime.now(UTC) - timedelta(days=days_ago)
        session.execute(update(Job).where(Job.id == job).values(status=status, finished_at=at))
    return job


def kept() -> set[UUID]:
    with open_platform_session() as session:
        return set(session.scalars(select(Job.id).where(Job.kind != RETIRE_JOBS.name)))


@pytest.mark.parametrize("status", ["succeeded", "cancelled", "superseded"])
def test_what_ended_well_goes_after_its_kinds_days(status: str) -> None:
    assert RUN_BACKTEST.kept_days is not None
    old, young = ended(RUN_BACKTEST.kept_days + 1, status), ended(1, status)
    assert delete_old() == 1
    assert kept() == {young}
    assert old not in kept()


def test_a_dead_letter_waits_for_somebody_and_goes_at_last() -> None:
    ended(91, "failed")
    waits = ended(60, "failed")
    assert delete_old() == 1
    assert kept() == {waits}


def test_what_keeps_work_from_being_done_twice_stays_for_ever() -> None:
    once = ended(9_999, kind=PROVISION_TENANT.name)
    assert delete_old() == 0
    assert kept() == {once}


@pytest.mark.parametrize("status", ["queued", "dispatched", "waiting", "running"])
def test_what_has_not_ended_stays_however_old(status: str) -> None:
    with open_platform_session() as session:
        job = submit_job(session, kind=RUN_BACKTEST, args={})
        long_ago = datetime(2000, 1, 1, tzinfo=UTC)
        session.execute(update(Job).where(Job.id == job).values(status=status, created_at=long_ago))
    assert delete_old() == 0
    assert kept() == {job}


def test_all_that_is_old_goes_in_batches_and_the_dead_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.jobs.retention.delete_old", lambda: delete_old(2))
    for _ in range(5):
        ended(30)
    beat("dispatcher", uuid4())
    beat("dispatcher", uuid4())
    with open_platform_session() as session:
        killed = session.scalars(select(Heartbeat)).first()
        assert killed is not None
        killed.seen_at = datetime(2020, 1, 1, tzinfo=UTC)
    assert enqueue_retirement() == 1
    with open_platform_session() as session:
        job = session.scalars(select(Job.id).where(Job.kind == RETIRE_JOBS.name)).one()
    perform(function_of(RETIRE_JOBS), PLATFORM, job)
    assert kept() == set()
    assert enqueue_retirement() == 0, "once a period"
    with open_platform_session() as session:
        assert len(session.scalars(select(Heartbeat)).all()) == 1
