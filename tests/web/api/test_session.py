import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.identity.authentication import authenticate
from core.jobs.models import Job
from core.storage.installed import installed_store
from core.tenancy.idempotency import Request, earlier_answer
from core.tenancy.session import open_session
from core.trading.models import Backtest, BarSet, Strategy
from tests.builders import (
    a_client,
    a_document,
    a_strategy,
    a_tenant,
    some_bars,
    some_data,
    upload_form,
)

pytestmark = pytest.mark.usefixtures("database")
STRATEGIES = "/api/v1/trading/strategies/"
DATA = "/api/v1/trading/data/"
BACKTESTS = "/api/v1/trading/backtesting/"
KEY = {"Idempotency-Key": "a key"}


@pytest.fixture
def tenant() -> UUID:
    return a_tenant()


@pytest.fixture
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


def body(name: str = "x") -> dict[str, Any]:
    return {"name": name, "document": a_document()}


def count(tenant: UUID, model: Any) -> int:
    with open_session(tenant) as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_the_same_request_twice_is_done_once_and_answered_alike(
    tenant: UUID, client: FlaskClient
) -> None:
    first = client.post(STRATEGIES, json=body(), headers=KEY)
    again = client.post(STRATEGIES, json=body(), headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count(tenant, Strategy) == 1


def test_a_backtest_asked_for_twice_is_one_job(tenant: UUID, client: FlaskClient) -> None:
    asked = {"strategy_id": a_strategy(client), "data_id": some_data(client, tenant)}
    first, again = (client.post(BACKTESTS, json=asked, headers=KEY) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json == again.json
    assert again.headers["Location"] == f"/api/v1/jobs/{first.json['job_id']}"
    assert count(tenant, Backtest) == 1


def test_the_same_key_with_another_body_is_422(tenant: UUID, client: FlaskClient) -> None:
    client.post(STRATEGIES, json=body(), headers=KEY)
    answer = client.post(STRATEGIES, json=body("y"), headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert count(tenant, Strategy) == 1


def test_a_refused_request_leaves_its_key_free(tenant: UUID, client: FlaskClient) -> None:
    assert client.post(STRATEGIES, json=body(""), headers=KEY).status_code == 422
    assert client.post(STRATEGIES, json=body(), headers=KEY).status_code == 201
    assert count(tenant, Strategy) == 1


def test_a_key_is_of_one_user_and_one_route(tenant: UUID, client: FlaskClient) -> None:
    client.post(STRATEGIES, json=body(), headers=KEY)
    other = a_client(tenant).post(STRATEGIES, json=body("y"), headers=KEY)
    elsewhere = client.post(DATA, data=upload_form(), headers=KEY)
    stranger = a_client(a_tenant()).post(STRATEGIES, json=body("z"), headers=KEY)
    assert [other.status_code, elsewhere.status_code, stranger.status_code] == [201, 202, 201]


@pytest.mark.parametrize("key", ["", "x" * 256, "\xe9", "\x7f"])
def test_what_is_no_key_is_refused(client: FlaskClient, key: str) -> None:
    answer = client.post(STRATEGIES, json=body(), headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_invalid")


def test_a_twin_in_flight_is_409(tenant: UUID, client: FlaskClient) -> None:
    """One thread holds the key in an open transaction, as a slow request does."""
    entered, leave = threading.Event(), threading.Event()

    def hold(asked: Request) -> None:
        with open_session(tenant) as session:
            assert earlier_answer(session, asked) is None
            entered.set()
            leave.wait(30)

    member = authenticate(client.environ_base["HTTP_AUTHORIZATION"].partition(" ")[2])
    asked = Request(member.user_id, "POST strategies.Strategies", KEY["Idempotency-Key"], b"")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold, asked)
        assert entered.wait(30)
        answer = client.post(STRATEGIES, json=body(), headers=KEY)
        leave.set()
        held.result()
    assert (answer.status_code, answer.json["code"]) == (409, "idempotency_in_flight")
    assert client.post(STRATEGIES, json=body(), headers=KEY).status_code == 201


def test_of_many_twins_at_once_one_is_done(tenant: UUID, client: FlaskClient) -> None:
    token = client.environ_base["HTTP_AUTHORIZATION"]
    barrier = threading.Barrier(4)

    def send() -> int:
        barrier.wait()
        return (
            a_client()
            .post(STRATEGIES, json=body(), headers=KEY | {"Authorization": token})
            .status_code
        )

    with ThreadPoolExecutor(4) as pool:
        statuses = [sent.result() for sent in [pool.submit(send) for _ in range(4)]]
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert count(tenant, Strategy) == 1


def uploads(tenant: UUID) -> int:
    return installed_store().usage(f"{tenant}/uploads/").count


def test_an_upload_sent_twice_is_kept_once(tenant: UUID, client: FlaskClient) -> None:
    first, again = (client.post(DATA, data=upload_form(), headers=KEY) for _ in range(2))
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (count(tenant, BarSet), count(tenant, Job), uploads(tenant)) == (1, 1, 1)


@pytest.mark.parametrize(
    "other", [{"content": some_bars(10)}, {"symbol": "OTHER"}, {"timezone": "UTC"}]
)
def test_an_upload_that_is_refused_for_its_key_leaves_nothing(
    tenant: UUID, client: FlaskClient, other: dict[str, Any]
) -> None:
    client.post(DATA, data=upload_form(), headers=KEY)
    answer = client.post(DATA, data=upload_form(**other), headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert (count(tenant, BarSet), count(tenant, Job), uploads(tenant)) == (1, 1, 1)


def test_without_a_key_nothing_is_remembered(tenant: UUID, client: FlaskClient) -> None:
    for _ in range(2):
        assert client.post(STRATEGIES, json=body()).status_code == 201
    assert count(tenant, Strategy) == 2
