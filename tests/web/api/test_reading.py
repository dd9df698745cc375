import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from core.errors import InvalidInputError
from tests.builders import a_client, a_document, a_tenant, an_app, upload_form
from web.api.reading import pointer, read_json
from web.app import LARGEST_JSON

pytestmark = pytest.mark.usefixtures("database")
STRATEGIES = "/api/v1/trading/strategies/"
ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def client(database: str) -> FlaskClient:
    del database
    return a_client(a_tenant(), role="admin")


def refused(body: bytes) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as raised:
        read_json(body)
    return raised.value


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"a": 1', b"{'a': 1}", b"\xff", b'{"a": "\xed\xa0\x80"}', b'{"a": "\x00"}', b"1 2"],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    assert refused(body).instance_code == "malformed_json"


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        (b'{"a": NaN}', "type", ""),
        (b'{"a": -Infinity}', "type", ""),
        (b'{"a": 1, "a": 2}', "duplicate_key", ""),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep", ""),
        (b'{"a": ' + b"9" * 5_000 + b"}", "out_of_range", ""),
        (b'{"a": [{"b~/": "x\\u0000"}]}', "bad_text", "/a/0/b~0~1"),
        (b'{"a": "\\ud800"}', "bad_text", "/a"),
        (b'{"a": {"\\uDFFF": 1}}', "bad_text", "/a"),
    ],
)
def test_what_json_allows_and_we_cannot_keep_is_a_fault(body: bytes, code: str, path: str) -> None:
    fault = refused(body).errors[0]
    assert (fault.code, fault.path) == (code, path)


def test_honest_text_is_read_as_it_is() -> None:
    assert read_json(b'{"a": "\\ud83d\\ude00 \\\\u0000"}') == {"a": "😀 \\u0000"}
    assert read_json(b"\xef\xbb\xbf[1.5, -2, true, null]") == [1.5, -2, True, None]


def test_a_pointer_escapes_its_keys() -> None:
    assert pointer("/a", "b/c~d") == "/a/b~1c~0d"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b'{"name"', "application/json", 400, "malformed_json"),
        (b'{"name": "x"}', "text/plain", 415, "unsupported_media_type"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"", "application/json", 422, "invalid_input"),
        (b"null", "application/json", 422, "invalid_input"),
        (b"[]", "application/json", 422, "invalid_input"),
        (b'"text"', "application/json", 422, "invalid_input"),
        (b" " * (LARGEST_JSON + 1), "application/json", 413, "request_entity_too_large"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_with_a_problem(
    client: FlaskClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = client.post(STRATEGIES, data=body, content_type=content_type)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["code"] == code
    if status == 413:
        assert answer.json["limit_bytes"] == LARGEST_JSON


@pytest.mark.parametrize(
    "path", ["jobs/?kind=%00", "jobs/?status=a%00", "trading/data/?cursor=%00"]
)
def test_a_query_that_postgres_refuses_is_422(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["code"] == "bad_text"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"jobs/{ID}"),
        ("GET", "plans"),
        ("POST", f"jobs/{ID}/cancel"),
        ("POST", "trading/strategies/"),
        ("POST", "trading/data/"),
        ("POST", "auth/login"),
        ("DELETE", f"users/{ID}"),
    ],
)
def test_a_query_that_nothing_reads_is_refused(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(f"/api/v1/{path}?foo=1&a/b=2&foo=3", method=method)
    assert answer.status_code == 422
    assert [(fault["path"], fault["code"]) for fault in answer.json["errors"]] == [
        ("/foo", "unknown_key"),
        ("/a~1b", "unknown_key"),
    ]
    assert a_client().open(f"/api/v1/{path}?foo=1", method=method).status_code in {401, 422}


@pytest.mark.parametrize(
    ("path", "status"),
    [("health", 200), ("health/live", 204), ("health/ready", 204), ("docs", 200), ("events", 200)],
)
def test_what_others_call_by_themselves_takes_any_query(
    client: FlaskClient, path: str, status: int
) -> None:
    with client.get(f"/api/v1/{path}?foo=1&foo=2") as answer:
        assert answer.status_code == status


def test_a_form_names_each_part_once(client: FlaskClient) -> None:
    form = MultiDict(upload_form())
    form.add("symbol", "OTHER")
    form.add("file", upload_form()["file"])
    answer = client.post("/api/v1/trading/data/", data=form)
    assert answer.status_code == 422
    assert [(fault["path"], fault["code"]) for fault in answer.json["errors"]] == [
        ("/symbol", "duplicate_key"),
        ("/file", "duplicate_key"),
    ]


TEXT_FIELDS = {
    "/api/v1/tenants": {
        "name": "A",
        "subdomain": "-",
        "admin_email": "a@b.example",
        "admin_username": "a",
        "admin_password": "correct horse battery",
    },
    "/api/v1/admin/auth/login": {"email": "a@b.example", "password": "x"},
    "/api/v1/auth/login": {"email": "a@b.example", "password": "x"},
    "/api/v1/auth/refresh": {"refresh_token": "x"},
    "/api/v1/auth/logout": {"refresh_token": "x"},
    "/api/v1/auth/password": {"token": "x", "password": "x"},
    "/api/v1/auth/register": {
        "email": "a@b.example",
        "username": "a",
        "password": "x",
        "first_name": "a",
        "last_name": "a",
        "role": "user",
        "invitation_token": "x",
    },
    "/api/v1/users/": {
        "email": "a@b.example",
        "username": "a",
        "first_name": "a",
        "last_name": "a",
        "role": "user",
        "permissions": ["x"],
    },
    STRATEGIES: {"name": "x", "document": a_document(description="x")},
    "/api/v1/trading/strategies/validate": {"document": "spec: strategy/1"},
    "/api/v1/trading/backtesting/": {
        "strategy_id": ID,
        "data_id": ID,
        "params": {"x": "y"},
        "from": "2020-01-01",
        "to": "2020-01-01",
        "profile": "native",
    },
}


@pytest.mark.parametrize("path", TEXT_FIELDS)
@pytest.mark.parametrize("bad", ["\0", "\ud800"])
def test_no_text_field_takes_what_cannot_be_kept(client: FlaskClient, path: str, bad: str) -> None:
    body = TEXT_FIELDS[path]
    for name, value in body.items():
        spoilt = body | {name: spoil(value, bad)}
        answer = client.post(path, data=json.dumps(spoilt), content_type="application/json")
        assert answer.status_code == 422, (name, answer.text)
        assert answer.json["errors"][0]["code"] == "bad_text", (name, answer.text)
        assert answer.json["errors"][0]["path"].startswith(f"/{name}")


def spoil(value: Any, bad: str) -> Any:
    if isinstance(value, str):
        return f"a{bad}b"
    if isinstance(value, list):
        return [bad]
    return value | {"x": bad}


def test_yaml_cannot_smuggle_what_json_may_not_say(client: FlaskClient) -> None:
    document = 'spec: strategy/1\nname: "a\\0b"'
    answer = client.post(f"{STRATEGIES}validate", json={"document": document})
    assert answer.status_code == 422
    assert [(fault["code"], fault["path"]) for fault in answer.json["errors"]] == [
        ("bad_text", "/name")
    ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from([ID, "", "x" * 300, "2020-01-01", 10**400, "=1+1", "../.."]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def writing_routes() -> list[tuple[str, str]]:
    found = set()
    for rule in an_app().url_map.iter_rules():
        path = re.sub(r"<uuid:\w+>", ID, rule.rule)
        if "<" not in path and not path.endswith("/logout"):  # it would end the client's sign-in
            found |= {(method, path) for method in (rule.methods or set()) & {"POST", "PUT"}}
    return sorted(found)


KEYS = sorted({key for body in TEXT_FIELDS.values() for key in body} | {"cash", "costs", "lot"})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_json_whatever_makes_a_route_fall(client: FlaskClient, data: st.DataObject) -> None:
    method, path = data.draw(st.sampled_from(writing_routes()))
    body = data.draw(JSON | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6))
    if data.draw(st.booleans()) and isinstance(body, dict) and path in TEXT_FIELDS:
        body = TEXT_FIELDS[path] | body
    answer = client.open(
        path, method=method, data=json.dumps(body), content_type="application/json"
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json"
        assert {"type", "title", "status", "code", "detail"} <= answer.json.keys()
