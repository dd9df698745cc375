import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
import rfc8785
from flask.testing import FlaskClient
from sqlalchemy import delete

from core.jobs.models import Job
from core.storage.installed import installed_store
from core.tenancy.session import open_platform_session
from tests.builders import (
    a_backtest,
    a_client,
    a_strategy,
    a_tenant,
    do_jobs,
    some_bars,
    some_data,
    upload_form,
)

pytestmark = pytest.mark.usefixtures("database")
BACKTESTS = "/api/v1/trading/backtesting/"
STRATEGIES = "/api/v1/trading/strategies/"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="enterprise")


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


@pytest.fixture(scope="module")
def data(client: FlaskClient, tenant: UUID) -> str:
    return some_data(client, tenant)


@pytest.fixture(scope="module")
def strategy(client: FlaskClient, data: str) -> str:
    del data
    return a_strategy(client)


@pytest.fixture(scope="module")
def backtest(client: FlaskClient, tenant: UUID, data: str, strategy: str) -> str:
    return a_backtest(client, tenant, data_id=data, strategy_id=strategy)


def ask(client: FlaskClient, body: dict[str, Any]) -> Any:
    return client.post(BACKTESTS, data=json.dumps(body), content_type="application/json")


def test_a_backtest_is_queued_and_its_result_served_as_it_was_signed(
    client: FlaskClient, tenant: UUID, data: str, strategy: str
) -> None:
    answer = ask(client, {"strategy_id": strategy, "data_id": data, "params": {"fast_n": 4}})
    assert answer.status_code == 202
    assert answer.json.keys() == {"id", "job_id", "status"}
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['job_id']}"
    path = BACKTESTS + answer.json["id"]
    before = client.get(path).json
    assert (before["status"], before["result"], before["result_id"]) == ("queued", None, None)
    assert (before["signature"], before["public_key"]) == (None, None)
    do_jobs(tenant)
    done = client.get(path)
    assert (done.json["status"], done.json["progress"]) == ("succeeded", 1.0)
    assert done.json["result"]["result_id"] == done.json["result_id"]
    assert done.json["result"]["summary"]["verdict"] == "untested"
    assert len(done.json["signature"]) == 128
    assert done.json["settings"]["params"] == {"fast_n": 4}


@pytest.mark.parametrize("cash", [12_345.678, 1e15])
def test_a_served_answer_is_verified_offline_and_its_result_is_in_canonical_form(
    client: FlaskClient, tenant: UUID, data: str, tmp_path: Path, cash: float
) -> None:
    made = a_backtest(client, tenant, data_id=data, cash=cash)
    served = client.get(BACKTESTS + made).data
    signed = served.partition(b'"result": ')[2].removesuffix(b"}")
    assert rfc8785.dumps(json.loads(signed, parse_int=float)) == signed
    (tmp_path / "whole.json").write_bytes(served)
    pnl = signed.partition(b'"pnl":')[2].partition(b",")[0]
    changed = pnl[:-1] + (b"1" if pnl[-1:] != b"1" else b"2")
    (tmp_path / "changed.json").write_bytes(served.replace(pnl, changed, 1))
    key = json.loads(served)["public_key"]
    for name, status in (("whole", 0), ("changed", 1)):
        command = ["manage", "verify", str(tmp_path / f"{name}.json"), "--public-key", key]
        assert subprocess.run([sys.executable, "-m", *command], check=False).returncode == status


@pytest.mark.parametrize("part", ["series", "trades"])
def test_before_the_result_its_parts_are_409(
    client: FlaskClient, data: str, strategy: str, tenant: UUID, part: str
) -> None:
    asked = ask(client, {"strategy_id": strategy, "data_id": data}).json
    for accept in ("application/json", "text/csv", "application/vnd.apache.arrow.file"):
        answer = client.get(f"{BACKTESTS}{asked['id']}/{part}", headers={"Accept": accept})
        assert (answer.status_code, answer.json["code"]) == (409, "no_result_yet")
    do_jobs(tenant)


def test_series_are_thinned_as_json_and_whole_as_arrow(client: FlaskClient, backtest: str) -> None:
    path = f"{BACKTESTS}{backtest}/series"
    drawn = client.get(f"{path}?names=equity&points=20").json
    assert drawn.keys() == {"time", "equity"}
    assert 10 <= len(drawn["equity"]) < 60
    arrow = client.get(path, headers={"Accept": "application/vnd.apache.arrow.file"})
    assert arrow.content_type == "application/vnd.apache.arrow.file"
    assert pa.ipc.open_file(pa.BufferReader(arrow.data)).read_all().num_rows >= 110


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("names=secrets", "/names"),
        ("names=", "/names"),
        ("points=9", "/points"),
        ("points=-1", "/points"),
        ("points=1e3", "/points"),
        ("points=99999999", "/points"),
        ("colour=red", "/colour"),
    ],
)
def test_series_that_cannot_be_drawn_are_422(
    client: FlaskClient, backtest: str, query: str, pointer: str
) -> None:
    answer = client.get(f"{BACKTESTS}{backtest}/series?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["path"] == pointer


def test_trades_are_paged_and_whole_as_csv(client: FlaskClient, backtest: str) -> None:
    path = f"{BACKTESTS}{backtest}/trades"
    trades, cursor = [], "0"
    while cursor is not None:
        page = client.get(f"{path}?limit=2&cursor={cursor}").json
        trades += page["items"]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
    assert len(trades) == page["total_count"] > 2
    answer = client.get(path, headers={"Accept": "text/csv"})
    assert answer.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["entry_time"] for row in rows] == [trade["entry_time"] for trade in trades]
    assert client.get(f"{path}?cursor=999999").json["items"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=-1", "cursor=x", "x=1"])
def test_a_page_of_trades_that_cannot_be_is_422(
    client: FlaskClient, backtest: str, query: str
) -> None:
    answer = client.get(f"{BACKTESTS}{backtest}/trades?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["path"] == f"/{query.partition('=')[0]}"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"cash": "1"}, "/cash"),
        ({"cash": True}, "/cash"),
        ({"cash": float("inf")}, ""),
        ({"cash": float("nan")}, ""),
        ({"cash": 0}, "/cash"),
        ({"cash": -1}, "/cash"),
        ({"cash": 1e300}, "/cash"),
        ({"cash": 10**399}, "/cash"),
        ({"cash": []}, "/cash"),
        ({"lot": "1"}, "/lot"),
        ({"lot": -1}, "/lot"),
        ({"lot": True}, "/lot"),
        ({"costs": {"commission_bps": "20"}}, "/costs/commission_bps"),
        ({"costs": {"commission_bps": True}}, "/costs/commission_bps"),
        ({"costs": {"commission_bps": -1}}, "/costs/commission_bps"),
        ({"costs": {"slippage_bps": 10_000}}, "/costs/slippage_bps"),
        ({"costs": {"tax": 1}}, "/costs/tax"),
        ({"costs": [1]}, "/costs"),
        ({"profile": "metatrader"}, "/profile"),
        ({"profile": "x" * 5_000}, "/profile"),
        ({"from": "yesterday"}, "/from"),
        ({"from": "2020-01-01T00:00:00"}, "/from"),
        ({"to": "2020-13-01"}, "/to"),
        ({"from": "2021-01-01", "to": "2020-01-01"}, "/from"),
        ({"from": 20200101}, "/from"),
        ({"params": {"fast_n": "4"}}, "/params/fast_n"),
        ({"params": {"fast_n": True}}, "/params/fast_n"),
        ({"params": {"fast_n": 1e400}}, ""),
        ({"params": {"fast_n": 99}}, "/params/fast_n"),
        ({"params": {"fast_n": 2.5}}, "/params/fast_n"),
        ({"params": {"unknown": 1}}, "/params/unknown"),
        ({"params": [1]}, "/params"),
        ({"strategy_id": "x"}, "/strategy_id"),
        ({"strategy_id": 1}, "/strategy_id"),
        ({"data_id": None}, "/data_id"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_run_that_cannot_be_is_422_with_a_pointer(
    client: FlaskClient, data: str, strategy: str, change: dict[str, Any], pointer: str
) -> None:
    answer = ask(client, {"strategy_id": strategy, "data_id": data} | change)
    assert answer.status_code == 422, answer.text
    assert pointer in {fault["path"] for fault in answer.json["errors"]}
    assert len(answer.text) < 2_000


def test_whatever_does_not_fit_is_told_at_once(client: FlaskClient, data: str) -> None:
    other = a_strategy(client, timeframe="1h")
    body = {"strategy_id": other, "data_id": data, "cash": -1, "lot": -1, "from": "x"}
    answer = ask(client, body | {"costs": {"minimum": -1, "t/x": 1}, "params": {"x": 1}})
    paths = [fault["path"] for fault in answer.json["errors"]]
    assert sorted(paths) == sorted(
        ("/cash", "/lot", "/from", "/costs/minimum", "/costs/t~1x", "/params/x", "/data_id")
    )


@pytest.mark.parametrize(
    "extreme",
    [
        {"cash": 5e-324},
        {"cash": 1e15},
        {"lot": 1e308},
        {"lot": 5e-324},
        {"costs": {"per_unit": 1e308}},
        {"costs": {"minimum": 1e308}},
        {"costs": {"borrow_apr": 1e308, "finance_apr": 1e308}},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_a_run_at_the_edge_of_numbers_ends_in_order(
    client: FlaskClient, tenant: UUID, data: str, strategy: str, extreme: dict[str, Any]
) -> None:
    done = client.get(
        BACKTESTS + a_backtest(client, tenant, data_id=data, strategy_id=strategy, **extreme)
    ).json
    assert done["status"] in {"succeeded", "failed"}
    assert done["status"] == "succeeded" or done["error"]["code"] != "internal"


def test_a_strategy_of_another_timeframe_does_not_fit_the_data(
    client: FlaskClient, data: str
) -> None:
    hourly = a_strategy(client, timeframe="1h")
    answer = ask(client, {"strategy_id": hourly, "data_id": data})
    assert answer.status_code == 422
    assert [(f["path"], f["code"]) for f in answer.json["errors"]] == [
        ("/data_id", "bad_timeframe")
    ]


def test_data_whose_import_runs_or_failed_is_409_and_says_what_to_do(
    client: FlaskClient, tenant: UUID, strategy: str
) -> None:
    uploaded = client.post("/api/v1/trading/data/", data=upload_form(b"nonsense\n1\n")).json
    body = {"strategy_id": strategy, "data_id": uploaded["id"]}
    waiting = ask(client, body)
    assert (waiting.status_code, waiting.json["code"]) == (409, "data_not_ready")
    assert "its import is queued. Wait" in waiting.json["detail"]
    assert waiting.json["job_id"] == uploaded["job_id"]
    assert "Wait" in waiting.json["detail"]
    do_jobs(tenant)
    failed = ask(client, body)
    assert (failed.status_code, failed.json["code"]) == (409, "data_not_ready")
    assert "its import has failed. Upload" in failed.json["detail"]
    with open_platform_session() as session:
        session.execute(delete(Job).where(Job.id == UUID(uploaded["job_id"])))
    assert ask(client, body).json["detail"] == failed.json["detail"], "long after, too"
    assert "Upload it again" in failed.json["detail"]


def test_what_is_not_there_is_404(client: FlaskClient, data: str, strategy: str) -> None:
    for body, code in (
        ({"strategy_id": NOBODY, "data_id": data}, "strategy_not_found"),
        ({"strategy_id": strategy, "data_id": NOBODY}, "data_not_found"),
    ):
        answer = ask(client, body)
        assert (answer.status_code, answer.json["code"]) == (404, code)
    for path in ("", "/series", "/trades"):
        answer = client.get(BACKTESTS + NOBODY + path)
        assert (answer.status_code, answer.json["code"]) == (404, "backtest_not_found")


def test_a_job_for_a_deleted_strategy_fails_and_says_what_to_do(
    client: FlaskClient, tenant: UUID, data: str
) -> None:
    strategy = a_strategy(client)
    asked = ask(client, {"strategy_id": strategy, "data_id": data}).json
    client.post(f"/api/v1/jobs/{asked['job_id']}/cancel")
    client.delete(STRATEGIES + strategy)
    assert ask(client, {"strategy_id": strategy, "data_id": data}).status_code == 404
    assert client.post(f"/api/v1/jobs/{asked['job_id']}/retry").json["status"] == "queued"
    do_jobs(tenant)
    job = client.get(f"/api/v1/jobs/{asked['job_id']}").json
    assert (job["status"], job["error"]["code"]) == ("failed", "strategy_deleted")
    assert "its backtest" in job["error"]["detail"]
    assert {"type", "title", "code", "detail"} <= job["error"].keys()
    assert job["error"]["title"] == "The strategy was deleted"
    assert "Create it again" in job["error"]["detail"]
    assert client.get(BACKTESTS + asked["id"]).json["error"] == job["error"]


def test_an_edit_after_the_request_changes_nothing_of_the_run(
    client: FlaskClient, tenant: UUID, data: str
) -> None:
    strategy = a_strategy(client)
    asked = ask(client, {"strategy_id": strategy, "data_id": data}).json
    with_faults = {"name": "x", "document": {"spec": "strategy/1"}}
    assert client.put(STRATEGIES + strategy, json=with_faults).status_code == 422
    do_jobs(tenant)
    assert client.get(BACKTESTS + asked["id"]).json["status"] == "succeeded"


def test_never_trading_succeeds_with_a_warning(
    client: FlaskClient, tenant: UUID, data: str
) -> None:
    idle = a_strategy(client, long={"entry": "close > 1000000", "exit": "close < 1"})
    done = client.get(BACKTESTS + a_backtest(client, tenant, data_id=data, strategy_id=idle)).json
    assert done["status"] == "succeeded"
    assert "no_trades" in {warning["code"] for warning in done["result"]["warnings"]}
    assert client.get(f"{BACKTESTS}{done['id']}/trades").json["total_count"] == 0


def test_fewer_bars_than_the_warm_up_fail_with_insufficient_history(
    client: FlaskClient, tenant: UUID
) -> None:
    short = some_data(client, tenant, some_bars(5))
    done = client.get(BACKTESTS + a_backtest(client, tenant, data_id=short)).json
    assert (done["status"], done["result"]) == ("failed", None)
    codes = {fault["code"] for fault in done["error"].get("errors", [])} | {done["error"]["code"]}
    assert "insufficient_history" in codes


def test_a_part_that_is_lost_is_404_and_shows_no_key_of_ours(
    client: FlaskClient, tenant: UUID
) -> None:
    lost = a_backtest(client, tenant, cash=123)
    installed_store().delete_prefix(f"{tenant}/results/")
    for part in ("series", "trades"):
        answer = client.get(f"{BACKTESTS}{lost}/{part}")
        assert (answer.status_code, answer.json["code"]) == (404, "result_lost")
        assert str(tenant) not in answer.text


def test_backtests_are_listed_by_strategy(
    client: FlaskClient, strategy: str, backtest: str
) -> None:
    listed = client.get(f"{BACKTESTS}?strategy_id={strategy}&limit=100").json["items"]
    assert backtest in {row["id"] for row in listed}
    assert {row["strategy_id"] for row in listed} == {strategy}
    assert client.get(f"{BACKTESTS}?strategy_id={NOBODY}").json["total_count"] == 0
    assert client.get(f"{BACKTESTS}?strategy_id=x").status_code == 422
