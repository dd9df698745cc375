import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.identity.authentication import authenticate
from core.settings import get_settings
from core.tenancy.models import Tenant
from core.tenancy.session import open_platform_session
from tests.builders import PASSWORD, a_client, a_mail, a_member, a_slug, a_tenant
from web.api.authentication import REFRESH_COOKIE

pytestmark = pytest.mark.usefixtures("database")
BROWSER = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def slug() -> str:
    name = a_slug()
    a_tenant(slug=name)
    return name


def member_of(slug: str, role: str = "user") -> str:
    """Make a member of a tenant and answer their mail."""
    mail = a_mail()
    with open_platform_session() as session:
        tenant = session.query(Tenant.id).filter_by(subdomain=slug).scalar()
    a_member(tenant, email=mail, role=role)
    return mail


def sign_in(
    slug: str, *, client: FlaskClient | None = None, scheme: str = "http", **headers: str
) -> TestResponse:
    body = {"email": member_of(slug), "password": PASSWORD}
    path = f"/api/v1/tenants/{slug}/auth/login"
    url = f"{scheme}://localhost{path}"
    return (client or a_client()).post(url, json=body, headers=headers)


def test_a_login_answers_the_published_tokens(slug: str) -> None:
    answer = sign_in(slug)
    assert answer.status_code == 200
    assert answer.json.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "user",
    }
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("bearer", 1_800)
    assert {"id", "email", "username", "role", "tenant_id", "subscription_tier"} <= answer.json[
        "user"
    ].keys()
    assert "Set-Cookie" not in answer.headers
    assert authenticate(answer.json["access_token"]).role == "user"


@pytest.mark.parametrize("wrong", [{"password": "wrong horse"}, {"email": "nobody@x.example"}])
def test_a_wrong_login_is_401_and_tells_nothing(slug: str, wrong: dict[str, str]) -> None:
    body = {"email": member_of(slug), "password": PASSWORD} | wrong
    answer = a_client().post(f"/api/v1/tenants/{slug}/auth/login", json=body)
    assert (answer.status_code, answer.json["code"]) == (401, "invalid_credentials")


def test_a_password_without_end_is_422_before_it_is_hashed(slug: str) -> None:
    body = {"email": a_mail(), "password": "\ufdfa" * 1_001}
    answer = a_client().post(f"/api/v1/tenants/{slug}/auth/login", json=body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["path"] == "/password"


def test_a_browser_gets_its_refresh_token_as_a_cookie_alone(slug: str) -> None:
    answer = sign_in(slug, **BROWSER)
    assert "refresh_token" not in answer.json
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{REFRESH_COOKIE}=")
    assert f"Path=/api/v1/tenants/{slug}/auth" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Domain" not in cookie


def test_the_cookie_is_secure_over_tls_and_in_production(
    slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Secure" not in sign_in(slug, **BROWSER).headers["Set-Cookie"]
    assert "Secure" in sign_in(slug, scheme="https", **BROWSER).headers["Set-Cookie"]
    for name, value in {
        "ENVIRONMENT": "production",
        "JWT_SECRET_KEY": get_settings().required("jwt_secret_key"),
        "AWS_S3_BUCKET": "somewhere",
    }.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    try:
        assert "Secure" in sign_in(slug, **BROWSER).headers["Set-Cookie"]
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_a_cookie_is_refreshed_once_and_ends_with_the_logout(slug: str) -> None:
    client = a_client()
    sign_in(slug, client=client, **BROWSER)
    path = f"/api/v1/tenants/{slug}/auth"
    first = client.get_cookie(REFRESH_COOKIE, path=path)
    renewed = client.post(f"{path}/refresh", headers=BROWSER)
    assert renewed.status_code == 200
    assert client.get_cookie(REFRESH_COOKIE, path=path).value != first.value
    bearer = {"Authorization": f"Bearer {renewed.json['access_token']}"}
    assert client.post(f"{path}/logout", headers=BROWSER | bearer).status_code == 204
    assert client.get_cookie(REFRESH_COOKIE, path=path) is None
    assert client.get("/api/v1/jobs/", headers=bearer).status_code == 401


def test_the_cookie_goes_to_the_routes_beside_it_with_a_trailing_slash_too(slug: str) -> None:
    body = {"email": member_of(slug), "password": PASSWORD}
    answer = a_client().post(f"/api/v1/tenants/{slug}/auth/login/", json=body, headers=BROWSER)
    assert f"Path=/api/v1/tenants/{slug}/auth;" in answer.headers["Set-Cookie"] + ";"


def test_a_refresh_token_works_once_and_its_reuse_ends_the_login(slug: str) -> None:
    client, path = a_client(), f"/api/v1/tenants/{slug}/auth/refresh"
    token = sign_in(slug).json["refresh_token"]
    renewed = client.post(path, json={"refresh_token": token})
    assert renewed.status_code == 200
    again = client.post(path, json={"refresh_token": token})
    assert (again.status_code, again.json["code"]) == (401, "invalid_refresh_token")
    bearer = {"Authorization": f"Bearer {renewed.json['access_token']}"}
    assert client.get("/api/v1/jobs/", headers=bearer).status_code == 401


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}, {"refresh_token": ""}])
def test_without_a_refresh_token_a_refresh_is_401(slug: str, body: dict[str, str] | None) -> None:
    answer = a_client().post(f"/api/v1/tenants/{slug}/auth/refresh", json=body)
    assert answer.status_code in {401, 422}
    assert answer.status_code == 401 or body is None


def test_a_refresh_token_is_of_its_tenant(slug: str) -> None:
    other = a_slug()
    a_tenant(slug=other)
    token = sign_in(slug).json["refresh_token"]
    answer = a_client().post(f"/api/v1/tenants/{other}/auth/refresh", json={"refresh_token": token})
    assert answer.status_code == 401


def test_joining_is_closed_unless_a_firm_opens_it(slug: str) -> None:
    body = {"email": a_mail(), "username": "bob", "password": PASSWORD}
    for path in ("auth/register", "users/register"):
        answer = a_client().post(f"/api/v1/tenants/{slug}/{path}", json=body)
        assert (answer.status_code, answer.json["code"]) == (403, "registration_closed")


def test_joining_an_open_firm_never_gives_more_than_user(slug: str) -> None:
    with open_platform_session() as session:
        tenant = session.query(Tenant).filter_by(subdomain=slug).one()
        tenant.registration_open = True
    body = {"email": a_mail(), "username": "bob", "password": PASSWORD, "role": "admin"}
    answer = a_client().post(f"/api/v1/tenants/{slug}/users/register", json=body)
    assert answer.status_code == 201
    assert answer.json["role"] == "user"
    assert "password" not in answer.text


def test_a_bad_registration_names_every_fault(slug: str) -> None:
    body = {"email": "no mail", "username": "", "password": "short"}
    answer = a_client().post(f"/api/v1/tenants/{slug}/auth/register", json=body)
    assert answer.status_code == 422
    assert {f["path"] for f in answer.json["errors"]} == {"/email", "/username", "/password"}


def test_a_link_that_never_was_sets_no_password() -> None:
    body = {"token": "x" * 43, "password": PASSWORD}
    answer = a_client().post("/api/v1/auth/password", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "link_not_valid")
