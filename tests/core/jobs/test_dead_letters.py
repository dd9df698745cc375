from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from core.errors import ConflictError, NeozorkError, NotFoundError
from core.jobs import claims
from core.jobs.control import JobFilter
from core.jobs.dead_letters import discard_failed, discard_job, move_all, retry_failed, retry_job
from core.jobs.kinds import END_TRIAL, IMPORT_BARS, RUN_BACKTEST, Kind
from core.jobs.models import Job
from core.jobs.submit import submit_job
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")


def failed(
    tenant: UUID, kind: Kind = RUN_BACKTEST, code: str = "broke", key: str | None = None
) -> UUID:
    with open_session(tenant) as session:
        job = submit_job(session, kind=kind, args={}, key=key)
    taken = claims.claim(tenant, job)
    assert taken is not None
    claims.fail(taken, NeozorkError("it broke", code=code).problem(), again=False)
    return job


def statuses(tenant: UUID) -> dict[UUID, str]:
    with open_session(tenant) as session:
        return {row.id: row.status for row in session.execute(select(Job.id, Job.status))}


def test_all_failed_jobs_are_tried_again_and_nobody_elses() -> None:
    tenant, other = a_tenant(), a_tenant()
    mine, theirs = [failed(tenant) for _ in range(3)], failed(other)
    with open_session(tenant) as session:
        assert set(retry_failed(session, JobFilter())) == set(mine)
    assert set(statuses(tenant).values()) == {"queued"}
    assert statuses(other) == {theirs: "failed"}


def test_a_job_that_is_tried_again_has_no_error_at_all() -> None:
    tenant = a_tenant()
    job = failed(tenant)
    with open_session(tenant) as session:
        retry_job(session, job)
        none = session.scalars(select(Job.id).where(Job.error.is_(None))).all()
    assert none == [job], "nor the word null"


def test_a_filter_chooses_by_everything_that_it_says() -> None:
    tenant = a_tenant()
    bars, lost, run = (
        failed(tenant, IMPORT_BARS),
        failed(tenant, code="data_lost"),
        failed(tenant),
    )
    now = datetime.now(UTC)
    for chosen, ids in (
        (JobFilter(kind=IMPORT_BARS.name), {bars}),
        (JobFilter(error_code="data_lost"), {lost}),
        (JobFilter(error_code="broke", kind=RUN_BACKTEST.name), {run}),
        (JobFilter(queue="bulk"), {bars}),
        (JobFilter(ids=[run, lost, uuid4()]), {run, lost}),
        (JobFilter(ids=[]), set()),
        (JobFilter(created_from=now + timedelta(hours=1)), set()),
        (JobFilter(created_to=now + timedelta(hours=1)), {bars, lost, run}),
        (JobFilter(status="succeeded"), set()),
        (JobFilter(tenant_id=uuid4()), {bars, lost, run}),
    ):
        with open_session(tenant) as session:
            assert set(discard_failed(session, chosen)) == ids, chosen
            session.rollback()


def test_an_operator_reaches_all_tenants_or_one() -> None:
    tenant, other = a_tenant(), a_tenant()
    mine, theirs = failed(tenant), failed(other)
    with open_platform_session() as session:
        assert retry_failed(session, JobFilter(tenant_id=tenant)) == [mine]
        assert discard_failed(session, JobFilter(ids=[mine, theirs])) == [theirs]


def test_what_is_asked_for_again_by_itself_is_left_alone_in_bulk() -> None:
    tenant = a_tenant()
    job = failed(tenant, END_TRIAL, key="k")
    with open_session(tenant) as session:
        assert retry_failed(session, JobFilter()) == []
    assert statuses(tenant) == {job: "failed"}


def test_what_is_left_alone_in_bulk_stands_in_no_others_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.jobs.dead_letters.MOST_AT_ONCE", 1)
    tenant = a_tenant()
    failed(tenant, END_TRIAL, key="k")
    job = failed(tenant)
    with open_session(tenant) as session:
        assert retry_failed(session, JobFilter()) == [job]


def test_a_discarded_job_keeps_its_error_and_frees_its_work() -> None:
    tenant = a_tenant()
    job = failed(tenant, key="k")
    with open_session(tenant) as session:
        gone = discard_job(session, job)
        assert gone.error is not None
        assert (gone.status, gone.error["code"]) == ("cancelled", "broke")
        assert discard_job(session, job).status == "cancelled", "twice is once"
    with open_session(tenant) as session:
        assert submit_job(session, kind=RUN_BACKTEST, args={}, key="k") != job


def test_only_a_failed_job_is_discarded() -> None:
    tenant = a_tenant()
    with open_session(tenant) as session:
        job = submit_job(session, kind=RUN_BACKTEST, args={})
    with open_session(tenant) as session, pytest.raises(ConflictError) as refused:
        discard_job(session, job)
    assert refused.value.instance_code == "job_not_failed"
    with open_session(a_tenant()) as session, pytest.raises(NotFoundError):
        discard_job(session, job)


def test_more_than_are_moved_at_once_are_moved_by_asking_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.jobs.dead_letters.MOST_AT_ONCE", 2)
    tenant = a_tenant()
    jobs = [failed(tenant) for _ in range(3)]
    with open_platform_session() as session:
        oldest_first = sorted(jobs, key=lambda job: session.get_one(Job, job).created_at)
    with open_session(tenant) as session:
        assert set(retry_failed(session, JobFilter())) == set(oldest_first[:2])
    with open_session(tenant) as session:
        assert retry_failed(session, JobFilter()) == oldest_first[2:]


def test_a_job_that_fails_again_meanwhile_is_moved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.dead_letters.MOST_AT_ONCE", 1)
    tenant = a_tenant()
    jobs, moved = {failed(tenant) for _ in range(2)}, list[UUID]()
    for (job,) in move_all(retry_failed, JobFilter()):
        moved.append(job.id)
        assert len(moved) <= len(jobs)
        taken = claims.claim(tenant, job.id)
        assert taken is not None
        claims.fail(taken, NeozorkError("it broke again", code="broke").problem(), again=False)
    assert set(moved) == jobs
    assert set(statuses(tenant).values()) == {"failed"}


def test_a_job_that_somebody_else_moves_is_skipped() -> None:
    tenant = a_tenant()
    job, free = failed(tenant), failed(tenant)
    with open_platform_session() as session:
        session.execute(update(Job).where(Job.id == job).values(message="being moved"))
        with open_session(tenant) as another:
            assert retry_failed(another, JobFilter()) == [free]
