"""The published shapes: fields may be added, none renamed or dropped."""

import re
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from tests.builders import a_backtest, a_client, a_document, a_tenant, an_app, upload_form
from web.app import API_PREFIX, TENANT_PREFIX

pytestmark = pytest.mark.usefixtures("database")

USER = "id tenant_id email username first_name last_name role permissions subscription_tier"
USER += " is_active created_at last_login"
PAGE = "items total_count has_more next_cursor"
JOB = "id kind status progress message attempt error created_at started_at finished_at"
DATA = "id symbol timeframe status rows first last data_hash certificate"
STRATEGY = "id name version spec_hash document warnings"
ACCEPTED = "id job_id status"
FAULT = "path code message hint at"
GRID = {"fast_n": [3, 4]}
# What a row of a list leaves out.
OF_ONE_ALONE = {
    *("document", "warnings", "version", "spec_hash", "certificate", "status", "result"),
    *("cells_done", "best"),
}
# Method, address below the tenant, status, and the fields that are promised.
PROMISES = [
    ("GET", "users/", 200, PAGE),
    ("GET", "users/{user}", 200, USER),
    ("POST", "trading/data/", 202, ACCEPTED),
    ("GET", "trading/data/", 200, PAGE),
    ("GET", "trading/data/{data}", 200, DATA),
    ("POST", "trading/strategies/", 201, STRATEGY),
    ("GET", "trading/strategies/", 200, PAGE),
    ("GET", "trading/strategies/{strategy}", 200, STRATEGY),
    ("PUT", "trading/strategies/{strategy}", 200, STRATEGY),
    ("POST", "trading/strategies/validate", 200, "valid spec_hash warnings"),
    ("POST", "trading/backtesting/", 202, ACCEPTED),
    ("GET", "trading/backtesting/", 200, PAGE),
    ("GET", "trading/backtesting/{backtest}", 200, f"{ACCEPTED} result"),
    ("GET", "trading/backtesting/{backtest}/series?names=equity,drawdown&points=2000", 200, ""),
    ("GET", "trading/backtesting/{backtest}/trades", 200, PAGE),
    ("POST", "trading/sweeps/", 202, ACCEPTED),
    ("GET", "trading/sweeps/", 200, PAGE),
    ("GET", "trading/sweeps/{sweep}", 200, "status cells_total cells_done best"),
    ("GET", "trading/sweeps/{sweep}/cells", 200, PAGE),
    ("GET", "jobs/", 200, PAGE),
    ("GET", "jobs/{job}", 200, JOB),
    ("POST", "jobs/{queued}/cancel", 200, JOB),
    ("POST", "jobs/{queued}/retry", 200, JOB),
]
# What is published and comes with issues of its own.
LATER = re.compile(r"subscriptions|billing|payment-methods|usage|analytics|webhooks")


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="enterprise")


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant, role="admin")


@pytest.fixture(scope="module")
def ids(client: FlaskClient, tenant: UUID) -> dict[str, str]:
    backtest = a_backtest(client, tenant)
    run = client.get(f"{API_PREFIX}/trading/backtesting/{backtest}").json
    swept = {"strategy_id": run["strategy_id"], "data_id": run["data_id"], "grid": GRID}
    return {
        "sweep": client.post(f"{API_PREFIX}/trading/sweeps/", json=swept).json["id"],
        "backtest": backtest,
        "strategy": run["strategy_id"],
        "data": run["data_id"],
        "job": run["job_id"],
        "user": client.get(f"{API_PREFIX}/users/").json["items"][0]["id"],
        "queued": client.post(f"{API_PREFIX}/trading/data/", data=upload_form()).json["job_id"],
    }


def body_of(method: str, path: str, ids: dict[str, str]) -> dict[str, Any]:
    if method not in {"POST", "PUT"} or path.startswith("jobs/"):
        return {}
    if path == "trading/data/":
        return {"data": upload_form(timezone="UTC", stamp="close", lot="1", name="n")}
    if path in {"trading/backtesting/", "trading/sweeps/"}:
        costs = {
            "commission_bps": 20,
            "slippage_bps": 0,
            "per_unit": 0,
            "minimum": 0,
            "borrow_apr": 0,
            "finance_apr": 0,
        }
        asked = {"strategy_id": ids["strategy"], "data_id": ids["data"], "params": {}}
        more = {"from": "2020-01-01", "to": "2020-03-01", "cash": 10_000, "lot": 1}
        grid = {"grid": GRID} if "sweeps" in path else {}
        return {"json": asked | more | grid | {"costs": costs, "profile": "native"}}
    name = {} if path.endswith("validate") else {"name": "x"}
    return {"json": name | {"document": a_document()}}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: " ".join(promise[:2]))
@pytest.mark.parametrize("prefix", ["", "tenants/{tenant}/"])
def test_what_is_published_is_answered(
    client: FlaskClient,
    tenant: UUID,
    ids: dict[str, str],
    promise: tuple[str, str, int, str],
    prefix: str,
) -> None:
    method, path, status, promised = promise
    if path.endswith("/retry"):
        client.post(f"{API_PREFIX}/jobs/{ids['queued']}/cancel")
    url = f"{API_PREFIX}/{prefix}{path}".format(**ids, tenant=tenant)
    answer = client.open(url, method=method, **body_of(method, path, ids))
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/json"
    missing = set(promised.split()) - answer.json.keys()
    assert not missing
    if promised == PAGE and answer.json["items"]:
        one = f"{path.partition('?')[0]}{{id}}"
        fields = next((promise[3] for promise in PROMISES if like(one, promise[1])), "")
        missing = set(fields.split()) - OF_ONE_ALONE - answer.json["items"][0].keys()
        assert not missing


def like(one: str, path: str) -> bool:
    return re.sub(r"{\w+}", "{}", one) == re.sub(r"{\w+}", "{}", path)


def test_every_route_that_stands_is_published_or_known_here() -> None:
    promised = {(method, shape(path.partition("?")[0])) for method, path, _, _ in PROMISES}
    beside = {
        *(("POST", f"auth/{verb}") for verb in ("login", "logout", "refresh", "register")),
        ("POST", "auth/password"),
        ("POST", "users/register"),
        ("POST", "users/"),
        ("PUT", "users/{}"),
        ("DELETE", "users/{}"),
        ("DELETE", "trading/strategies/{}"),
        ("GET", "events"),
        ("POST", "jobs/{}/discard"),
        ("POST", "jobs/discard"),
        ("POST", "jobs/retry"),
    }
    standing = {
        (method, shape(rule.rule.removeprefix(f"{TENANT_PREFIX}/")))
        for rule in an_app().url_map.iter_rules()
        if rule.rule.startswith(f"{TENANT_PREFIX}/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert standing == promised | beside
    assert not [path for _, path in standing if LATER.search(path)]


def shape(path: str) -> str:
    return re.sub(r"<[^>]+>|{\w+}", "{}", path)


def test_a_fault_has_all_its_fields(client: FlaskClient) -> None:
    body = {"name": "x", "document": {}}
    answer = client.post(f"{API_PREFIX}/trading/strategies/", json=body)
    assert answer.json["errors"][0].keys() == set(FAULT.split())
    bad = client.get(f"{API_PREFIX}/jobs/?limit=0")
    assert bad.json["errors"][0].keys() == set(FAULT.split())


def test_what_is_served_is_what_is_documented(client: FlaskClient, ids: dict[str, str]) -> None:
    """Each answer keeps to its schema in the OpenAPI document, and names no field beyond it."""
    whole = client.get(f"{API_PREFIX}/openapi.json").json
    for method, path, status, _ in PROMISES:
        if path.startswith("users/") or "retry" in path or "cancel" in path:
            continue
        below = path.partition("?")[0]
        documented = next(
            item
            for name, item in whole["paths"].items()
            if shape(name.removeprefix(f"{API_PREFIX}/tenants/{{tenant}}/")) == shape(below)
        )
        content = documented[method.lower()]["responses"][str(status)]["content"]
        reference = content["application/json"]["schema"]["$ref"]
        schema = whole["components"]["schemas"][reference.rpartition("/")[2]]
        answer = client.open(
            f"{API_PREFIX}/{path}".format(**ids), method=method, **body_of(method, path, ids)
        )
        assert answer.json.keys() <= schema["properties"].keys(), path
        assert set(schema.get("required", ())) <= answer.json.keys(), path
