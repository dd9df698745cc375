from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from tests.builders import a_client, a_tenant, do_jobs, upload_form

pytestmark = pytest.mark.usefixtures("database")
JOBS = "/api/v1/jobs/"
FIELDS = {
    "id",
    "kind",
    "status",
    "progress",
    "message",
    "attempt",
    "error",
    "created_at",
    "started_at",
    "finished_at",
}


@pytest.fixture
def tenant() -> UUID:
    return a_tenant()


@pytest.fixture
def client(tenant: UUID) -> FlaskClient:
    return a_client(tenant)


def a_job(client: FlaskClient, content: bytes | None = None) -> str:
    return str(client.post("/api/v1/trading/data/", data=upload_form(content)).json["job_id"])


def test_a_job_is_answered_as_published_from_queue_to_end(
    tenant: UUID, client: FlaskClient
) -> None:
    path = JOBS + a_job(client)
    before = client.get(path).json
    assert before.keys() == FIELDS
    assert (before["status"], before["attempt"], before["started_at"]) == ("queued", 0, None)
    do_jobs(tenant)
    after = client.get(path).json
    assert (after["status"], after["progress"], after["attempt"]) == ("succeeded", 1.0, 1)
    assert (after["error"], after["kind"]) == (None, "trading.import_bars")
    assert before["created_at"] < after["started_at"] < after["finished_at"]
    assert after["finished_at"].endswith("Z")


def test_a_cancelled_job_stays_so_and_may_be_tried_again(tenant: UUID, client: FlaskClient) -> None:
    path = JOBS + a_job(client)
    for _ in range(2):
        assert client.post(f"{path}/cancel").json["status"] == "cancelled"
    do_jobs(tenant)
    assert client.get(path).json["status"] == "cancelled"
    assert client.post(f"{path}/retry").json["status"] == "queued"
    do_jobs(tenant)
    assert client.get(path).json["status"] == "succeeded"


def test_what_is_at_its_end_cannot_be_cancelled_or_tried_again(
    tenant: UUID, client: FlaskClient
) -> None:
    path = JOBS + a_job(client)
    do_jobs(tenant)
    for verb, code in (("cancel", "job_finished"), ("retry", "job_not_retryable")):
        answer = client.post(f"{path}/{verb}")
        assert (answer.status_code, answer.json["code"]) == (409, code)


def test_jobs_are_listed_by_status_and_kind(tenant: UUID, client: FlaskClient) -> None:
    failed = a_job(client, b"nonsense\n1\n")
    do_jobs(tenant)
    queued = a_job(client)
    for query, expected in (
        ("", [queued, failed]),
        ("?status=queued", [queued]),
        ("?status=failed", [failed]),
        ("?kind=trading.import_bars", [queued, failed]),
        ("?kind=no.such", []),
    ):
        listed: Any = client.get(JOBS + query).json
        assert [job["id"] for job in listed["items"]] == expected
        assert listed["total_count"] == len(expected)
    assert client.get(f"{JOBS}?status=lost").status_code == 422


def test_a_viewer_sees_and_changes_nothing(tenant: UUID, client: FlaskClient) -> None:
    path = JOBS + a_job(client)
    viewer = a_client(tenant, role="viewer")
    assert viewer.get(path).status_code == 200
    for verb in ("cancel", "retry"):
        assert viewer.post(f"{path}/{verb}").status_code == 403
