import json
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask.testing import FlaskClient
from sqlalchemy import func, update

from core.jobs import claims
from core.jobs.claims import FenceLostError
from core.jobs.control import cancel_job
from core.jobs.dead_letters import retry_job
from core.jobs.models import Job
from core.jobs.running import RunningJob
from core.settings import get_settings
from core.storage.installed import installed_store
from core.tenancy.session import open_session
from core.trading.backtest.drawing import PREVIEW_POINTS
from core.trading.backtest.run import run_backtest as run_strategy
from core.trading.backtest.signing import signing_key
from core.trading.models import Backtest, BarSet
from core.trading.runs import import_bars, parts_of, run_backtest
from core.trading.strategy.reading import read_strategy
from tests.builders import (
    a_backtest,
    a_client,
    a_strategy,
    a_tenant,
    do_jobs,
    some_data,
    upload_form,
)
from tests.laws.strategies import PLAIN, hourly_bars

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="enterprise")


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


def asked_for(client: FlaskClient, tenant: UUID) -> tuple[UUID, UUID]:
    """Queue a backtest and answer its id and its job's."""
    body = {"strategy_id": a_strategy(client), "data_id": some_data(client, tenant)}
    made = client.post("/api/v1/trading/backtesting/", json=body).json
    return UUID(made["id"]), UUID(made["job_id"])


def taken(tenant: UUID, job_id: UUID) -> RunningJob:
    claim = claims.claim(tenant, job_id)
    assert claim is not None
    return RunningJob(claim)


def kept(tenant: UUID, backtest_id: UUID) -> Backtest:
    with open_session(tenant) as session:
        return session.get_one(Backtest, backtest_id)


def again(tenant: UUID, job_id: UUID) -> None:
    """Take a job from whoever runs it, and queue it anew."""
    with open_session(tenant) as session:
        cancel_job(session, job_id)
        retry_job(session, job_id)


def test_the_same_run_has_the_same_result_byte_for_byte(client: FlaskClient, tenant: UUID) -> None:
    body = {"strategy_id": a_strategy(client), "data_id": some_data(client, tenant)}
    first, second = (kept(tenant, UUID(a_backtest(client, tenant, **body))) for _ in range(2))
    assert first.result_id == second.result_id
    assert first.document == second.document
    assert first.signature == second.signature


def test_the_stored_document_is_the_one_that_was_signed(client: FlaskClient, tenant: UUID) -> None:
    run = kept(tenant, UUID(a_backtest(client, tenant)))
    secret = get_settings().required("result_signing_key")
    public = signing_key(secret).public_key()
    assert isinstance(public, Ed25519PublicKey)
    public.verify(bytes.fromhex(str(run.signature)), str(run.document).encode())
    served = client.get(f"/api/v1/trading/backtesting/{run.id}").text
    assert str(run.document) in served
    assert json.loads(str(run.document))["result_id"] == run.result_id


def test_a_run_that_was_cancelled_meanwhile_leaves_no_result(
    client: FlaskClient, tenant: UUID
) -> None:
    backtest_id, job_id = asked_for(client, tenant)
    job = taken(tenant, job_id)
    with open_session(tenant) as session:
        cancel_job(session, job_id)
    with pytest.raises(FenceLostError):
        run_backtest(job)
    assert kept(tenant, backtest_id).result_id is None


def test_of_two_attempts_the_one_that_lost_its_job_writes_nothing(
    client: FlaskClient, tenant: UUID
) -> None:
    backtest_id, job_id = asked_for(client, tenant)
    paused = taken(tenant, job_id)
    again(tenant, job_id)
    run_backtest(taken(tenant, job_id))
    result_id = kept(tenant, backtest_id).result_id
    assert result_id is not None
    with open_session(tenant) as session:
        session.get_one(Backtest, backtest_id).signature = "of the second attempt"
    with pytest.raises(FenceLostError):
        run_backtest(paused)
    assert kept(tenant, backtest_id).signature == "of the second attempt"


def test_an_import_that_lost_its_job_leaves_the_bar_set_unread(
    client: FlaskClient, tenant: UUID
) -> None:
    made = client.post("/api/v1/trading/data/", data=upload_form()).json
    paused = taken(tenant, UUID(made["job_id"]))
    again(tenant, UUID(made["job_id"]))
    with pytest.raises(FenceLostError):
        import_bars(paused)
    with open_session(tenant) as session:
        assert session.get_one(BarSet, UUID(made["id"])).data_key is None


def test_bars_that_the_storage_lost_fail_the_run_and_say_so() -> None:
    tenant = a_tenant()
    client = a_client(tenant)
    data = some_data(client, tenant, b"date,open,high,low,close\n" + ROWS)
    installed_store().delete_prefix(f"{tenant}/bars/")
    run = client.get(f"/api/v1/trading/backtesting/{a_backtest(client, tenant, data_id=data)}").json
    assert (run["status"], run["error"]["code"]) == ("failed", "data_lost")
    assert run["error"]["title"] == "The stored bars cannot be used"
    assert "Upload them again" in run["error"]["detail"]


def test_a_job_waits_for_a_folder_that_is_away_and_tells_no_tenant_where_it_is(
    blob_folder: Path,
) -> None:
    tenant = a_tenant()
    client = a_client(tenant)
    done = a_backtest(client, tenant, data_id=some_data(client, tenant))
    made = client.post("/api/v1/trading/data/", data=upload_form()).json
    elsewhere = blob_folder.rename(blob_folder.with_name("elsewhere"))
    for cached in (True, False):
        if not cached:
            installed_store.cache_clear()
        do_jobs(tenant)
        with open_session(tenant) as session:
            waits = session.get_one(Job, UUID(made["job_id"]))
        assert waits.error is not None
        assert (waits.status, waits.failures) == ("queued", 0)
        assert waits.error["code"] == "unavailable"
        assert str(blob_folder.parent) not in str(waits.error)
        answer = client.get(f"/api/v1/trading/backtesting/{done}/series")
        assert (answer.status_code, answer.json["code"]) == (503, "unavailable"), "not lost"
        assert not blob_folder.exists()
        make_due(tenant)
    elsewhere.rename(blob_folder)
    do_jobs(tenant)
    assert client.get(f"/api/v1/trading/data/{made['id']}").json["status"] == "succeeded"
    assert client.get(f"/api/v1/trading/backtesting/{done}/series").status_code == 200


def make_due(tenant: UUID) -> None:
    with open_session(tenant) as session:
        session.execute(update(Job).values(not_before=func.now()))


ROWS = "\n".join(f"2021-01-{day:02},5,6,4,5" for day in range(1, 32)).encode()


def test_beside_a_result_stand_its_series_its_picture_and_its_trades() -> None:
    bars = hourly_bars(5, 20_000)
    result = run_strategy(read_strategy(PLAIN), bars)
    parts = parts_of(result, bars, cash=10_000.0)
    assert parts["series.arrow"] == result.series
    trades = [json.loads(line) for line in parts["trades.jsonl"].splitlines()]
    assert trades == result.content()["trades"]
    preview = json.loads(parts["preview.json"])
    whole = result.equity(bars)
    assert set(zip(preview["time"], preview["equity"], strict=True)) <= set(whole)
    equity = [value for _, value in whole]
    assert {min(equity), max(equity), equity[0], equity[-1]} <= set(preview["equity"])
    assert min(preview["drawdown"]) == pytest.approx(-result.summary["max_drawdown"])
    assert len(preview["time"]) == len(preview["drawdown"]) <= PREVIEW_POINTS * 1.1
