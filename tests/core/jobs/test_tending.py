import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.jobs import claims, control, dead_letters
from core.jobs.events import (
    EPOCH_KEY,
    VIEW_OPENED,
    Position,
    announce,
    events_since,
    job_event,
    position_of,
    stream_keys,
)
from core.jobs.kinds import IMPORT_BARS, RUN_BACKTEST
from core.jobs.submit import submit_job, submit_parent
from core.jobs.tending import announce_moved, resume, snapshot, tend
from core.tenancy.session import open_session
from core.valkey import get_valkey
from tests.builders import a_tenant

pytestmark = pytest.mark.usefixtures("database")
Look = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def tenant() -> UUID:
    return a_tenant()


def a_job(tenant: UUID) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=RUN_BACKTEST, args={})


def told_since(tenant: UUID, seen: Position) -> list[tuple[str, int]]:
    jobs = [json.loads(event.data) for event in events_since(tenant, seen) or []]
    return [(job["status"], job["attempt"]) for job in jobs]


def lose(look: Look, job: UUID, change: str) -> None:
    """Change a job without a word, as a process does that dies after its commit."""
    look.execute(f"UPDATE neozork.jobs SET {change} WHERE id = %s", [job])


LOST = {
    "a start": ("status = 'running', attempt = 1", ("running", 1)),
    "an end": ("status = 'succeeded', attempt = 1", ("succeeded", 1)),
    "a cancellation": ("status = 'cancelled'", ("cancelled", 0)),
}


@pytest.mark.parametrize("lost", LOST)
def test_what_was_lost_of_a_job_is_announced_once(
    tenant: UUID, as_superuser: Look, lost: str
) -> None:
    job = a_job(tenant)
    seen, jobs = snapshot(tenant)
    assert [told["id"] for told in jobs] == [str(job)]
    change, told = LOST[lost]
    lose(as_superuser, job, change)
    tend(tenant)
    tend(tenant)
    assert told_since(tenant, seen) == [told]


def test_a_new_job_whose_event_was_lost_is_announced_once(tenant: UUID, as_superuser: Look) -> None:
    seen, _ = snapshot(tenant)
    as_superuser.execute(
        "INSERT INTO neozork.jobs (tenant_id, kind, queue, args) VALUES (%s, 'k', 'bulk', '{}')",
        [tenant],
    )
    tend(tenant)
    tend(tenant)
    assert told_since(tenant, seen) == [("queued", 0)]


def test_what_was_lost_of_a_job_that_a_snapshot_left_out_is_announced_once(
    tenant: UUID, as_superuser: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.control.TOLD_AT_MOST", 1)
    left_out, told = a_job(tenant), a_job(tenant)
    seen, jobs = snapshot(tenant)
    assert [job["id"] for job in jobs] == [str(told)]
    lose(as_superuser, left_out, "status = 'running', attempt = 1")
    snapshot(tenant)
    assert told_since(tenant, seen) == [("running", 1)]
    lose(as_superuser, left_out, "status = 'succeeded'")
    tend(tenant)
    tend(tenant)
    assert told_since(tenant, seen) == [("running", 1), ("succeeded", 1)]


def test_that_a_job_was_handed_out_and_came_back_is_no_loss(
    tenant: UUID, as_superuser: Look
) -> None:
    job = a_job(tenant)
    lose(as_superuser, job, "status = 'dispatched'")
    seen, _ = snapshot(tenant)
    lose(as_superuser, job, "status = 'queued'")
    tend(tenant)
    lose(as_superuser, job, "status = 'dispatched'")
    tend(tenant)
    snapshot(tenant)
    assert told_since(tenant, seen) == []


def test_of_parts_nobody_is_told_but_of_their_parent(tenant: UUID, as_superuser: Look) -> None:
    snapshot(tenant)
    with open_session(tenant) as session:
        parent = submit_parent(
            session, kind=RUN_BACKTEST, args={}, part=IMPORT_BARS, parts=[{}, {}, {}]
        )
    seen, jobs = snapshot(tenant)
    assert [told["id"] for told in jobs] == [str(parent)]
    tend(tenant)
    assert told_since(tenant, seen) == []
    lose(as_superuser, parent, "status = 'queued'")
    tend(tenant)
    assert told_since(tenant, seen) == [("queued", 0)]


def test_nothing_is_announced_where_nothing_was_lost(tenant: UUID) -> None:
    jobs = [a_job(tenant) for _ in range(3)]
    seen, _ = snapshot(tenant)
    taken = claims.claim(tenant, jobs[0])
    assert taken is not None
    before = told_since(tenant, seen)
    tend(tenant)
    assert told_since(tenant, seen) == before == [("running", 1)]


def test_an_announcement_that_comes_after_its_replacement_is_not_told_again(
    tenant: UUID, as_superuser: Look
) -> None:
    job = a_job(tenant)
    seen, _ = snapshot(tenant)
    lose(as_superuser, job, "status = 'succeeded', attempt = 1")
    tend(tenant)
    late = job_event(job, RUN_BACKTEST.name, "succeeded", attempt=1)
    announce(tenant, "job", late)
    assert told_since(tenant, seen) == [("succeeded", 1)]


def an_event(job: UUID, status: str, attempt: int) -> dict[str, Any]:
    return job_event(job, RUN_BACKTEST.name, status, attempt=attempt)


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("running 1, cancelled 1, running 1", "running 1, cancelled 1"),
        ("running 1, queued 1, running 1, running 2", "running 1, queued 1, running 2"),
        ("running 1, queued 0", "running 1"),
        ("running 2, running 1", "running 2"),
        ("running 1, running 1, succeeded 1", "running 1, running 1, succeeded 1"),
        ("running 1, failed 1, failed 1", "running 1, failed 1"),
        ("failed 1, queued 1, running 2", "failed 1, queued 1, running 2"),
        ("failed 0, waiting 0, cancelled 0, waiting 0, waiting 0, queued 0",) * 2,
        ("failed 0, waiting 0, queued 0, waiting 0", "failed 0, waiting 0, queued 0"),
        ("running 1, waiting 1, succeeded 1, waiting 1", "running 1, succeeded 1"),
    ],
)
def test_what_is_older_than_what_was_told_is_not_told(tenant: UUID, order: str, told: str) -> None:
    job = a_job(tenant)
    seen, _ = snapshot(tenant)
    for step in order.split(", "):
        status, attempt = step.split()
        announce(tenant, "job", an_event(job, status, int(attempt)))
    heard = [f"{status} {attempt}" for status, attempt in told_since(tenant, seen)]
    assert heard == told.split(", ")


def moved(tenant: UUID, jobs: list[UUID]) -> None:
    with open_session(tenant) as session:
        assert set(dead_letters.discard_failed(session, control.JobFilter())) == set(jobs)
        discarded = control.jobs_by_id(session, jobs)
    announce_moved(discarded)


def test_jobs_that_are_moved_together_are_told_of_in_their_order(
    tenant: UUID, as_superuser: Look
) -> None:
    jobs = [a_job(tenant) for _ in range(3)]
    seen, _ = snapshot(tenant)
    for job in jobs:
        lose(as_superuser, job, "status = 'failed'")
    moved(tenant, jobs)
    told = [json.loads(event.data)["id"] for event in events_since(tenant, seen) or []]
    assert told == [str(job) for job in jobs]
    assert told_since(tenant, seen) == [("cancelled", 0)] * 3


def test_of_very_many_that_are_moved_together_listeners_are_told_to_begin_anew(
    tenant: UUID, as_superuser: Look
) -> None:
    jobs = [a_job(tenant) for _ in range(101)]
    seen, _ = snapshot(tenant)
    as_superuser.execute("UPDATE neozork.jobs SET status = 'failed' WHERE id = ANY(%s)", [jobs])
    moved(tenant, jobs)
    assert [event.name for event in events_since(tenant, seen) or []] == [VIEW_OPENED]
    assert resume(tenant, str(seen)) is None
    assert snapshot(tenant)[1] == []


def test_a_cancelled_job_stays_so_whatever_its_worker_says_until_it_hears(tenant: UUID) -> None:
    job = a_job(tenant)
    seen, _ = snapshot(tenant)
    taken = claims.claim(tenant, job)
    assert taken is not None
    with open_session(tenant) as session:
        cancelled = control.cancel_job(session, job)
    control.announce_job(cancelled)
    claims.announce_status(taken, "running", progress=0.5)
    assert told_since(tenant, seen)[-1] == ("cancelled", 1)


def test_who_resumes_needs_a_view_that_was_tended_since(tenant: UUID) -> None:
    announce(tenant, "alert", {})
    before = position_of(tenant)
    assert resume(tenant, str(before)) is None
    seen, _ = snapshot(tenant)
    assert resume(tenant, str(before)) is None
    assert resume(tenant, str(seen)) == []
    announce(tenant, "alert", {})
    missed = resume(tenant, str(seen))
    assert missed is not None
    assert [event.name for event in missed] == ["alert"]
    get_valkey().delete(stream_keys(tenant)[2])
    assert resume(tenant, str(seen)) is None
    snapshot(tenant)
    assert resume(tenant, str(seen)) is None


def test_a_trimmed_id_and_one_of_another_epoch_are_not_resumed(tenant: UUID) -> None:
    seen, _ = snapshot(tenant)
    announce(tenant, "alert", {})
    get_valkey().xtrim(stream_keys(tenant)[0], maxlen=1, approximate=False)
    assert resume(tenant, str(seen)) is None
    kept = str(position_of(tenant))
    assert resume(tenant, kept) == []
    get_valkey().delete(EPOCH_KEY)
    assert resume(tenant, kept) is None


def test_a_view_forgets_jobs_that_ended_long_ago(tenant: UUID) -> None:
    job = a_job(tenant)
    snapshot(tenant)
    view = stream_keys(tenant)[2]
    announce(tenant, "job", an_event(job, "cancelled", 0))
    get_valkey().hset(view, mapping={"long-gone": "1 failed 1-0", str(job): "0 cancelled 1-0"})
    with open_session(tenant) as session:
        control.cancel_job(session, job)
    tend(tenant)
    assert set(get_valkey().hkeys(view)) == {b"since"}


def test_a_tenant_that_nobody_listens_to_has_no_view(tenant: UUID) -> None:
    a_job(tenant)
    assert not get_valkey().exists(stream_keys(tenant)[2])
    snapshot(tenant)
    assert 0 < get_valkey().pttl(stream_keys(tenant)[2]) <= 600_000
