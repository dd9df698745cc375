import json
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from tests.builders import a_client, a_strategy, a_tenant, do_jobs, some_data, upload_form

pytestmark = pytest.mark.usefixtures("database")
SWEEPS = "/api/v1/trading/sweeps/"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant()


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


@pytest.fixture(scope="module")
def body(client: FlaskClient, tenant: UUID) -> dict[str, Any]:
    data = some_data(client, tenant)
    return {"strategy_id": a_strategy(client), "data_id": data, "grid": {"fast_n": [3, 5, 4]}}


def test_a_sweep_is_queued_watched_and_read_as_published(
    client: FlaskClient, tenant: UUID, body: dict[str, Any]
) -> None:
    answer = client.post(SWEEPS, json=body)
    assert answer.status_code == 202
    assert answer.json.keys() == {"id", "job_id", "status"}
    assert answer.json["status"] == "waiting"
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['job_id']}"
    path = SWEEPS + answer.json["id"]
    before = client.get(path).json
    told = (before["status"], before["cells_total"], before["cells_done"], before["best"])
    assert told == ("waiting", 3, 0, [])
    do_jobs(tenant)
    after = client.get(path).json
    assert (after["status"], after["progress"], after["cells_done"]) == ("succeeded", 1.0, 3)
    assert after["best"][0]["summary"]["verdict"] == "untested"
    assert after["settings"]["grid"] == {"fast_n": [3, 4, 5]}
    listed = client.get(SWEEPS, query_string={"strategy_id": body["strategy_id"]}).json
    assert after["id"] in {sweep["id"] for sweep in listed["items"]}
    assert listed["items"][0].keys() < after.keys()


def test_cells_are_paged_by_their_number(
    client: FlaskClient, tenant: UUID, body: dict[str, Any]
) -> None:
    made = client.post(SWEEPS, json=body).json["id"]
    do_jobs(tenant)
    answer = client.get(f"{SWEEPS}{made}/cells", query_string={"limit": 2})
    assert '"cell":0,"params":{' in answer.text
    first = answer.json
    assert ([cell["cell"] for cell in first["items"]], first["has_more"]) == ([0, 1], True)
    assert first["total_count"] == 3
    rest = client.get(f"{SWEEPS}{made}/cells", query_string={"cursor": first["next_cursor"]}).json
    assert [cell["cell"] for cell in rest["items"]] == [2]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"grid": {}}, {"required"}),
        ({"grid": {"nonsense": [1], "fast_n": [99]}}, {"unknown_param", "out_of_range"}),
        ({"grid": {"fast_n": 3}}, {"type"}),
        ({"grid": {"fast_n": [3, 3]}}, {"doubled"}),
        ({"params": {"fast_n": 3}}, {"one_of"}),
        ({"best_by": "luck"}, {"one_of"}),
        ({"cash": -1.0}, {"out_of_range"}),
        ({"from": "2099-01-01", "best_by": "luck"}, {"bad_range", "one_of"}),
        ({"grid": None}, None),
        ({"surprise": 1}, None),
    ],
)
def test_a_grid_that_does_not_fit_is_refused_with_every_fault(
    client: FlaskClient, body: dict[str, Any], change: dict[str, Any], codes: set[str] | None
) -> None:
    answer = client.post(SWEEPS, json=body | change)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    if codes is not None:
        assert {fault["code"] for fault in answer.json["errors"]} == codes
    assert client.get(SWEEPS, query_string={"strategy_id": NOBODY}).json["items"] == []


def test_whatever_does_not_fit_is_told_at_once(client: FlaskClient, body: dict[str, Any]) -> None:
    wrong = {
        "cash": -1,
        "profile": "x",
        "best_by": "luck",
        "costs": {"x": 1},
        "grid": {"fast_n": [99], "x": []},
    }
    other = a_strategy(client, timeframe="1h")
    answer = client.post(SWEEPS, json=body | wrong | {"strategy_id": other})
    assert answer.status_code == 422
    assert {fault["path"] for fault in answer.json["errors"]} == {
        *("/cash", "/profile", "/best_by", "/costs/x", "/grid/fast_n/0", "/grid/x", "/data_id")
    }


HUGE = "9" * 399


@pytest.mark.parametrize(
    "values",
    [
        *("1e999", "-1e999", "NaN", HUGE, f"-{HUGE}", HUGE * 20, "3.5", "true", "null", "[3]"),
        *('{"fast_n": 3}', '"3"', '"\\ud800"', "-0.0", "3, 3.0", ""),
    ],
)
def test_a_value_that_is_none_is_refused(
    client: FlaskClient, body: dict[str, Any], values: str
) -> None:
    text = json.dumps(body | {"grid": 0}).replace('"grid": 0', f'"grid": {{"fast_n": [{values}]}}')
    answer = client.post(SWEEPS, data=text, content_type="application/json")
    assert (answer.status_code, len(answer.json["errors"])) == (422, 1)


def test_faults_without_number_are_counted_and_the_first_hundred_told(
    client: FlaskClient, body: dict[str, Any]
) -> None:
    answer = client.post(SWEEPS, json=body | {"grid": {"fast_n": [99] * 9_000}})
    assert (answer.status_code, len(answer.json["errors"])) == (422, 100)
    assert "9,000" in answer.json["detail"]


def test_a_billion_cells_are_refused_without_being_made(client: FlaskClient, tenant: UUID) -> None:
    names = [f"n{k}" for k in range(9)]
    params = {name: {"type": "int", "default": 3, "min": 2, "max": 20} for name in names}
    inputs = {name: {"ta": "SMA", "with": {"timeperiod": f"${name}"}} for name in names}
    entry = " and ".join(f"close > {name}" for name in names)
    body = {
        "strategy_id": a_strategy(
            client, params=params, inputs=inputs, long={"entry": entry, "exit": "close < n0"}
        ),
        "data_id": some_data(client, tenant),
        "grid": {name: list(range(2, 12)) for name in names},
    }
    answer = client.post(SWEEPS, json=body)
    (fault,) = answer.json["errors"]
    assert (fault["code"], "1,000,000,000" in fault["message"]) == ("grid_too_large", True)


def test_a_grid_beyond_the_plan_is_refused_and_says_how_many_it_allows() -> None:
    tenant = a_tenant(tier="starter")
    client = a_client(tenant)
    wide = {name: {"type": "int", "default": 3, "min": 2, "max": 200} for name in ("a", "b")}
    inputs = {
        "fast": {"ta": "SMA", "with": {"timeperiod": "$a"}},
        "slow": {"ta": "SMA", "with": {"timeperiod": "$b"}},
    }
    asked = {
        "strategy_id": a_strategy(client, params=wide, inputs=inputs),
        "data_id": some_data(client, tenant),
        "grid": {"a": list(range(2, 53)), "b": list(range(2, 23))},
    }
    answer = client.post(SWEEPS, json=asked)
    assert answer.status_code == 422
    (fault,) = answer.json["errors"]
    assert (fault["code"], "1,071" in fault["message"]) == ("grid_too_large", True)
    assert "1,000" in fault["message"]


def test_what_is_not_there_or_not_ready_is_said_so(
    client: FlaskClient, body: dict[str, Any]
) -> None:
    assert client.get(f"{SWEEPS}{NOBODY}").json["code"] == "sweep_not_found"
    assert client.get(f"{SWEEPS}{NOBODY}/cells").status_code == 404
    missing = client.post(SWEEPS, json=body | {"strategy_id": NOBODY})
    assert (missing.status_code, missing.json["code"]) == (404, "strategy_not_found")
    waiting = client.post("/api/v1/trading/data/", data=upload_form()).json["id"]
    early = client.post(SWEEPS, json=body | {"data_id": waiting})
    assert (early.status_code, early.json["code"]) == (409, "data_not_ready")


def test_a_sweep_is_asked_for_once_by_its_idempotency_key(
    client: FlaskClient, body: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": "a sweep of mine"}
    first, again = (client.post(SWEEPS, json=body, headers=headers) for _ in range(2))
    assert first.json == again.json
    other = client.post(SWEEPS, json=body | {"cash": 5.0}, headers=headers)
    assert other.status_code == 422


def test_sweeps_are_the_tenants_own(
    tenant: UUID, client: FlaskClient, body: dict[str, Any]
) -> None:
    made = client.post(SWEEPS, json=body).json["id"]
    stranger = a_client(a_tenant())
    assert stranger.get(SWEEPS + made).status_code == 404
    assert stranger.get(SWEEPS).json["items"] == []
    assert a_client(tenant, role="viewer").post(SWEEPS, json=body).status_code == 403
    assert a_client(tenant, role="viewer").get(SWEEPS + made).status_code == 200
    assert a_client().get(SWEEPS + made).status_code == 401
