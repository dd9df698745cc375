from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from core.errors import ConflictError, NeozorkError
from core.ids import PLATFORM
from core.jobs import claims
from core.jobs.control import cancel_job
from core.jobs.dead_letters import retry_job
from core.jobs.heartbeats import beat
from core.jobs.kinds import (
    END_TRIAL,
    IMPORT_BARS,
    KINDS,
    PROVISION_TENANT,
    RETIRE_JOBS,
    RUN_BACKTEST,
    RUN_SWEEP,
    RUN_SWEEP_PART,
)
from core.jobs.models import Heartbeat, Job
from core.jobs.parents import cancel_orphans
from core.jobs.retention import delete_old, enqueue_retirement
from core.jobs.running import perform
from core.jobs.submit import submit_job, submit_parent
from core.tenancy.idempotency import IdempotencyKey
from core.tenancy.session import open_platform_session, open_session
from tests.builders import a_client, a_strategy, a_tenant, do_jobs, upload_form
from workers.perform import function_of

pytestmark = pytest.mark.usefixtures("quiet_jobs")
SHOWN = (IMPORT_BARS.name, RUN_BACKTEST.name, RUN_SWEEP.name)


def ended(days_ago: int, status: str = "succeeded", kind: str = RUN_BACKTEST.name) -> UUID:
    with open_platform_session() as session:
        job = submit_job(session, kind=KINDS[kind], args={})
        at = datetime.now(UTC) - timedelta(days=days_ago)
        session.execute(update(Job).where(Job.id == job).values(status=status, finished_at=at))
    return job


def kept() -> set[UUID]:
    with open_platform_session() as session:
        return set(session.scalars(select(Job.id).where(Job.kind != RETIRE_JOBS.name)))


@pytest.mark.parametrize("status", ["succeeded", "superseded"])
def test_what_ended_well_goes_after_its_kinds_days(status: str) -> None:
    assert RUN_BACKTEST.kept_days is not None
    old, young = ended(RUN_BACKTEST.kept_days + 1, status), ended(1, status)
    assert delete_old() == 1
    assert kept() == {young}
    assert old not in kept()


def test_what_was_cancelled_goes_where_nothing_shows_it() -> None:
    ended(15, "cancelled", END_TRIAL.name)
    shown = {ended(999, "cancelled", kind) for kind in SHOWN}
    assert delete_old() == 1
    assert kept() == shown


@pytest.mark.parametrize("make", ["sweep", "backtest", "upload"])
def test_what_was_cancelled_is_shown_so_for_ever(make: str) -> None:
    tenant = a_tenant()
    client = a_client(tenant)
    uploaded = client.post("/api/v1/trading/data/", data=upload_form()).json
    path, made = "/api/v1/trading/data/", uploaded
    if make != "upload":
        do_jobs(tenant)
        body: dict[str, object] = {"strategy_id": a_strategy(client), "data_id": uploaded["id"]}
        path = "/api/v1/trading/backtesting/"
        if make == "sweep":
            path = "/api/v1/trading/sweeps/"
            body["grid"] = {"fast_n": [2, 3]}
        made = client.post(path, json=body).json
    assert client.post(f"/api/v1/jobs/{made['job_id']}/cancel").status_code == 200
    age(tenant, days=400)
    delete_old()
    assert client.get(path + made["id"]).json["status"] == "cancelled"


def test_a_sweep_is_tried_again_whole_or_not_at_all() -> None:
    tenant = a_tenant()
    with open_session(tenant) as session:
        parts = [{"number": number} for number in range(3)]
        parent = submit_parent(
            session, kind=RUN_SWEEP, args={}, part=RUN_SWEEP_PART, parts=parts, key="k"
        )
        one = session.scalars(select(Job.id).where(Job.parent_id == parent)).first()
    assert one is not None
    taken = claims.claim(tenant, one)
    assert taken is not None
    claims.fail(taken, NeozorkError("It broke.").problem(), again=False)
    cancel_orphans()
    age(tenant, days=60)
    assert delete_old() == 0, "a failed parent keeps its parts"
    with open_session(tenant) as session:
        again = retry_job(session, parent)
        assert (again.status, again.remaining) == ("waiting", 3)
        cancel_job(session, parent)
    age(tenant, days=60)
    assert delete_old() == 3
    with open_session(tenant) as session, pytest.raises(ConflictError, match="Ask for the work"):
        retry_job(session, parent)
    assert kept() == {parent}


def age(tenant: UUID, *, days: int) -> None:
    with open_session(tenant) as session:
        at = func.now() - timedelta(days=days)
        session.execute(update(Job).where(Job.finished_at.is_not(None)).values(finished_at=at))


def test_a_dead_letter_waits_for_somebody_and_goes_at_last() -> None:
    ended(91, "failed")
    waits = ended(60, "failed")
    assert delete_old() == 1
    assert kept() == {waits}


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_firms_provisioning_stays_for_ever_however_it_ended(status: str) -> None:
    once = ended(9_999, status, PROVISION_TENANT.name)
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
        killed.seen_at = long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        whose = {"tenant_id": PLATFORM, "user_id": uuid4(), "route": "POST /", "key": "k"}
        session.add(IdempotencyKey(**whose, body_digest=b"", answer={}, created_at=long_ago))
    assert enqueue_retirement() == 1
    with open_platform_session() as session:
        job = session.scalars(select(Job.id).where(Job.kind == RETIRE_JOBS.name)).one()
    perform(function_of(RETIRE_JOBS), PLATFORM, job)
    assert kept() == set()
    assert enqueue_retirement() == 0, "once a period"
    with open_platform_session() as session:
        assert len(session.scalars(select(Heartbeat)).all()) == 1
        assert session.scalars(select(IdempotencyKey)).all() == []
