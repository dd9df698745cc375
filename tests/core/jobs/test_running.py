import json
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import func, select, update

from core.errors import ConfigurationError, Fault, InvalidInputError, UnavailableError
from core.ids import PLATFORM
from core.jobs import claims, running
from core.jobs.control import cancel_job, get_job, job_document
from core.jobs.events import events_since, position_of
from core.jobs.kinds import END_TRIAL, RUN_BACKTEST, Kind
from core.jobs.models import Job
from core.jobs.running import RunningJob, perform
from core.jobs.submit import submit_job
from core.tenancy.roles import tenant_role
from core.tenancy.session import open_platform_session, open_session
from core.valkey import get_valkey
from tests.builders import a_tenant
from tests.programs import logged_by

pytestmark = pytest.mark.usefixtures("quiet_jobs", "patient_heart")
WAIT_S = 20.0


@pytest.fixture
def patient_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lost job take its time to hear of it, or the heart ends the process of the tests."""
    monkeypatch.setattr(running, "GRACE_S", WAIT_S)


def asked(tenant: UUID, kind: Kind = RUN_BACKTEST, **more: object) -> UUID:
    with open_session(tenant) as session:
        return submit_job(session, kind=kind, args={}, **more)


def performed(function: Callable[[RunningJob], None]) -> Job:
    tenant = a_tenant()
    job = asked(tenant)
    perform(function, tenant, job)
    return row_of(tenant, job)


def row_of(tenant: UUID, job: UUID) -> Job:
    with open_session(tenant) as session:
        return get_job(session, job)


def test_a_function_that_returns_has_succeeded() -> None:
    assert performed(lambda job: job.progress(0.5, "half")).status == "succeeded"


def test_a_job_that_succeeded_says_nothing_more_to_those_who_look_or_listen() -> None:
    tenant = a_tenant()
    job = asked(tenant)
    before = position_of(tenant)

    def go_halfway(job: RunningJob) -> None:
        job.progress(0.5, "half")
        claims.renew(job.claim, job.fraction, job.message)

    perform(go_halfway, tenant, job)
    row = job_document(row_of(tenant, job))
    told = [json.loads(event.data) for event in events_since(tenant, before) or ()][-1]
    assert (row["progress"], row["message"]) == (1.0, None)
    assert told == {name: row[name] for name in told}


def test_progress_is_told_as_it_is_kept() -> None:
    tenant = a_tenant()
    job = asked(tenant)
    before = position_of(tenant)

    def go_a_third(job: RunningJob) -> None:
        job.progress(1 / 3, "a third")
        claims.renew(job.claim, job.fraction, job.message)
        told = [json.loads(event.data) for event in events_since(tenant, before) or ()][-1]
        assert told["progress"] == 0.3333
        assert job_document(row_of(tenant, job.claim.id))["progress"] == 0.3333

    perform(go_a_third, tenant, job)
    assert row_of(tenant, job).status == "succeeded"


def test_effects_and_end_are_one_transaction() -> None:
    def fail_late(job: RunningJob) -> None:
        with job.finishing() as session:
            session.execute(update(Job).values(message="an effect"))
            raise ZeroDivisionError

    row = performed(fail_late)
    assert (row.status, row.failures, row.message) == ("queued", 1, None)


def test_an_error_of_ours_is_tried_again_and_tells_no_secret() -> None:
    def crash(_job: RunningJob) -> None:
        raise RuntimeError("the password is hunter2")

    row = performed(crash)
    assert (row.status, row.failures) == ("queued", 1)
    assert row.error is not None
    assert row.error["code"] == "internal"
    assert "hunter2" not in str(row.error)


def test_an_input_that_stays_wrong_is_not_tried_again() -> None:
    def refuse(_job: RunningJob) -> None:
        raise InvalidInputError("No.", errors=[Fault("/row/1", "not_a_number", "It is no number.")])

    row = performed(refuse)
    assert (row.status, row.failures) == ("failed", 1)
    assert row.error is not None
    assert row.error["errors"][0]["path"] == "/row/1"


def test_a_wrong_setting_ends_a_job_and_is_told_to_operators_alone() -> None:
    def misconfigured(_job: RunningJob) -> None:
        raise ConfigurationError("/srv/blobs is no storage URL.")

    row = performed(misconfigured)
    assert row.error is not None
    assert (row.status, row.failures, row.error["code"]) == ("failed", 1, "internal")
    assert "/srv" not in str(row.error)
    with open_platform_session() as session:
        own = submit_job(session, kind=RUN_BACKTEST, args={})
    perform(misconfigured, PLATFORM, own)
    with open_platform_session() as session:
        assert "/srv" in str(get_job(session, own).error)


def test_a_job_that_wants_too_much_memory_ends_and_its_unit_lives_on() -> None:
    def grab(_job: RunningJob) -> None:
        bytearray(RUN_BACKTEST.memory_limit_mb << 21)

    row = performed(grab)
    assert (row.status, row.failures) == ("failed", 1), "another attempt would want as much"
    assert row.error is not None
    assert row.error["code"] == "memory_limit"
    assert performed(lambda _job: None).status == "succeeded"


def test_a_service_that_is_away_is_tried_again_without_blame() -> None:
    row = performed(find_nobody)
    assert (row.status, row.failures, row.error["code"]) == ("queued", 0, "unavailable")


def test_a_job_that_waited_for_days_is_not_blamed_either() -> None:
    tenant = a_tenant()
    job = asked(tenant)
    days_ago = func.now() - timedelta(days=2)
    with open_session(tenant) as session:
        session.execute(update(Job).values(created_at=days_ago, not_before=days_ago))
    perform(find_nobody, tenant, job)
    assert (row_of(tenant, job).status, row_of(tenant, job).failures) == ("queued", 0)


def test_a_service_that_is_away_for_hours_ends_its_job() -> None:
    tenant = a_tenant()
    job = asked(tenant)
    statuses = []
    for _ in range(RUN_BACKTEST.failures_allowed):
        with open_session(tenant) as session:
            session.execute(update(Job).values(attempt=Job.attempt + 1_000, not_before=func.now()))
        perform(find_nobody, tenant, job)
        statuses.append(row_of(tenant, job).status)
    assert statuses == ["queued", "queued", "failed"]


def find_nobody(_job: RunningJob) -> None:
    raise UnavailableError("The storage does not answer.")


def test_an_error_after_the_end_undoes_nothing() -> None:
    def crash_after(job: RunningJob) -> None:
        with job.finishing():
            pass
        raise UnavailableError("The connection broke behind the commit.")

    row = performed(crash_after)
    assert (row.status, row.failures, row.error) == ("succeeded", 0, None)


def test_nothing_is_done_where_there_is_nothing_to_claim() -> None:
    tenant = a_tenant()
    job = asked(tenant)
    perform(lambda _job: None, tenant, job)
    perform(lambda _job: pytest.fail("done twice"), tenant, job)


def test_a_cancelled_job_hears_of_it_at_its_next_checkpoint() -> None:
    def spin(job: RunningJob) -> None:
        with open_session(job.tenant_id) as session:
            cancel_job(session, job.claim.id)
        until_lost(job)
        job.progress(0.9, "too late")
        pytest.fail("the checkpoint must raise")

    row = performed(spin)
    assert (row.status, row.message) == ("cancelled", None)


def test_a_job_past_its_limit_fails_with_its_reason() -> None:
    def spin(job: RunningJob) -> None:
        job.stop_at -= RUN_BACKTEST.time_limit_s
        until_lost(job)
        job.checkpoint()

    row = performed(spin)
    assert row.error is not None
    assert (row.status, row.error["code"]) == ("failed", "time_limit")


def test_the_heart_keeps_the_lease_and_the_last_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RENEW_EVERY_S", 0.0)
    seen = []

    def look(job: RunningJob) -> None:
        job.progress(0.25, "a quarter")
        # A beat that began before would keep the progress of before, and renew the lease too.
        until(lambda: row_of(job.tenant_id, job.claim.id).message == "a quarter")
        lease = row_of(job.tenant_id, job.claim.id).lease_until
        until(lambda: row_of(job.tenant_id, job.claim.id).lease_until != lease)
        seen.append(row_of(job.tenant_id, job.claim.id))

    performed(look)
    assert [(row.progress, row.message) for row in seen] == [(0.25, "a quarter")]


def test_the_heart_survives_what_it_did_not_expect(
    as_superuser: "psycopg.Connection[tuple[object, ...]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LOOK_EVERY_S", 0.05)

    def spin(job: RunningJob) -> None:
        here, away = tenant_role(job.tenant_id), f"away_{job.tenant_id.hex}"
        with logged_by(running) as lines:
            rename(as_superuser, here, away)
            try:
                until(lambda: [line["event"] for line in lines].count("heart_missed_a_beat") > 1)
            finally:
                rename(as_superuser, away, here)
        with open_session(job.tenant_id) as session:
            cancel_job(session, job.claim.id)
        until_lost(job)
        job.checkpoint()

    assert performed(spin).status == "cancelled"


def test_a_valkey_that_stands_still_as_a_job_fails_costs_no_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed: list[int] = []
    monkeypatch.setattr("os._exit", killed.append)
    monkeypatch.setattr(running, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(running, "GRACE_S", 0.05)

    def fail(_job: RunningJob) -> None:
        get_valkey().client_pause(1_500, all=False)
        raise RuntimeError

    assert performed(fail).status == "queued"
    assert not killed


def test_what_a_stopping_process_has_not_finished_goes_back_without_blame() -> None:
    def stop(_job: RunningJob) -> None:
        running.give_back_unfinished()

    row = performed(stop)
    assert (row.status, row.failures, row.error) == ("queued", 0, None)
    assert row.started_at is None


def test_what_goes_back_and_meets_a_newer_one_is_superseded() -> None:
    tenant = a_tenant()
    taken = claims.claim(tenant, asked(tenant, END_TRIAL, key="a"))
    assert taken is not None
    newer = asked(tenant, END_TRIAL, key="a")
    claims.give_back(taken)
    with open_session(tenant) as session:
        statuses = {job.id: job.status for job in session.scalars(select(Job))}
    assert statuses == {taken.id: "superseded", newer: "queued"}


def rename(look: "psycopg.Connection[tuple[object, ...]]", role: str, name: str) -> None:
    statement = sql.SQL("ALTER ROLE {} RENAME TO {}")
    look.execute(statement.format(sql.Identifier(role), sql.Identifier(name)))


def until_lost(job: RunningJob) -> None:
    # An AssertionError would be taken for the job's own.
    if not job.lost.wait(WAIT_S):
        pytest.fail("the job does not hear that it is lost")


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    pytest.fail("waited in vain")
