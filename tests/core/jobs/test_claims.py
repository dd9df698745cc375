import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from core.errors import NeozorkError
from core.ids import PLATFORM
from core.jobs import claims
from core.jobs.claims import Claim, FenceLostError
from core.jobs.control import get_job, job_document
from core.jobs.dispatch import dispatch, reap
from core.jobs.events import events_since, position_of
from core.jobs.kinds import RUN_BACKTEST
from core.jobs.models import Job
from core.jobs.picks import Message
from core.jobs.submit import submit_job
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_tenant
from tests.peers.tcp_proxy import TcpProxy

pytestmark = pytest.mark.usefixtures("quiet_jobs")
PROBLEM = NeozorkError("it broke").problem()


def a_job(tenant: UUID, **more: object) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=RUN_BACKTEST, args={"n": 1}, **more)


def claimed(tenant: UUID, job: UUID) -> Claim:
    taken = claims.claim(tenant, job)
    assert taken is not None
    return taken


def row_of(job: UUID) -> Job:
    with open_platform_session() as session:
        return session.execute(select(Job).where(Job.id == job)).scalar_one()


def expire_lease(job: UUID) -> None:
    with open_platform_session() as session:
        session.execute(
            update(Job)
            .where(Job.id == job)
            .values(lease_until=func.clock_timestamp() - timedelta(seconds=1))
        )


def test_a_job_is_claimed_once() -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    assert claimed(tenant, job).attempt == 1
    assert claims.claim(tenant, job) is None


def test_a_claim_whose_answer_is_lost_is_known_again(postgres_proxy: TcpProxy) -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    postgres_proxy.commits_to_cut = 1
    taken = claimed(tenant, job)
    assert postgres_proxy.cut == 1
    assert (taken.attempt, row_of(job).attempt) == (1, 1)
    assert claims.claim(tenant, job) is None
    with claims.finishing(taken):
        pass
    assert row_of(job).status == "succeeded"


def test_a_job_of_another_tenant_cannot_be_claimed() -> None:
    job = a_job(a_tenant())
    assert claims.claim(a_tenant(), job) is None
    assert row_of(job).status == "queued"


def test_a_finished_job_has_its_effects_and_its_end_together() -> None:
    tenant = a_tenant()
    taken = claimed(tenant, a_job(tenant))
    with pytest.raises(ZeroDivisionError), claims.finishing(taken):
        raise ZeroDivisionError
    assert row_of(taken.id).status == "running"
    with claims.finishing(taken):
        pass
    row = row_of(taken.id)
    assert (row.status, row.progress, row.lease_until) == ("succeeded", 1.0, None)


def test_an_expired_lease_gives_the_job_to_another_and_fences_the_first() -> None:
    tenant = a_tenant()
    first = claimed(tenant, a_job(tenant))
    expire_lease(first.id)
    assert reap() == 1
    assert (row_of(first.id).status, row_of(first.id).failures) == ("queued", 1)
    with pytest.raises(FenceLostError), claims.finishing(first):
        pytest.fail("the fence must hold before any effect")
    with pytest.raises(FenceLostError):
        claims.renew(first, 0.5, "late")
    with pytest.raises(FenceLostError):
        claims.fail(first, PROBLEM, again=True)


def test_a_renewed_lease_is_not_reaped() -> None:
    tenant = a_tenant()
    taken = claimed(tenant, a_job(tenant))
    expire_lease(taken.id)
    claims.renew(taken, 0.25, "halfway to half")
    assert reap() == 0
    row = row_of(taken.id)
    assert (row.status, row.progress, row.message) == ("running", 0.25, "halfway to half")


def test_a_failure_waits_longer_each_time_and_ends_as_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "_FIRST_BACK_OFF_S", 3_600.0)
    tenant = a_tenant()
    job = a_job(tenant)
    for failures in range(1, RUN_BACKTEST.failures_allowed):
        claims.fail(claimed(tenant, job), PROBLEM, again=True)
        row = row_of(job)
        assert (row.status, row.failures) == ("queued", failures)
        assert claims.claim(tenant, job) is None, "the back-off holds a claim too"
        with open_platform_session() as session:
            session.execute(update(Job).values(not_before=func.clock_timestamp()))
    claims.fail(claimed(tenant, job), PROBLEM, again=True)
    row = row_of(job)
    assert (row.status, row.failures, row.error) == ("failed", 3, PROBLEM)
    assert row.finished_at is not None


def test_an_error_that_would_only_repeat_ends_the_job_at_once() -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    claims.fail(claimed(tenant, job), PROBLEM, again=False)
    assert (row_of(job).status, row_of(job).failures) == ("failed", 1)


def test_a_job_whose_workers_keep_dying_ends_as_failed_with_its_reason() -> None:
    tenant = a_tenant()
    job = a_job(tenant)
    for _ in range(RUN_BACKTEST.failures_allowed):
        with open_platform_session() as session:
            session.execute(update(Job).values(not_before=func.clock_timestamp()))
        claimed(tenant, job)
        expire_lease(job)
        assert reap() == 1
    row = row_of(job)
    assert row.status == "failed"
    assert row.error is not None
    assert row.error["code"] == "worker_died"


def test_a_job_that_is_given_back_blames_nobody() -> None:
    tenant = a_tenant()
    taken = claimed(tenant, a_job(tenant))
    claims.give_back(taken)
    assert (row_of(taken.id).status, row_of(taken.id).failures) == ("queued", 0)
    assert claimed(tenant, taken.id).attempt == 2


@pytest.mark.parametrize(
    "end",
    [
        claims.give_back,
        lambda taken: claims.fail(taken, PROBLEM, again=True),
        lambda taken: claims.fail(taken, PROBLEM, again=True, absence=True),
        lambda taken: claims.fail(taken, PROBLEM, again=False),
        lambda taken: (expire_lease(taken.id), reap()),
    ],
    ids=["given back", "tried again", "service away", "failed", "worker died"],
)
def test_listeners_hear_of_an_attempts_end_what_its_row_says(
    end: Callable[[Claim], object],
) -> None:
    tenant = a_tenant()
    taken = claimed(tenant, a_job(tenant))
    claims.renew(taken, 0.5, "halfway")
    before = position_of(tenant)
    end(taken)
    with open_session(tenant) as session:
        row = job_document(get_job(session, taken.id))
    assert (row["progress"], row["message"]) == (0.5, "halfway")
    told = [json.loads(event.data) for event in events_since(tenant, before) or ()]
    assert told == [{name: row[name] for name in told[0]}]


def test_a_message_before_its_commit_is_not_lost() -> None:
    tenant = a_tenant()
    with open_session(tenant) as session:
        job = submit_job(session, kind=RUN_BACKTEST, args={})
        session.flush()
        assert claims.claim(tenant, job) is None
    assert claimed(tenant, job).attempt == 1


def test_a_key_used_once_answers_the_same_job_for_ever() -> None:
    tenant = a_tenant()
    first = a_job(tenant, key="run-1")
    with claims.finishing(claimed(tenant, first)):
        pass
    assert a_job(tenant, key="run-1") == first
    assert a_job(tenant, key="run-2") != first
    assert a_job(a_tenant(), key="run-1") != first


def test_a_rolled_back_submission_never_existed() -> None:
    tenant = a_tenant()
    with suppress(ZeroDivisionError), open_session(tenant) as session:
        submit_job(session, kind=RUN_BACKTEST, args={})
        raise ZeroDivisionError
    with open_session(tenant) as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_the_platforms_own_jobs_are_out_of_a_tenants_reach() -> None:
    with open_platform_session() as session:
        job = submit_job(session, kind=RUN_BACKTEST, args={})
    assert claims.claim(a_tenant(), job) is None
    assert claims.claim(PLATFORM, job) is not None


def test_nothing_is_dispatched_while_no_unit_works() -> None:
    a_job(a_tenant())
    published: list[Message] = []
    assert dispatch("interactive", published.extend) == 0
    assert published == []
