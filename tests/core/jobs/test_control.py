import json
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from core.errors import ConflictError, NeozorkError, NotFoundError
from core.jobs import claims
from core.jobs.control import (
    JobFilter,
    announce_job,
    cancel_job,
    get_job,
    job_document,
    jobs_by_id,
    list_jobs,
    unfinished_jobs,
)
from core.jobs.dead_letters import discard_job, retry_job
from core.jobs.events import events_since, position_of
from core.jobs.kinds import END_TRIAL, RUN_BACKTEST, Kind
from core.jobs.models import Job
from core.jobs.submit import submit_job
from core.tenancy.session import TenantSession, open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")
PROBLEM = NeozorkError("it broke").problem()


def a_job(tenant: UUID, kind: Kind = RUN_BACKTEST, **more: object) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=kind, args={}, **more)


def claimed(tenant: UUID, job: UUID) -> claims.Claim:
    taken = claims.claim(tenant, job)
    assert taken is not None
    return taken


def failed(tenant: UUID, kind: Kind = RUN_BACKTEST, **more: object) -> UUID:
    job = a_job(tenant, kind, **more)
    claims.fail(claimed(tenant, job), PROBLEM, again=False)
    return job


def finished(tenant: UUID) -> UUID:
    job = a_job(tenant)
    with claims.finishing(claimed(tenant, job)):
        pass
    return job


def cancelled(tenant: UUID, job: UUID) -> Job:
    with open_session(tenant) as session:
        return cancel_job(session, job)


def retried(tenant: UUID, job: UUID) -> Job:
    with open_session(tenant) as session:
        return retry_job(session, job)


def test_a_waiting_job_is_cancelled_and_cannot_be_claimed() -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    assert cancelled(tenant, job).status == "cancelled"
    assert claims.claim(tenant, job) is None
    assert cancelled(tenant, job).status == "cancelled", "twice is once"


def test_a_cancelled_jobs_worker_writes_nothing_more() -> None:
    tenant = a_tenant()
    taken = claimed(tenant, a_job(tenant))
    assert claims.holds(taken)
    assert cancelled(tenant, taken.id).status == "cancelled"
    assert not claims.holds(taken)
    with pytest.raises(claims.FenceLostError), claims.finishing(taken):
        pytest.fail("the fence must hold before any effect")
    with pytest.raises(claims.FenceLostError):
        claims.give_back(taken)


def test_what_is_cancelled_shows_no_error_of_a_try_before() -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    claims.fail(claimed(tenant, job), PROBLEM, again=True)
    seen = position_of(tenant)
    gone = cancelled(tenant, job)
    assert (gone.status, gone.error) == ("cancelled", None)
    announce_job(gone)
    (told,) = events_since(tenant, seen) or []
    assert json.loads(told.data)["error"] is None


def test_what_has_ended_cannot_be_cancelled() -> None:
    tenant = a_tenant()
    for job in (finished(tenant), failed(tenant)):
        with pytest.raises(ConflictError) as refused:
            cancelled(tenant, job)
        assert refused.value.instance_code == "job_finished"


def test_another_tenants_job_is_not_there() -> None:
    job = a_job(a_tenant())
    for act in (cancelled, retried):
        with pytest.raises(NotFoundError):
            act(a_tenant(), job)
    with open_session(a_tenant()) as session:
        assert jobs_by_id(session, [str(job)]) == []


@pytest.mark.parametrize("ended", ["failed", "cancelled"])
def test_a_job_tried_again_by_hand_begins_anew(ended: str) -> None:
    tenant = a_tenant()
    job = failed(tenant)
    if ended == "cancelled":
        retried(tenant, job)
        cancelled(tenant, job)
    again = retried(tenant, job)
    assert (again.status, again.failures, again.error) == ("queued", 0, None)
    assert again.finished_at is None
    assert claimed(tenant, job).attempt == 2


def test_only_a_failed_or_cancelled_job_can_be_tried_again() -> None:
    tenant = a_tenant()
    running = a_job(tenant)
    claimed(tenant, running)
    for job in (a_job(tenant), running, finished(tenant)):
        with pytest.raises(ConflictError) as refused:
            retried(tenant, job)
        assert refused.value.instance_code == "job_not_retryable"


def test_a_job_whose_work_was_asked_for_again_cannot_be_tried_again() -> None:
    tenant = a_tenant()
    waiting_twin = failed(tenant, END_TRIAL, key="a")
    a_job(tenant, END_TRIAL, key="a")
    once = a_job(tenant, key="b")
    cancelled(tenant, once)
    a_job(tenant, key="b")
    for job in (waiting_twin, once):
        with pytest.raises(ConflictError) as refused:
            retried(tenant, job)
        assert refused.value.instance_code == "job_asked_again"


def test_jobs_are_listed_newest_first_by_status_and_kind() -> None:
    tenant = a_tenant()
    jobs = [a_job(tenant), a_job(tenant), a_job(tenant, END_TRIAL)]
    done = finished(tenant)
    with open_session(tenant) as session:
        page = list_jobs(session, chosen=JobFilter(), limit=2)
        assert [job.id for job in page.items] == [done, jobs[2]]
        rest = list_jobs(session, chosen=JobFilter(), limit=2, cursor=page.next_cursor)
        assert [job.id for job in rest.items] == [jobs[1], jobs[0]]
        assert len(list_jobs(session, chosen=JobFilter(status="queued"), limit=9).items) == 3
        assert len(list_jobs(session, chosen=JobFilter(kind=END_TRIAL.name), limit=9).items) == 1
        assert [job.id for job in unfinished_jobs(session)] == jobs
        assert len(jobs_by_id(session, [str(job) for job in jobs])) == 3


def test_of_very_many_jobs_a_listener_must_know_what_runs_and_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.jobs.control.TOLD_AT_MOST", 2)
    tenant = a_tenant()
    running, *_, newest = [a_job(tenant) for _ in range(4)]
    claimed(tenant, running)
    with open_session(tenant) as session:
        assert [job.id for job in unfinished_jobs(session)] == [running, newest]


def test_a_published_job_shows_its_error_until_it_succeeds() -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    claims.fail(claimed(tenant, job), PROBLEM, again=True)
    with open_session(tenant) as session:
        row = get_job(session, job)
        assert job_document(row)["error"] == PROBLEM
        row.status = "succeeded"
        assert job_document(row)["error"] is None
        by_error = JobFilter(error_code=PROBLEM["code"])
        assert list_jobs(session, chosen=by_error, limit=10).total_count == 0


def test_a_job_that_never_was_is_not_found() -> None:
    with open_session(a_tenant()) as session, pytest.raises(NotFoundError):
        get_job(session, uuid4())


@pytest.mark.parametrize("move", [cancel_job, discard_job, retry_job])
def test_listeners_hear_of_a_moved_job_what_its_document_says(
    move: Callable[[TenantSession, UUID], Job],
) -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    claims.fail(claimed(tenant, job), PROBLEM, again=move is cancel_job)
    before = position_of(tenant)
    with open_session(tenant) as session:
        moved = move(session, job)
    announce_job(moved)
    stands = job_document(moved)
    told = [json.loads(event.data) for event in events_since(tenant, before) or ()]
    assert told == [{name: stands[name] for name in told[0]}]
