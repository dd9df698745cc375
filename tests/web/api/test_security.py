import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session
from tests.builders import (
    PASSWORD,
    a_client,
    a_document,
    a_mail,
    a_member,
    a_slug,
    a_strategy,
    a_tenant,
    a_user,
    an_app,
    do_jobs,
    upload_form,
)
from web.api.security import PUBLIC, permission_of
from web.app import API_PREFIX, TENANT_PREFIX

pytestmark = pytest.mark.usefixtures("database")
NOBODY = "00000000-0000-4000-8000-000000000000"
GARBAGE = {"data": b"{", "content_type": "application/json"}


def tenant_routes() -> list[tuple[str, str, str]]:
    """Answer method, path below the tenant and permission of each route that takes one."""
    found = []
    for rule in an_app().url_map.iter_rules():
        if not rule.rule.startswith(TENANT_PREFIX):
            continue
        view = an_app().view_functions[rule.endpoint].view_class
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            permission = permission_of(getattr(view, method.lower()))
            path = re.sub(r"<uuid:\w+>", NOBODY, rule.rule.removeprefix(TENANT_PREFIX))
            if permission not in {PUBLIC, None}:
                found.append((method, path, str(permission)))
    assert len(found) > 20
    return found


def send(client: FlaskClient, method: str, path: str, **more: Any) -> Any:
    """Send a body that nothing can read: what is answered was decided before it."""
    body = GARBAGE if method in {"POST", "PUT"} else {}
    answer = client.open(path, method=method, buffered=False, **body, **more)
    answer.close()
    return answer


def set_status(tenant: object, status: str) -> None:
    with open_platform_session() as session:
        session.get_one(Tenant, tenant).status = status


@pytest.fixture(scope="module")
def slug() -> str:
    return a_slug()


@pytest.fixture(scope="module")
def client(database: str, slug: str) -> FlaskClient:
    del database
    return a_client(a_tenant(slug=slug), role="admin")


def test_every_route_answers_401_before_it_reads_a_body(slug: str, client: FlaskClient) -> None:
    del client
    for method, path, _ in tenant_routes():
        for prefix in (API_PREFIX, f"{API_PREFIX}/tenants/{slug}"):
            for header in (None, "Basic eDp5", "Bearer", "Bearer x.y.z", "Bearer é"):
                headers = {"Authorization": header} if header else {}
                answer = send(a_client(), method, prefix + path, headers=headers)
                assert answer.status_code == 401, (method, path, header)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_route_answers_404_to_those_who_are_no_members(
    slug: str, client: FlaskClient
) -> None:
    del client
    stranger = a_client(a_tenant(), role="admin")
    for method, path, _ in tenant_routes():
        texts = set()
        for tenant in (slug, "no-such-firm", NOBODY, "\x00", "É"):
            answer = send(stranger, method, f"{API_PREFIX}/tenants/{tenant}{path}")
            assert answer.status_code == 404, (method, path, tenant)
            texts.add(answer.text)
        assert len(texts) == 1, "the answer tells whether the tenant exists"


def test_every_route_answers_403_before_it_reads_a_body() -> None:
    viewer = a_client(a_tenant(), role="viewer")
    refused = {path for method, path, _ in tenant_routes() if refuses(viewer, method, path)}
    assert {"/trading/strategies/", "/trading/data/", "/users/"} <= refused


def refuses(client: FlaskClient, method: str, path: str) -> bool:
    answer = send(client, method, API_PREFIX + path)
    if answer.status_code == 403:
        assert answer.json["code"] == "forbidden"
        assert answer.json["permission"]
    return answer.status_code == 403


def test_while_suspended_changes_answer_402_and_reading_goes_on() -> None:
    tenant = a_tenant()
    admin, viewer = a_client(tenant, role="admin"), a_client(tenant, role="viewer")
    set_status(tenant, "suspended")
    for method, path, permission in tenant_routes():
        if path.endswith("/logout"):
            continue
        answer = send(admin, method, API_PREFIX + path)
        if permission.endswith(":read"):
            assert answer.status_code in {200, 400, 404, 422}, (method, path)
        else:
            assert answer.status_code == 402, (method, path)
            told = answer.json["code"], answer.json["title"]
            assert told == ("tenant_suspended", "The firm is suspended")
    assert send(viewer, "POST", f"{API_PREFIX}/trading/strategies/").status_code == 403


def test_before_its_schema_stands_a_tenant_answers_409() -> None:
    tenant = a_tenant()
    client = a_client(tenant)
    set_status(tenant, "provisioning")
    answer = client.get("/api/v1/jobs/")
    assert (answer.status_code, answer.json["code"]) == (409, "tenant_provisioning")


def test_every_tenant_route_answers_by_every_signal(slug: str, client: FlaskClient) -> None:
    tenant = client.get("/api/v1/users/").json["items"][0]["tenant_id"]
    for method, path, _ in tenant_routes():
        if path.endswith("/logout"):
            continue
        answers = {
            name: send(client, method, address, **more).status_code
            for name, address, more in ways(path, slug, tenant)
        }
        assert len(set(answers.values())) == 1, (method, path, answers)
        assert set(answers.values()) <= {200, 400, 404, 422}, (method, path, answers)


def ways(path: str, slug: str, tenant: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    short = API_PREFIX + path
    yield "path by id", f"{API_PREFIX}/tenants/{tenant}{path}", {}
    yield "path by id without dashes", f"{API_PREFIX}/tenants/{tenant.replace('-', '')}{path}", {}
    yield "path by slug", f"{API_PREFIX}/tenants/{slug}{path}", {}
    yield "path by slug, shouted", f"{API_PREFIX}/tenants/{slug.upper()}{path}", {}
    yield "header", short, {"headers": {"X-Tenant-ID": slug}}
    yield "header by id", short, {"headers": {"X-Tenant-ID": tenant}}
    yield "subdomain", short, {"headers": {"Host": f"{slug}.localhost:8000"}}
    yield "token alone", short, {}
    yield "all", f"{API_PREFIX}/tenants/{slug}{path}", {"headers": {"X-Tenant-ID": tenant}}


@pytest.mark.parametrize("where", ["path", "header", "host"])
def test_signals_that_disagree_are_404_without_a_hint(
    slug: str, client: FlaskClient, where: str
) -> None:
    other = a_slug("other")
    a_tenant(slug=other)
    texts = set()
    for named in (other, "no-such-firm"):
        headers = {"header": {"X-Tenant-ID": named}, "host": {"Host": f"{named}.localhost"}}
        path = f"/api/v1/tenants/{named}/jobs/" if where == "path" else "/api/v1/jobs/"
        answer = client.get(path, headers=headers.get(where, {}))
        assert (answer.status_code, answer.json["code"]) == (404, "tenant_not_found")
        assert named not in answer.text
        texts.add(answer.text)
    assert len(texts) == 1
    assert client.get(f"/api/v1/tenants/{slug}/jobs/").status_code == 200


@pytest.mark.parametrize("path", ["auth/login", "auth/refresh", "auth/register", "users/register"])
def test_a_route_before_sign_in_needs_a_tenant_named(path: str) -> None:
    body = {"refresh_token": "x"} if path.endswith("refresh") else LOGIN
    if path.endswith("register"):
        body = LOGIN | {"username": "ada"}
    answer = a_client().post(f"/api/v1/{path}", json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "tenant_not_specified")


LOGIN = {"email": "ada@people.example.com", "password": "correct horse battery"}


@pytest.mark.parametrize(
    "host", ["localhost", "www.localhost", "api.localhost:8000", "127.0.0.1", "[::1]:80", "a b", ""]
)
def test_a_host_that_names_no_tenant_is_silent(client: FlaskClient, host: str) -> None:
    assert client.get("/api/v1/jobs/", headers={"Host": host}).status_code == 200
    answer = a_client().post("/api/v1/auth/login", json=LOGIN, headers={"Host": host})
    assert answer.json["code"] == "tenant_not_specified"


def test_the_ids_of_another_tenant_are_404_everywhere() -> None:
    owner_tenant = a_tenant()
    owner, stranger = a_client(owner_tenant), a_client(a_tenant(), role="admin")
    strategy = a_strategy(owner)
    uploaded = owner.post("/api/v1/trading/data/", data=upload_form()).json
    do_jobs(owner_tenant)
    asked = {"strategy_id": strategy, "data_id": uploaded["id"]}
    backtest = owner.post("/api/v1/trading/backtesting/", json=asked).json
    member = str(a_member(owner_tenant))
    ids = {
        "strategies": strategy,
        "data": uploaded["id"],
        "backtesting": backtest["id"],
        "jobs": backtest["job_id"],
        "users": member,
    }
    checked = 0
    for method, path, _ in tenant_routes():
        noun = next((noun for noun in ids if f"/{noun}/{NOBODY}" in path), None)
        if noun is None:
            continue
        url = API_PREFIX + path.replace(NOBODY, ids[noun])
        body = {"name": "x", "document": a_document()} if noun == "strategies" else {}
        body = body if method in {"POST", "PUT"} else None
        answer = stranger.open(url, method=method, json=body)
        assert answer.status_code == 404, (method, path, answer.text)
        assert answer.json["code"] != "tenant_not_found"
        checked += 1
    assert checked > 10
    answer = stranger.post("/api/v1/trading/backtesting/", json=asked)
    assert answer.status_code == 404
    own = asked | {"strategy_id": a_strategy(stranger)}
    assert stranger.post("/api/v1/trading/backtesting/", json=own).json["code"] == "data_not_found"
    assert stranger.get(f"/api/v1/trading/backtesting/?strategy_id={strategy}").json["items"] == []
    assert owner.get(f"/api/v1/trading/strategies/{strategy}").status_code == 200


def test_an_operators_token_opens_no_tenant(slug: str, client: FlaskClient) -> None:
    del client
    operator = an_operator()
    for path in ("/api/v1/jobs/", f"/api/v1/tenants/{slug}/jobs/"):
        assert operator.get(path).status_code in {400, 404}


def an_operator() -> FlaskClient:
    mail = a_mail()
    a_user(email=mail, is_operator=True)
    client = a_client()
    answer = client.post("/api/v1/admin/auth/login", json={"email": mail, "password": PASSWORD})
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {answer.json['access_token']}"
    return client
