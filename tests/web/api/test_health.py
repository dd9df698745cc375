from pathlib import Path
from uuid import uuid4

import pytest

from core.health import health
from core.jobs.heartbeats import beat, stop_beating
from core.jobs.kinds import QUEUES
from core.jobs.units import register_units
from tests.builders import PASSWORD, a_client, a_mail, a_tenant, a_user
from tests.laws.isolation.planting import Connection

pytestmark = pytest.mark.usefixtures("database")
SERVICES = {"database", "redis", "stripe", "storage", "workers", "dispatcher", "scheduler"}


def test_health_is_for_everybody_and_says_why_to_operators_alone() -> None:
    answer = a_client().get("/api/v1/health")
    assert (answer.status_code, answer.json.keys()) == (200, SERVICES)
    assert all(service.keys() == {"status"} for service in answer.json.values())
    assert a_client(a_tenant(), role="admin").get("/api/v1/health").json == answer.json
    mail = a_mail()
    a_user(email=mail, is_operator=True)
    body = {"email": mail, "password": PASSWORD}
    token = a_client().post("/api/v1/admin/auth/login", json=body).json["access_token"]
    told = a_client().get("/api/v1/health", headers={"Authorization": f"Bearer {token}"})
    assert all(service.keys() == {"status", "message"} for service in told.json.values())


def test_operators_hear_of_quarantined_tenants(as_superuser: Connection) -> None:
    tenant = a_tenant()
    assert "neozork migrate --status" not in health()["database"].message
    as_superuser.execute(
        "UPDATE neozork.tenant_schemas SET quarantined_at = now() WHERE tenant_id = %s", [tenant]
    )
    told = health()["database"]
    assert (told.status, "1 tenant left alone with an old schema" in told.message) == ("ok", True)
    as_superuser.execute("UPDATE neozork.tenant_schemas SET quarantined_at = NULL")


@pytest.mark.parametrize("token", ["Bearer x.y.z", "Basic x", "Bearer"])
def test_whoever_cannot_be_told_gets_what_everybody_gets(token: str) -> None:
    answer = a_client().get("/api/v1/health", headers={"Authorization": token})
    assert answer.json["database"] == {"status": "ok"}


def test_live_and_ready() -> None:
    assert a_client().get("/api/v1/health/live").status_code == 204
    assert a_client().get("/api/v1/health/ready").status_code == 204


@pytest.mark.usefixtures("valkey_away")
def test_without_valkey_nobody_should_be_sent_here() -> None:
    assert a_client().get("/api/v1/health").json["redis"] == {"status": "error"}
    answer = a_client().get("/api/v1/health/ready")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert a_client().get("/api/v1/health/live").status_code == 204


@pytest.mark.usefixtures("postgres_away")
def test_without_postgres_nobody_should_be_sent_here() -> None:
    assert a_client().get("/api/v1/health").json["database"] == {"status": "error"}
    assert a_client().get("/api/v1/health/ready").status_code == 503
    assert a_client().get("/api/v1/health/live").status_code == 204


def test_without_the_folder_of_blobs_all_else_is_still_answered_here(blob_folder: Path) -> None:
    client = a_client(a_tenant())
    blob_folder.rename(blob_folder.with_name("elsewhere"))
    blob_folder.mkdir()
    assert client.get("/api/v1/health").json["storage"] == {"status": "error"}
    assert client.get("/api/v1/health/ready").status_code == 204
    assert client.get("/api/v1/jobs/").status_code == 200


def test_what_blocks_a_process_is_called_beside_it() -> None:
    called = []
    health(beside=lambda ask: called.append(ask) or "")
    assert len(called) == 1


@pytest.mark.usefixtures("quiet_jobs")
def test_what_died_is_told_by_its_silence() -> None:
    dead = {name: health()[name].status for name in ("workers", "dispatcher", "scheduler")}
    assert set(dead.values()) == {"error"}
    supervisor, dispatcher, scheduler = uuid4(), uuid4(), uuid4()
    register_units(supervisor, dict.fromkeys(QUEUES, 1))
    beat("dispatcher", dispatcher)
    beat("scheduler", scheduler)
    told = health()
    assert {told[name].status for name in dead} == {"ok"}
    assert told["workers"].message == (
        "Units by queue: interactive: 1, bulk: 1, money: 1, housekeeping: 1."
    )
    register_units(supervisor, {"money": 0})
    stop_beating(scheduler)
    told = health()
    assert [told[name].status for name in dead] == ["error", "ok", "error"]
    assert a_client().get("/api/v1/health/ready").status_code == 204, "requests need neither"
