from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete

from core.jobs.models import Job
from core.tenancy.session import open_platform_session
from tests.builders import a_client, a_strategy, a_tenant, do_jobs, some_data, upload_form

pytestmark = pytest.mark.usefixtures("database")
DATA, RUNS = "/api/v1/trading/data/", "/api/v1/trading/backtesting/"
SWEEPS = "/api/v1/trading/sweeps/"


def uploading(client: FlaskClient, _tenant: UUID) -> Callable[..., Any]:
    def upload(*, good: bool = True) -> Any:
        return client.post(DATA, data=upload_form(None if good else b"nonsense\n1\n")).json

    return upload


def running(client: FlaskClient, tenant: UUID, path: str = RUNS, **more: Any) -> Callable[..., Any]:
    data, strategy = some_data(client, tenant), a_strategy(client)

    def run(*, good: bool = True) -> Any:
        chosen = strategy if good else a_strategy(client)
        made = client.post(path, json={"strategy_id": chosen, "data_id": data, **more}).json
        if not good:
            client.delete(f"/api/v1/trading/strategies/{chosen}")
        return made

    return run


def sweeping(client: FlaskClient, tenant: UUID) -> Callable[..., Any]:
    return running(client, tenant, SWEEPS, grid={"fast_n": [2, 3]})


@pytest.mark.parametrize(
    ("path", "making", "waits"),
    [(DATA, uploading, "queued"), (RUNS, running, "queued"), (SWEEPS, sweeping, "waiting")],
)
def test_a_list_is_narrowed_to_the_status_that_documents_show(
    path: str, making: Callable[..., Callable[..., Any]], waits: str
) -> None:
    tenant = a_tenant(tier="enterprise")
    client = a_client(tenant)
    make = making(client, tenant)
    known = [row["id"] for row in client.get(path).json["items"]]
    done, failed, gone = make(), make(good=False), make()
    client.post(f"/api/v1/jobs/{gone['job_id']}/cancel")
    do_jobs(tenant)
    waiting, lost = make(), make()
    with open_platform_session() as session:
        deleted = [UUID(made["job_id"]) for made in (done, lost)]
        session.execute(delete(Job).where(Job.parent_id.in_(deleted) | Job.id.in_(deleted)))
    expected = {
        "succeeded": [done["id"], *known],
        "failed": [lost["id"], failed["id"]],
        "cancelled": [gone["id"]],
        waits: [waiting["id"]],
        "running": [],
    }
    for status, ids in expected.items():
        listed = client.get(path, query_string={"status": status}).json
        assert [row["id"] for row in listed["items"]] == ids, status
        assert listed["total_count"] == len(ids)
        assert {client.get(path + made).json["status"] for made in ids} <= {status}
    assert client.get(path, query_string={"status": "lost"}).status_code == 422
    first = client.get(path, query_string={"status": "failed", "limit": 1}).json
    rest = client.get(path, query_string={"status": "failed", "cursor": first["next_cursor"]}).json
    assert [row["id"] for row in (*first["items"], *rest["items"])] == expected["failed"]
