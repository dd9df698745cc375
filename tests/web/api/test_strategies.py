from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from core.trading.strategy.loading import MAX_BYTES
from tests.builders import a_client, a_document, a_strategy, a_tenant

pytestmark = pytest.mark.usefixtures("database")
STRATEGIES = "/api/v1/trading/strategies/"


@pytest.fixture(scope="module")
def tenant(database: str) -> UUID:
    del database
    return a_tenant(tier="enterprise")


@pytest.fixture(scope="module")
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


def test_a_strategy_is_created_with_its_first_version(client: FlaskClient) -> None:
    answer = client.post(STRATEGIES, json={"name": "cross", "document": a_document()})
    assert answer.status_code == 201
    made = answer.json
    assert {"id", "name", "version", "spec_hash", "document", "warnings"} <= made.keys()
    assert (made["version"], list(made["document"])) == (1, list(a_document()))
    assert answer.headers["Location"] == STRATEGIES + made["id"]
    assert client.get(answer.headers["Location"]).json == made


def test_where_it_lies_is_right_without_a_slash_too(client: FlaskClient) -> None:
    body = {"name": "cross", "document": a_document()}
    answer = client.post(STRATEGIES.rstrip("/"), json=body)
    assert answer.headers["Location"] == STRATEGIES + answer.json["id"]


def test_yaml_and_json_say_the_same(client: FlaskClient) -> None:
    head = "spec: strategy/1\nname: n\ntimeframe: 1d\n"
    yaml = f"{head}long:\n  entry: close > open\n  exit: close < open\n"
    document = {
        "spec": "strategy/1",
        "name": "n",
        "timeframe": "1d",
        "long": {"entry": "close > open", "exit": "close < open"},
    }
    hashes = {
        client.post(f"{STRATEGIES}validate", json={"document": written}).json["spec_hash"]
        for written in (yaml, document)
    }
    assert len(hashes) == 1


def test_an_edit_is_a_new_version_and_the_old_content_the_old_one(client: FlaskClient) -> None:
    path = STRATEGIES + a_strategy(client)
    changed = a_document(timeframe="1h")
    edited = client.put(path, json={"name": "renamed", "document": changed}).json
    assert (edited["version"], edited["name"]) == (2, "renamed")
    back = client.put(path, json={"name": "renamed", "document": a_document()}).json
    assert back["version"] == 1


def test_a_deleted_strategy_is_gone(client: FlaskClient) -> None:
    path = STRATEGIES + a_strategy(client)
    assert client.delete(path).status_code == 204
    body = {"name": "x", "document": a_document()}
    for answer in (client.get(path), client.delete(path), client.put(path, json=body)):
        assert (answer.status_code, answer.json["code"]) == (404, "strategy_not_found")


def test_a_bad_document_is_answered_with_every_fault_at_once(client: FlaskClient) -> None:
    document = a_document(
        timeframe="7x", colour="red", long={"entry": "no_such(close)", "exit": "close >"}
    )
    for path in (STRATEGIES, f"{STRATEGIES}validate"):
        body = {"document": document} | ({"name": "x"} if path == STRATEGIES else {})
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
        faults = {fault["path"]: fault for fault in answer.json["errors"]}
        assert {"/timeframe", "/colour", "/long/entry", "/long/exit"} <= faults.keys()
        for fault in faults.values():
            assert fault.keys() == {"path", "code", "message", "hint", "at"}


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 1


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (None, "required"),
        (1, "type"),
        (True, "type"),
        ([], "type"),
        ("", "syntax"),
        ("- a list", "type"),
        ("a: &x 1\nb: *x", "not_allowed"),
        ("spec: !!python/object:os.system x", "not_allowed"),
        ("{a: [", "syntax"),
        ("[" * 5_000, "too_deep"),
        (nested(30), "too_deep"),
        (nested(400), "too_deep"),
        ({"description": "x" * MAX_BYTES}, "too_long"),
        ("x" * (MAX_BYTES + 1), "too_long"),
    ],
)
def test_a_document_that_cannot_be_read_is_422(
    client: FlaskClient, document: Any, code: str
) -> None:
    answer = client.post(f"{STRATEGIES}validate", json={"document": document})
    assert answer.status_code == 422, answer.text
    assert [fault["code"] for fault in answer.json["errors"]] == [code]


@pytest.mark.parametrize("name", ["", "   ", "n" * 201, "a\nb", 1, None, ["x"]])
def test_a_name_that_is_none_is_422(client: FlaskClient, name: Any) -> None:
    answer = client.post(STRATEGIES, json={"name": name, "document": a_document()})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["path"] == "/name"


def test_the_plans_limit_is_402_and_says_what_to_do() -> None:
    client = a_client(a_tenant(tier="starter"))
    made = [a_strategy(client) for _ in range(5)]
    answer = client.post(STRATEGIES, json={"name": "x", "document": a_document()})
    assert (answer.status_code, answer.json["code"]) == (402, "quota_exceeded")
    assert (answer.json["metric"], answer.json["limit"]) == ("trading_strategies", 5)
    client.delete(STRATEGIES + made[0])
    a_strategy(client)
