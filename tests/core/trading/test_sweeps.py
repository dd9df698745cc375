import json
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.errors import ConflictError
from core.jobs import claims
from core.jobs.claims import FenceLostError
from core.jobs.control import JobFilter, cancel_job, list_jobs
from core.jobs.kinds import KINDS
from core.jobs.models import Job
from core.jobs.parents import cancel_orphans
from core.jobs.running import RunningJob
from core.tenancy.session import open_session
from core.trading.models import BarSet, Sweep, SweepCell
from core.trading.requests.sweeps import MORE_IS_BETTER, RANKED_BY
from core.trading.sweeps import finish_sweep, run_sweep_part
from tests.builders import a_client, a_strategy, a_tenant, do_jobs, some_data
from workers.perform import perform

pytestmark = pytest.mark.usefixtures("database")
SWEEPS = "/api/v1/trading/sweeps/"
UNDEFINED_WITHOUT_TRADES = {
    *("sharpe", "sortino", "calmar", "profit_factor", "expectancy", "win_rate", "payoff", "sqn")
}
GRID = {"fast_n": [2, 3, 4, 5, 6]}


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="enterprise")


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


@pytest.fixture(scope="module")
def body(client: FlaskClient, tenant: UUID) -> dict[str, Any]:
    return {"strategy_id": a_strategy(client), "data_id": some_data(client, tenant), "grid": GRID}


@pytest.fixture
def parts_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.trading.requests.parts._MOST_IN_PART", 2)


def asked(client: FlaskClient, body: dict[str, Any], **more: Any) -> tuple[UUID, UUID]:
    answer = client.post(SWEEPS, json=body | more)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json["id"]), UUID(answer.json["job_id"])


def part_ids(tenant: UUID, job: UUID) -> list[UUID]:
    with open_session(tenant) as session:
        parts = list_jobs(session, chosen=JobFilter(parent_id=job), limit=99).items
        return [part.id for part in sorted(parts, key=lambda part: part.args["first"])]


def taken(tenant: UUID, job: UUID) -> RunningJob:
    claim = claims.claim(tenant, job)
    assert claim is not None
    return RunningJob(claim)


def cells(tenant: UUID, sweep: UUID) -> list[int]:
    with open_session(tenant) as session:
        there = select(SweepCell.cell).where(SweepCell.sweep_id == sweep).order_by(SweepCell.cell)
        return list(session.scalars(there))


@pytest.mark.usefixtures("parts_of_two")
def test_a_sweep_is_a_parent_with_parts_that_cover_each_cell_once(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    sweep, job = asked(client, body)
    with open_session(tenant) as session:
        parent = session.get_one(Job, job)
        ranges = [session.get_one(Job, part).args for part in part_ids(tenant, job)]
    assert (parent.status, parent.parts) == ("waiting", 3)
    assert [(one["first"], one["stop"]) for one in ranges] == [(0, 2), (2, 4), (4, 5)]
    do_jobs(tenant)
    assert cells(tenant, sweep) == [0, 1, 2, 3, 4]


def test_every_cell_is_the_backtest_with_its_params(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    sweep, _job = asked(client, body)
    do_jobs(tenant)
    swept = client.get(f"{SWEEPS}{sweep}/cells").json["items"]
    assert [cell["params"] for cell in swept] == [{"fast_n": n} for n in GRID["fast_n"]]
    for cell in swept:
        single = {name: body[name] for name in ("strategy_id", "data_id")}
        made = client.post("/api/v1/trading/backtesting/", json=single | {"params": cell["params"]})
        do_jobs(tenant)
        result = client.get(f"/api/v1/trading/backtesting/{made.json['id']}").json["result"]
        assert cell["summary"] == result["summary"]
        assert cell["result_id"] == result["result_id"]


@pytest.mark.usefixtures("parts_of_two")
def test_a_part_that_was_taken_away_writes_nothing_and_another_does_it_once(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    sweep, job = asked(client, body)
    part = part_ids(tenant, job)[0]
    slow = taken(tenant, part)
    claims.give_back(slow.claim)
    run_sweep_part(taken(tenant, part))
    with pytest.raises(FenceLostError):
        run_sweep_part(slow)
    assert cells(tenant, sweep) == [0, 1]
    do_jobs(tenant)
    assert cells(tenant, sweep) == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("parts_of_two")
def test_a_cancelled_sweep_stops_in_the_middle_of_a_part_and_goes_on_when_tried_again(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    sweep, job = asked(client, body)
    first, second, _third = part_ids(tenant, job)
    run_sweep_part(taken(tenant, first))
    at_work = taken(tenant, second)
    assert client.post(f"/api/v1/jobs/{job}/cancel").json["status"] == "cancelled"
    at_work.lost.set()
    with pytest.raises(FenceLostError):
        run_sweep_part(at_work)
    cancel_orphans()
    do_jobs(tenant)
    assert cells(tenant, sweep) == [0, 1]
    assert client.post(f"/api/v1/jobs/{job}/retry").json["status"] == "waiting"
    do_jobs(tenant)
    assert cells(tenant, sweep) == [0, 1, 2, 3, 4]
    assert client.get(f"{SWEEPS}{sweep}").json["status"] == "succeeded"


def test_a_sweep_of_a_deleted_strategy_fails_and_says_so(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    strategy = a_strategy(client)
    sweep, job = asked(client, body, strategy_id=strategy)
    assert client.delete(f"/api/v1/trading/strategies/{strategy}").status_code == 204
    for _ in range(2):
        do_jobs(tenant)
        stands = client.get(f"{SWEEPS}{sweep}").json
        assert (stands["status"], stands["error"]["code"]) == ("failed", "strategy_deleted")
        assert "its sweep" in stands["error"]["detail"]
        cancel_orphans()
        assert client.post(f"/api/v1/jobs/{job}/retry").json["status"] == "waiting"


@pytest.mark.usefixtures("parts_of_two")
def test_a_part_that_fails_ends_the_sweep_and_the_cells_that_are_there_stay(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    sweep, job = asked(client, body)
    first, second, _third = part_ids(tenant, job)
    run_sweep_part(taken(tenant, first))
    with open_session(tenant) as session:
        bar_set = session.get_one(BarSet, UUID(body["data_id"]))
        kept, bar_set.data_key = bar_set.data_key, None
    perform(KINDS["trading.sweep_part"], str(tenant), str(second))
    stands = client.get(f"{SWEEPS}{sweep}").json
    assert (stands["status"], stands["error"]["code"]) == ("failed", "data_not_ready")
    assert (stands["cells_done"], len(stands["best"])) == (2, 2)
    cancel_orphans()
    do_jobs(tenant)
    assert cells(tenant, sweep) == [0, 1]
    with open_session(tenant) as session:
        session.get_one(BarSet, UUID(body["data_id"])).data_key = kept
    assert client.post(f"/api/v1/jobs/{job}/retry").json["status"] == "waiting"
    do_jobs(tenant)
    assert cells(tenant, sweep) == [0, 1, 2, 3, 4]
    assert client.get(f"{SWEEPS}{sweep}").json["status"] == "succeeded"


def test_a_cell_that_cannot_run_says_why_and_the_others_do(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    params = {"fast_n": {"type": "int", "default": 3, "min": 2, "max": 500}}
    strategy = a_strategy(client, params=params)
    sweep, _job = asked(client, body, strategy_id=strategy, grid={"fast_n": [3, 400]})
    do_jobs(tenant)
    good, bad = client.get(f"{SWEEPS}{sweep}/cells").json["items"]
    assert (good["error"], bad["summary"], bad["result_id"]) == (None, None, None)
    assert bad["error"]["errors"][0]["code"] == "insufficient_history"
    stands = client.get(f"{SWEEPS}{sweep}").json
    assert (stands["status"], stands["cells_done"]) == ("succeeded", 2)
    assert [cell["cell"] for cell in stands["best"]] == [0]


def test_the_best_are_kept_by_the_metric_that_was_asked_for(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    sweep, job = asked(client, body, best_by="total_return")
    do_jobs(tenant)
    stands = client.get(f"{SWEEPS}{sweep}").json
    returns = [cell["summary"]["total_return"] for cell in stands["best"]]
    assert returns == sorted(returns, reverse=True)
    assert len(returns) == 5
    with open_session(tenant) as session:
        assert session.get_one(Sweep, sweep).best == json.loads(json.dumps(stands["best"]))
        count = session.scalar(select(func.count()).where(SweepCell.sweep_id == sweep))
        assert count == 5
        with pytest.raises(ConflictError, match="succeeded already"):
            cancel_job(session, job)


@pytest.mark.parametrize("best_by", RANKED_BY)
def test_the_best_come_first_and_undefined_ones_not_at_all(
    tenant: UUID, client: FlaskClient, body: dict[str, Any], best_by: str
) -> None:
    """An average that is the other never crosses it, so its cell has no trades to average."""
    sweep, _job = asked(client, body, best_by=best_by, grid={"fast_n": [2, 3, 8, 4, 5]})
    do_jobs(tenant)
    swept = client.get(f"{SWEEPS}{sweep}/cells").json["items"]
    defined = [cell for cell in swept if cell["summary"][best_by] is not None]
    sign = -1 if best_by in MORE_IS_BETTER else 1
    ranked = sorted(defined, key=lambda cell: sign * cell["summary"][best_by])
    assert client.get(f"{SWEEPS}{sweep}").json["best"] == ranked
    assert (len(ranked) < 5) == (best_by in UNDEFINED_WITHOUT_TRADES)


def test_the_best_are_ranked_by_a_job_that_may_run_twice(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    sweep, job = asked(client, body)
    for part in part_ids(tenant, job):
        run_sweep_part(taken(tenant, part))
    slow = taken(tenant, job)
    claims.give_back(slow.claim)
    finish_sweep(taken(tenant, job))
    with pytest.raises(FenceLostError):
        finish_sweep(slow)
    assert len(client.get(f"{SWEEPS}{sweep}").json["best"]) == 5
