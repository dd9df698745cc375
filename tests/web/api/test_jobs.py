import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from core.jobs.events import Position, events_since, position_of
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
        assert answer.json["detail"].startswith("The job has succeeded")


def test_jobs_are_listed_by_status_and_kind(tenant: UUID, client: FlaskClient) -> None:
    failed = a_job(client, b"nonsense\n1\n")
    do_jobs(tenant)
    queued = a_job(client)
    for query, expected in (
        ("", [queued, failed]),
        ("?status=queued", [queued]),
        ("?status=failed", [failed]),
        ("?kind=trading.import_bars", [queued, failed]),
        ("?kind=trading.sweep", []),
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


BAD_FILE = b"this,is,no\nfile,of,bars\n"


def a_failed_job(tenant: UUID, client: FlaskClient) -> str:
    job = a_job(client, BAD_FILE)
    do_jobs(tenant)
    assert client.get(JOBS + job).json["status"] == "failed"
    return job


def test_a_failed_job_is_let_go_and_keeps_its_error(tenant: UUID, client: FlaskClient) -> None:
    job = a_failed_job(tenant, client)
    gone = client.post(f"{JOBS}{job}/discard")
    assert (gone.status_code, gone.json["status"]) == (200, "cancelled")
    assert gone.json["error"]["code"]
    waiting = client.post(f"{JOBS}{a_job(client)}/discard")
    assert (waiting.status_code, waiting.json["code"]) == (409, "job_not_failed")


def announced(tenant: UUID, seen: Position) -> set[tuple[str, str]]:
    told = [json.loads(event.data) for event in events_since(tenant, seen) or []]
    return {(job["id"], job["status"]) for job in told}


def test_failed_jobs_are_found_by_their_error_and_moved_together(
    tenant: UUID, client: FlaskClient
) -> None:
    jobs = {a_failed_job(tenant, client) for _ in range(2)}
    code = client.get(JOBS + min(jobs)).json["error"]["code"]
    asked = {"error_code": code, "created_from": "2020-01-01T00:00:00Z"}
    found = client.get(JOBS, query_string={"status": "failed", **asked}).json
    assert {job["id"] for job in found["items"]} == jobs
    assert client.get(JOBS, query_string={"error_code": "another"}).json["items"] == []
    seen = position_of(tenant)
    again = client.post(f"{JOBS}retry", json=asked).json
    assert (set(again["ids"]), again["count"]) == (jobs, 2)
    assert announced(tenant, seen) == {(job, "queued") for job in jobs}
    do_jobs(tenant)
    seen = position_of(tenant)
    gone = client.post(f"{JOBS}discard", json={"ids": [min(jobs)]}).json
    assert gone == {"ids": [min(jobs)], "count": 1}
    assert announced(tenant, seen) == {(min(jobs), "cancelled")}
    assert client.post(f"{JOBS}discard", json={"all": True}).json["ids"] == [max(jobs)]


@pytest.mark.parametrize(
    "body",
    [
        {"ids": ["x"]},
        {"created_from": "2020-01-01T00:00:00"},
        {"nonsense": 1},
        {"kind": "trading.sweep_part"},
    ],
)
def test_a_choice_that_is_none_moves_nothing(client: FlaskClient, body: dict[str, Any]) -> None:
    answer = client.post(f"{JOBS}discard", json=body)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")


@pytest.mark.parametrize(
    ("asked", "path", "code", "hint"),
    [
        ({"kind": "nope"}, "/kind", "one_of", "trading.import_bars, trading.backtest"),
        ({"kind": "tenancy.provision"}, "/kind", "one_of", "trading.sweep"),
        (
            {"created_from": "2020-01-02T00:00:00Z", "created_to": "2020-01-01T00:00:00Z"},
            *("/created_to", "bad_range", "later than created_from"),
        ),
        (
            {"created_from": "2020-01-01T02:00:00+02:00", "created_to": "2020-01-01T00:00:00Z"},
            *("/created_to", "bad_range", "later than created_from"),
        ),
    ],
)
def test_a_choice_that_no_job_can_match_is_refused_wherever_it_is_made(
    client: FlaskClient, asked: dict[str, str], path: str, code: str, hint: str
) -> None:
    for answer in (
        client.get(JOBS, query_string=asked),
        client.post(f"{JOBS}retry", json=asked),
        client.post(f"{JOBS}discard", json=asked),
    ):
        (fault,) = answer.json["errors"]
        assert (answer.status_code, fault["path"], fault["code"]) == (422, path, code)
        assert hint in fault["hint"]


def test_the_kind_of_parts_is_found_beside_their_parent_alone(client: FlaskClient) -> None:
    asked = {"kind": "trading.sweep_part"}
    answer = client.get(JOBS, query_string=asked)
    (fault,) = answer.json["errors"]
    assert (answer.status_code, fault["path"], fault["code"]) == (422, "/kind", "parent_needed")
    asked["parent_id"] = str(uuid4())
    assert client.get(JOBS, query_string=asked).json["items"] == []


@pytest.mark.parametrize("verb", ["retry", "discard"])
@pytest.mark.parametrize(
    "sent", [{}, {"json": {}}, {"json": {"all": False}}, {"json": {"all": True, "ids": []}}]
)
def test_failed_jobs_are_moved_together_only_by_choice(
    tenant: UUID, client: FlaskClient, verb: str, sent: dict[str, Any]
) -> None:
    job = a_failed_job(tenant, client)
    answer = client.post(JOBS + verb, **sent)
    (fault,) = answer.json["errors"]
    assert (answer.status_code, fault["code"]) == (422, "choice_needed")
    assert '{"all": true}' in fault["hint"]
    assert client.get(JOBS + job).json["status"] == "failed"


def test_who_may_run_the_firms_work_may_move_it_and_readers_may_not(tenant: UUID) -> None:
    everything = {"all": True}
    for role, status in (("admin", 200), ("user", 200), ("viewer", 403), ("auditor", 403)):
        member = a_client(tenant, role=role)
        for verb in ("retry", "discard"):
            assert member.post(JOBS + verb, json=everything).status_code == status, (role, verb)
