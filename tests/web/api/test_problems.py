from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from redis.exceptions import ConnectionError as ValkeyError

from core import errors
from core.errors import Fault, InvalidInputError, NeozorkError, ThrottledError
from tests.builders import a_client, a_document, a_tenant, upload_form
from web.api.problems import ProblemApi, register_problems, status_of
from web.api.spooling import ApiRequest

pytestmark = pytest.mark.usefixtures("database")
NEEDED = {"type", "title", "status", "code", "detail"}


@pytest.fixture
def client() -> FlaskClient:
    return a_client(a_tenant())


@pytest.fixture(scope="module")
def raising() -> FlaskClient:
    """An application whose routes fail in every way that there is."""
    app = Flask(__name__, static_folder=None)
    app.request_class = ApiRequest
    app.config.update(
        API_TITLE="x", API_VERSION="x", OPENAPI_VERSION="3.1.0", PROPAGATE_EXCEPTIONS=False
    )
    ProblemApi(app)
    register_problems(app)
    ways: dict[str, Any] = {
        "crash": lambda: 1 / 0,
        "abort": lambda: abort(418),
        "valkey": lambda: _raise(ValkeyError("secret address")),
        "ending": lambda: _raise(errors.ConflictError("Soon.", retry_after_s=1)),
        "throttled": lambda: _raise(ThrottledError("Later.", retry_after_s=7)),
        "misconfigured": lambda: _raise(errors.ConfigurationError("secret setting")),
        "faults": lambda: _raise(InvalidInputError("No.", errors=[Fault("/a", "b", "c")])),
    }
    for name, way in ways.items():
        app.add_url_rule(f"/{name}", name, way)
    return app.test_client()


def _raise(error: Exception) -> None:
    raise error


def test_every_branch_of_our_errors_has_a_status() -> None:
    branches = [branch for branch in vars(errors).values() if is_branch(branch)]
    assert len(branches) > 8
    for branch in branches:
        more = {"retry_after_s": 1} if branch is ThrottledError else {}
        status = status_of(branch("x", **more))
        assert (status >= 500) == (branch.code in {"misconfigured", "unavailable"})


def is_branch(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, NeozorkError) and thing is not NeozorkError


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("crash", 500),
        ("abort", 418),
        ("valkey", 503),
        ("throttled", 429),
        ("misconfigured", 500),
        ("faults", 422),
        ("nothing", 404),
    ],
)
def test_every_error_is_a_problem_that_tells_nothing_of_our_insides(
    raising: FlaskClient, path: str, status: int
) -> None:
    answer = raising.get(f"/{path}")
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json.keys() >= NEEDED
    assert answer.json["status"] == status
    for secret in ("Traceback", "ZeroDivision", "secret", ".py", "coffee"):
        assert secret not in answer.text


@pytest.mark.parametrize("path", ["jobs/retry", "trading/strategies/validate"])
@pytest.mark.parametrize(
    ("names", "told", "longest"),
    [(["x" * 5_000], 1, 201), ([f"n{n}" for n in range(200)], 100, 20)],
)
def test_what_was_sent_is_not_sent_back_at_length(
    client: FlaskClient, path: str, names: list[str], told: int, longest: int
) -> None:
    unknown = dict.fromkeys(names, 1)
    body = unknown if path.startswith("jobs") else {"document": a_document(**unknown)}
    answer = client.post(f"/api/v1/{path}", json=body)
    paths = [fault["path"] for fault in answer.json["errors"]]
    assert (answer.status_code, len(paths)) == (422, told)
    assert max(map(len, paths)) <= longest
    assert len(answer.text) < 30_000


def test_a_client_learns_when_to_come_again(raising: FlaskClient) -> None:
    assert raising.get("/throttled").headers["Retry-After"] == "7"
    assert raising.get("/ending").headers["Retry-After"] == "1"
    assert "Retry-After" not in raising.get("/faults").headers
    assert raising.get("/valkey").headers["Retry-After"] == "2"


def test_without_postgres_every_route_is_503(client: FlaskClient, postgres_away: None) -> None:
    del postgres_away
    for path in ("jobs/", "users/", "trading/data/", "trading/strategies/"):
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "2"
        assert (answer.json["code"], answer.json.keys() >= NEEDED) == ("unavailable", True)


def test_without_valkey_work_is_taken_on_all_the_same(
    client: FlaskClient, valkey_away: None
) -> None:
    del valkey_away
    assert client.get("/api/v1/jobs/").status_code == 200
    assert client.post("/api/v1/trading/data/", data=upload_form()).status_code == 202
