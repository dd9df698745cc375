import re

import pytest
from flask import Flask, request_finished
from flask.testing import FlaskClient

from tests.builders import a_client, a_tenant, an_app
from web.api.hub import HUB
from web.app import API_PREFIX

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def client() -> FlaskClient:
    return a_client(a_tenant())


@pytest.mark.parametrize("given", ["a" * 65, "a b", "{}", "x\x7f", "ä", ""])
def test_a_request_id_that_could_forge_a_log_line_is_replaced(given: str) -> None:
    answer = a_client().get("/api/v1/plans", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])


def test_a_plain_request_id_is_kept_and_answered() -> None:
    answer = a_client().get("/api/v1/plans", headers={"X-Request-ID": "abc-123"})
    assert answer.headers["X-Request-ID"] == "abc-123"


def test_no_answer_may_be_kept_framed_or_read_by_another_site(client: FlaskClient) -> None:
    answer = client.get("/api/v1/jobs/", headers={"Origin": "https://evil.example"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", ["/api/v1/jobs/", "/api/v1/tenants/any/jobs/", "/api/v1/plans"])
def test_options_names_the_methods_and_grants_nothing(path: str) -> None:
    answer = a_client().options(path)
    assert answer.status_code == 200
    assert "GET" in answer.headers["Allow"]
    assert "OPTIONS" in answer.headers["Allow"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/api/v1/plans", "/api/v1/jobs/", "/nowhere"])
def test_a_request_counts_while_it_is_answered(path: str) -> None:
    seen = []
    before = HUB.requests

    def look(_app: Flask, **_more: object) -> None:
        seen.append(HUB.requests)

    with request_finished.connected_to(look):
        a_client().get(path)
    assert (seen, HUB.requests) == ([before + 1], before)


def test_options_works_on_every_route() -> None:
    client = a_client()
    for rule in an_app().url_map.iter_rules():
        path = re.sub(r"<any\('([^']+)'.*?>", r"\1", rule.rule)
        path = re.sub(r"<uuid:\w+>", "00000000-0000-4000-8000-000000000000", path)
        assert client.options(re.sub(r"<\w+>", "any", path)).status_code == 200, rule.rule


def test_head_answers_as_get_without_a_body(client: FlaskClient) -> None:
    answer = client.head("/api/v1/jobs/")
    assert (answer.status_code, answer.data) == (200, b"")
    assert a_client().head("/api/v1/jobs/").status_code == 401


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_405_and_names_the_right_ones(method: str, client: FlaskClient) -> None:
    answer = client.open("/api/v1/trading/strategies/", method=method)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert answer.json["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["jobs", "jobs/", "trading/strategies", "trading/data"])
def test_a_missing_slash_is_no_redirect(path: str, client: FlaskClient) -> None:
    assert client.get(f"{API_PREFIX}/{path}").status_code == 200


def test_a_host_is_never_echoed_in_a_redirect(client: FlaskClient) -> None:
    for path in ("/api/v1/jobs", "/api/v1//jobs/", "//evil.example/api/v1/jobs"):
        answer = client.get(path, headers={"X-Forwarded-Host": "evil.example"})
        assert "Location" not in answer.headers
        assert b"evil" not in answer.data


@pytest.mark.parametrize("path", ["/", "/static/x", "/api/v1/nothing", "/api/v1/jobs/no-uuid"])
def test_what_is_not_there_is_a_problem_document(path: str) -> None:
    answer = a_client().get(path)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
