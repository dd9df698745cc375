import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import select, update

from core.errors import ConflictError, NeozorkError
from core.jobs import claims
from core.jobs.control import JobFilter, cancel_job, list_jobs, unfinished_jobs
from core.jobs.dead_letters import discard_job, retry_failed, retry_job
from core.jobs.dispatch import reap
from core.jobs.events import events_since, position_of
from core.jobs.kinds import IMPORT_BARS, RUN_BACKTEST
from core.jobs.models import Job
from core.jobs.parents import cancel_orphans
from core.jobs.submit import submit_parent
from core.tenancy.session import TenantSession, open_platform_session, open_session
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("quiet_jobs")
PARENT, PART = RUN_BACKTEST, IMPORT_BARS
PROBLEM = NeozorkError("it broke", code="broke").problem()


def a_parent(tenant: UUID, parts: int = 3, key: str | None = None) -> UUID:
    with open_session(tenant) as session:
        return submit_parent(
            session,
            kind=PARENT,
            args={},
            part=PART,
            parts=[{"number": n} for n in range(parts)],
            key=key,
        )


def parts_of(tenant: UUID, parent: UUID) -> list[UUID]:
    with open_session(tenant) as session:
        parts = session.scalars(select(Job).where(Job.parent_id == parent))
        return [part.id for part in sorted(parts, key=lambda part: part.args["number"])]


def claimed(tenant: UUID, job: UUID) -> claims.Claim:
    taken = claims.claim(tenant, job)
    assert taken is not None
    return taken


def do(tenant: UUID, job: UUID) -> None:
    with claims.finishing(claimed(tenant, job)):
        pass


def stands(tenant: UUID, job: UUID) -> Job:
    with open_session(tenant) as session:
        return session.get_one(Job, job)


def statuses(tenant: UUID, parent: UUID) -> tuple[str, list[str]]:
    parts = [stands(tenant, part).status for part in parts_of(tenant, parent)]
    return stands(tenant, parent).status, parts


@contextmanager
def being_finished(tenant: UUID, job: UUID) -> Iterator[None]:
    with claims.finishing(claimed(tenant, job)):
        yield


def test_a_parent_waits_for_its_parts_and_then_runs_itself() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant, 2)
    first, last = parts_of(tenant, parent)
    assert claims.claim(tenant, parent) is None, "it waits in no queue"
    do(tenant, first)
    halfway = stands(tenant, parent)
    assert (halfway.status, halfway.remaining, halfway.progress) == ("waiting", 1, 0.5)
    do(tenant, last)
    done = stands(tenant, parent)
    assert (done.status, done.remaining, done.progress) == ("queued", 0, 1.0)
    do(tenant, parent)
    assert stands(tenant, parent).status == "succeeded"


def test_each_part_knows_its_own_arguments_and_its_parent() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    taken = [claimed(tenant, part) for part in parts_of(tenant, parent)]
    assert [claim.args for claim in taken] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert {claim.parent_id for claim in taken} == {parent}


def test_parts_that_end_at_once_are_each_counted() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant, 12)
    with ThreadPoolExecutor(4) as units:
        list(units.map(lambda part: do(tenant, part), parts_of(tenant, parent)))
    done = stands(tenant, parent)
    assert (done.status, done.remaining) == ("queued", 0)


def test_a_part_that_is_rolled_back_is_not_counted() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    part = parts_of(tenant, parent)[0]
    with pytest.raises(ZeroDivisionError), being_finished(tenant, part):
        raise ZeroDivisionError
    assert stands(tenant, parent).remaining == 3


def test_the_same_work_asked_for_twice_is_one_parent_with_its_parts() -> None:
    tenant = a_tenant()
    assert a_parent(tenant, 2, key="k") == a_parent(tenant, 2, key="k")
    with open_session(tenant) as session:
        assert len(session.scalars(select(Job.id)).all()) == 3


def test_a_part_that_fails_for_good_fails_its_parent_and_stops_the_others() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    first, second, third = parts_of(tenant, parent)
    do(tenant, first)
    at_work = claimed(tenant, third)
    claims.fail(claimed(tenant, second), PROBLEM, again=True)
    assert statuses(tenant, parent) == ("waiting", ["succeeded", "queued", "running"])
    with open_platform_session() as session:
        session.execute(update(Job).where(Job.id == second).values(not_before=Job.created_at))
    claims.fail(claimed(tenant, second), PROBLEM, again=False)
    assert stands(tenant, parent).error == PROBLEM
    assert cancel_orphans() == 1
    assert statuses(tenant, parent) == ("failed", ["succeeded", "failed", "cancelled"])
    assert not claims.holds(at_work)
    assert cancel_orphans() == 0


def test_a_part_whose_worker_died_too_often_fails_its_parent() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    part = parts_of(tenant, parent)[0]
    claimed(tenant, part)
    with open_platform_session() as session:
        session.execute(
            update(Job)
            .where(Job.id == part)
            .values(lease_until=Job.created_at, failures=Job.failures_allowed - 1)
        )
    assert reap() == 1
    ended = stands(tenant, parent)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error["code"] == "worker_died"


def test_cancelling_a_parent_cancels_what_is_left_of_it() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    first, second, _third = parts_of(tenant, parent)
    do(tenant, first)
    at_work = claimed(tenant, second)
    with open_session(tenant) as session:
        assert cancel_job(session, parent).status == "cancelled"
    assert not claims.holds(at_work), "no dispatcher is needed for it"
    assert cancel_orphans() == 0
    assert statuses(tenant, parent) == ("cancelled", ["succeeded", "cancelled", "cancelled"])


def test_a_part_that_ends_while_its_parent_is_cancelled_is_counted_and_no_more() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant, 2)
    first, _second = parts_of(tenant, parent)
    with being_finished(tenant, first):
        with open_session(tenant) as session:
            cancel_job(session, parent)
        assert cancel_orphans() == 0, "the one that is being finished is skipped, not waited for"
    assert statuses(tenant, parent) == ("cancelled", ["succeeded", "cancelled"])
    ended = stands(tenant, parent)
    assert (ended.remaining, ended.progress) == (1, 0.5)


def test_the_last_part_of_a_cancelled_parent_queues_nothing() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant, 1)
    with being_finished(tenant, *parts_of(tenant, parent)), open_session(tenant) as session:
        cancel_job(session, parent)
    ended = stands(tenant, parent)
    assert (ended.status, ended.remaining, ended.progress) == ("cancelled", 0, 1.0)
    with open_session(tenant) as session:
        assert retry_job(session, parent).status == "queued"


def test_the_orphans_of_a_living_parent_are_none() -> None:
    tenant = a_tenant()
    a_parent(tenant)
    assert cancel_orphans() == 0


def test_a_parent_that_is_tried_again_repeats_only_what_has_not_succeeded() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    first, second, _third = parts_of(tenant, parent)
    do(tenant, first)
    claims.fail(claimed(tenant, second), PROBLEM, again=False)
    with open_session(tenant) as session, pytest.raises(ConflictError) as refused:
        retry_job(session, parent)
    assert refused.value.instance_code == "job_ending", "a part is not stopped yet"
    assert refused.value.retry_after_s == 1
    cancel_orphans()
    with open_session(tenant) as session:
        again = retry_job(session, parent)
        assert (again.status, again.remaining, again.error) == ("waiting", 2, None)
    assert statuses(tenant, parent) == ("waiting", ["succeeded", "queued", "queued"])
    for part in parts_of(tenant, parent)[1:]:
        do(tenant, part)
    assert stands(tenant, parent).status == "queued"


def test_a_parent_that_failed_by_itself_runs_again_without_its_parts() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant, 1)
    do(tenant, parts_of(tenant, parent)[0])
    claims.fail(claimed(tenant, parent), PROBLEM, again=False)
    with open_session(tenant) as session:
        assert retry_failed(session, JobFilter()) == [parent]
    assert statuses(tenant, parent) == ("queued", ["succeeded"])


@pytest.mark.parametrize("move", [cancel_job, retry_job, discard_job])
def test_a_part_moves_with_its_parent_alone(move: object) -> None:
    tenant = a_tenant()
    part = parts_of(tenant, a_parent(tenant))[0]
    assert callable(move)
    with open_session(tenant) as session, pytest.raises(ConflictError) as refused:
        move(session, part)
    assert refused.value.instance_code == "part_of_another"


def test_lists_and_snapshots_show_the_parent_and_its_parts_when_asked() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)

    def listed(session: TenantSession, chosen: JobFilter) -> set[UUID]:
        return {job.id for job in list_jobs(session, chosen=chosen, limit=9).items}

    with open_session(tenant) as session:
        assert listed(session, JobFilter()) == {parent}
        assert listed(session, JobFilter(parent_id=parent)) == set(parts_of(tenant, parent))
        assert [job.id for job in unfinished_jobs(session)] == [parent]


def test_listeners_hear_of_the_parent_alone() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant, 2)
    began = position_of(tenant)
    for part in parts_of(tenant, parent):
        taken = claimed(tenant, part)
        with claims.finishing(taken):
            pass
        claims.announce_status(taken, "succeeded")
    told = events_since(tenant, began)
    assert told is not None
    assert [event.data for event in told if str(parent) not in event.data] == []
    assert ['"progress":0.5' in told[0].data, '"progress":1.0' in told[1].data] == [True, True]


def test_a_parent_that_ends_keeps_its_progress_also_for_its_listeners() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    for part in parts_of(tenant, parent):
        do(tenant, part)
    before = position_of(tenant)
    claimed(tenant, parent)
    told = events_since(tenant, before)
    assert told is not None
    assert ['"progress":1.0' in event.data for event in told] == [True]


def test_a_parents_progress_is_told_as_it_is_kept() -> None:
    tenant = a_tenant()
    parent = a_parent(tenant)
    seen = position_of(tenant)
    taken = claimed(tenant, parts_of(tenant, parent)[0])
    with claims.finishing(taken):
        pass
    claims.announce_status(taken, "succeeded")
    (told,) = events_since(tenant, seen) or []
    assert json.loads(told.data)["progress"] == stands(tenant, parent).progress == 0.3333
